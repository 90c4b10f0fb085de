"""Non-inferiority that may be looked at after every item."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats import Direction, EarlyStop, early_stop, non_inferiority_binary

VALUES = st.lists(st.sampled_from([-1.0, 0.0, 0.0, 1.0]), min_size=1, max_size=200)


def until_decided(test: EarlyStop, values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[str, int]:
    for n, value in enumerate(values, start=1):
        test = test.update([float(value)])
        if test.verdict != "INCONCLUSIVE":
            return test.verdict, n
    return "INCONCLUSIVE", len(values)


def test_verdicts_follow_the_evidence() -> None:
    start = early_stop(margin=0.05)
    assert start.verdict == "INCONCLUSIVE"
    assert start.update([0.0] * 150).verdict == "PASS"
    assert start.update([0.0, 0.0, -1.0, 0.0] * 100).verdict == "FAIL"
    assert start.update([0.0, 1.0, 0.0, 0.0] * 100).verdict == "SUPERIOR"
    assert start.update([1.0, -1.0]).verdict == "INCONCLUSIVE"


@given(VALUES)
def test_lower_is_better_mirrors_the_early_verdict(values: list[float]) -> None:
    higher = early_stop(margin=0.1).update(values)
    lower = early_stop(margin=0.1, direction="lower").update([-value for value in values])
    assert lower.verdict == higher.verdict


@given(VALUES, VALUES)
def test_a_verdict_that_was_reached_stays(values: list[float], more: list[float]) -> None:
    before = early_stop(margin=0.1, alpha=0.2).update(values)
    after = before.update(more).verdict
    allowed = {"INCONCLUSIVE": {"INCONCLUSIVE", "PASS", "SUPERIOR", "FAIL"}, "PASS": {"PASS", "SUPERIOR", "FAIL"}}
    assert after in allowed.get(before.verdict, {before.verdict, "FAIL"})


def test_state_is_plain_json_with_the_policy() -> None:
    record = early_stop(margin=0.05, alpha=0.1).update([0.5, -0.25]).to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["verdict"], record["margin"], record["alpha"], record["n"]) == ("INCONCLUSIVE", 0.05, 0.1, 2)


@pytest.mark.parametrize(
    ("margin", "direction", "alpha", "message"),
    [
        (0.0, "higher", 0.05, "margin"),
        (1.5, "higher", 0.05, "between the bounds"),
        (0.1, "up", 0.05, "'up'"),
        (0.1, "higher", 0.6, "alpha"),
    ],
)
def test_an_impossible_policy_is_refused(margin: float, direction: Direction, alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        early_stop(margin=margin, direction=direction, alpha=alpha)


@pytest.mark.nightly
def test_a_candidate_at_the_margin_is_ever_passed_no_more_often_than_alpha_where_peeking_passes_many() -> None:
    random, runs, n = np.random.default_rng(51), 1000, 1000
    passed = peeked = 0
    for _ in range(runs):
        d = random.choice([1.0, 0.0, -1.0], p=[0.05, 0.85, 0.1], size=n)
        # The largest wealth so far decides, so looking once at the end tells whether any look would have passed.
        passed += early_stop(margin=0.05).update(d).verdict in ("PASS", "SUPERIOR")
        gained, lost = np.cumsum(d > 0), np.cumsum(d < 0)
        peeked += any(
            non_inferiority_binary(int(gained[i]), int(lost[i]), i + 1, margin=0.05).verdict in ("PASS", "SUPERIOR")
            for i in range(49, n, 50)
        )
    assert passed / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    assert peeked / runs > 0.1
    print(f"at the margin: ever passed {passed / runs:.4f}, peeking every 50 at a fixed-size test {peeked / runs:.4f}")


@pytest.mark.nightly
@pytest.mark.parametrize(("shares", "verdict"), [((0.05, 0.9, 0.05), "PASS"), ((0.02, 0.78, 0.2), "FAIL")])
def test_a_clear_case_stops_early(shares: tuple[float, float, float], verdict: str) -> None:
    random, runs = np.random.default_rng(52), 300
    found = [
        until_decided(early_stop(margin=0.05), random.choice([1.0, 0.0, -1.0], p=shares, size=1500))
        for _ in range(runs)
    ]
    right = sum(name == verdict or (verdict == "PASS" and name == "SUPERIOR") for name, _ in found) / runs
    assert right >= 0.9
    print(f"{verdict}: right {right:.3f}, median items {np.median([n for _, n in found]):.0f}")
