"""A judge's verdicts beside the truth: the table of both, and how often the judge is right on each side."""

from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.stats.proportion import clopper_pearson_interval
from zirkel.stats.ratings import Rating
from zirkel.stats.report import Report
from zirkel.stats.result import INDEPENDENT_ITEMS, Interval
from zirkel.stats.samples import check_fraction

LEAST_YOUDEN = 0.5
"""Below this a correction by sensitivity and specificity costs more width than people's labels alone would."""


@dataclass(frozen=True, slots=True)
class ConfusionMatrix(Report):
    """How often a judge said what, for each label that people gave."""

    categories: tuple[Rating, ...]
    counts: tuple[tuple[int, ...], ...]
    """One row per label of people, one column per verdict of the judge."""


@dataclass(frozen=True, slots=True)
class JudgeAccuracy(Report):
    """How often a pass/fail judge is right, on each side apart: neither number depends on how many items pass."""

    sensitivity: Interval | None
    """Share of true passes that the judge passes; None without a true pass."""
    specificity: Interval | None
    """Share of true fails that the judge fails; None without a true fail."""
    youden: Interval | None
    """Sensitivity + specificity - 1: 1 is perfect, 0 is a coin, below 0 worse than one."""
    warnings: tuple[str, ...] = ()


def confusion_matrix(
    labels: Sequence[Rating], judged: Sequence[Rating], categories: Sequence[Rating] | None = None
) -> ConfusionMatrix:
    """Return how often the judge said what, by what people said.

    Args:
        labels: What people said, one per item.
        judged: What the judge said of the same items.
        categories: All that could be said, in the order to show; None takes what was said, sorted.

    Raises:
        ValueError: If the lengths differ or something was said that is not among the categories.
    """
    if len(labels) != len(judged):
        raise ValueError(f"{len(labels)} labels and {len(judged)} verdicts; both must cover the same items")
    found = {*labels, *judged}
    order = (
        tuple(sorted(found, key=lambda value: (isinstance(value, str), value))) if categories is None else categories
    )
    place = {value: i for i, value in enumerate(order)}
    strange = sorted(str(value) for value in found if value not in place)
    if strange:
        raise ValueError(f"{', '.join(strange[:5])} is not among the categories {tuple(order)!r}")
    counts = [[0] * len(order) for _ in order]
    for label, verdict in zip(labels, judged, strict=True):
        counts[place[label]][place[verdict]] += 1
    return ConfusionMatrix(tuple(order), tuple(tuple(row) for row in counts))


def judge_accuracy(labels: Sequence[bool], judged: Sequence[bool], *, confidence: float = 0.95) -> JudgeAccuracy:
    """Return sensitivity, specificity and Youden's index of a pass/fail judge, with exact intervals.

    Sensitivity and specificity have Clopper-Pearson intervals. Youden's index is bounded by the sum of both bounds,
    each at confidence ``sqrt(confidence)``: true passes and true fails are separate samples, so its coverage is never
    below ``confidence``.

    Args:
        labels: What people said of each item, true for pass.
        judged: What the judge said of the same items.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If the lengths differ or ``confidence`` is not a fraction.

    Source: Youden (1950), Cancer 3(1), 32-35; Clopper and Pearson (1934), Biometrika 26(4), 404-413.
    """
    check_fraction(confidence, "confidence")
    (true_fails, false_passes), (false_fails, true_passes) = confusion_matrix(
        [bool(label) for label in labels], [bool(verdict) for verdict in judged], (False, True)
    ).counts
    passes, fails = true_passes + false_fails, true_fails + false_passes
    sensitivity = clopper_pearson_interval(true_passes, passes, confidence=confidence) if passes else None
    specificity = clopper_pearson_interval(true_fails, fails, confidence=confidence) if fails else None
    missing = "pass" if not passes else "fail"
    if not passes or not fails:
        said = (f"no label is a {missing}: how the judge does on them is not known",)
        return JudgeAccuracy(sensitivity, specificity, None, said)
    youden = _youden(true_passes, passes, true_fails, fails, confidence)
    warnings = (
        (f"Youden's index is at most {youden.high:.2f}, below {LEAST_YOUDEN}: this judge is weak",)
        if youden.high < LEAST_YOUDEN
        else (f"Youden's index may be as low as {youden.low:.2f}, below {LEAST_YOUDEN}: the judge may be weak",)
        if youden.low < LEAST_YOUDEN
        else ()
    )
    return JudgeAccuracy(sensitivity, specificity, youden, warnings)


def _youden(true_passes: int, passes: int, true_fails: int, fails: int, confidence: float) -> Interval:
    each = confidence**0.5
    first = clopper_pearson_interval(true_passes, passes, confidence=each)
    second = clopper_pearson_interval(true_fails, fails, confidence=each)
    return Interval(
        estimate=first.estimate + second.estimate - 1,
        low=first.low + second.low - 1,
        high=first.high + second.high - 1,
        confidence=float(confidence),
        method="clopper_pearson",
        n=passes + fails,
        assumptions=INDEPENDENT_ITEMS,
    )
