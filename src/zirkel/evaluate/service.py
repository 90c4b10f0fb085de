"""Experiments and gates, as people and other programs ask for them."""

import dataclasses
from dataclasses import dataclass

import msgspec

from zirkel import __version__
from zirkel.core import (
    Clock,
    EnvironmentRecord,
    ExperimentRecord,
    ExperimentState,
    Invalid,
    Json,
    NotFound,
    Principal,
    Role,
    TrialState,
    VerdictRecord,
    canonical_json,
    digest,
    new_id,
)
from zirkel.evaluate.compare import ExperimentSummary, PairedMetric, compare_metric, summarise
from zirkel.evaluate.gate import GateDecision, decide
from zirkel.evaluate.ports import EvaluateMetadata, EvaluateTransaction, JobQueue, Publisher, Releases
from zirkel.evaluate.report import comparison_report

MAX_TRIALS = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an experiment is."""

    experiment: ExperimentRecord
    answered: int
    errored: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The candidate's experiment beside the baseline's."""

    service: str
    candidate: ExperimentSummary
    baseline: ExperimentSummary | None
    paired: dict[str, PairedMetric] | None


@dataclass(frozen=True, slots=True)
class GateResult:
    """A verdict with the evidence it rests on."""

    decision: GateDecision
    record: VerdictRecord
    comparison: Comparison


