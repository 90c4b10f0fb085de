"""Biases of a pairwise judge."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats.judge_bias import JudgedPair, Winner, judge_bias
from zirkel.stats.mean import mean_interval
from zirkel.stats.proportion import wilson_interval

WINNERS: list[Winner] = ["a", "b", "tie"]
PAIRS = st.lists(
    st.builds(
        JudgedPair,
        a_first=st.sampled_from(WINNERS),
        b_first=st.sampled_from([*WINNERS, None]),
        length_a=st.one_of(st.none(), st.integers(0, 500)),
        length_b=st.one_of(st.none(), st.integers(0, 500)),
        own=st.sampled_from(["a", "b", None]),
        reference=st.sampled_from([*WINNERS, None]),
    ),
    min_size=2,
    max_size=40,
)
OTHER: dict[Winner, Winner] = {"a": "b", "b": "a", "tie": "tie"}


def swapped(pair: JudgedPair) -> JudgedPair:
    """Return the same pair with the answers' names exchanged (asked in both orders)."""
    assert pair.b_first is not None
    return JudgedPair(
        a_first=OTHER[pair.b_first],
        b_first=OTHER[pair.a_first],
        length_a=pair.length_b,
        length_b=pair.length_a,
        own=None if pair.own is None else "b" if pair.own == "a" else "a",
        reference=pair.reference and OTHER[pair.reference],
    )


def both(winner: Winner, again: Winner, n: int) -> list[JudgedPair]:
    return [JudgedPair(winner, again)] * n


def test_swap_consistency_is_the_share_of_pairs_with_one_winner() -> None:
    found = judge_bias([*both("a", "a", 40), *both("tie", "tie", 5), *both("a", "b", 15), *both("b", "tie", 5)])
    assert found.swap_consistency == wilson_interval(45, 65)


def test_first_place_is_tested_on_the_pairs_that_lean() -> None:
    # 15 pairs choose the first answer twice, 5 the second twice; 40 choose the same answer twice.
    found = judge_bias([*both("a", "b", 15), *both("b", "a", 5), *both("a", "a", 20), *both("b", "b", 20)])
    assert found.position is not None
    assert found.position.rate == pytest.approx((15 * 2 + 40) / 120)
    assert found.position.p_value == pytest.approx(stats.binomtest(15, 20).pvalue)
    assert (found.position.n_verdicts, found.position.n_leaning) == (120, 20)
    # The interval is that of the mean over pairs, of which a third have 1 or 0 and the others a half.
    values = [1.0] * 15 + [0.0] * 5 + [0.5] * 40
    reference = mean_interval(values)
    assert (found.position.low, found.position.high) == pytest.approx((reference.low, reference.high))


def test_verdicts_of_one_order_have_the_plain_binomial_test_and_ties_are_left_out() -> None:
    pairs = [JudgedPair("a")] * 65 + [JudgedPair("b")] * 35 + [JudgedPair("tie")] * 10
    found = judge_bias(pairs)
    assert found.position is not None
    wilson = wilson_interval(65, 100)
    assert (found.position.rate, found.position.low, found.position.high) == (0.65, wilson.low, wilson.high)
    assert found.position.p_value == pytest.approx(stats.binomtest(65, 100).pvalue)
    assert found.swap_consistency is None
    assert "one order only" in found.warnings[0]


def test_a_judge_that_always_keeps_its_word_is_not_certain_to_have_no_bias() -> None:
    position = judge_bias([*both("a", "a", 4), *both("b", "b", 4)]).position
    assert position is not None
    assert (position.rate, position.p_value) == (0.5, 1)
    assert (position.low, position.high) == (wilson_interval(8, 16).low, wilson_interval(8, 16).high)


def test_pairs_of_one_item_are_one_unit_of_the_test() -> None:
    pairs = both("a", "b", 30)
    found = judge_bias([*pairs, *both("b", "a", 2)], [*["x"] * 15, *["y"] * 15, "z", "z"])
    assert found.position is not None
    assert (found.position.n_leaning, found.position.p_value) == (3, 1)
    assert found.swap_consistency is not None
    assert found.swap_consistency.n_clusters == 3


def test_longer_answers_that_win_are_seen() -> None:
    random = np.random.default_rng(4)
    pairs = []
    for _ in range(300):
        first, second = random.integers(50, 500, 2)
        longer: Winner = "a" if first > second else "b"
        winner = longer if random.random() < 0.8 else OTHER[longer]
        pairs.append(
            JudgedPair(winner, winner, int(first), int(second), reference="a" if random.random() < 0.5 else "b")
        )
    length = judge_bias(pairs).length
    assert length is not None
    assert length.longer_wins is not None
    assert length.reference_correlation is not None
    assert length.longer_wins.low < 0.8 < length.longer_wins.high
    assert length.correlation.low > 0.3
    assert length.reference_correlation.low < 0 < length.reference_correlation.high


