"""Comparisons and gates, as people and other programs ask for them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from zirkel.core import (
    Clock,
    Invalid,
    Json,
    NotFound,
    Principal,
    Role,
    VerdictRecord,
    canonical_json,
    digest,
    new_id,
)
from zirkel.evaluate.calibration_ports import Calibrations
from zirkel.evaluate.changes import ChangeQuery, ItemChange, changed_items
from zirkel.evaluate.compare import ExperimentSummary, summarise
from zirkel.evaluate.comparison import Comparison, compare
from zirkel.evaluate.gate import GateDecision
from zirkel.evaluate.gate_evidence import Found, find_experiments, gather_inputs
from zirkel.evaluate.measure import frame_items, measure
from zirkel.evaluate.metrics import metrics_of
from zirkel.evaluate.ports import EvaluateMetadata, Releases
from zirkel.evaluate.recompute import compute

MAX_CHANGES = 500


class InputsStore(Protocol):
    """Keeps what verdicts rest on, by digest."""

    def put(self, data: bytes) -> str:
        """Keep data and return its SHA-256; it is on disk then."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the data of a digest."""
        ...


@dataclass(frozen=True, slots=True)
class GateResult:
    """A verdict with the evidence it rests on."""

    decision: GateDecision
    record: VerdictRecord
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class VerdictEvidence:
    """What is needed to reach a verdict again."""

    record: VerdictRecord
    inputs: Mapping[str, Json]
    report: Mapping[str, Json]


class Evaluation:
    """Shows what experiments found, and lets gates decide."""

    def __init__(
        self,
        metadata: EvaluateMetadata,
        releases: Releases,
        inputs: InputsStore,
        calibrations: Calibrations,
        clock: Clock,
    ) -> None:
        self._metadata = metadata
        self._releases = releases
        self._inputs = inputs
        self._calibrations = calibrations
        self._clock = clock

    def compare(
        self, actor: Principal, service: str, reference: str = "candidate", *, with_segments: bool = False
    ) -> Comparison:
        """Return what the newest experiment of a release found, beside the baseline's on the same plan.

        Raises:
            NotFound: If the release was not evaluated yet.
        """
        actor.require(Role.READ)
        found = self._find(actor, service, reference)
        frame = frame_items(found.bundle.dataset, None if with_segments else ())
        candidate, baseline = found.measure(frame)
        return compare(service, found.metrics, frame, candidate, baseline, with_segments=with_segments)

    def changes(
        self, actor: Principal, service: str, query: ChangeQuery, reference: str = "candidate"
    ) -> list[ItemChange]:
        """Return the items that changed between baseline and release, with both answers.

        Raises:
            NotFound: If the release was not evaluated yet.
            Invalid: If the metric is unknown or the limit out of range.
        """
        actor.require(Role.READ)
        found = self._find(actor, service, reference)
        if query.metric not in found.metrics:
            raise Invalid(f"metric {query.metric!r} is unknown; known are {', '.join(found.metrics)}", path="metric")
        if not 1 <= query.limit <= MAX_CHANGES:
            raise Invalid(f"limit {query.limit} must be from 1 to {MAX_CHANGES}", path="limit")
        items = found.bundle.dataset
        return changed_items(query, found.metrics, items, found.candidate_trials, found.baseline_trials)

    def gate(self, actor: Principal, service: str, reference: str = "candidate") -> GateResult:
        """Let the release's own policy decide on the evidence there is; the verdict goes into the ledger.

        Raises:
            NotFound: If the release was not evaluated yet.
        """
        actor.require(Role.ADMIN)
        found = self._find(actor, service, reference)
        computed = compute(gather_inputs(found, self._calibrations))
        # Kept before the verdict that names them is committed.
        inputs_digest = self._inputs.put(canonical_json(computed.inputs))
        baseline = found.baseline.release if found.baseline else None
        record = VerdictRecord(
            project_id=actor.project_id,
            verdict_id=new_id(self._clock),
            service=service,
            release=found.bundle.digest,
            baseline=baseline,
            environment=found.bundle.gate.environment,
            verdict=computed.decision.verdict,
            report=canonical_json(computed.report).decode(),
            created_ns=self._clock.now_ns(),
        )
        with self._metadata.transaction() as tx:
            tx.verdicts.add(record)
            payload: Json = {
                "service": service,
                "release": record.release,
                "baseline": baseline,
                "verdict_id": record.verdict_id,
                "verdict": computed.decision.verdict,
                "reason": computed.decision.reason,
                "policy_digest": found.bundle.artefacts["gate"],
                "inputs_digest": inputs_digest,
                "report_digest": digest(computed.report),
            }
            tx.ledger.append(actor.project_id, actor.label, "gate", payload)
        return GateResult(computed.decision, record, computed.comparison)

    def verdict(self, actor: Principal, verdict_id: str) -> VerdictRecord:
        """Return a verdict.

        Raises:
            NotFound: If there is none of that id.
        """
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            found = tx.verdicts.get(actor.project_id, verdict_id)
        if found is None:
            raise NotFound(f"verdict {verdict_id!r} does not exist; ask a gate with: zirkel gate SERVICE")
        return found

    def evidence(self, actor: Principal, verdict_id: str) -> VerdictEvidence:
        """Return what is needed to reach a verdict again.

        Raises:
            NotFound: If there is no such verdict, or what it rests on is no longer there.
            Corrupt: If that is not what was kept.
        """
        record = self.verdict(actor, verdict_id)
        report = cast("dict[str, Json]", json.loads(record.report))
        if "inputs_digest" not in report:
            raise NotFound(f"verdict {verdict_id!r} was reached by a version that kept no inputs; ask the gate again")
        inputs = json.loads(self._inputs.get(str(report["inputs_digest"])))
        return VerdictEvidence(record, cast("dict[str, Json]", inputs), report)

    def latest_summary(self, project_id: str, service: str, release: str) -> ExperimentSummary | None:
        """Return what the newest experiment of a release found, or None if it was never evaluated."""
        with self._metadata.transaction() as tx:
            experiments = tx.experiments.list(project_id, service)
            newest = next((e for e in experiments if e.release == release), None)
            trials = tx.experiments.trials(project_id, newest.experiment_id) if newest else []
        if newest is None:
            return None
        frame = frame_items(self._releases.dataset(project_id, newest.dataset_digest), ())
        metrics = metrics_of(self._releases.evaluators(project_id, newest.evaluators_digest))
        names = [name for name, metric in metrics.items() if metric.evaluator_digest]
        return summarise(measure(newest, trials, frame, names), frame, metrics)

    def latest_verdict(self, actor: Principal, release: str, environment: str) -> VerdictRecord | None:
        """Return the newest verdict on a release for an environment, or None."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return tx.verdicts.latest(actor.project_id, release, environment)

    def _find(self, actor: Principal, service: str, reference: str) -> Found:
        release = self._releases.resolve(actor.project_id, service, reference)
        return find_experiments(self._metadata, self._releases, actor.project_id, release)
