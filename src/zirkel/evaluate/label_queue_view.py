"""Tasks with what is known of them, and as raters see them. Pure, but for reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from zirkel.core import DatasetItem, ExperimentRecord, Principal, digest
from zirkel.core.labels import Label, LabelHold, LabelSample, LabelTask
from zirkel.evaluate.labels_ports import LabelTransaction
from zirkel.evaluate.labels_question import Judgement, LabelQuestion, judgement_of, read_question, shows_own_first
from zirkel.evaluate.labels_resolve import Resolution, newest, resolve


@dataclass(frozen=True, slots=True)
class LabelView:
    """A task as a rater sees it: neither the judge's score, nor the release, nor what others say."""

    task_id: str
    service: str
    evaluator: str
    question: LabelQuestion
    item_id: str
    input: Mapping[str, object]
    expected: str | None
    contexts: Sequence[str]
    output: str
    """The answer; of a pair, the one to be called first."""
    second_output: str | None
    """Of a pair, the other one; in an order that is random for each task."""
    until_ns: int
    """Until when it is given to nobody else."""
    others: Sequence[Judgement] = ()
    """What raters said, in random order and without names: of a task to be settled only."""


@dataclass(frozen=True, slots=True)
class QueueProgress:
    """How far the queue is."""

    drawn: int
    resolved: int
    disputed: int
    """Answers of which raters differ; a third person settles them."""
    mine: int
    """Labelled by whoever asks."""
    left: int
    """That whoever asks can label, now or when others let go."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a rater is asked next."""

    task: LabelView | None
    """None if there is nothing to do."""
    progress: QueueProgress


@dataclass(frozen=True, slots=True)
class Line:
    """A task with what is known of it."""

    task: LabelTask
    sample: LabelSample
    labels: Sequence[Label]
    holds: Sequence[LabelHold]
    question: LabelQuestion
    resolution: Resolution


def read_lines(tx: LabelTransaction, project_id: str, service: str, evaluator: str) -> list[Line]:
    """Return the tasks of a service: of the last draw first, and within it in the order of the queue.

    Args:
        tx: The transaction.
        project_id: Whose.
        service: Whose answers.
        evaluator: Only for this one; for all, if empty.
    """
    lines: list[Line] = []
    for sample in tx.labels.samples(project_id, service):
        if evaluator and sample.evaluator != evaluator:
            continue
        key = (sample.project_id, sample.experiment_id, sample.evaluator)
        question = read_question(sample.question)
        labels, holds = _by_task(tx.labels.list(*key)), _by_task(tx.labels.holds(*key))
        for task in tx.labels.tasks(*key):
            given = labels.get(task.task_id, [])
            lines.append(Line(task, sample, given, holds.get(task.task_id, []), question, resolve(question, given)))
    return sorted(lines, key=lambda line: (-line.sample.drawn_ns, line.task.place))


def is_open(line: Line, actor: Principal, now_ns: int, *, disputed: bool) -> bool:
    """Return whether a task can be given to the actor now."""
    me = actor.principal_id
    standing = newest(line.labels)
    if any(label.rater_id == me for label in standing):
        return False
    if any(hold.rater_id == me and hold.is_skipped for hold in line.holds):
        return False
    others = {hold.rater_id for hold in line.holds if not hold.is_skipped and hold.until_ns > now_ns} - {me}
    if disputed:
        return line.resolution.is_disputed and not others
    raters = {label.rater_id for label in standing}
    return len(raters | others) < line.task.raters


def held_until_ns(line: Line, actor: Principal, now_ns: int) -> int:
    """Return until when the actor holds a task; 0 if they do not."""
    mine = [hold for hold in line.holds if hold.rater_id == actor.principal_id and not hold.is_skipped]
    return next((hold.until_ns for hold in mine if hold.until_ns > now_ns), 0)


def progress_of(lines: Sequence[Line], open_lines: Sequence[Line], actor: Principal) -> QueueProgress:
    """Return how far a queue is, of which the actor can label ``open_lines``."""
    return QueueProgress(
        drawn=len(lines),
        resolved=sum(line.resolution.is_resolved for line in lines),
        disputed=sum(line.resolution.is_disputed for line in lines),
        mine=sum(any(label.rater_id == actor.principal_id for label in newest(line.labels)) for line in lines),
        left=len(open_lines),
    )


def texts_of(tx: LabelTransaction, line: Line, experiment: ExperimentRecord | None) -> tuple[str, str | None] | None:
    """Return what is judged: an answer, or two in the order in which they are shown; None if a text is gone."""
    task = line.task
    ours = tx.labels.answer(task.project_id, task.experiment_id, task.item_id, task.trial)
    if ours is None or experiment is None or line.question.kind != "pair":
        return None if ours is None else (ours, None)
    theirs = tx.labels.answer(task.project_id, experiment.other_experiment_id, task.item_id, task.trial)
    if theirs is None:
        return None
    return (ours, theirs) if shows_own_first(task.task_id) else (theirs, ours)


def view_of(
    line: Line, item: DatasetItem, texts: tuple[str, str | None], until_ns: int, *, with_others: bool
) -> LabelView:
    """Return a task as a rater sees it; what others said only where it is to be settled."""
    # In an order that names nobody, and is the same each time.
    others = sorted(newest(line.labels), key=lambda label: digest([line.task.task_id, label.rater_id]))
    return LabelView(
        task_id=line.task.task_id,
        service=line.sample.service,
        evaluator=line.sample.evaluator,
        question=line.question,
        item_id=item.id,
        input=item.input,
        expected=item.expected,
        contexts=item.contexts,
        output=texts[0],
        second_output=texts[1],
        until_ns=until_ns,
        others=[judgement_of(line.question, label) for label in others] if with_others else (),
    )


Row = TypeVar("Row", Label, LabelHold)


def _by_task(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.task_id, []).append(row)
    return found