def test_correlation_is_around_0_whatever_the_answers_are_called() -> None:
    pairs = [JudgedPair("a", "a", 9, 0), JudgedPair("a", "a", 99, 0), JudgedPair("b", "b", 9, 0)] * 4
    length = judge_bias(pairs).length
    assert length is not None
    # Log ratios 1, 2, 1 (base 10), verdicts 1, 1, -1.
    assert length.correlation.estimate == pytest.approx(2 / math.sqrt(6 * 3))


def test_self_preference_is_what_the_reference_does_not_see() -> None:
    ours = [JudgedPair("a", "a", own="a", reference="a")] * 30 + [JudgedPair("b", "b", own="b", reference="a")] * 20
    rest = [JudgedPair("b", "b", own="a", reference="b")] * 40 + [JudgedPair("a", "b", own="b", reference="tie")] * 10
    preference = judge_bias([*ours, *rest]).self_preference
    assert preference is not None
    assert preference.excess is not None
    assert preference.reference_win_rate is not None
    assert preference.win_rate.estimate == pytest.approx(0.55)
    assert preference.reference_win_rate.estimate == pytest.approx(0.35)
    assert preference.excess.estimate == pytest.approx(0.2)
    assert preference.excess.low > 0


def test_without_a_reference_a_winning_family_may_simply_be_better() -> None:
    found = judge_bias([JudgedPair("a", "a", own="a")] * 9 + [JudgedPair("b", "b", own="a")] * 9)
    assert found.self_preference is not None
    assert found.self_preference.excess is None
    assert "may simply be better" in found.warnings[0]


@given(PAIRS)
def test_names_of_the_answers_do_not_matter(pairs: list[JudgedPair]) -> None:
    pairs = [replace(pair, b_first=pair.b_first or pair.a_first) for pair in pairs]
    before = judge_bias(pairs)
    after = judge_bias([swapped(pair) if place % 2 else pair for place, pair in enumerate(pairs)])
    assert after.swap_consistency == before.swap_consistency
    assert after.position == before.position
    assert (after.length is None) == (before.length is None)
    if before.length and after.length:
        assert after.length.correlation.estimate == pytest.approx(before.length.correlation.estimate, abs=1e-9)
    if before.self_preference and after.self_preference:
        assert after.self_preference.win_rate.estimate == pytest.approx(before.self_preference.win_rate.estimate)


@given(PAIRS)
def test_results_are_plain_json_and_intervals_hold_their_estimate(pairs: list[JudgedPair]) -> None:
    found = judge_bias(pairs)
    record = found.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    if found.position:
        assert 0 <= found.position.low <= found.position.rate + 1e-12
        assert found.position.rate - 1e-12 <= found.position.high <= 1
    if found.length:
        assert (
            -1
            <= found.length.correlation.low
            <= found.length.correlation.estimate
            <= found.length.correlation.high
            <= 1
        )


@pytest.mark.parametrize(
    ("pairs", "clusters", "message"),
    [
        ([JudgedPair("a")], None, "1 pairs"),
        ([JudgedPair("a")] * 3, ["x", "x", "x"], "at least 2 clusters"),
        ([JudgedPair("a")] * 3, ["x"], "1 cluster labels"),
        ([JudgedPair("a", length_a=-1, length_b=3)] * 2, None, "cannot be negative"),
    ],
)
def test_pairs_that_tell_nothing_are_refused(pairs: list[JudgedPair], clusters: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge_bias(pairs, clusters)


@pytest.mark.nightly
def test_test_of_position_and_interval_of_length_keep_their_levels() -> None:
    random, runs = np.random.default_rng(8), 1500
    rejected = covered = 0
    for _ in range(runs):
        lengths = random.lognormal(5, 0.6, (120, 2))
        lean = 0.8 * np.log(lengths[:, 0] / lengths[:, 1]) + random.logistic(size=120)
        pairs = []
        for (first, second), value in zip(lengths, lean, strict=True):
            true: Winner = "a" if value > 0 else "b"
            verdicts = [true if random.random() < 0.8 else OTHER[true] for _ in range(2)]
            pairs.append(JudgedPair(verdicts[0], verdicts[1], float(first), float(second)))
        found = judge_bias(pairs)
        assert found.position is not None
        assert found.length is not None
        rejected += found.position.p_value < 0.05
        covered += found.length.correlation.low <= TRUE_CORRELATION <= found.length.correlation.high
    print(f"position test rejects {rejected / runs:.3f}, length interval covers {covered / runs:.3f}")
    assert rejected / runs < 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    assert covered / runs == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / runs))


TRUE_CORRELATION = 0.2232
"""Of the simulation above, from four million pairs."""
