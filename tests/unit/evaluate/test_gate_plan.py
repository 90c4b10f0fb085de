"""Plans: what a gate could say, before anything is paid."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.evaluate.measured import experiment_of, plain_items, score_metric, trials_of
from zirkel.core import GatePolicy, Invalid, MetricPolicy, Principal
from zirkel.evaluate import Experiments, GatePlan, Planning, frame_items, measure
from zirkel.evaluate.estimate import CallEstimate, Estimate, Range
from zirkel.evaluate.measure import Measured
from zirkel.evaluate.metrics import LATENCY, SYSTEM
from zirkel.evaluate.plan import plan_gate
from zirkel.evaluate.plan_basis import Basis, assumed_basis, basis_of_pair
from zirkel.evaluate.plan_power import Size, floor_chances, margin_chances, pass_power
from zirkel.evaluate.plan_price import PricePlan, plan_price
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

M = score_metric("m")
METRICS = {metric.name: metric for metric in (M, *SYSTEM)}
FREE = PricePlan(100, Range(1, 2, 3), Range(0.01, 0.02, 0.03), ("known",))


def basis(variance: float, within: float = 0.0, *, is_pass_fail: bool = True, icc: float = 0.0) -> Basis:
    return Basis(variance, within, within, icc, 0.9, 0.09, is_pass_fail, "measured", is_assumed=False)


def plan(
    policy: GatePolicy,
    items: int,
    known: Basis | None,
    *,
    trials: int = 1,
    cluster_size: int = 1,
    has_baseline: bool = True,
    planned: int | None = None,
) -> GatePlan:
    frame = frame_items(plain_items(items, cluster_size), ())
    bases = {metric.name: known for metric in policy.metric}
    price = PricePlan(items, FREE.now_usd, FREE.per_item_usd, FREE.basis)
    return plan_gate("s", policy, METRICS, frame, bases, price, trials=trials, has_baseline=has_baseline, items=planned)


def one(**changes: object) -> GatePolicy:
    return GatePolicy(metric=[MetricPolicy(evaluator="m", **changes)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("margin", "discordance", "published"), [(0.03, 0.1, 687), (0.03, 0.2, 1374), (0.05, 0.2, 495)]
)
def test_items_needed_are_about_the_published_numbers(margin: float, discordance: float, published: int) -> None:
    found = plan(one(margin=margin), 50, basis(discordance)).metrics[0]
    assert found.items_needed == pytest.approx(published, rel=0.08)
    assert pass_power(margin, discordance, found.items_needed or 0, 0.05) == pytest.approx(0.8, abs=0.03)


def test_fifty_items_cannot_pass_five_points_and_are_told_so() -> None:
    found = plan(one(margin=0.05), 50, basis(0.1))
    assert (found.outlook, found.metrics[0].outlook) == ("impossible", "impossible")
    assert "50 items (50 independent) are too few to pass, even if nothing gets worse" in found.metrics[0].says
    assert found.says.startswith("this gate cannot be passed at this size by an equally good release (m); about ")
    # By luck it may look better than it is.
    assert 0 < (found.power or 0) < 0.5


def test_too_few_items_are_unlikely_and_enough_are_enough() -> None:
    few, enough = plan(one(margin=0.05), 150, basis(0.1)), plan(one(margin=0.05), 400, basis(0.1))
    assert (few.outlook, enough.outlook) == ("unlikely", "enough")
    assert "probably be INCONCLUSIVE" in few.says
    assert enough.power is not None
    assert enough.power > 0.8
    assert few.metrics[0].trials_needed is None


def test_trials_help_only_against_what_differs_from_trial_to_trial() -> None:
    noisy, steady = basis(0.02, 0.1, is_pass_fail=False), basis(0.22, is_pass_fail=False)
    assert plan(one(margin=0.05), 200, noisy).metrics[0].trials_needed in range(2, 31)
    of_steady = plan(one(margin=0.05), 200, steady).metrics[0]
    assert of_steady.trials_needed is None
    assert "no number of trials makes up for items" in of_steady.says


def test_clusters_cost_power() -> None:
    alone = plan(one(margin=0.05), 300, basis(0.1, icc=0.5, is_pass_fail=False))
    together = plan(one(margin=0.05), 300, basis(0.1, icc=0.5, is_pass_fail=False), cluster_size=10)
    assert together.sources == 30
    assert (alone.power or 0) > (together.power or 0) + 0.2
    assert (together.items_needed or 0) > 3 * (alone.items_needed or 0)


def test_each_of_several_metrics_needs_more_power_than_the_whole() -> None:
    two = GatePolicy(metric=[MetricPolicy(evaluator=name, margin=0.05) for name in ("m", "error_rate")])
    found = plan(two, 300, basis(0.1))
    assert found.power_per_metric == pytest.approx(0.9)
    assert (found.items_needed or 0) > (plan(one(margin=0.05), 300, basis(0.1)).items_needed or 0)
    powers = [metric.power or 0 for metric in found.metrics]
    assert found.power == pytest.approx(max(0, 1 - sum(1 - power for power in powers)))


@pytest.mark.parametrize(("floor", "outlook"), [(0.99, "impossible"), (0.89, "unlikely"), (0.8, "enough")])
def test_a_floor_is_planned_by_the_mean_there_is(floor: float, outlook: str) -> None:
    assert plan(one(floor=floor), 200, basis(0.1), has_baseline=False).outlook == outlook


def test_what_nobody_knows_is_not_planned() -> None:
    found = plan(GatePolicy(metric=[MetricPolicy(evaluator="latency_ms", margin=5.0)]), 200, None)
    assert (found.outlook, found.power, found.items_needed) == ("unknown", None, None)
    assert "run an experiment first" in found.says
    assert plan(one(margin=0.05), 200, basis(0.1), has_baseline=False).outlook == "unknown"


def test_other_numbers_of_items_can_be_planned_and_priced() -> None:
    found = plan(one(margin=0.05), 100, basis(0.1), planned=400)
    assert (found.items, found.outlook) == (400, "enough")
    assert found.price_usd == Range(1 + 300 * 0.01, 2 + 300 * 0.02, 3 + 300 * 0.03)


@settings(max_examples=30, deadline=None)
@given(st.integers(30, 300), st.floats(0.03, 0.3), st.floats(0.02, 0.3))
def test_a_wider_margin_is_never_harder_to_pass(items: int, discordance: float, margin: float) -> None:
    assert pass_power(margin * 1.5, discordance, items, 0.05) >= pass_power(margin, discordance, items, 0.05) - 1e-9


def measured(scores: list[float] | list[list[float]], release: str = "r", **changes: object) -> Measured:
    trials = trials_of({"m": scores}, **changes)
    record = experiment_of(trials, release=release)
    return measure(record, trials, frame_items(plain_items(len(scores)), ()), ["m"])


def test_what_two_releases_showed_is_what_a_plan_goes_by() -> None:
    frame = frame_items(plain_items(100), ())
    ours, theirs = measured([float(n % 10 > 0) for n in range(100)]), measured([float(n % 10 > 1) for n in range(100)])
    found = basis_of_pair(MetricPolicy(evaluator="m", margin=0.1), ours, theirs, frame)
    assert found is not None
    assert (found.is_assumed, found.is_pass_fail) == (False, True)
    assert found.mean == pytest.approx(0.9)
    assert found.between == pytest.approx(0.1 * 0.9 * 100 / 99)
    assert basis_of_pair(MetricPolicy(evaluator="m", margin=0.1), ours, theirs, frame_items(plain_items(5), ())) is None


def test_what_was_never_measured_is_assumed_and_said_to_be() -> None:
    wanted = MetricPolicy(evaluator="m", margin=0.1)
    found = assumed_basis(wanted, M, [])
    assert found is not None
    assert (found.is_assumed, "run an experiment to know" in found.source) == (True, True)
    frame = frame_items(plain_items(100), ())
    known = assumed_basis(wanted, M, [(measured([0.5, 1.0] * 50), frame)])
    assert known is not None
    assert known.mean == pytest.approx(0.75)
    assert assumed_basis(MetricPolicy(evaluator="latency_ms", margin=5.0), LATENCY, []) is None
    assert assumed_basis(MetricPolicy(evaluator="latency_ms", relative_margin=0.1), LATENCY, []) is not None


def test_a_run_is_priced_by_the_estimate_and_further_items_by_what_they_cost_before() -> None:
    estimate = Estimate((CallEstimate("r", 0, 200, Range(0, 0, 0), "cached"),), ())
    before = measured([1.0] * 100, judges_usd=Decimal("0.01"))
    found = plan_price(estimate, [before], 100, 2, ["r"])
    assert found.of(100) == Range(0, 0, 0)
    assert found.of(110) == Range(pytest.approx(0.32), pytest.approx(0.4), pytest.approx(0.48))  # type: ignore[arg-type]
    new = plan_price(Estimate((CallEstimate("r", 100, 0, Range(1, 2, 3), "guessed"),), ()), [], 100, 1, ["r"])
    assert new.of(200) == Range(2, 4, 6)
    unknown = plan_price(Estimate((CallEstimate("r", 100, 0, None, "no price"),), ()), [], 100, 1, ["r"])
    assert (unknown.of(100), unknown.of(200), unknown.basis) == (None, None, ("no price",))


class FixedCosts:
    """An estimate that is always the same."""

    def estimate(self, actor: Principal, service: str, reference: str = "candidate", trials: int = 2) -> Estimate:
        return Estimate((CallEstimate(reference, 80, 0, Range(1, 2, 4), "guessed"),), ())


@pytest.fixture
def planning(metadata: Metadata, registry: Registry) -> Planning:
    return Planning(metadata, registry, FixedCosts())


def test_a_plan_assumes_until_an_experiment_was_run(
    planning: Planning, experiments: Experiments, admin: Principal, live: str
) -> None:
    before = planning.plan(admin, "triage", trials=1)
    assert (before.items, before.releases, before.metrics[0].is_assumed) == (40, 2, True)
    assert before.price_usd == Range(1, 2, 4)
    experiments.start(admin, "triage", trials=1)
    after = planning.plan(admin, "triage", trials=1)
    assert (after.metrics[0].is_assumed, "measured: releases" in after.metrics[0].basis) == (False, True)
    assert (after.power or 0) > (before.power or 0)


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"trials": 101}, {"items": 1}])
def test_plans_out_of_range_are_refused(planning: Planning, admin: Principal, live: str, wrong: dict[str, int]) -> None:
    with pytest.raises(Invalid):
        planning.plan(admin, "triage", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("sources", "power"), [(27, 1.0), (10, 0.0)])
def test_items_that_always_pass_pass_a_floor_as_soon_as_their_sources_are_enough(sources: int, power: float) -> None:
    known = Basis(0.001, 0.0, 0.0, 0.0, 1.0, 0.0, is_pass_fail=True, source="measured", is_assumed=False)
    chances = floor_chances(0.85, "higher", known, 0.05)
    assert chances.power(Size(216, sources, 2, 216 / sources)) == power


def test_clusters_that_change_are_tested_by_their_spread_and_not_counted() -> None:
    known = Basis(0.16, 0.05, 0.05, 0.0, 0.7, 0.2, is_pass_fail=True, source="measured", is_assumed=False)
    still = Basis(1e-4, 0.0, 0.0, 0.0, 0.7, 0.2, is_pass_fail=True, source="measured", is_assumed=False)
    size = Size(216, 27, 2, 8)
    assert [margin_chances(0.05, basis, 0.05).can_pass(size) for basis in (known, still)] == [True, False]
