"""From several people's labels of one answer to the one that counts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.core.labels import Label
from zirkel.evaluate.labels_question import LabelQuestion


@dataclass(frozen=True, slots=True)
class Resolution:
    """What people say of an answer, all told."""

    is_resolved: bool
    """False if nobody labelled it, or raters differ and nobody has settled it."""
    is_disputed: bool
    """True if raters differ and nobody has settled it."""
    value: float | None
    """In the evaluator's unit; None if it is not resolved, or of a category that is not scored."""
    category: str
    raters: int
    settled_by: str
    """Who decided between raters; empty if nobody had to."""
    at_ns: int
    """When the last label that counts was given; 0 without one."""


_NOBODY = Resolution(False, False, None, "", 0, "", 0)


def newest(labels: Sequence[Label]) -> list[Label]:
    """Return each rater's last word on each task: their newest version, unless it is withdrawn."""
    last: dict[tuple[str, str], Label] = {}
    for label in labels:
        key = (label.task_id, label.rater_id)
        if key not in last or label.version > last[key].version:
            last[key] = label
    return [label for label in last.values() if not label.is_withdrawn]


def resolve(question: LabelQuestion, labels: Sequence[Label]) -> Resolution:
    """Return what the labels of one task come to.

    A decision between raters counts before all else. Without one raters have to agree: on scores within one step of the
    scale, or a tenth of it if that is more, and their mean is taken; on all else exactly.

    Args:
        question: What was asked.
        labels: All versions of the task's labels.
    """
    standing = newest(labels)
    deciding = [label for label in standing if label.is_adjudication]
    given = [label for label in standing if not label.is_adjudication]
    if deciding:
        last = max(deciding, key=lambda label: (label.labelled_ns, label.rater_id))
        return Resolution(True, False, last.value, last.category, len(given), last.rater, last.labelled_ns)
    if not given:
        return _NOBODY
    at_ns = max(label.labelled_ns for label in given)
    if not _agree(question, given):
        return Resolution(False, True, None, "", len(given), "", at_ns)
    values = [label.value for label in given if label.value is not None]
    mean = sum(values) / len(values) if values else None
    return Resolution(True, False, mean, given[0].category, len(given), "", at_ns)


def _agree(question: LabelQuestion, given: Sequence[Label]) -> bool:
    if question.kind == "score":
        values = [label.value for label in given if label.value is not None]
        near = max(1 / (question.high - question.low), 0.1)
        return max(values) - min(values) <= near + 1e-12
    first = given[0]
    return all(
        (label.value, label.category, dict(label.items)) == (first.value, first.category, dict(first.items))
        for label in given
    )
