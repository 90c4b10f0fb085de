"""Experiments as people and other programs ask for them: started, followed, and what they cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from zirkel.core import (
    Clock,
    ExperimentOptions,
    ExperimentRecord,
    ExperimentState,
    Invalid,
    Json,
    NotFound,
    Principal,
    ReleaseBundle,
    Role,
    TrialState,
    new_id,
)
from zirkel.evaluate.baseline import baseline_of
from zirkel.evaluate.early_stop import check_stoppable
from zirkel.evaluate.identity import experiment_id
from zirkel.evaluate.needs import needs_of
from zirkel.evaluate.ports import EvaluateMetadata, EvaluateTransaction, JobQueue, Publisher, Releases

MAX_TRIALS = 100
MAX_CONCURRENCY = 256
_PLAIN = ExperimentOptions()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an experiment is."""

    experiment: ExperimentRecord
    answered: int
    """Answered and judged."""
    errored: int
    judging: int = 0
    """Answered, and not yet judged by every evaluator."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What an experiment cost, the system and its judges apart."""

    calls: int
    """Answers that were asked for; a call that was tried again counts once."""
    system_usd: Decimal | None
    """``None`` if the price of any is unknown."""
    cached_answers: int
    """Answers that were there before, and cost nothing."""
    saved_usd: Decimal | None
    """What these cost when they were asked for; ``None`` if the price of any is unknown."""
    judges_usd: Decimal | None
    """``None`` if the price of any judgement is unknown."""


