"""Labels out of the system and into it, one JSON object a line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from zirkel.core import Clock, Conflict, DatasetItem, Invalid, Json, NotFound, Principal, Role, ZirkelError
from zirkel.core.labels import Label, LabelSample, LabelTask, answer_digest, task_id_of
from zirkel.evaluate.label_queue_draw import choose_evaluator
from zirkel.evaluate.labels_ports import LabelMetadata, LabelReleases, LabelTransaction
from zirkel.evaluate.labels_question import (
    Judgement,
    judgement_of,
    kept_of,
    question_digest,
    question_of,
    read_question,
    write_question,
)

MOST_LINES = 100_000
IMPORTED = "import:"
"""Begins the rater id of labels that come from elsewhere."""
CHOSEN = "chosen"
"""The rule of a sample that only holds answers which somebody chose."""


class LabelLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One label."""

    experiment_id: str
    evaluator: str
    item_id: str
    trial: int = 0
    rater: str
    """Name for people to read."""
    rater_id: str = ""
    """Tells raters apart; made of the name if it is empty."""
    version: int = 0
    """Counts a rater's corrections from 1; 0 is the next one."""
    value: float | None = None
    """As ``Judgement``."""
    category: str = ""
    items: dict[str, bool] = {}
    comment: str = ""
    is_adjudication: bool = False
    is_withdrawn: bool = False
    labelled_ns: int = 0
    """UTC nanoseconds; 0 is now."""
    service: str = ""
    release: str = ""
    """Here and below: written out for readers, not read."""
    task_id: str = ""
    answer_digest: str = ""
    question_digest: str = ""
    probability: float | None = None
    label_value: float | None = None
    """What the label is worth in the evaluator's unit."""


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that was not taken."""

    line: int
    """Counts from 1."""
    message: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the lines."""

    added: int
    unchanged: int
    refused: tuple[RefusedLine, ...]


class LabelTransfer:
    """Exports and imports labels."""

    def __init__(self, metadata: LabelMetadata, releases: LabelReleases, clock: Clock) -> None:
        self._metadata = metadata
        self._releases = releases
        self._clock = clock

    def lines(self, actor: Principal, service: str, evaluator: str = "") -> Iterator[bytes]:
        """Yield each version of each label of a service as a JSON line; ``import_lines`` takes them.

        Raises:
            Forbidden: If the actor is no reader. Whoever labels should not be one: labels are given blind.
        """
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            samples = [s for s in tx.labels.samples(actor.project_id, service) if evaluator in ("", s.evaluator)]
        return self._lines(samples)

    def import_lines(self, actor: Principal, service: str, data: bytes) -> Imported:
        """Take labels that were given elsewhere, or exported. What is known already changes nothing.

        An answer that no sample holds is one that somebody chose: its label tells how the judge does, but corrects no
        mean. A line that is refused costs no other.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: If there are more than ``MOST_LINES`` lines.
        """
        actor.require(Role.ADMIN)
        rows = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
        if len(rows) > MOST_LINES:
            raise Invalid(f"{len(rows)} lines are more than {MOST_LINES}; send them in parts")
        refused: list[RefusedLine] = []
        outcomes: list[bool] = []
        desk = _Desk(self._metadata, self._releases, self._clock, service)
        for number, row in rows:
            try:
                outcomes.append(desk.take(actor, _read(row)))
            except ZirkelError as error:
                refused.append(RefusedLine(number, str(error)))
        if any(outcomes):
            payload: Json = {"service": service, "added": sum(outcomes)}
            with self._metadata.transaction() as tx:
                tx.ledger.append(actor.project_id, actor.label, "label.imported", payload)
        return Imported(sum(outcomes), len(outcomes) - sum(outcomes), tuple(refused))

    def _lines(self, samples: Sequence[LabelSample]) -> Iterator[bytes]:
        for sample in samples:
            key = (sample.project_id, sample.experiment_id, sample.evaluator)
            with self._metadata.transaction() as tx:
                experiment = tx.experiments.get(sample.project_id, sample.experiment_id)
                tasks = {task.task_id: task for task in tx.labels.tasks(*key)}
                labels = tx.labels.list(*key)
            release = experiment.release if experiment else ""
            for label in labels:
                yield msgspec.json.encode(_line(sample, tasks[label.task_id], label, release)) + b"\n"