class Evaluation:
    """Plans experiments, shows what they found, and lets gates decide."""

    def __init__(
        self, metadata: EvaluateMetadata, releases: Releases, publisher: Publisher, jobs: JobQueue, clock: Clock
    ) -> None:
        self._metadata = metadata
        self._releases = releases
        self._publisher = publisher
        self._jobs = jobs
        self._clock = clock

    def start(
        self, actor: Principal, service: str, reference: str = "candidate", trials: int = 2
    ) -> list[ExperimentRecord]:
        """Run a release, and the baseline if there is one, over the release's data set; take up what is unfinished.

        The same release, data set, evaluators and number of trials are the same experiment: what was answered
        before is not asked again; errored answers are.

        Returns:
            The candidate's experiment, then the baseline's if there is one.

        Raises:
            Invalid: If ``trials`` is out of range.
            NotFound: If service or release are unknown.
        """
        actor.require(Role.ADMIN)
        if not 1 <= trials <= MAX_TRIALS:
            raise Invalid(f"trials {trials} must be from 1 to {MAX_TRIALS}", path="trials")
        candidate = self._releases.open(actor.project_id, self._releases.resolve(actor.project_id, service, reference))
        declared = self._releases.service(actor.project_id, service).baseline_release
        with self._metadata.transaction() as tx:
            live = tx.environments.get(actor.project_id, service, candidate.gate.environment)
            baseline = _baseline(live, declared, candidate.digest)
            planned = []
            for release in [candidate.digest, *([baseline] if baseline else [])]:
                identity: Json = {
                    "release": release,
                    "dataset": candidate.artefacts["dataset"],
                    "evaluators": candidate.artefacts["evaluators"],
                    "trials": trials,
                }
                record = ExperimentRecord(
                    project_id=actor.project_id,
                    experiment_id=digest(identity)[:32],
                    service=service,
                    release=release,
                    dataset_digest=candidate.artefacts["dataset"],
                    evaluators_digest=candidate.artefacts["evaluators"],
                    trials=trials,
                    items=len(candidate.dataset),
                    state=ExperimentState.RUNNING,
                    created_ns=self._clock.now_ns(),
                )
                planned.append(self._plan(tx, actor, record))
        self._publisher.publish()
        for record in planned:
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
            experiment = tx.experiments.get(actor.project_id, experiment_id)
            counts = tx.experiments.counts(actor.project_id, experiment_id)
        if experiment is None:
            raise NotFound(f"experiment {experiment_id!r} does not exist; start one with: zirkel eval SERVICE")
        return Progress(experiment, counts.get(TrialState.ANSWERED, 0), counts.get(TrialState.ERRORED, 0))

    def compare(self, actor: Principal, service: str, reference: str = "candidate") -> Comparison:
        """Return what the newest experiment of a release found, beside the baseline's on the same plan.

        Raises:
            NotFound: If the release was not evaluated yet.
        """
        actor.require(Role.READ)
        release = self._releases.resolve(actor.project_id, service, reference)
        return self._compare(actor.project_id, service, release)

    def gate(self, actor: Principal, service: str, reference: str = "candidate") -> GateResult:
        """Let the release's own policy decide on the evidence there is; the verdict goes into the ledger.

        Raises:
            NotFound: If the release was not evaluated yet.
        """
        actor.require(Role.ADMIN)
        release = self._releases.resolve(actor.project_id, service, reference)
        bundle = self._releases.open(actor.project_id, release)
        comparison = self._compare(actor.project_id, service, release)
        decision = decide(bundle.gate, comparison.candidate, comparison.paired, comparison.baseline)
        baseline = comparison.baseline.experiment.release if comparison.baseline else None
        report: dict[str, Json] = {
            "policy_digest": bundle.artefacts["gate"],
            "policy": msgspec.to_builtins(bundle.gate),
            "program_version": __version__,
            "decision": msgspec.to_builtins(decision),
            "evidence": comparison_report(comparison.candidate, comparison.baseline, comparison.paired),
        }
        record = VerdictRecord(
            project_id=actor.project_id,
            verdict_id=new_id(self._clock),
            service=service,
            release=release,
            baseline=baseline,
            environment=bundle.gate.environment,
            verdict=decision.verdict,
            report=canonical_json(report).decode(),
            created_ns=self._clock.now_ns(),
        )
        with self._metadata.transaction() as tx:
            tx.verdicts.add(record)
            payload: Json = {
                "service": service,
                "release": release,
                "baseline": baseline,
                "verdict_id": record.verdict_id,
                "verdict": decision.verdict,
                "reason": decision.reason,
                "report_digest": digest(report),
            }
            tx.ledger.append(actor.project_id, actor.label, "gate", payload)
        return GateResult(decision, record, comparison)

    def latest_summary(self, project_id: str, service: str, release: str) -> ExperimentSummary | None:
        """Return what the newest experiment of a release found, or None if it was never evaluated."""
        with self._metadata.transaction() as tx:
            experiments = tx.experiments.list(project_id, service)
            newest = next((e for e in experiments if e.release == release), None)
            trials = tx.experiments.trials(project_id, newest.experiment_id) if newest else []
        if newest is None:
            return None
        items = self._releases.dataset(project_id, newest.dataset_digest)
        evaluators = self._releases.evaluators(project_id, newest.evaluators_digest)
        return summarise(newest, trials, items, [spec.name for spec in evaluators.evaluator])

    def latest_verdict(self, actor: Principal, release: str, environment: str) -> VerdictRecord | None:
        """Return the newest verdict on a release for an environment, or None."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return tx.verdicts.latest(actor.project_id, release, environment)

    def _compare(self, project_id: str, service: str, release: str) -> Comparison:
        bundle = self._releases.open(project_id, release)
        names = [spec.name for spec in bundle.evaluators.evaluator]
        declared = self._releases.service(project_id, service).baseline_release
        with self._metadata.transaction() as tx:
            experiments = tx.experiments.list(project_id, service)
            plan = (bundle.artefacts["dataset"], bundle.artefacts["evaluators"])
            same_plan = [e for e in experiments if (e.dataset_digest, e.evaluators_digest) == plan]
            ours = next((e for e in same_plan if e.release == release), None)
            if ours is None:
                raise NotFound(f"release {release[:12]} was not evaluated yet; run: zirkel eval {service}")
            live = tx.environments.get(project_id, service, bundle.gate.environment)
            baseline = _baseline(live, declared, release)
            theirs = next((e for e in same_plan if e.release == baseline and e.trials == ours.trials), None)
            our_trials = tx.experiments.trials(project_id, ours.experiment_id)
            their_trials = tx.experiments.trials(project_id, theirs.experiment_id) if theirs else None
        if baseline is not None and theirs is None:
            raise NotFound(
                f"the baseline {baseline[:12]} was not evaluated on this data set; run: zirkel eval {service}"
            )
        candidate = summarise(ours, our_trials, bundle.dataset, names)
        if theirs is None or their_trials is None:
            return Comparison(service, candidate, None, None)
        paired = {name: compare_metric(name, our_trials, their_trials, bundle.dataset) for name in names}
        return Comparison(service, candidate, summarise(theirs, their_trials, bundle.dataset, names), paired)

    def _plan(self, tx: EvaluateTransaction, actor: Principal, record: ExperimentRecord) -> ExperimentRecord:
        known = tx.experiments.get(record.project_id, record.experiment_id)
        if known is None:
            tx.experiments.add(record)
            payload: Json = {
                "experiment_id": record.experiment_id,
                "service": record.service,
                "release": record.release,
                "dataset": record.dataset_digest,
                "evaluators": record.evaluators_digest,
                "trials": record.trials,
                "items": record.items,
            }
            tx.ledger.append(record.project_id, actor.label, "experiment", payload)
            return record
        if tx.experiments.counts(record.project_id, record.experiment_id).get(TrialState.ERRORED):
            tx.experiments.reopen(record.project_id, record.experiment_id)
            return dataclasses.replace(known, state=ExperimentState.RUNNING, finished_ns=None)
        return known


def _baseline(live: EnvironmentRecord | None, declared: str | None, release: str) -> str | None:
    """Return what to compare with: what is live, else the baseline the service declares; never the release itself."""
    baseline = live.stable_release if live else declared
    return None if baseline == release else baseline
