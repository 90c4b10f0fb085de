"""Finding what a comparison and a gate look at: the experiments of two releases on the same plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from zirkel import __version__
from zirkel.core import ExperimentRecord, NotFound, ReleaseBundle, TrialRecord
from zirkel.evaluate.baseline import baseline_of
from zirkel.evaluate.calibration_ports import Calibrations
from zirkel.evaluate.gate import policy_segments
from zirkel.evaluate.gate_inputs import STATISTICS_VERSION, GateInputs, JudgeEvidence, Versions
from zirkel.evaluate.identity import item_order
from zirkel.evaluate.measure import IntArray, ItemFrame, Measured, frame_items, measure
from zirkel.evaluate.metrics import Metric, metrics_of
from zirkel.evaluate.ports import EvaluateMetadata, Releases


@dataclass(frozen=True, slots=True)
class Found:
    """A release's newest experiment, and the baseline's on the same plan."""

    bundle: ReleaseBundle
    metrics: Mapping[str, Metric]
    candidate: ExperimentRecord
    baseline: ExperimentRecord | None
    candidate_trials: Sequence[TrialRecord]
    baseline_trials: Sequence[TrialRecord]

    def measure(self, frame: ItemFrame) -> tuple[Measured, Measured | None]:
        """Return both experiments as numbers."""
        names = [name for name, metric in self.metrics.items() if metric.evaluator_digest]
        ours = measure(self.candidate, self.candidate_trials, frame, names)
        theirs = measure(self.baseline, self.baseline_trials, frame, names) if self.baseline else None
        return ours, theirs


def find_experiments(metadata: EvaluateMetadata, releases: Releases, project_id: str, release: str) -> Found:
    """Return what there is on a release and its baseline.

    Raises:
        NotFound: If the release, or the baseline on the same plan, was not evaluated yet.
    """
    bundle = releases.open(project_id, release)
    service = bundle.service
    declared = releases.service(project_id, service).baseline_release
    plan = (bundle.artefacts["dataset"], bundle.artefacts["evaluators"])
    with metadata.transaction() as tx:
        experiments = tx.experiments.list(project_id, service)
        same_plan = [e for e in experiments if (e.dataset_digest, e.evaluators_digest) == plan]
        ours = next((e for e in same_plan if e.release == release), None)
        if ours is None:
            raise NotFound(f"release {release[:12]} was not evaluated yet; run: zirkel eval {service}")
        live = tx.environments.get(project_id, service, bundle.gate.environment)
        baseline = baseline_of(live, declared, release)
        theirs = next((e for e in same_plan if e.release == baseline and e.trials == ours.trials), None)
        our_trials = tx.experiments.trials(project_id, ours.experiment_id)
        their_trials = tx.experiments.trials(project_id, theirs.experiment_id) if theirs else []
    if baseline is not None and theirs is None:
        raise NotFound(f"the baseline {baseline[:12]} was not evaluated on this data set; run: zirkel eval {service}")
    return Found(bundle, metrics_of(bundle.evaluators), ours, theirs, our_trials, their_trials)


def gather_inputs(found: Found, calibrations: Calibrations) -> GateInputs:
    """Return everything that the release's gate decides from."""
    policy = found.bundle.gate
    frame = frame_items(found.bundle.dataset, policy_segments(policy))
    candidate, baseline = found.measure(frame)
    asked = _asked(found)
    return GateInputs(
        service=found.bundle.service,
        policy=policy,
        policy_digest=found.bundle.artefacts["gate"],
        metrics=found.metrics,
        frame=frame,
        candidate=candidate,
        baseline=baseline,
        judges={
            name: _judge(found, name, calibrations) for name, metric in found.metrics.items() if metric.needs_labels
        },
        asked=asked,
        versions=Versions(__version__, STATISTICS_VERSION, {name: version(name) for name in ("numpy", "scipy")}),
        seeds={"item_order": found.candidate.options.seed} if len(asked) else {},
    )


def _judge(found: Found, name: str, calibrations: Calibrations) -> JudgeEvidence:
    project_id, ours = found.candidate.project_id, found.candidate.experiment_id
    mean = calibrations.corrected(project_id, ours, name)
    if found.baseline is None:
        return JudgeEvidence(mean, None)
    theirs = found.baseline.experiment_id
    return JudgeEvidence(mean, calibrations.corrected_difference(project_id, ours, theirs, name))


def _asked(found: Found) -> IntArray:
    """Return the rows of the items in the order they were asked, if an experiment could stop early."""
    watched = [e for e in (found.candidate, found.baseline) if e is not None and e.could_stop_early]
    if not watched:
        return np.empty(0, dtype=np.intp)
    row_of = {item.id: row for row, item in enumerate(found.bundle.dataset)}
    ordered = item_order(found.bundle.dataset, watched[0].options.seed)
    return np.asarray([row_of[item.id] for item in ordered], dtype=np.intp)