class _Desk:
    """Takes lines of one service; data sets are read once."""

    def __init__(self, metadata: LabelMetadata, releases: LabelReleases, clock: Clock, service: str) -> None:
        self._metadata = metadata
        self._releases = releases
        self._clock = clock
        self._service = service
        self._items: dict[str, dict[str, DatasetItem]] = {}

    def take(self, actor: Principal, line: LabelLine) -> bool:
        """Keep a label; False if it is known."""
        with self._metadata.transaction() as tx:
            experiment = tx.experiments.get(actor.project_id, line.experiment_id)
        if experiment is None or experiment.service != self._service:
            raise NotFound(f"service {self._service!r} has no experiment {line.experiment_id!r}", path="experiment_id")
        specs = self._releases.evaluators(actor.project_id, experiment.evaluators_digest).evaluator
        question = question_of(choose_evaluator(specs, line.evaluator))
        item = self._dataset(actor.project_id, experiment.dataset_digest).get(line.item_id)
        if item is None:
            raise NotFound(f"the data set has no item {line.item_id!r}", path="item_id")
        with self._metadata.transaction() as tx:
            tx.labels.lock(actor.project_id)
            output = tx.labels.answer(actor.project_id, line.experiment_id, line.item_id, line.trial)
            if output is None:
                raise NotFound(f"item {line.item_id!r} has no answer of trial {line.trial}", path="trial")
            task = LabelTask(
                project_id=actor.project_id,
                task_id=task_id_of(line.experiment_id, line.evaluator, line.item_id, line.trial),
                experiment_id=line.experiment_id,
                evaluator=line.evaluator,
                item_id=line.item_id,
                trial=line.trial,
                answer_digest=answer_digest(item.input, output),
                question_digest=question_digest(question),
                probability=None,
                place=0.0,
                raters=1,
            )
            value, category = kept_of(question, task.task_id, _judgement(line))
            rater_id = line.rater_id or f"{IMPORTED}{line.rater}"
            known = [label for label in tx.labels.of_task(task.project_id, task.task_id) if label.rater_id == rater_id]
            label = Label(
                project_id=task.project_id,
                task_id=task.task_id,
                rater_id=rater_id,
                version=line.version or len(known) + 1,
                rater=line.rater,
                value=value,
                category=category,
                items=line.items if question.kind == "rubric" else {},
                comment=line.comment.strip(),
                is_adjudication=line.is_adjudication,
                is_withdrawn=line.is_withdrawn,
                labelled_ns=line.labelled_ns or self._clock.now_ns(),
            )
            if _is_known(known, label, has_version=bool(line.version)):
                return False
            if tx.labels.task(task.project_id, task.task_id) is None:
                _keep_sample(tx, task, self._service, write_question(question), actor.label, label.labelled_ns)
                tx.labels.put_tasks([task])
            tx.labels.add(label)
        return True

    def _dataset(self, project_id: str, dataset_digest: str) -> dict[str, DatasetItem]:
        if dataset_digest not in self._items:
            found = self._releases.dataset(project_id, dataset_digest)
            self._items[dataset_digest] = {item.id: item for item in found}
        return self._items[dataset_digest]


def _is_known(known: Sequence[Label], label: Label, *, has_version: bool) -> bool:
    """Return whether a label, or without a version the same judgement, is there already.

    Raises:
        Conflict: If that version says something else, or would leave a gap.
    """
    if not has_version:
        last = known[-1] if known else None
        return last is not None and _said(last) == _said(label)
    if label.version <= len(known):
        if _said(known[label.version - 1]) != _said(label):
            raise Conflict(f"version {label.version} of this label by {label.rater!r} says something else here")
        return True
    if label.version > len(known) + 1:
        raise Conflict(
            f"version {label.version} of this label by {label.rater!r} comes before version {len(known) + 1}"
        )
    return False


def _said(label: Label) -> tuple[object, ...]:
    flags = (label.is_adjudication, label.is_withdrawn)
    return label.value, label.category, dict(label.items), label.comment, flags


def _keep_sample(tx: LabelTransaction, task: LabelTask, service: str, question: str, by: str, now_ns: int) -> None:
    if tx.labels.sample(task.project_id, task.experiment_id, task.evaluator) is None:
        sample = LabelSample(
            project_id=task.project_id,
            experiment_id=task.experiment_id,
            evaluator=task.evaluator,
            service=service,
            question=question,
            question_digest=task.question_digest,
            probabilities=(),
            rule=CHOSEN,
            drawn=0,
            drawn_ns=now_ns,
            drawn_by=by,
        )
        tx.labels.put_sample(sample)


def _read(row: bytes) -> LabelLine:
    try:
        return msgspec.json.decode(row, type=LabelLine)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the line is no label: {error}") from None


def _judgement(line: LabelLine) -> Judgement:
    return Judgement(line.value, line.category, line.items, line.comment)


def _line(sample: LabelSample, task: LabelTask, label: Label, release: str) -> LabelLine:
    said = judgement_of(read_question(sample.question), label)
    return LabelLine(
        experiment_id=task.experiment_id,
        evaluator=task.evaluator,
        item_id=task.item_id,
        trial=task.trial,
        rater=label.rater,
        rater_id=label.rater_id,
        version=label.version,
        value=said.value,
        category=said.category,
        items=said.items,
        comment=label.comment,
        is_adjudication=label.is_adjudication,
        is_withdrawn=label.is_withdrawn,
        labelled_ns=label.labelled_ns,
        service=sample.service,
        release=release,
        task_id=task.task_id,
        answer_digest=task.answer_digest,
        question_digest=task.question_digest,
        probability=task.probability,
        label_value=label.value,
    )
