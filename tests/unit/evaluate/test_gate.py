"""The gate: each verdict can be reached, and none without the evidence for it."""

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluate.measured import Scores, gate_inputs, plain_items, trials_of
from zirkel.core import GatePolicy, MetricPolicy
from zirkel.evaluate import GateDecision, decide
from zirkel.stats import proportion_lower_bound


def gate(
    policy: GatePolicy,
    candidate: Scores,
    baseline: Scores | None = None,
    *,
    cluster_size: int = 1,
    planned: int | None = None,
    baseline_planned: int | None = None,
) -> GateDecision:
    trials = trials_of(candidate)
    items = plain_items(len(next(iter(candidate.values()))), cluster_size)
    theirs = trials_of(baseline) if baseline is not None else None
    inputs = gate_inputs(policy, trials, theirs, items, planned=planned, baseline_planned=baseline_planned)
    return decide(inputs)


def margin(value: float = 0.05, **changes: object) -> GatePolicy:
    return GatePolicy(metric=[MetricPolicy(evaluator="m", margin=value, **changes)])  # type: ignore[arg-type]


def floor(value: float, direction: Literal["higher", "lower"] = "higher", **changes: object) -> GatePolicy:
    metric = MetricPolicy(evaluator="m", floor=value, direction=direction)
    return GatePolicy(metric=[metric], **changes)  # type: ignore[arg-type]


def passes(good: int, total: int) -> Scores:
    return {"m": [1.0] * good + [0.0] * (total - good)}


def test_no_worse_than_the_baseline_passes() -> None:
    decision = gate(margin(), passes(180, 200), passes(180, 200))
    assert decision.verdict == "PASS"
    assert "difference +0.000" in decision.reason
    assert "margin 0.05" in decision.reason


def test_better_than_the_baseline_is_superior() -> None:
    assert gate(margin(), passes(190, 200), passes(150, 200)).verdict == "SUPERIOR"


def test_worse_by_more_than_the_margin_fails() -> None:
    decision = gate(margin(), passes(120, 200), passes(180, 200))
    assert decision.verdict == "FAIL"
    assert decision.reason.startswith("m: difference -0.300")


def test_too_little_evidence_is_inconclusive_and_says_how_much_is_needed() -> None:
    decision = gate(margin(), passes(9, 10), passes(9, 10))
    assert decision.verdict == "INCONCLUSIVE"
    assert decision.metrics[0].items_needed is not None
    assert f"about {decision.metrics[0].items_needed} items would decide it" in decision.reason


def test_what_must_be_superior_does_not_pass_by_being_no_worse() -> None:
    policy = margin(must_be_superior=True)
    decision = gate(policy, passes(180, 200), passes(180, 200))
    assert (decision.verdict, "it must be superior" in decision.reason) == ("INCONCLUSIVE", True)
    assert gate(policy, passes(190, 200), passes(150, 200)).verdict == "SUPERIOR"


@pytest.mark.parametrize(("ours", "theirs", "verdict"), [(20, 50, "SUPERIOR"), (50, 20, "FAIL"), (20, 20, "PASS")])
def test_a_metric_may_be_better_when_lower(ours: int, theirs: int, verdict: str) -> None:
    assert gate(margin(direction="lower"), passes(ours, 200), passes(theirs, 200)).verdict == verdict


def test_scores_between_nought_and_one_are_tested_too() -> None:
    theirs = [0.5 + 0.1 * math.sin(n) for n in range(60)]
    assert gate(
        margin(), {"m": [value + 0.01 * math.cos(n) for n, value in enumerate(theirs)]}, {"m": theirs}
    ).verdict == ("PASS")
    worse = {"m": [value - 0.2 + 0.01 * math.cos(n) for n, value in enumerate(theirs)]}
    assert gate(margin(), worse, {"m": theirs}).verdict == "FAIL"


