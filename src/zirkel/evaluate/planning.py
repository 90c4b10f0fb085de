"""Plans, as people and other programs ask for them: what an evaluation can show, before it is paid for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from zirkel.core import ExperimentRecord, Invalid, Principal, ReleaseBundle, Role, TrialRecord
from zirkel.evaluate.baseline import baseline_of
from zirkel.evaluate.estimate import Estimate
from zirkel.evaluate.experiments import MAX_TRIALS
from zirkel.evaluate.gate import policy_segments
from zirkel.evaluate.measure import ItemFrame, Measured, frame_items, measure
from zirkel.evaluate.metrics import Metric, metrics_of
from zirkel.evaluate.plan import GatePlan, plan_gate
from zirkel.evaluate.plan_basis import Basis, assumed_basis, basis_of_pair
from zirkel.evaluate.plan_power import MOST_ITEMS
from zirkel.evaluate.plan_price import PricePlan, plan_price
from zirkel.evaluate.ports import EvaluateMetadata, Releases

MOST_PLANS = 3
"""How many earlier plans (data set, evaluators, trials) are looked through."""


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The newest experiments of two releases on one plan, or of one release alone."""

    frame: ItemFrame
    metrics: dict[str, Metric]
    measured: tuple[Measured, ...]


class Costs(Protocol):
    """What running a release and its baseline would cost."""

    def estimate(self, actor: Principal, service: str, reference: str = "candidate", trials: int = 2) -> Estimate:
        """Return what it would cost now."""
        ...


class Planning:
    """Says what a gate could say of a release after an evaluation of a size."""

    def __init__(self, metadata: EvaluateMetadata, releases: Releases, costs: Costs) -> None:
        self._metadata = metadata
        self._releases = releases
        self._costs = costs

    def plan(
        self,
        actor: Principal,
        service: str,
        reference: str = "candidate",
        *,
        trials: int = 2,
        items: int | None = None,
    ) -> GatePlan:
        """Return what the release's gate could say.

        Args:
            actor: Who asks.
            service: Whose release.
            reference: Which release.
            trials: Answers an item.
            items: Plan for so many items like those of the data set, instead of those.

        Raises:
            NotFound: If service or release are unknown.
            Invalid: If ``trials`` or ``items`` are out of range.
        """
        actor.require(Role.READ)
        if not 1 <= trials <= MAX_TRIALS:
            raise Invalid(f"trials {trials} must be from 1 to {MAX_TRIALS}", path="trials")
        if items is not None and not 2 <= items <= MOST_ITEMS:
            raise Invalid(f"items {items} must be from 2 to {MOST_ITEMS}", path="items")
        project_id = actor.project_id
        bundle = self._releases.open(project_id, self._releases.resolve(project_id, service, reference))
        baseline = self._baseline(bundle)
        earlier = self._earlier(bundle)
        metrics = metrics_of(bundle.evaluators)
        frame = frame_items(bundle.dataset, policy_segments(bundle.gate))
        price = self._price(actor, bundle, baseline, earlier, trials)
        return plan_gate(
            service,
            bundle.gate,
            metrics,
            frame,
            {wanted.name: _basis(bundle, wanted.name, metrics, earlier) for wanted in bundle.gate.metric},
            price,
            trials=trials,
            has_baseline=bool(baseline),
            items=items,
        )

    def _baseline(self, bundle: ReleaseBundle) -> str:
        """Return the release to compare with; empty if there is none."""
        declared = self._releases.service(bundle.project_id, bundle.service).baseline_release
        with self._metadata.transaction() as tx:
            live = tx.environments.get(bundle.project_id, bundle.service, bundle.gate.environment)
        return baseline_of(live, declared, bundle.digest) or ""

    def _earlier(self, bundle: ReleaseBundle) -> list[_Earlier]:
        """Return earlier experiments plan by plan: those on this very plan first, then the newest."""
        with self._metadata.transaction() as tx:
            experiments = tx.experiments.list(bundle.project_id, bundle.service)
        plans: dict[tuple[str, str, int], list[ExperimentRecord]] = {}
        for experiment in experiments:
            key = (experiment.dataset_digest, experiment.evaluators_digest, experiment.trials)
            found = plans.setdefault(key, [])
            if len(found) < 2 and experiment.release not in [known.release for known in found]:
                found.append(experiment)
        own = (bundle.artefacts["dataset"], bundle.artefacts["evaluators"])
        # A pair says more than a release alone; sorting keeps the newest first among equals.
        ordered = sorted(plans.items(), key=lambda plan: (len(plan[1]) < 2, plan[0][:2] != own))
        return [self._load(bundle, records) for _, records in ordered[:MOST_PLANS]]

    def _load(self, bundle: ReleaseBundle, records: Sequence[ExperimentRecord]) -> _Earlier:
        project_id, first = bundle.project_id, records[0]
        metrics = metrics_of(self._releases.evaluators(project_id, first.evaluators_digest))
        items = self._releases.dataset(project_id, first.dataset_digest)
        frame = frame_items(items, policy_segments(bundle.gate))
        names = [name for name, metric in metrics.items() if metric.evaluator_digest]
        measured = tuple(measure(record, self._trials(record), frame, names) for record in records)
        return _Earlier(frame, metrics, measured)

    def _trials(self, record: ExperimentRecord) -> Sequence[TrialRecord]:
        with self._metadata.transaction() as tx:
            return tx.experiments.trials(record.project_id, record.experiment_id)

    def _price(
        self, actor: Principal, bundle: ReleaseBundle, baseline: str, earlier: Sequence[_Earlier], trials: int
    ) -> PricePlan:
        own = (bundle.artefacts["dataset"], bundle.artefacts["evaluators"])
        measured = [
            found
            for group in earlier
            for found in group.measured
            if (found.experiment.dataset_digest, found.experiment.evaluators_digest) == own
        ]
        estimate = self._costs.estimate(actor, bundle.service, bundle.digest, trials)
        releases = [bundle.digest, *([baseline] if baseline else [])]
        return plan_price(estimate, measured, len(bundle.dataset), trials, releases)


def _basis(bundle: ReleaseBundle, name: str, metrics: dict[str, Metric], earlier: Sequence[_Earlier]) -> Basis | None:
    wanted = next(found for found in bundle.gate.metric if found.name == name)
    metric = metrics[wanted.evaluator]
    same = [
        group
        for group in earlier
        if (known := group.metrics.get(wanted.evaluator)) and known.evaluator_digest == metric.evaluator_digest
    ]
    for group in same:
        if len(group.measured) == 2:
            found = basis_of_pair(wanted, group.measured[0], group.measured[1], group.frame)
            if found is not None:
                return found
    return assumed_basis(wanted, metric, [(m, group.frame) for group in same for m in group.measured])
