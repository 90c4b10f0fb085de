"""``python tools/statistics_plots.py``: draw the plots of docs/explain/statistics.md, from simulations of the program's
own functions. Seeded, so that the same program draws the same plots; half a minute."""

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import vl_convert
from numpy.typing import NDArray
from scipy import stats

from zirkel.stats import (
    MeanInterval,
    adjust,
    clopper_pearson_interval,
    early_stop,
    mean_interval,
    non_inferiority,
    non_inferiority_binary,
    paired_difference,
    variance_components,
    wilson_interval,
)
from zirkel.stats.prediction_powered import ppi_mean

TARGET = Path(__file__).parent.parent / "docs" / "images" / "statistics"
SEED = 20261123
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]
"""Okabe and Ito's, which colour-blind readers can tell apart."""

Row = Mapping[str, str | float]
Spec = Mapping[str, object]
Floats = NDArray[np.float64]


def lines(
    rows: Sequence[Row],
    x: str,
    y: str,
    series: str,
    *,
    nominal: float | None = None,
    lowest: float | None = None,
    is_log: bool = False,
) -> Spec:
    """Return a Vega-Lite chart with one line per series; ``nominal`` is a dashed line to compare with."""
    order = list(dict.fromkeys(str(row[series]) for row in rows))
    layers: list[Spec] = [
        {
            "mark": {"type": "line", "point": len(rows) < 80},
            "encoding": {
                "x": {
                    "field": x,
                    "type": "quantitative",
                    "scale": {"type": "log" if is_log else "linear", "nice": False},
                },
                "y": {
                    "field": y,
                    "type": "quantitative",
                    "scale": {"domainMin": lowest} if lowest is not None else {"zero": True},
                },
                "color": {
                    "field": series,
                    "type": "nominal",
                    "sort": order,
                    "scale": {"domain": order, "range": COLOURS[: len(order)]},
                    "legend": {"title": None, "orient": "bottom", "columns": 2, "labelLimit": 400},
                },
            },
        }
    ]
    if nominal is not None:
        rule = {"type": "rule", "strokeDash": [4, 4], "color": "#777777"}
        layers.append({"mark": rule, "encoding": {"y": {"datum": nominal}}})
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": 460,
        "height": 240,
        "background": "white",
        "data": {"values": list(rows)},
        "layer": layers,
    }


def proportions() -> Spec:
    """Coverage of three intervals for 50 items, exact."""
    n = 50
    passes = np.arange(n + 1)
    intervals = {
        "normal (CLT)": [_normal(k, n) for k in passes],
        "Wilson": [(i.low, i.high) for i in (wilson_interval(int(k), n) for k in passes)],
        "Clopper-Pearson": [(i.low, i.high) for i in (clopper_pearson_interval(int(k), n) for k in passes)],
    }
    rows: list[Row] = []
    for name, bounds in intervals.items():
        for rate in np.linspace(0.5, 0.995, 100):
            covers = [low <= rate <= high for low, high in bounds]
            coverage = float(stats.binom.pmf(passes, n, rate) @ np.array(covers))
            rows.append({"true pass rate": float(rate), "coverage": coverage, "interval": name})
    return lines(rows, "true pass rate", "coverage", "interval", nominal=0.95, lowest=0.2)


def _normal(passes: int, n: int) -> tuple[float, float]:
    rate = passes / n
    radius = 1.96 * math.sqrt(rate * (1 - rate) / n)
    return rate - radius, rate + radius


def pairing() -> Spec:
    """How wide the interval of a difference is, with and without pairing, by how alike two versions are."""
    random, n, rows = np.random.default_rng(SEED), 400, list[Row]()
    for changed in (0.02, 0.05, 0.1, 0.2, 0.3, 0.42):
        widths = []
        for _ in range(100):
            old, fresh = (random.random((2, n)) < 0.7).astype(float)
            new = np.where(random.random(n) < changed / 0.42, fresh, old)
            paired = paired_difference(new, old)
            alone = math.hypot(mean_interval(new).standard_error, mean_interval(old).standard_error) * 2 * 1.96
            widths.append((paired.high - paired.low, alone))
        for name, width in zip(("paired by item", "two separate means"), np.mean(widths, axis=0), strict=True):
            rows.append({"share of items that changed": changed, "width of the 95 % interval": width, "kind": name})
    return lines(rows, "share of items that changed", "width of the 95 % interval", "kind")