def test_items_of_one_source_count_less_than_independent_ones() -> None:
    ours = {"m": [1.0, 1.0, 1.0, 1.0] * 25}
    theirs = {"m": [1.0] * 100}
    assert gate(margin(), ours, theirs).verdict == "PASS"
    assert gate(margin(), ours, theirs, cluster_size=10).verdict == "INCONCLUSIVE"


def test_items_that_are_all_of_one_source_decide_nothing() -> None:
    policy = GatePolicy(metric=[MetricPolicy(evaluator="m", margin=0.05, floor=0.5)])
    decision = gate(policy, passes(200, 200), passes(100, 200), cluster_size=200)
    assert decision.verdict == "INCONCLUSIVE"
    assert "all 200 items scored are of one cluster" in decision.reason


@pytest.mark.parametrize(
    ("good", "bound", "verdict"), [(200, 0.98, "PASS"), (200, 0.99, "INCONCLUSIVE"), (150, 0.9, "FAIL")]
)
def test_a_floor_is_held_against_a_bound_and_not_against_the_mean(good: int, bound: float, verdict: str) -> None:
    decision = gate(floor(bound), passes(good, 200))
    assert decision.verdict == verdict
    assert f"floor {bound:g}" in decision.reason


@pytest.mark.parametrize(
    ("good", "bound", "verdict"), [(0, 0.02, "PASS"), (0, 0.01, "INCONCLUSIVE"), (50, 0.1, "FAIL")]
)
def test_a_ceiling_is_the_mirror_image(good: int, bound: float, verdict: str) -> None:
    decision = gate(floor(bound, "lower"), passes(good, 200))
    assert (decision.verdict, f"ceiling {bound:g}" in decision.reason) == (verdict, True)


@given(st.integers(2, 60), st.data())
def test_the_floor_of_independent_pass_fail_items_is_exact(total: int, data: st.DataObject) -> None:
    good = data.draw(st.integers(0, total))
    bound = proportion_lower_bound(good, total, alpha=0.05).low
    assert gate(floor(max(bound - 1e-9, 0.0)), passes(good, total)).verdict == "PASS"
    assert gate(floor(bound + 1e-9), passes(good, total)).verdict != "PASS"


def test_scores_that_are_all_alike_are_not_certain() -> None:
    assert gate(floor(0.5), {"m": [0.5] * 5}).verdict == "INCONCLUSIVE"
    assert gate(floor(0.5), {"m": [0.6] * 100}).verdict == "PASS"
    assert gate(floor(0.5), {"m": [0.3] * 100}).verdict == "FAIL"
    # Clustered scores that do not vary count by cluster.
    assert gate(floor(0.9), passes(100, 100), cluster_size=20).verdict == "INCONCLUSIVE"


def test_a_floor_of_scores_that_vary_uses_the_t_bound() -> None:
    values = [0.7 + 0.1 * math.sin(n) for n in range(50)]
    assert gate(floor(0.6), {"m": values}).verdict == "PASS"
    assert gate(floor(0.7), {"m": values}).verdict == "INCONCLUSIVE"
    assert gate(floor(0.8), {"m": values}).verdict == "FAIL"


def test_with_nothing_to_compare_with_a_floor_decides_and_a_margin_alone_does_not() -> None:
    both = GatePolicy(metric=[MetricPolicy(evaluator="m", margin=0.05, floor=0.5)])
    decision = gate(both, passes(190, 200))
    assert (decision.verdict, "the floor decides" in decision.reason) == ("PASS", True)
    alone = gate(margin(), passes(190, 200))
    assert (alone.verdict, "the policy gives no floor" in alone.reason) == ("INCONCLUSIVE", True)
    superior = GatePolicy(metric=[MetricPolicy(evaluator="m", margin=0.05, floor=0.5, must_be_superior=True)])
    assert gate(superior, passes(190, 200)).verdict == "INCONCLUSIVE"


