"""Running an experiment in slices: each slice can be cut off at any point and taken up again."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial

from zirkel.core import (
    Clock,
    DatasetItem,
    EvaluatorsSpec,
    ExperimentRecord,
    Json,
    NotFound,
    Score,
    TrialRecord,
    TrialState,
    derived_trace_id,
    score_to_json,
)
from zirkel.evaluate.evaluators import Tools, score_subject
from zirkel.evaluate.ports import Answer, EvaluateMetadata, Question, RecordedAnswers, Releases, SystemUnderTest
from zirkel.evaluate.subject import Subject

SLICE = 64
"""Answers a slice asks for; between slices the job notes how far it is."""
ATTEMPTS = 3
"""Calls for one answer before it is noted as errored."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """How an experiment is run."""

    concurrency: int = 4
    """Calls at once."""
    grace_s: float = 10.0
    """How long an answer that was on its way when the core was killed may take to arrive in the telemetry."""


class Runner:
    """Asks, scores and records."""

    def __init__(
        self,
        metadata: EvaluateMetadata,
        releases: Releases,
        system: SystemUnderTest,
        recorded: RecordedAnswers,
        clock: Clock,
        wait: Callable[[float], None],
        settings: RunnerSettings,
        tools: Tools,
    ) -> None:
        self._metadata = metadata
        self._releases = releases
        self._system = system
        self._recorded = recorded
        self._clock = clock
        self._wait = wait
        self._settings = settings
        self._tools = tools

    def run_slice(self, project_id: str, experiment_id: str) -> bool:
        """Take an experiment one slice further; return False when nothing is left to ask.

        Calls that a crash cut off are looked for in the telemetry first, so that no answer is paid for twice.
        """
        with self._metadata.transaction() as tx:
            experiment = tx.experiments.get(project_id, experiment_id)
            trials = tx.experiments.trials(project_id, experiment_id)
        if experiment is None:
            raise NotFound(f"experiment {experiment_id!r} does not exist")
        items = {item.id: item for item in self._releases.dataset(project_id, experiment.dataset_digest)}
        evaluators = self._releases.evaluators(project_id, experiment.evaluators_digest)
        score = partial(_score, evaluators, self._tools)
        claimed = [trial for trial in trials if trial.state == TrialState.CLAIMED]
        if claimed:
            self._recover(claimed, items, score)
            return True
        known = {(trial.item_id, trial.trial) for trial in trials}
        cells = [(item_id, trial) for item_id in items for trial in range(experiment.trials)]
        pending = [cell for cell in cells if cell not in known][:SLICE]
        if not pending:
            return not self._finish(experiment)
        self._ask_all(experiment, [_claim(experiment, cell, self._clock.now_ns()) for cell in pending], items, score)
        return True

    def _finish(self, experiment: ExperimentRecord) -> bool:
        """Return whether everything is answered; False if errored answers were dropped meanwhile, to be asked again."""
        key = (experiment.project_id, experiment.experiment_id)
        with self._metadata.transaction() as tx:
            if sum(tx.experiments.counts(*key).values()) < experiment.planned:
                return False
            tx.experiments.finish(*key, self._clock.now_ns())
        return True

    def _recover(self, claimed: Sequence[TrialRecord], items: Mapping[str, DatasetItem], score: "ScoreAll") -> None:
        """Finish the calls that were under way when the last run was cut off, or free them to be asked again."""
        deadline_ns = self._clock.now_ns() + int(self._settings.grace_s * 1e9)
        first = claimed[0]
        missing = list(claimed)
        while missing:
            found = self._recorded.recorded(first.project_id, first.experiment_id)
            for claim in [claim for claim in missing if claim.trace_id in found]:
                self._write(replace(claim, is_recovered=True), found[claim.trace_id], items[claim.item_id], score)
            missing = [claim for claim in missing if claim.trace_id not in found]
            if self._clock.now_ns() >= deadline_ns:
                break
            if missing:
                self._wait(0.5)
        with self._metadata.transaction() as tx:
            tx.experiments.release(missing)

    def _ask_all(
        self,
        experiment: ExperimentRecord,
        claims: Sequence[TrialRecord],
        items: Mapping[str, DatasetItem],
        score: "ScoreAll",
    ) -> None:
        with self._metadata.transaction() as tx:
            tx.experiments.claim(claims)
        with ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="experiment") as pool:
            asked = {pool.submit(self._ask, experiment, claim, items[claim.item_id]): claim for claim in claims}
            for future in as_completed(asked):
                claim = asked[future]
                self._write(claim, future.result(), items[claim.item_id], score)

    def _ask(self, experiment: ExperimentRecord, claim: TrialRecord, item: DatasetItem) -> Answer:
        question = Question(
            project_id=claim.project_id,
            experiment_id=claim.experiment_id,
            service=experiment.service,
            release=experiment.release,
            item_id=claim.item_id,
            trial=claim.trial,
            variables=item.input,
            trace_id=claim.trace_id,
        )
        answer = self._system.ask(question)
        for attempt in range(1, ATTEMPTS):
            if not answer.error:
                break
            self._wait(0.5 * 2**attempt)
            answer = self._system.ask(question)
        return answer

    def _write(self, claim: TrialRecord, answer: Answer, item: DatasetItem, score: "ScoreAll") -> None:
        output = _storable(answer.output)
        subject = Subject(item, output, cost_usd=answer.cost_usd, duration_ms=answer.duration_ms)
        record = replace(
            claim,
            state=TrialState.ERRORED if answer.error else TrialState.ANSWERED,
            output=output,
            error=_storable(answer.error),
            scores=None if answer.error else _stored(score(subject)),
            cost_usd=answer.cost_usd,
            duration_ms=answer.duration_ms,
        )
        with self._metadata.transaction() as tx:
            tx.experiments.answer(record)


ScoreAll = Callable[[Subject], Mapping[str, Score]]


def _score(evaluators: EvaluatorsSpec, tools: Tools, subject: Subject) -> Mapping[str, Score]:
    return {spec.name: score_subject(spec, subject, tools) for spec in evaluators.evaluator}


def _stored(scores: Mapping[str, Score]) -> dict[str, dict[str, Json]]:
    return {name: score_to_json(score) for name, score in scores.items()}


def _storable(text: str) -> str:
    """Return ``text`` without what no database takes: halves of surrogate pairs and NUL characters."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


def _claim(experiment: ExperimentRecord, cell: tuple[str, int], now_ns: int) -> TrialRecord:
    item_id, trial = cell
    return TrialRecord(
        project_id=experiment.project_id,
        experiment_id=experiment.experiment_id,
        item_id=item_id,
        trial=trial,
        state=TrialState.CLAIMED,
        claimed_ns=now_ns,
        trace_id=derived_trace_id(experiment.experiment_id, item_id, str(trial)),
    )
