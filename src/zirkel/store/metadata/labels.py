"""Samples of answers for people, tasks, who holds which, and labels."""

import dataclasses
import json
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, insert, select, tuple_, update

from zirkel.core.erasure import ERASED_TEXT, TrialKey
from zirkel.core.labels import Label, LabelHold, LabelSample, LabelTask
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import label_holds, label_samples, label_tasks, labels, trials

_MOST_NAMED = 200
"""Keys of three parts in one IN; databases bound how many parameters a statement has."""


class Labels:
    """What people are asked and what they say. A label is added and never changed, but for an erasure."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self, project_id: str) -> None:
        """Return when this transaction alone may hand out the project's tasks, draw samples and add labels."""
        lock_name(self._connection, f"labels {project_id}")

    def put_sample(self, sample: LabelSample) -> None:
        """Keep a sample over its former self."""
        same = _of(label_samples, sample.project_id, sample.experiment_id, sample.evaluator)
        self._connection.execute(delete(label_samples).where(*same))
        values = dataclasses.asdict(sample) | {"probabilities": json.dumps(sample.probabilities)}
        self._connection.execute(insert(label_samples).values(**values))

    def sample(self, project_id: str, experiment_id: str, evaluator: str) -> LabelSample | None:
        """Return the sample of an experiment for an evaluator, or None."""
        query = select(label_samples).where(*_of(label_samples, project_id, experiment_id, evaluator))
        row = self._connection.execute(query).first()
        return _sample(row) if row else None

    def samples(self, project_id: str, service: str | None = None) -> Sequence[LabelSample]:
        """Return the samples of a service, or of the project, drawn last first."""
        query = select(label_samples).where(label_samples.c.project_id == project_id)
        if service is not None:
            query = query.where(label_samples.c.service == service)
        ordered = query.order_by(label_samples.c.drawn_ns.desc(), label_samples.c.experiment_id)
        return [_sample(row) for row in self._connection.execute(ordered)]

    def put_tasks(self, tasks: Iterable[LabelTask]) -> None:
        """Keep tasks, each over its former self."""
        for task in tasks:
            values = dataclasses.asdict(task)
            same = (label_tasks.c.project_id == task.project_id, label_tasks.c.task_id == task.task_id)
            if not self._connection.execute(update(label_tasks).where(*same).values(**values)).rowcount:
                self._connection.execute(insert(label_tasks).values(**values))

    def task(self, project_id: str, task_id: str) -> LabelTask | None:
        """Return a task, or None."""
        same = (label_tasks.c.project_id == project_id, label_tasks.c.task_id == task_id)
        row = self._connection.execute(select(label_tasks).where(*same)).first()
        return LabelTask(*row) if row else None

    def tasks(self, project_id: str, experiment_id: str, evaluator: str) -> Sequence[LabelTask]:
        """Return the tasks of an experiment and evaluator, in the order of the queue."""
        query = select(label_tasks).where(*_of(label_tasks, project_id, experiment_id, evaluator))
        ordered = query.order_by(label_tasks.c.place, label_tasks.c.task_id)
        return [LabelTask(*row) for row in self._connection.execute(ordered)]

    def answer(self, project_id: str, experiment_id: str, item_id: str, trial: int) -> str | None:
        """Return an answer's text, or None if it is not there any more."""
        same = (
            trials.c.project_id == project_id,
            trials.c.experiment_id == experiment_id,
            trials.c.item_id == item_id,
            trials.c.trial == trial,
        )
        output = self._connection.execute(select(trials.c.output).where(*same)).scalar()
        return None if output is None or output == ERASED_TEXT else str(output)

    def put_hold(self, hold: LabelHold) -> None:
        """Note who has a task, or skips it."""
        self.drop_hold(hold.project_id, hold.task_id, hold.rater_id)
        self._connection.execute(insert(label_holds).values(**dataclasses.asdict(hold)))

    def drop_hold(self, project_id: str, task_id: str, rater_id: str) -> bool:
        """Forget that a rater has a task, or skips it; False if that was not so."""
        same = (
            label_holds.c.project_id == project_id,
            label_holds.c.task_id == task_id,
            label_holds.c.rater_id == rater_id,
        )
        return self._connection.execute(delete(label_holds).where(*same)).rowcount == 1

    def holds(self, project_id: str, experiment_id: str, evaluator: str) -> Sequence[LabelHold]:
        """Return who holds which task of an experiment and evaluator, also holds that have ended."""
        at_task = and_(
            label_holds.c.project_id == label_tasks.c.project_id, label_holds.c.task_id == label_tasks.c.task_id
        )
        query = select(label_holds).join(label_tasks, at_task)
        ordered = query.where(*_of(label_tasks, project_id, experiment_id, evaluator)).order_by(label_holds.c.rater_id)
        return [LabelHold(*row) for row in self._connection.execute(ordered)]

    def add(self, label: Label) -> None:
        """Keep a label, or a further version of one; the version is the next one of its task and rater."""
        values = dataclasses.asdict(label) | {"items": json.dumps(dict(label.items), sort_keys=True)}
        self._connection.execute(insert(labels).values(**values))

    def of_task(self, project_id: str, task_id: str) -> Sequence[Label]:
        """Return all versions of a task's labels, by rater and version."""
        query = select(labels).where(labels.c.project_id == project_id, labels.c.task_id == task_id)
        return [_label(row) for row in self._connection.execute(query.order_by(labels.c.rater_id, labels.c.version))]

    def list(self, project_id: str, experiment_id: str, evaluator: str) -> Sequence[Label]:
        """Return all versions of an experiment's labels for an evaluator, by task, rater and version."""
        at_task = and_(labels.c.project_id == label_tasks.c.project_id, labels.c.task_id == label_tasks.c.task_id)
        query = select(labels).join(label_tasks, at_task)
        found = query.where(*_of(label_tasks, project_id, experiment_id, evaluator))
        ordered = found.order_by(labels.c.task_id, labels.c.rater_id, labels.c.version)
        return [_label(row) for row in self._connection.execute(ordered)]

    def erase_comments(self, project_id: str, keys: Collection[TrialKey], *, dry_run: bool = False) -> int:
        """Take what was commented on answers out of their labels; values stay. Return how many had a comment."""
        named = sorted({(key.experiment_id, key.item_id, key.trial) for key in keys})
        erased = 0
        for start in range(0, len(named), _MOST_NAMED):
            part = named[start : start + _MOST_NAMED]
            answers = tuple_(label_tasks.c.experiment_id, label_tasks.c.item_id, label_tasks.c.trial).in_(part)
            tasks = select(label_tasks.c.task_id).where(label_tasks.c.project_id == project_id, answers)
            has_comment = labels.c.comment.not_in(("", ERASED_TEXT))
            same = (labels.c.project_id == project_id, labels.c.task_id.in_(tasks.scalar_subquery()), has_comment)
            if dry_run:
                erased += len(self._connection.execute(select(labels.c.task_id).where(*same)).all())
            else:
                erased += self._connection.execute(update(labels).where(*same).values(comment=ERASED_TEXT)).rowcount
        return erased


def _of(
    table: Table, project_id: str, experiment_id: str, evaluator: str
) -> tuple[ColumnElement[bool], ColumnElement[bool], ColumnElement[bool]]:
    return (
        table.c.project_id == project_id,
        table.c.experiment_id == experiment_id,
        table.c.evaluator == evaluator,
    )


def _sample(row: Row[tuple[object, ...]]) -> LabelSample:
    fields = dict(row._mapping)  # noqa: SLF001 (SQLAlchemy's documented way to read a row by name)
    known = tuple((item, trial, chance) for item, trial, chance in json.loads(fields["probabilities"]))
    return LabelSample(**{**fields, "probabilities": known})


def _label(row: Row[tuple[object, ...]]) -> Label:
    fields = dict(row._mapping)  # noqa: SLF001 (as above)
    return Label(**{**fields, "items": json.loads(fields["items"])})