def clusters() -> Spec:
    """Coverage by how alike the items of a cluster are."""
    random, runs, rows = np.random.default_rng(SEED), 4000, list[Row]()
    labels = np.repeat(np.arange(30), 10)
    for icc in (0.0, 0.05, 0.1, 0.2, 0.35, 0.5):
        covered = np.zeros(2)
        for _ in range(runs):
            shared = np.repeat(random.normal(0, math.sqrt(icc), 30), 10)
            values = shared + random.normal(0, math.sqrt(1 - icc), 300)
            covered += [_covers(mean_interval(values), 0), _covers(mean_interval(values, labels), 0)]
        for name, count in zip(("items taken as independent", "clusters (CR1, t)"), covered, strict=True):
            rows.append({"correlation within a cluster": icc, "coverage": count / runs, "kind": name})
    return lines(rows, "correlation within a cluster", "coverage", "kind", nominal=0.95, lowest=0.5)


def trials() -> Spec:
    """Standard error for the same number of calls, as more items or as more trials."""
    random = np.random.default_rng(SEED)
    rates = random.beta(2, 1, 2000)
    found = variance_components((random.random((2000, 5)) < rates[:, None]).astype(float))
    rows: list[Row] = []
    for factor in (1, 2, 3, 5, 8, 10):
        for name, items, repeats in (
            ("more trials of 100 items", 100, factor),
            ("more items, 1 trial", 100 * factor, 1),
        ):
            error = found.standard_error_at(repeats, items)
            rows.append({"calls": 100 * factor, "standard error of the pass rate": error, "kind": name})
    return lines(rows, "calls", "standard error of the pass rate", "kind")


def verdicts() -> Spec:
    """What the gate says of an equally good candidate, by the number of items."""
    random, runs, rows = np.random.default_rng(SEED), 4000, list[Row]()
    for n in (50, 100, 150, 200, 250, 300, 400, 500):
        said = {"PASS": 0, "INCONCLUSIVE": 0, "FAIL": 0}
        naive = 0
        for _ in range(runs):
            gained, lost, _ = random.multinomial(n, [0.05, 0.05, 0.9])
            verdict = non_inferiority_binary(int(gained), int(lost), n, margin=0.05).verdict
            said["PASS" if verdict == "SUPERIOR" else verdict] += 1
            naive += lost - gained > 0.05 * n
        for name, count in said.items():
            rows.append({"items": n, "share of runs": count / runs, "verdict": name})
        rows.append({"items": n, "share of runs": naive / runs, "verdict": "looks worse by more than the margin"})
    return lines(rows, "items", "share of runs", "verdict")


def segments() -> Spec:
    """How often an equally good candidate seems to differ in some segment."""
    random, runs, rows = np.random.default_rng(SEED), 4000, list[Row]()
    for count in (1, 2, 5, 10, 20, 40):
        p_values = random.random((runs, count))
        plain = float(np.mean(np.min(p_values, axis=1) < 0.05))
        held = float(np.mean([any(adjust(row, method="bh").rejected) for row in p_values]))
        rows += [
            {"segments": count, "share with a false alarm": plain, "kind": "each at p < 0.05"},
            {"segments": count, "share with a false alarm": held, "kind": "Benjamini-Hochberg"},
        ]
    return lines(rows, "segments", "share with a false alarm", "kind", nominal=0.05)


