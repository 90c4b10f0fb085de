"""A verdict as Markdown, for a pull request: a table, a plot in text, and what would decide it. Pure."""

from zirkel.core.wording import say_amount
from zirkel.evaluate.report_view import MetricView, ReportView, SideView

MARKS = {"PASS": "✅", "SUPERIOR": "✅", "FAIL": "❌", "INCONCLUSIVE": "⚠️"}
WIDTH = 41
"""Characters of the text plot; odd, so that there is a middle."""
SPAN = 2.5
"""How many margins the text plot reaches to either side."""


def markdown_summary(report: ReportView, chart: str = "") -> str:
    """Return the verdict as Markdown.

    Args:
        report: Of the verdict.
        chart: Where its picture is, as a link beside the file; none if empty.
    """
    decision, evidence = report.decision, report.evidence
    lines = [f"## {MARKS[decision.verdict]} {decision.verdict}: {_cell(report.service)}", ""]
    lines += [_side("candidate", evidence.candidate)]
    lines += [_side("baseline", evidence.baseline) if evidence.baseline else "There is nothing to compare with.", ""]
    if decision.metrics:
        lines += ["| metric | | estimate | one-sided bounds | limit |", "|---|---|---|---|---|"]
        lines += [row for metric in decision.metrics for row in _rows(metric)]
        lines += ["", *_plot(decision.metrics)]
        lines += [f"- **{_cell(metric.name)}**: {_cell(metric.reason)}" for metric in decision.metrics]
    else:
        lines += [_cell(decision.reason)]
    if decision.items_more is not None:
        price = f", for about {float(decision.price_usd):.2g} USD" if decision.price_usd else ""
        lines += ["", f"About {decision.items_more} more items would decide it{price}."]
    lines += [line for note in decision.notes for line in ("", f"> {_cell(note)}")]
    if chart:
        lines += ["", f"![What differs, beside the margins]({chart})"]
    lines += ["", f"<sub>policy `{report.policy_digest[:12]}`, inputs `{report.inputs_digest[:12]}`</sub>"]
    return "\n".join(lines) + "\n"


def _side(name: str, side: SideView) -> str:
    cost = f"{side.cost_usd} USD" if side.cost_usd is not None else "cost unknown"
    judging = f", judging {side.judging_usd} USD" if side.judging_usd not in (None, "0") else ""
    return (
        f"{name} `{side.release[:12]}`: {side.items} items × {side.trials} trials, {side.answered} answered, "
        f"{side.errored} errored, {cost}{judging}  "
    )


def _rows(metric: MetricView) -> list[str]:
    rows = []
    for what, test in (("difference", metric.difference), ("mean", metric.mean)):
        if test is None:
            continue
        unit, is_signed = "relative" if test.is_relative else metric.metric.unit, what == "difference"
        estimate, low, high = (
            say_amount(value, unit, is_signed=is_signed)
            for value in (test.bounds.estimate, test.bounds.low, test.bounds.high)
        )
        limit = ("margin " if is_signed else _floor_word(metric)) + say_amount(test.limit, unit)
        rows.append(f"| {MARKS[test.verdict]} {_cell(metric.name)} | {what} | {estimate} | {low} to {high} | {limit} |")
    return rows or [f"| {MARKS[metric.verdict]} {_cell(metric.name)} | | | | |"]


def _floor_word(metric: MetricView) -> str:
    return "floor " if metric.metric.direction == "higher" else "ceiling "


def _plot(metrics: list[MetricView]) -> list[str]:
    """Return a plot in text: where each difference lies, in margins, better to the right."""
    shown = [metric for metric in metrics if metric.difference]
    if not shown:
        return []
    width = max(len(metric.name) for metric in shown)
    head = list(" " * WIDTH)
    head[_column(-1)], head[_column(0)] = "M", "0"
    lines = [f"{' ' * width}  {''.join(head)}  better →"]
    lines += [f"{metric.name:<{width}}  {_bar(metric)}  {metric.verdict}" for metric in shown]
    return ["```text", *lines, "```", "", "M is the margin: a whole interval to the right of it passes.", ""]


def _bar(metric: MetricView) -> str:
    test = metric.difference
    assert test is not None
    sign = 1 if metric.metric.direction == "higher" else -1
    ends = sorted(sign * value / test.limit for value in (test.bounds.low, test.bounds.high))
    bar = list("·" * WIDTH)
    bar[_column(-1)], bar[_column(0)] = "¦", "|"
    for place in range(_column(ends[0]), _column(ends[1]) + 1):
        bar[place] = "─"
    bar[_column(sign * test.bounds.estimate / test.limit)] = "●"
    return "".join(bar)


def _column(margins: float) -> int:
    share = (min(max(margins, -SPAN), SPAN) + SPAN) / (2 * SPAN)
    return round(share * (WIDTH - 1))


def _cell(text: str) -> str:
    """Return text that stays in its cell and is no markup."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
