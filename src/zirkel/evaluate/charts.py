"""A verdict as a Vega-Lite specification: a forest plot of differences with their margins. Pure.

One specification for every place: the console draws it, the command line writes it as SVG or PNG.
"""

from collections.abc import Sequence

from zirkel.core import Json
from zirkel.core.wording import say_amount, say_bounds
from zirkel.evaluate.report_view import MetricView, ReportView

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
WIDTH_PX = 460
STEP_PX = 34
# Distinguishable without colour vision, and the verdict stands beside each row in words.
COLOURS = {"PASS": "#0b7285", "SUPERIOR": "#087f5b", "FAIL": "#c92a2a", "INCONCLUSIVE": "#b06000"}


def forest_plot(report: ReportView) -> dict[str, Json]:
    """Return the plot: differences in units of their margins, better to the right, and means beside their floors."""
    metrics = report.decision.metrics
    differences = [metric for metric in metrics if metric.difference]
    means = [metric for metric in metrics if metric.mean and metric.metric.unit == "share"]
    panels: list[Json] = []
    if differences:
        panels.append(_differences(differences))
    if means:
        panels.append(_means(means))
    return {
        "$schema": SCHEMA,
        "title": f"{report.service}: {report.decision.verdict}",
        "background": "white",
        "config": {"font": "sans-serif", "axis": {"labelLimit": 240}, "view": {"stroke": None}},
        "vconcat": panels or [_nothing(report.decision.reason)],
    }


def _differences(metrics: Sequence[MetricView]) -> dict[str, Json]:
    rows = [_difference_row(metric) for metric in metrics]
    reach = max(2.0, *(abs(float(str(row[end]))) for row in rows for end in ("low", "high")))
    x: dict[str, Json] = {
        "type": "quantitative",
        "title": "difference from the baseline, in margins (better to the right)",
        "scale": {"domain": [-min(reach, 6.0), min(reach, 6.0)]},
        "axis": {"grid": False},
    }
    lines: list[Json] = [
        _line(-1, "#c92a2a", [5, 4]),
        _line(0, "#868e96", []),
    ]
    return _panel(rows, x, lines)


def _means(metrics: Sequence[MetricView]) -> dict[str, Json]:
    x: dict[str, Json] = {
        "type": "quantitative",
        "title": "mean of the candidate, and its floor or ceiling",
        "scale": {"domain": [0, 1]},
        "axis": {"grid": False},
    }
    floors: Json = {
        "mark": {"type": "tick", "color": "#c92a2a", "thickness": 3, "clip": True},
        "encoding": {"y": _y(), "x": {**x, "field": "limit"}},
    }
    return _panel([_mean_row(metric) for metric in metrics], x, [floors])


def _panel(rows: Sequence[dict[str, Json]], x: dict[str, Json], below: Sequence[Json]) -> dict[str, Json]:
    colour: Json = {
        "field": "verdict",
        "type": "nominal",
        "scale": {"domain": list(COLOURS), "range": list(COLOURS.values())},
        "legend": None,
    }
    said: Json = [{"field": "metric"}, {"field": "verdict"}, {"field": "said"}]
    interval: Json = {
        "mark": {"type": "rule", "strokeWidth": 3, "clip": True},
        "encoding": {"y": _y(), "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour, "tooltip": said},
    }
    estimate: Json = {
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, "clip": True},
        "encoding": {"y": _y(), "x": {**x, "field": "estimate"}, "color": colour, "tooltip": said},
    }
    words: Json = {
        "mark": {"type": "text", "align": "left", "dx": 8, "x": "width"},
        "encoding": {"y": _y(), "text": {"field": "verdict"}, "color": colour},
    }
    return {
        "width": WIDTH_PX,
        "height": {"step": STEP_PX},
        "data": {"values": list(rows)},
        "layer": [*below, interval, estimate, words],
    }


def _difference_row(metric: MetricView) -> dict[str, Json]:
    test = metric.difference
    assert test is not None
    sign = 1 if metric.metric.direction == "higher" else -1
    low, high = sorted((sign * test.bounds.low / test.limit, sign * test.bounds.high / test.limit))
    said = say_bounds(test.bounds, metric.metric.unit, is_relative=test.is_relative)
    return {
        "metric": metric.name,
        "verdict": test.verdict,
        "estimate": sign * test.bounds.estimate / test.limit,
        "low": low,
        "high": high,
        "said": f"{said}, margin {test.limit:g}",
    }


def _mean_row(metric: MetricView) -> dict[str, Json]:
    test = metric.mean
    assert test is not None
    return {
        "metric": metric.name,
        "verdict": test.verdict,
        "estimate": test.bounds.estimate,
        "low": test.bounds.low,
        "high": test.bounds.high,
        "limit": test.limit,
        "said": f"{say_amount(test.bounds.estimate, metric.metric.unit)}, limit {test.limit:g}",
    }


def _line(at: float, colour: str, dash: Sequence[int]) -> Json:
    return {
        "data": {"values": [{"at": at}]},
        "mark": {"type": "rule", "color": colour, "strokeDash": list(dash)},
        "encoding": {"x": {"field": "at", "type": "quantitative"}},
    }


def _nothing(reason: str) -> Json:
    return {
        "width": WIDTH_PX,
        "height": STEP_PX,
        "data": {"values": [{"reason": reason}]},
        "mark": {"type": "text", "align": "left", "limit": WIDTH_PX},
        "encoding": {"text": {"field": "reason"}},
    }


def _y() -> Json:
    return {"field": "metric", "type": "nominal", "title": None, "sort": None}
