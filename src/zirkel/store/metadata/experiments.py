"""Experiments and their answers."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from zirkel.core import Conflict, ExperimentRecord, ExperimentState, TrialRecord, TrialState
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import experiments, trials


class Experiments:
    """Experiments, one row an answer; an answer is written once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: ExperimentRecord) -> bool:
        """Keep an experiment; False if it is known already."""
        lock_name(self._connection, record.project_id)
        if self.get(record.project_id, record.experiment_id) is not None:
            return False
        self._connection.execute(insert(experiments).values(**dataclasses.asdict(record)))
        return True

    def get(self, project_id: str, experiment_id: str) -> ExperimentRecord | None:
        """Return an experiment, or None."""
        same = (experiments.c.project_id == project_id, experiments.c.experiment_id == experiment_id)
        row = self._connection.execute(select(experiments).where(*same)).first()
        return _experiment(row) if row else None

    def list(self, project_id: str | None, service: str | None = None) -> Sequence[ExperimentRecord]:
        """Return experiments, newest first; of all projects if ``project_id`` is None."""
        query = select(experiments).order_by(experiments.c.created_ns.desc(), experiments.c.experiment_id)
        if project_id is not None:
            query = query.where(experiments.c.project_id == project_id)
        if service is not None:
            query = query.where(experiments.c.service == service)
        return [_experiment(row) for row in self._connection.execute(query)]

    def finish(self, project_id: str, experiment_id: str, finished_ns: int) -> bool:
        """Mark an experiment finished; False if it was already."""
        same = (
            experiments.c.project_id == project_id,
            experiments.c.experiment_id == experiment_id,
            experiments.c.state == ExperimentState.RUNNING.value,
        )
        values = {"state": ExperimentState.FINISHED.value, "finished_ns": finished_ns}
        return self._connection.execute(update(experiments).where(*same).values(**values)).rowcount == 1

    def reopen(self, project_id: str, experiment_id: str) -> None:
        """Drop the errored answers of an experiment and let it run again for those; scored answers stay."""
        same = (trials.c.project_id == project_id, trials.c.experiment_id == experiment_id)
        self._connection.execute(delete(trials).where(*same, trials.c.state == TrialState.ERRORED.value))
        key = (experiments.c.project_id == project_id, experiments.c.experiment_id == experiment_id)
        values = {"state": ExperimentState.RUNNING.value, "finished_ns": None}
        self._connection.execute(update(experiments).where(*key).values(**values))

    def claim(self, records: Iterable[TrialRecord]) -> None:
        """Note that calls are about to be made for answers that nobody claimed yet.

        Raises:
            Conflict: If one of them is claimed or answered; the transaction must be given up then.
        """
        for record in records:
            try:
                self._connection.execute(insert(trials).values(**_trial_values(record)))
            except IntegrityError as error:
                raise Conflict(
                    f"trial {record.trial} of item {record.item_id!r} in experiment {record.experiment_id} is claimed "
                    "by another run; let that one finish"
                ) from error

    def answer(self, record: TrialRecord) -> bool:
        """Write an answer over its claim; False if there is an answer already, which then stays."""
        claimed = (*_key(record), trials.c.state == TrialState.CLAIMED.value)
        values = _trial_values(record)
        return self._connection.execute(update(trials).where(*claimed).values(**values)).rowcount == 1

    def release(self, records: Iterable[TrialRecord]) -> None:
        """Free claimed answers to be claimed again; an answer that came meanwhile stays."""
        for record in records:
            self._connection.execute(delete(trials).where(*_key(record), trials.c.state == TrialState.CLAIMED.value))

    def trials(self, project_id: str, experiment_id: str) -> Sequence[TrialRecord]:
        """Return all rows of an experiment by item and trial."""
        same = (trials.c.project_id == project_id, trials.c.experiment_id == experiment_id)
        rows = self._connection.execute(select(trials).where(*same).order_by(trials.c.item_id, trials.c.trial))
        return [_trial(row) for row in rows]

    def counts(self, project_id: str, experiment_id: str) -> dict[TrialState, int]:
        """Return how many answers are in each state."""
        same = (trials.c.project_id == project_id, trials.c.experiment_id == experiment_id)
        query = select(trials.c.state, func.count()).where(*same).group_by(trials.c.state)
        return {TrialState(state): count for state, count in self._connection.execute(query)}


def _key(record: TrialRecord) -> tuple[ColumnElement[bool], ...]:
    return (
        trials.c.project_id == record.project_id,
        trials.c.experiment_id == record.experiment_id,
        trials.c.item_id == record.item_id,
        trials.c.trial == record.trial,
    )


def _experiment(row: Row[tuple[object, ...]]) -> ExperimentRecord:
    fields = dict(row._mapping)  # noqa: SLF001 (SQLAlchemy's documented way to read a row by name)
    return ExperimentRecord(**{**fields, "state": ExperimentState(fields["state"])})


def _trial(row: Row[tuple[object, ...]]) -> TrialRecord:
    fields = dict(row._mapping)  # noqa: SLF001 (as above)
    cost = fields["cost_usd"]
    converted = {
        "state": TrialState(fields["state"]),
        "scores": json.loads(fields["scores"]) or None,
        "cost_usd": Decimal(cost) if cost is not None else None,
    }
    return TrialRecord(**{**fields, **converted})


def _trial_values(record: TrialRecord) -> dict[str, object]:
    values = dataclasses.asdict(record)
    values["state"] = record.state.value
    values["scores"] = json.dumps(record.scores or {}, sort_keys=True)
    values["cost_usd"] = str(record.cost_usd) if record.cost_usd is not None else None
    return values