class Experiments:
    """Plans experiments and says how they go."""

    def __init__(
        self, metadata: EvaluateMetadata, releases: Releases, publisher: Publisher, jobs: JobQueue, clock: Clock
    ) -> None:
        self._metadata = metadata
        self._releases = releases
        self._publisher = publisher
        self._jobs = jobs
        self._clock = clock

    def start(
        self,
        actor: Principal,
        service: str,
        reference: str = "candidate",
        trials: int = 2,
        options: ExperimentOptions = _PLAIN,
    ) -> list[ExperimentRecord]:
        """Run a release, and the baseline if there is one, over the release's data set; take up what is unfinished.

        The same release, data set, evaluators and number of trials are the same experiment: what was answered
        before is not asked again; errored answers are, and evaluators that failed judge again. An answer that
        another experiment has, of the same prompt, model, context and input, is used and costs nothing.

        Returns:
            The candidate's experiment, then the baseline's if there is one.

        Raises:
            Invalid: If trials or an option are out of range, or the gate cannot be decided early.
            NotFound: If service or release are unknown.
        """
        actor.require(Role.ADMIN)
        _check(trials, options)
        candidate = self._releases.open(actor.project_id, self._releases.resolve(actor.project_id, service, reference))
        if options.early_stop:
            check_stoppable(candidate.gate, candidate.evaluators, candidate.dataset)
        declared = self._releases.service(actor.project_id, service).baseline_release
        with self._metadata.transaction() as tx:
            live = tx.environments.get(actor.project_id, service, candidate.gate.environment)
            baseline = baseline_of(live, declared, candidate.digest)
            planned = list(self._plan_both(tx, actor, candidate, baseline, trials, options))
        self._publisher.publish()
        ours = planned[0]
        # A baseline that may stop early is run by the candidate's job, block by block with it.
        are_together = ours.options.early_stop and ours.state == ExperimentState.RUNNING and ours.stopped_items is None
        for record in planned[:1] if are_together else planned:
            if record.state == ExperimentState.RUNNING:
                self._jobs.run_experiment(record.project_id, record.experiment_id)
        return planned

    def progress(self, actor: Principal, experiment_id: str) -> Progress:
        """Return how far an experiment is.

        Raises:
            NotFound: If there is none of that id.
        """
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            experiment = self._found(tx, actor, experiment_id)
            counts = tx.experiments.counts(actor.project_id, experiment_id)
        states = (TrialState.ANSWERED, TrialState.ERRORED, TrialState.JUDGING)
        answered, errored, judging = (counts.get(state, 0) for state in states)
        return Progress(experiment, answered, errored, judging)

    def spending(self, actor: Principal, experiment_id: str) -> Spending:
        """Return what an experiment has cost so far.

        Raises:
            NotFound: If there is none of that id.
        """
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            self._found(tx, actor, experiment_id)
            rows = list(tx.experiments.costs(actor.project_id, experiment_id))
        asked = [call for call, _, is_cached in rows if not is_cached]
        cached = [call for call, _, is_cached in rows if is_cached]
        return Spending(
            calls=len(asked),
            system_usd=_total(asked),
            cached_answers=len(cached),
            saved_usd=_total(cached),
            judges_usd=_total([judges for _, judges, _ in rows]),
        )

    def list(self, actor: Principal, service: str | None = None) -> Sequence[ExperimentRecord]:
        """Return a project's experiments, or a service's, newest first."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return tx.experiments.list(actor.project_id, service)

    def _found(self, tx: EvaluateTransaction, actor: Principal, experiment_id: str) -> ExperimentRecord:
        found = tx.experiments.get(actor.project_id, experiment_id)
        if found is None:
            raise NotFound(f"experiment {experiment_id!r} does not exist; start one with: zirkel eval SERVICE")
        return found

    def _plan_both(
        self,
        tx: EvaluateTransaction,
        actor: Principal,
        candidate: ReleaseBundle,
        baseline: str | None,
        trials: int,
        options: ExperimentOptions,
    ) -> Sequence[ExperimentRecord]:
        if baseline is None and options.early_stop:
            raise Invalid("there is no baseline to compare with; run without stopping early", path="early_stop")
        repetition = new_id(self._clock) if options.is_fresh else ""
        ours = self._record(candidate, candidate.digest, trials, repetition)
        if baseline is None:
            return [self._plan(tx, actor, replace(ours, options=options))]
        theirs = self._record(candidate, baseline, trials, repetition)
        if needs_of(candidate.evaluators.evaluator).other_output:
            # Scores that compare are of another experiment where they compare with another one.
            ours = self._record(candidate, candidate.digest, trials, repetition, other=theirs.experiment_id)
        known = tx.experiments.get(ours.project_id, ours.experiment_id)
        if options.early_stop or (known and known.options.early_stop):
            ours = replace(ours, other_experiment_id=theirs.experiment_id)
        ours = self._plan(tx, actor, replace(ours, options=_kept(options, known)))
        is_needed = ours.state == ExperimentState.RUNNING and ours.stopped_items is None
        return [ours, self._plan(tx, actor, replace(theirs, options=ours.options), is_needed=is_needed)]

    def _record(
        self, plan: ReleaseBundle, release: str, trials: int, repetition: str, other: str = ""
    ) -> ExperimentRecord:
        dataset, evaluators = plan.artefacts["dataset"], plan.artefacts["evaluators"]
        return ExperimentRecord(
            project_id=plan.project_id,
            experiment_id=experiment_id(release, dataset, evaluators, trials, other=other, repetition=repetition),
            service=plan.service,
            release=release,
            dataset_digest=dataset,
            evaluators_digest=evaluators,
            trials=trials,
            items=len(plan.dataset),
            state=ExperimentState.RUNNING,
            created_ns=self._clock.now_ns(),
            other_experiment_id=other,
        )

    def _plan(
        self, tx: EvaluateTransaction, actor: Principal, record: ExperimentRecord, *, is_needed: bool = False
    ) -> ExperimentRecord:
        """Add an experiment, or take up what is known of it.

        A candidate that was stopped is decided, and stays stopped. A baseline goes on if a candidate needs it.
        """
        key = (record.project_id, record.experiment_id)
        known = tx.experiments.get(*key)
        if known is None:
            tx.experiments.add(record)
            tx.ledger.append(record.project_id, actor.label, "experiment", _planned(record))
            return record
        if tx.experiments.has_failures(*key):
            tx.experiments.reopen(*key)
            known = replace(known, state=ExperimentState.RUNNING, finished_ns=None)
        if known.stopped_items is not None and is_needed:
            known = replace(known, state=ExperimentState.RUNNING, finished_ns=None, stopped_items=None)
        if known.state == ExperimentState.RUNNING:
            known = replace(known, options=record.options, other_experiment_id=record.other_experiment_id)
            tx.experiments.replan(known)
        return known


def _kept(options: ExperimentOptions, known: ExperimentRecord | None) -> ExperimentOptions:
    """Return the options, with the order and the looks of a run that has begun: what was looked at stays looked at."""
    if known is None or not known.options.early_stop:
        return options
    return replace(options, early_stop=True, seed=known.options.seed)


def _planned(record: ExperimentRecord) -> dict[str, Json]:
    return {
        "experiment_id": record.experiment_id,
        "service": record.service,
        "release": record.release,
        "dataset": record.dataset_digest,
        "evaluators": record.evaluators_digest,
        "trials": record.trials,
        "items": record.items,
    }


def check_trials(trials: int) -> None:
    """Check how often an item is asked.

    Raises:
        Invalid: If it is not from 1 to ``MAX_TRIALS``.
    """
    if not 1 <= trials <= MAX_TRIALS:
        raise Invalid(f"trials {trials} must be from 1 to {MAX_TRIALS}", path="trials")


def _check(trials: int, options: ExperimentOptions) -> None:
    check_trials(trials)
    if options.concurrency is not None and not 1 <= options.concurrency <= MAX_CONCURRENCY:
        raise Invalid(f"concurrency {options.concurrency} must be from 1 to {MAX_CONCURRENCY}", path="concurrency")
    for name in ("requests_per_s", "tokens_per_min"):
        value = getattr(options, name)
        if value is not None and not 0 < value < float("inf"):
            raise Invalid(f"{name} {value} must be above 0", path=name)


def _total(costs: Sequence[Decimal | None]) -> Decimal | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None
