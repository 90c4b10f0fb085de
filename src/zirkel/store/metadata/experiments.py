"""Experiments and their answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from zirkel.core import AnswerSample, Conflict, ExperimentRecord, ExperimentState, TrialRecord, TrialState
from zirkel.core.erasure import ERASED_TEXT
from zirkel.store.metadata.experiment_rows import (
    experiment_record,
    experiment_values,
    known_usd,
    trial_record,
    trial_values,
)
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import experiments, trials

_KEY = ("project_id", "experiment_id", "item_id", "trial")
_JUDGED = ("scores", "judges_usd", "errored_scores", "state")
_MOST_NAMED = 500
"""Values in one IN; databases bound how many parameters a statement has."""


class Experiments:
    """Experiments, one row an answer; an answer is written once, its scores until all of them are there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: ExperimentRecord) -> bool:
        """Keep an experiment; False if it is known already."""
        lock_name(self._connection, record.project_id)
        if self.get(record.project_id, record.experiment_id) is not None:
            return False
        self._connection.execute(insert(experiments).values(**experiment_values(record)))
        return True

    def get(self, project_id: str, experiment_id: str) -> ExperimentRecord | None:
        """Return an experiment, or None."""
        row = self._connection.execute(select(experiments).where(*_experiment(project_id, experiment_id))).first()
        return experiment_record(row) if row else None

    def list(self, project_id: str | None, service: str | None = None) -> Sequence[ExperimentRecord]:
        """Return experiments, newest first; of all projects if ``project_id`` is None."""
        query = select(experiments).order_by(experiments.c.created_ns.desc(), experiments.c.experiment_id)
        if project_id is not None:
            query = query.where(experiments.c.project_id == project_id)
        if service is not None:
            query = query.where(experiments.c.service == service)
        return [experiment_record(row) for row in self._connection.execute(query)]

    def replan(self, record: ExperimentRecord) -> None:
        """Set an experiment's state, options, stop and what it is compared with."""
        names = ("state", "finished_ns", "options", "stopped_items", "other_experiment_id")
        values = experiment_values(record)
        same = _experiment(record.project_id, record.experiment_id)
        self._connection.execute(update(experiments).where(*same).values(**{name: values[name] for name in names}))

    def finish(self, project_id: str, experiment_id: str, finished_ns: int) -> bool:
        """Mark an experiment finished; False if it was already."""
        same = (*_experiment(project_id, experiment_id), experiments.c.state == ExperimentState.RUNNING.value)
        values = {"state": ExperimentState.FINISHED.value, "finished_ns": finished_ns}
        return self._connection.execute(update(experiments).where(*same).values(**values)).rowcount == 1

    def reopen(self, project_id: str, experiment_id: str) -> None:
        """Let an experiment run again for what failed.

        Errored answers are dropped, to be asked again; answers with evaluators that failed are judged again by those.
        """
        same = _trials(project_id, experiment_id)
        self._connection.execute(delete(trials).where(*same, trials.c.state == TrialState.ERRORED.value))
        failed = (trials.c.state == TrialState.ANSWERED.value, trials.c.errored_scores > 0)
        self._connection.execute(update(trials).where(*same, *failed).values(state=TrialState.JUDGING.value))
        values = {"state": ExperimentState.RUNNING.value, "finished_ns": None}
        self._connection.execute(update(experiments).where(*_experiment(project_id, experiment_id)).values(**values))

    def has_failures(self, project_id: str, experiment_id: str) -> bool:
        """Return whether an answer is errored, or an evaluator failed on one."""
        failed = (trials.c.state == TrialState.ERRORED.value) | (trials.c.errored_scores > 0)
        query = select(trials.c.trial).where(*_trials(project_id, experiment_id), failed).limit(1)
        return self._connection.execute(query).first() is not None

    def claim(self, records: Iterable[TrialRecord]) -> None:
        """Note that calls are about to be made for answers that nobody claimed yet, or keep answers as they are.

        Raises:
            Conflict: If one of them is claimed or answered; the transaction must be given up then.
        """
        rows = [trial_values(record) for record in records]
        if not rows:
            return
        try:
            self._connection.execute(insert(trials), rows)
        except IntegrityError as error:
            raise Conflict(
                f"one of {len(rows)} answers of experiment {rows[0]['experiment_id']}, from item "
                f"{rows[0]['item_id']!r} on, is claimed by another run; let that one finish"
            ) from error

    def answer(self, record: TrialRecord) -> bool:
        """Write an answer over its claim; False if there is an answer already, which then stays."""
        same = (getattr(trials.c, name) == getattr(record, name) for name in _KEY)
        claimed = (*same, trials.c.state == TrialState.CLAIMED.value)
        return self._connection.execute(update(trials).where(*claimed).values(**trial_values(record))).rowcount == 1

    def answer_all(self, records: Iterable[TrialRecord]) -> None:
        """Write answers over their claims; where there is an answer already, that one stays."""
        self._overwrite(records, TrialState.CLAIMED, [column.name for column in trials.c if column.name not in _KEY])

    def judge_all(self, records: Iterable[TrialRecord]) -> None:
        """Write the scores of answers that are being judged, and their state; the answers stay as they are."""
        self._overwrite(records, TrialState.JUDGING, _JUDGED)

    def release(self, records: Iterable[TrialRecord]) -> None:
        """Free claimed answers to be claimed again; an answer that came meanwhile stays."""
        for record in records:
            same = (getattr(trials.c, name) == getattr(record, name) for name in _KEY)
            self._connection.execute(delete(trials).where(*same, trials.c.state == TrialState.CLAIMED.value))

    def trials(
        self, project_id: str, experiment_id: str, state: TrialState | None = None, limit: int | None = None
    ) -> Sequence[TrialRecord]:
        """Return the rows of an experiment by item and trial: all, or those of a state, at most ``limit``."""
        query = select(trials).where(*_trials(project_id, experiment_id))
        if state is not None:
            query = query.where(trials.c.state == state.value)
        rows = self._connection.execute(query.order_by(trials.c.item_id, trials.c.trial).limit(limit))
        return [trial_record(row) for row in rows]

    def states(self, project_id: str, experiment_id: str) -> dict[tuple[str, int], TrialState]:
        """Return how far each answer is that there is, by item and trial."""
        query = select(trials.c.item_id, trials.c.trial, trials.c.state).where(*_trials(project_id, experiment_id))
        states = {state.value: state for state in TrialState}
        return {(item_id, trial): states[state] for item_id, trial, state in self._connection.execute(query)}

    def counts(self, project_id: str, experiment_id: str) -> dict[TrialState, int]:
        """Return how many answers are in each state."""
        same = _trials(project_id, experiment_id)
        query = select(trials.c.state, func.count()).where(*same).group_by(trials.c.state)
        return {TrialState(state): count for state, count in self._connection.execute(query)}

    def find_answers(self, project_id: str, answer_keys: Iterable[str]) -> Mapping[str, TrialRecord]:
        """Return for each key the newest answer that was given before; errored and erased ones are none."""
        found: dict[str, TrialRecord] = {}
        good = (
            trials.c.state.in_((TrialState.ANSWERED.value, TrialState.JUDGING.value)),
            trials.c.output != ERASED_TEXT,
        )
        for part in _parts(answer_keys):
            query = select(trials).where(trials.c.project_id == project_id, trials.c.answer_key.in_(part), *good)
            for row in self._connection.execute(query.order_by(trials.c.claimed_ns.desc())):
                record = trial_record(row)
                found.setdefault(record.answer_key, record)
        return found

    def known_keys(self, project_id: str, answer_keys: Iterable[str]) -> set[str]:
        """Return the keys of which ``find_answers`` would find an answer."""
        done = (TrialState.ANSWERED.value, TrialState.JUDGING.value)
        found: set[str] = set()
        for part in _parts(answer_keys):
            named = (trials.c.project_id == project_id, trials.c.answer_key.in_(part), trials.c.state.in_(done))
            found.update(self._connection.scalars(select(trials.c.answer_key).where(*named)))
        return found

    def costs(self, project_id: str, experiment_id: str) -> Iterator[tuple[Decimal | None, Decimal | None, bool]]:
        """Yield for each answer what its call cost, what judging it cost, and whether the answer was there before."""
        columns = (trials.c.cost_usd, trials.c.judges_usd, trials.c.is_cached)
        done = trials.c.state != TrialState.CLAIMED.value
        for call, judges, is_cached in self._connection.execute(
            select(*columns).where(*_trials(project_id, experiment_id), done)
        ):
            yield known_usd(call), known_usd(judges), bool(is_cached)

    def samples(self, project_id: str, service: str, limit: int) -> Sequence[AnswerSample]:
        """Return what the newest answers of a service's experiments took and cost; those used again are left out."""
        of_service = (experiments.c.project_id == project_id, experiments.c.service == service)
        columns = (experiments.c.release, experiments.c.evaluators_digest)
        paid = (trials.c.state == TrialState.ANSWERED.value, trials.c.is_cached.is_(False))
        query = (
            select(*columns, trials.c.output_tokens, trials.c.cost_usd, trials.c.judges_usd)
            .join(
                trials,
                (trials.c.project_id == experiments.c.project_id)
                & (trials.c.experiment_id == experiments.c.experiment_id),
            )
            .where(*of_service, *paid)
            .order_by(trials.c.claimed_ns.desc())
            .limit(limit)
        )
        return [
            AnswerSample(release, evaluators, output_tokens, known_usd(cost), known_usd(judges))
            for release, evaluators, output_tokens, cost, judges in self._connection.execute(query)
        ]

    def _overwrite(self, records: Iterable[TrialRecord], before: TrialState, names: Iterable[str]) -> None:
        """Set columns of rows that are in a state; the others stay."""
        rows = [{f"b_{name}": value for name, value in trial_values(record).items()} for record in records]
        if not rows:
            return
        same = [getattr(trials.c, name) == bindparam(f"b_{name}") for name in _KEY]
        values: dict[str, object] = {name: bindparam(f"b_{name}") for name in names}
        statement = update(trials).where(*same, trials.c.state == before.value).values(**values)
        used = {f"b_{name}" for name in (*_KEY, *values)}
        self._connection.execute(statement, [{name: row[name] for name in used} for row in rows])


def _experiment(project_id: str, experiment_id: str) -> tuple[ColumnElement[bool], ...]:
    return experiments.c.project_id == project_id, experiments.c.experiment_id == experiment_id


def _trials(project_id: str, experiment_id: str) -> tuple[ColumnElement[bool], ...]:
    return trials.c.project_id == project_id, trials.c.experiment_id == experiment_id


def _parts(values: Iterable[str]) -> Iterator[Sequence[str]]:
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _MOST_NAMED):
        yield ordered[start : start + _MOST_NAMED]
