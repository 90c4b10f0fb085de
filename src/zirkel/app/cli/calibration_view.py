"""What the command line says of a calibration report. Pure."""

from collections.abc import Iterator, Mapping
from typing import cast

from zirkel.app.cli.output import number, short
from zirkel.core import Json, iso_utc

Object = Mapping[str, Json]

_STATES = {
    "calibrated": "CALIBRATED",
    "weak": "WEAK: do not decide by it",
    "too_few_labels": "TOO FEW LABELS to decide by it",
    "stale": "STALE: label again before deciding by it",
}
_NAMES = {"raw": "agreement", "kappa": "kappa", "gwet": "AC1", "krippendorff": "alpha"}


def calibration_lines(report: Object) -> Iterator[str]:
    """Yield a report, line by line."""
    judges = ", ".join(str(model) for model in cast("list[Json]", report["models"])) or "no model"
    yield f"{report['evaluator']} ({judges}) on release {short(report['release'])} of {report['service']}"
    yield f"{_STATES[str(report['state'])]}"
    yield f"   {report['reason']}"
    oldest = f", the oldest of {iso_utc(cast(int, report['oldest_ns']))[:10]}" if report["oldest_ns"] else ""
    disputed = f"; {report['disputed']} wait to be settled" if report["disputed"] else ""
    yield f"labels: {report['labels']}{oldest}{disputed}"
    measures = cast(Object, report["measures"])
    yield from _agreement("judge and people", measures["agreement"])
    yield from _accuracy(measures["accuracy"])
    yield from _agreement("people among themselves", measures["people"])
    yield from _ceiling(measures["ceiling"])
    yield from _bias(measures["bias"])
    yield from _corrected("mean", cast(Object, report["mean"]))
    if report["difference"]:
        yield from _corrected("difference to the baseline", cast(Object, report["difference"]))


def _agreement(what: str, found: Json) -> Iterator[str]:
    if not isinstance(found, Mapping):
        return
    yield f"{what}, on {found['n']} ratings:"
    for coefficient in cast("list[Object]", found["coefficients"]):
        name = str(coefficient["name"])
        if name in _NAMES and coefficient["weights"] in ("identity", found["scale"]):
            yield f"   {_NAMES[name]:<10} {_interval(coefficient)}"
    yield from _warnings(found)


def _accuracy(found: Json) -> Iterator[str]:
    if not isinstance(found, Mapping):
        return
    said = {
        "sensitivity": "of what people call good, it passes",
        "specificity": "of what people call bad, it fails",
        "youden": "both together less 1 (Youden's index; 0.5 is asked)",
    }
    for name, meaning in said.items():
        if isinstance(found[name], Mapping):
            yield f"   {name:<11} {_interval(cast(Object, found[name]))}  {meaning}"


def _ceiling(found: Json) -> Iterator[str]:
    if isinstance(found, Mapping):
        human, judge = (cast(Object, found[name]) for name in ("human", "judge"))
        yield f"   two people agree {_interval(human)}, the judge with one person {_interval(judge)}"


def _bias(found: Json) -> Iterator[str]:
    if not isinstance(found, Mapping):
        return
    yield f"what else it looks at, on {found['n_pairs']} pairs of answers:"
    if isinstance(found["swap_consistency"], Mapping):
        yield f"   same winner in both orders {_interval(found['swap_consistency'])}"
    if isinstance(found["position"], Mapping):
        position = found["position"]
        rate = number(position["rate"])
        yield f"   the first answer wins {rate} ({number(position['low'])} to {number(position['high'])}; 0.5 is fair)"
    if isinstance(found["length"], Mapping):
        yield f"   longer answers win: correlation {_interval(cast(Object, found['length']['correlation']))}"
        if isinstance(found["length"]["reference_correlation"], Mapping):
            yield f"      for people {_interval(found['length']['reference_correlation'])}"
    if isinstance(found["self_preference"], Mapping):
        own = found["self_preference"]
        yield f"   answers of its own family win {_interval(cast(Object, own['win_rate']))}"
        if isinstance(own["excess"], Mapping):
            yield f"      that is more than people say by {_interval(own['excess'])}"
    yield from _warnings(found)


def _corrected(what: str, found: Object) -> Iterator[str]:
    interval = found["interval"]
    if not isinstance(interval, Mapping):
        yield f"{what}: not corrected, {found['labels']} drawn answers are labelled and 50 are needed"
        return
    yield (
        f"{what}: {_interval(interval)} corrected by {found['labels']} labels, which count as "
        f"{number(interval['effective_labels'], 0)}; the judge alone says {number(interval['judge_estimate'])}"
    )
    yield from _warnings(interval)


def _interval(found: Object) -> str:
    return f"{number(found['estimate'])} ({number(found['low'])} to {number(found['high'])})"


def _warnings(found: Object) -> Iterator[str]:
    for warning in cast("list[Json]", found["warnings"]):
        yield f"   note: {warning}"
