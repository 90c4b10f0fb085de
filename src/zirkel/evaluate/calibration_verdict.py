"""Is a judge good enough to decide by? What the labels say, in plain words, with what to do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.core import EvaluatorSpec
from zirkel.evaluate.calibration_family import judge_models
from zirkel.evaluate.calibration_material import Matched, Side
from zirkel.evaluate.calibration_measures import JudgeMeasures
from zirkel.evaluate.calibration_ports import CalibrationState
from zirkel.evaluate.evaluators import kind_of
from zirkel.stats import ks_drift
from zirkel.stats.agreement import Agreement
from zirkel.stats.confusion import LEAST_YOUDEN

DAY_NS = 86_400 * 10**9
SMALLEST_DRIFT = 0.2
"""Shift of a judge's scores, in standard deviations, from which on it is not what people were asked about."""


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """What a judge has to show."""

    fewest_labels: int = 50
    """Labelled answers that it is compared on."""
    label_age_days: int = 90
    """Older labels do not count any more."""
    least_youden: float = LEAST_YOUDEN


@dataclass(frozen=True, slots=True)
class Sorted:
    """Labelled answers by what they are good for."""

    counting: tuple[Matched, ...]
    """By this judge, on this data set, and not too old."""
    old: tuple[Matched, ...]
    """The same, but too old."""
    others: tuple[Matched, ...]
    """By another judge, or on another data set."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What there is to say of a judge."""

    state: CalibrationState
    reason: str


def sort_out(target: Side, matched: Sequence[Matched], now_ns: int, settings: CalibrationSettings) -> Sorted:
    """Return labelled answers by whether they say something of this judge, on these data, now."""
    since_ns = now_ns - settings.label_age_days * DAY_NS
    same = [found for found in matched if _is_same_measure(target, found.by)]
    return Sorted(
        counting=tuple(found for found in same if found.said.resolution.at_ns >= since_ns),
        old=tuple(found for found in same if found.said.resolution.at_ns < since_ns),
        others=tuple(found for found in matched if not _is_same_measure(target, found.by)),
    )


def judge_the_judge(
    target: Side, sorted_out: Sorted, measures: JudgeMeasures, disputed: int, settings: CalibrationSettings
) -> Judged:
    """Return the state of a judge and why.

    Args:
        target: The experiment in question.
        sorted_out: Labelled answers.
        measures: Made from those that count.
        disputed: Answers of which raters differ, and nobody has settled it.
        settings: What is asked.
    """
    service, name = target.experiment.service, target.spec.name
    command = f"zirkel label {service} --evaluator {name}"
    wait = f" ({disputed} answers wait to be settled: {command} --disputed)" if disputed else ""
    count, needed = len(sorted_out.counting), settings.fewest_labels
    if count < needed:
        return _without_enough(target, sorted_out, needed, f"{command}{wait}", settings)
    drifted = _drift(target, sorted_out.counting)
    if drifted:
        return Judged(CalibrationState.STALE, f"{drifted}; label answers of this experiment: {command}")
    weakness = _weakness(measures, settings)
    if weakness is not None:
        state, said = weakness
        return Judged(state, f"{said}{wait}")
    return Judged(CalibrationState.CALIBRATED, f"{_strength(measures)} on {count} labelled answers{wait}")


def _without_enough(
    target: Side, sorted_out: Sorted, needed: int, command: str, settings: CalibrationSettings
) -> Judged:
    count, old, others = len(sorted_out.counting), len(sorted_out.old), sorted_out.others
    if count + old >= needed:
        said = f"{old} of {count + old} labels are older than {settings.label_age_days} days, and {needed} newer ones"
        return Judged(CalibrationState.STALE, f"{said} are needed: label again with {command}")
    if count + old + len(others) >= needed:
        said = f"it was compared with people before, but {_changes(target, others[-1].by)}"
        return Judged(CalibrationState.STALE, f"{said}; label answers of this experiment with {command}")
    said = f"nobody has compared it with people: {count} of {needed} answers needed are labelled"
    return Judged(CalibrationState.TOO_FEW, f"{said}; label {needed - count} more with {command}")