def judges() -> Spec:
    """Coverage of three ways to use labels: judge 98 % right, true rate .9, 20,000 judged."""
    random, runs, rate, right, rows = np.random.default_rng(SEED), 1000, 0.9, 0.98, list[Row]()
    for n in (50, 75, 100, 150, 200, 300):
        covered = np.zeros(3)
        for _ in range(runs):
            truth = random.random(n) < rate
            judged = np.where(random.random(n) < right, truth, ~truth).astype(float)
            passed = int(random.binomial(20_000, rate * right + (1 - rate) * (1 - right)))
            others = np.repeat([1.0, 0.0], [passed, 20_000 - passed])
            published, ours = (ppi_mean(truth.astype(float), judged, others, interval=kind) for kind in ("normal", "t"))
            human = wilson_interval(int(truth.sum()), n)
            covered += [_covers(ours, rate), _covers(published, rate), human.low <= rate <= human.high]
        names = ("PPI++ as we report it", "PPI++ as published", "labels alone (Wilson)")
        for name, count in zip(names, covered, strict=True):
            rows.append({"labels": n, "coverage": count / runs, "kind": name})
    return lines(rows, "labels", "coverage", "kind", nominal=0.95, lowest=0.6)


def widths() -> Spec:
    """How wide the interval is with labels alone and with a judge, by how good the judge is."""
    random, runs, rows = np.random.default_rng(SEED), 60, list[Row]()
    for right in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99):
        found = np.zeros(2)
        for _ in range(runs):
            truth = random.random(2000) < 0.7
            judged = np.where(random.random(2000) < right, truth, ~truth).astype(float)
            labels = truth[:100].astype(float)
            human, ours = mean_interval(labels), ppi_mean(labels, judged[:100], judged[100:])
            found += [human.high - human.low, ours.high - ours.low]
        for name, width in zip(("100 labels alone", "100 labels and 1,900 judged items"), found / runs, strict=True):
            rows.append(
                {"share of items the judge gets right": right, "width of the 95 % interval": width, "kind": name}
            )
    return lines(rows, "share of items the judge gets right", "width of the 95 % interval", "kind")


def peeking() -> Spec:
    """How often a candidate that is worse by just the margin has passed by then, if one looks every 25 items."""
    random, runs, rows = np.random.default_rng(SEED), 1000, list[Row]()
    looks = np.arange(25, 1001, 25)
    passed = np.zeros((2, len(looks)))
    for _ in range(runs):
        differences = random.choice([-1.0, 0.0, 1.0], 1000, p=[0.15, 0.75, 0.1])
        test, already = early_stop(margin=0.05), False
        for place, n in enumerate(looks):
            test = test.update(differences[n - 25 : n])
            fixed = non_inferiority(mean_interval(differences[:n]), margin=0.05).verdict
            already = already or fixed in ("PASS", "SUPERIOR")
            passed[:, place] += [already, test.verdict in ("PASS", "SUPERIOR")]
    for name, counts in zip(("fixed-size test, looked at every 25 items", "e-value (betting)"), passed, strict=True):
        rows += [
            {"items": int(n), "false PASS so far": count / runs, "kind": name}
            for n, count in zip(looks, counts, strict=True)
        ]
    return lines(rows, "items", "false PASS so far", "kind", nominal=0.05)


def _covers(interval: MeanInterval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


PLOTS: tuple[tuple[str, Callable[[], Spec]], ...] = (
    ("proportions", proportions),
    ("pairing", pairing),
    ("clusters", clusters),
    ("trials", trials),
    ("verdicts", verdicts),
    ("segments", segments),
    ("judges", judges),
    ("widths", widths),
    ("peeking", peeking),
)


def main() -> None:
    """Draw all plots, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(name for name, _ in PLOTS))
    wanted = set(parser.parse_args().names)
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, plot in PLOTS:
        if not wanted or name in wanted:
            (TARGET / f"{name}.svg").write_text(vl_convert.vegalite_to_svg(json.dumps(plot())))
            print(TARGET / f"{name}.svg")


if __name__ == "__main__":
    main()
