"""Comparisons in words: scores, differences, segments, and the items that changed with both answers."""

import difflib
from collections.abc import Iterator
from typing import cast

from zirkel.app.cli.output import number, say, short
from zirkel.core import Json
from zirkel.core.wording import say_amount

Object = dict[str, Json]
LONGEST_DIFF = 60
"""Lines of one item's diff that are shown."""


def print_comparison(report: Object) -> None:
    """Print both experiments, their paired differences, and the segments if there are any."""
    for name in ("candidate", "baseline"):
        _print_summary(name, cast("Object | None", report[name]))
    paired = cast("dict[str, Object] | None", report["paired"])
    if paired is not None:
        say("difference, candidate minus baseline, paired by item:")
        for metric, found in paired.items():
            _print_difference(metric, found)
    _print_segments(report)


def print_changes(metric: str, items: list[Object]) -> None:
    """Print changed items, each with a diff of its answers and what the evaluators said of them."""
    if not items:
        say(f"no item changed in {metric}")
    for item in items:
        differences = cast("dict[str, float]", item["differences"])
        changed = ", ".join(f"{name} {value:+.3g}" for name, value in differences.items())
        say(f"{item['item_id']}: {changed}")
        say(f"  input: {_line(item['input'])}")
        if item["expected"] is not None:
            say(f"  expected: {_line(item['expected'])}")
        for line in _diff(cast("list[Object]", item["baseline"]), cast("list[Object]", item["candidate"])):
            say(f"  {line}")
        for side in ("baseline", "candidate"):
            for trial in cast("list[Object]", item[side]):
                for line in _judged(trial):
                    say(f"  {side} {cast(int, trial['trial']) + 1}: {line}")
        say("")


def _print_summary(name: str, summary: Object | None) -> None:
    if summary is None:
        say("baseline: nothing is live and none is declared; there is nothing to compare with")
        return
    cost = f"{summary['cost_usd']} USD" if summary["cost_usd"] is not None else "cost unknown"
    judging = summary["judging_usd"]
    if judging is None or float(str(judging)):
        cost += f", judging {judging} USD" if judging is not None else ", judging of unknown cost"
    stopped = f", stopped early after {summary['stopped_items']} items" if summary["stopped_items"] is not None else ""
    say(
        f"{name}: release {short(summary['release'])}, {summary['items']} items x {summary['trials']} trials, "
        f"{summary['answered']} answered, {summary['errored']} errored, {summary['recovered']} recovered, "
        f"{cost}{stopped}"
    )
    found = {**cast("dict[str, Object]", summary["metrics"]), **cast("dict[str, Object]", summary["system"])}
    for metric, one in found.items():
        if metric != "error_rate" or summary["errored"]:
            say(f"  {metric:<14} {_interval(one['interval'], str(one['unit']))}{_trials(one)}")


def _trials(found: Object) -> str:
    """Return what repeated trials say."""
    if found["flip_rate"] is None:
        return ""
    said = f"   flip rate {number(found['flip_rate'])}"
    components = cast("Object | None", found["components"])
    if components:
        said += f", variance between items {number(components['between'])}, within {number(components['within'])}"
    for repeat in cast("list[Object]", found["repeats"]):
        one, every = cast(Object, repeat["at_least_one"]), cast(Object, repeat["every_one"])
        said += f", pass@{repeat['k']} {number(one['estimate'])}, pass^{repeat['k']} {number(every['estimate'])}"
    return said


def _print_difference(metric: str, found: Object) -> None:
    if not found["better_items"] and not found["worse_items"]:
        if found["shared_items"]:
            say(f"  {metric:<14} no item changed")
        return
    changed = f"{found['better_items']} items better, {found['worse_items']} worse"
    say(f"  {metric:<14} {_interval(found['difference'], str(found['unit']), is_signed=True)}   {changed}")


def _print_segments(report: Object) -> None:
    segments = cast("dict[str, list[Object]]", report.get("segments") or {})
    rows = [(metric, found) for metric, several in segments.items() for found in several if found["estimate"]]
    if not rows:
        return
    units = {name: str(one["unit"]) for name, one in cast("dict[str, Object]", report["paired"]).items()}
    say(f"{report['segments_note']}:")
    for metric, found in sorted(rows, key=lambda row: cast(float, row[1]["adjusted_p"] or 1.0)):
        mark = "*" if found["stands_out"] else " "
        estimate = say_amount(cast(float, found["estimate"]), units[metric], is_signed=True)
        if found["p_value"] is None:
            said = "; ".join(str(warning) for warning in cast("list[Json]", found["warnings"]))
        else:
            said = f"p {number(found['p_value'], 4)}, adjusted {number(found['adjusted_p'], 4)}"
        say(f" {mark}{metric:<14} {found['segment']!s:<20} {estimate} ({found['n']} items), {said}")


def _interval(value: Json, unit: str, *, is_signed: bool = False) -> str:
    if value is None:
        return "too few items for an interval"
    found = cast("dict[str, float]", value)
    clusters = f", {found['n_clusters']} clusters" if found["n_clusters"] else ""
    estimate, low, high = (say_amount(found[name], unit, is_signed=is_signed) for name in ("estimate", "low", "high"))
    return f"{estimate}  95 % interval {low} to {high} ({found['n']} items{clusters})"


def _diff(baseline: list[Object], candidate: list[Object]) -> Iterator[str]:
    """Yield the lines in which the answers differ, trial by trial; trials with the same answers once."""
    shown: set[tuple[str, str]] = set()
    for old, new in zip(baseline, candidate, strict=False):
        texts = _answer(old), _answer(new)
        if texts in shown:
            continue
        shown.add(texts)
        if texts[0] == texts[1]:
            yield f"both answered: {_line(texts[0])}"
            continue
        lines = list(
            difflib.unified_diff(texts[0].splitlines(), texts[1].splitlines(), "baseline", "candidate", lineterm="")
        )
        yield from lines[:LONGEST_DIFF]
        if len(lines) > LONGEST_DIFF:
            yield f"… {len(lines) - LONGEST_DIFF} more lines"


def _answer(trial: Object) -> str:
    return f"(error) {trial['error']}" if trial["error"] else str(trial["output"])


def _judged(trial: Object) -> Iterator[str]:
    for name, score in cast("dict[str, Object]", trial["scores"]).items():
        value = score.get("value", score.get("state"))
        why = score.get("reason") or score.get("error") or ""
        yield f"{name} {value}" + (f" ({_line(why)})" if why else "")


def _line(value: Json) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else f"{text[:199]}…"