def _weakness(measures: JudgeMeasures, settings: CalibrationSettings) -> tuple[CalibrationState, str] | None:
    advice = "improve its rubric or take a stronger model, or decide by people's labels alone"
    accuracy = measures.accuracy
    if accuracy is not None and accuracy.youden is None:
        side = "yes" if accuracy.sensitivity is None else "no"
        said = f"no label says {side}, so how the judge does on such answers is not known: label more"
        return CalibrationState.TOO_FEW, said
    if accuracy is not None and accuracy.youden is not None and accuracy.youden.estimate < settings.least_youden:
        youden = accuracy.youden
        said = (
            f"this judge is weak: Youden's index is {youden.estimate:.2f} ({youden.low:.2f} to {youden.high:.2f}), and "
            f"{settings.least_youden:g} is asked (1 is perfect, 0 a coin); {advice}"
        )
        return CalibrationState.WEAK, said
    found = measures.agreement
    if found is not None and not _is_better_than_chance(found):
        said = f"this judge is weak: it may agree with people no better than chance would ({_coefficients(found)})"
        return CalibrationState.WEAK, f"{said}; {advice}"
    return None


def _is_better_than_chance(found: Agreement) -> bool:
    """Return whether some coefficient's interval lies above chance: with a rare category kappa's never does."""
    known = [found.find("kappa"), found.find("gwet"), found.find("krippendorff")]
    if found.scale != "nominal":
        known = [found.find("krippendorff")]
    return any(coefficient is not None and coefficient.low > 0 for coefficient in known)


def _strength(measures: JudgeMeasures) -> str:
    said = _coefficients(measures.agreement) if measures.agreement else "it was compared with people"
    accuracy = measures.accuracy
    return f"{said}, Youden's index {accuracy.youden.estimate:.2f}" if accuracy and accuracy.youden else said


def _coefficients(found: Agreement) -> str:
    named = [("agreement", found.find("raw")), ("kappa", found.find("kappa")), ("alpha", found.find("krippendorff"))]
    return ", ".join(f"{name} {c.estimate:.2f}" for name, c in named if c is not None)


def _drift(target: Side, counting: Sequence[Matched]) -> str:
    """Return how the judge's scores differ from those it was compared with people on; empty if they do not."""
    if any(found.by is target for found in counting):
        return ""
    sides = {found.by.experiment.experiment_id: found.by for found in counting}
    before = [answer.score.value for side in sides.values() for answer in side.answers.values()]
    now = [answer.score.value for answer in target.answers.values()]
    found_drift = ks_drift(before, now, minimum_effect=SMALLEST_DRIFT)
    if found_drift.state != "drift":
        return ""
    return (
        f"its scores here are distributed unlike those that people's labels are about "
        f"({found_drift.effect or 0:.1f} standard deviations apart)"
    )


def _is_same_measure(target: Side, other: Side) -> bool:
    return (
        other.evaluator_digest == target.evaluator_digest
        and other.experiment.dataset_digest == target.experiment.dataset_digest
    )


def _changes(target: Side, other: Side) -> str:
    """Return what is not as it was when people were asked."""
    changes = []
    before, now = judge_models(other.spec), judge_models(target.spec)
    if before != now:
        changes.append(f"its model was {', '.join(before) or 'none'} and is {', '.join(now) or 'none'}")
    elif _other_options(other.spec) != _other_options(target.spec):
        changes.append("its options have changed")
    elif other.evaluator_digest != target.evaluator_digest:
        changes.append(f"its kind {target.spec.kind!r} judges differently (revision {kind_of(target.spec).revision})")
    if other.experiment.dataset_digest != target.experiment.dataset_digest:
        changes.append("the data set is another one")
    return " and ".join(changes) or "something has changed"


def _other_options(spec: EvaluatorSpec) -> tuple[str, dict[str, object]]:
    return spec.kind, {name: value for name, value in spec.options.items() if name not in ("model", "models")}