def test_floor_and_margin_must_both_hold() -> None:
    both = GatePolicy(metric=[MetricPolicy(evaluator="m", margin=0.05, floor=0.97)])
    assert gate(both, passes(180, 200), passes(100, 200)).verdict == "FAIL"
    low = GatePolicy(metric=[MetricPolicy(evaluator="m", margin=0.05, floor=0.1)])
    assert gate(low, passes(100, 200), passes(180, 200)).verdict == "FAIL"
    assert gate(low, passes(190, 200), passes(100, 200)).verdict == "SUPERIOR"


def test_missing_answers_decide_nothing() -> None:
    decision = gate(margin(), passes(199, 199), passes(199, 199), planned=200)
    assert (decision.verdict, decision.metrics) == ("INCONCLUSIVE", ())
    assert decision.reason == "1 of 200 answers of the candidate are missing or errored; run zirkel eval again"


def test_a_baseline_that_is_not_finished_decides_nothing() -> None:
    decision = gate(margin(), passes(200, 200), passes(150, 150), baseline_planned=200)
    assert decision.verdict == "INCONCLUSIVE"
    assert decision.reason == "50 of 200 answers of the baseline are missing or errored; run zirkel eval again"


def test_fewer_items_than_the_policy_asks_for_decide_nothing() -> None:
    policy = GatePolicy(metric=[MetricPolicy(evaluator="m", margin=0.5)], minimum_items=30)
    decision = gate(policy, passes(20, 20), passes(20, 20))
    assert decision.verdict == "INCONCLUSIVE"
    assert "20 items are scored, the policy asks for 30" in decision.reason
    assert decision.metrics[0].items_needed == 30
    fewer_shared = gate(policy, passes(40, 40), passes(20, 20))
    assert "20 items are scored for both releases, the policy asks for 30" in fewer_shared.reason


def test_one_item_decides_nothing() -> None:
    assert "the policy asks for 2" in gate(floor(0.1), passes(1, 1)).reason


GOOD, WORSE, EQUAL = [1.0] * 200, [0.0] * 200, [1.0] * 100 + [0.0] * 100


@pytest.mark.parametrize(
    ("ours", "verdict", "told"),
    [
        ({"a": GOOD, "b": GOOD}, "PASS", {"a", "b"}),
        ({"a": GOOD, "b": WORSE}, "FAIL", {"b"}),
        ({"a": WORSE, "b": WORSE}, "FAIL", {"a", "b"}),
    ],
)
def test_every_metric_must_pass_by_itself(ours: Scores, verdict: str, told: set[str]) -> None:
    policy = GatePolicy(metric=[MetricPolicy(evaluator=name, margin=0.05) for name in ("a", "b")])
    decision = gate(policy, ours, {"a": GOOD, "b": GOOD})
    assert decision.verdict == verdict
    assert {part.partition(":")[0] for part in decision.reason.split("; ") if ": " in part} == told


def test_one_metric_that_is_superior_does_not_make_up_for_another() -> None:
    policy = GatePolicy(metric=[MetricPolicy(evaluator=name, margin=0.05) for name in ("a", "b")])
    theirs = {"a": EQUAL, "b": GOOD}
    assert gate(policy, {"a": GOOD, "b": GOOD}, theirs).verdict == "SUPERIOR"
    assert gate(policy, {"a": GOOD, "b": WORSE}, theirs).verdict == "FAIL"
    strict = GatePolicy(metric=[policy.metric[0], MetricPolicy(evaluator="b", margin=0.001)])
    assert gate(strict, {"a": GOOD, "b": GOOD}, theirs).verdict == "INCONCLUSIVE"


@given(st.integers(2, 80), st.data())
def test_more_passes_never_make_the_verdict_worse(total: int, data: st.DataObject) -> None:
    order = ["FAIL", "INCONCLUSIVE", "PASS"]
    policy = floor(data.draw(st.sampled_from([0.3, 0.5, 0.9])))
    good = data.draw(st.integers(0, total - 1))
    before, after = gate(policy, passes(good, total)).verdict, gate(policy, passes(good + 1, total)).verdict
    assert order.index(after) >= order.index(before)
