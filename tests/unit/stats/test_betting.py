"""Betting tests and betting confidence sequences."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats import BettingTest, Side, bernoulli_cs, bet_on, betting_cs

VALUES = st.lists(st.floats(-1, 1), min_size=1, max_size=60)
PATTERN = [1, 1, 1, 0, 1] * 40


@pytest.mark.parametrize(("n", "low", "high"), [(50, 0.624, 0.942), (100, 0.673, 0.915), (200, 0.707, 0.891)])
def test_sequence_equals_the_reference(n: int, low: float, high: float) -> None:
    # The authors' library, whose grid has steps of .001 and is widened by one.
    result = betting_cs(PATTERN[:n])
    assert (result.low, result.high) == pytest.approx((low, high), abs=1.1e-3)
    assert result.estimate == pytest.approx(0.8)
    assert (result.n, result.warnings) == (n, ())


@given(VALUES, st.integers(1, 59))
def test_later_intervals_lie_within_earlier_ones(values: list[float], cut: int) -> None:
    early, late = betting_cs(values[: cut + 1], low=-1), betting_cs(values, low=-1)
    if not late.warnings:
        assert early.low <= late.low + 1e-9
        assert late.high <= early.high + 1e-9


@given(VALUES)
def test_sequence_mirrors_scales_and_widens_with_confidence(values: list[float]) -> None:
    result = betting_cs(values, low=-1)
    mirrored = betting_cs([-value for value in values], low=-1)
    assert (mirrored.low, mirrored.high) == pytest.approx((-result.high, -result.low), abs=1e-6)
    scaled = betting_cs([10 * value + 5 for value in values], low=-5, high=15)
    assert (scaled.low, scaled.high) == pytest.approx((10 * result.low + 5, 10 * result.high + 5), abs=1e-6)
    assert -1 <= result.low <= result.high <= 1
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
    wide = betting_cs(values, low=-1, confidence=0.99)
    if not result.warnings and not wide.warnings:
        assert wide.high - wide.low >= result.high - result.low - 1e-9


def test_values_of_small_variance_get_a_much_narrower_interval() -> None:
    values = np.random.default_rng(1).uniform(0.45, 0.55, 500)
    bounded, pass_fail = betting_cs(values), bernoulli_cs(250, 500)
    assert bounded.high - bounded.low < 0.3 * (pass_fail.high - pass_fail.low)


def test_a_mean_that_changes_midway_is_told() -> None:
    result = betting_cs([0.0] * 300 + [1.0] * 3000)
    assert "contradict" in result.warnings[0]
    assert result.low <= result.high


@given(VALUES, st.data())
def test_values_one_by_one_or_at_once_come_to_the_same(values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    start = bet_on("greater", null=-0.05)
    once = start.update(values)
    parts = start.update(values[:cut]).update(values[cut:])
    single = start
    for value in values:
        single = single.update([value])
    for other in (parts, single):
        assert other.n == once.n
        assert other.log_wealth == pytest.approx(once.log_wealth, abs=1e-9)
        assert other.most_log_wealth == pytest.approx(once.most_log_wealth, abs=1e-9)


@given(VALUES, st.floats(-0.9, 0.9))
def test_betting_on_less_is_betting_on_more_of_the_opposite(values: list[float], null: float) -> None:
    less = bet_on("less", null=null).update(values)
    more = bet_on("greater", null=-null).update([-value for value in values])
    assert less.log_wealth == pytest.approx(more.log_wealth, abs=1e-9)


@given(VALUES)
def test_a_stored_state_goes_on_where_it_left_off(values: list[float]) -> None:
    test = bet_on("less", null=0.1).update(values)
    restored = BettingTest(**json.loads(json.dumps(test.to_dict(), allow_nan=False)))
    assert restored == test
    assert restored.update(values) == test.update(values)


@given(VALUES, st.floats(-0.9, 0.9))
def test_wealth_is_the_product_of_its_bets(values: list[float], null: float) -> None:
    # A slow obvious version on the unit interval.
    unit, m = [(value + 1) / 2 for value in values], (null + 1) / 2
    wealth, most = 1.0, 1.0
    for t, x in enumerate(unit):
        means = [(0.5 + sum(unit[: i + 1])) / (i + 2) for i in range(t)]
        mean = (0.5 + sum(unit[:t])) / (t + 1)
        variance = (0.25 + sum((u - mu) ** 2 for u, mu in zip(unit[:t], means, strict=True))) / (t + 1)
        stake = min(max((mean - m) / (variance + (mean - m) ** 2), 0.0), 0.5 / m)
        wealth *= 1 + stake * (x - m)
        most = max(most, wealth)
    test = bet_on("greater", null=null).update(values)
    assert test.e_value == pytest.approx(wealth, rel=1e-6)
    assert test.p_value == pytest.approx(1 / most, rel=1e-6)


def test_a_clear_difference_is_found_and_none_is_not() -> None:
    better = bet_on("greater", null=-0.05).update([0.0] * 200)
    assert better.e_value > 20
    assert bet_on("less", null=-0.05).update([0.0, -0.1] * 100).e_value <= 1
    assert bet_on("greater", null=0.0).update([0.0] * 200).e_value == 1


def test_wealth_beyond_all_numbers_is_cut_off() -> None:
    test = bet_on("greater", null=-0.5).update([1.0] * 5000)
    assert test.log_wealth > 1000
    assert math.isfinite(test.e_value)


def test_nothing_new_changes_nothing() -> None:
    test = bet_on("greater").update([0.2])
    assert test.update([]) is test


@pytest.mark.parametrize("null", [-1.0, 1.0, 2.0])
def test_a_null_at_or_beyond_the_bounds_is_refused(null: float) -> None:
    with pytest.raises(ValueError, match="between the bounds"):
        bet_on("greater", null=null)


def test_values_out_of_bounds_and_impossible_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"values\[1\] is 1.5"):
        bet_on("greater").update([0.0, 1.5])
    with pytest.raises(ValueError, match=r"values\[0\] is -0.5"):
        betting_cs([-0.5])
    with pytest.raises(ValueError, match="lower must be below"):
        betting_cs([0.5], low=1, high=1)
    with pytest.raises(ValueError, match="empty"):
        betting_cs([])
    with pytest.raises(ValueError, match="'up'"):
        bet_on("up")  # type: ignore[arg-type]


def null_values(random: np.random.Generator, n: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return differences of pass/fail items, 10 % of which change, with mean -0.05."""
    return random.choice([1.0, 0.0, -1.0], p=[0.025, 0.9, 0.075], size=n)


@pytest.mark.nightly
def test_e_value_has_mean_one_at_the_null() -> None:
    # At few items, where the wealth is not yet so skewed that its mean cannot be simulated.
    random, runs = np.random.default_rng(41), 20_000
    wealth = [bet_on("greater", null=-0.05).update(null_values(random, 20)).e_value for _ in range(runs)]
    assert np.mean(wealth) == pytest.approx(1, abs=4 * float(np.std(wealth)) / math.sqrt(runs))
    print(f"mean e-value {np.mean(wealth):.4f}, SE {np.std(wealth) / math.sqrt(runs):.4f}")


@pytest.mark.nightly
@pytest.mark.parametrize("side", ["greater", "less"])
def test_a_true_null_is_ever_rejected_no_more_often_than_alpha(side: Side) -> None:
    random, runs = np.random.default_rng(42), 2000
    rejected = sum(bet_on(side, null=-0.05).update(null_values(random, 2000)).p_value <= 0.05 for _ in range(runs))
    assert rejected / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    print(f"{side}: ever rejected {rejected / runs:.4f}")


@pytest.mark.nightly
def test_sequence_covers_at_all_looks() -> None:
    # The interval intersects all looks, so it covers at the end if and only if it always did.
    random, runs, covered = np.random.default_rng(43), 1500, 0
    for _ in range(runs):
        result = betting_cs(null_values(random, 1000), low=-1)
        covered += result.low <= -0.05 <= result.high and not result.warnings
    assert covered / runs >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / runs)
    print(f"betting sequence covers at all of 1000 looks: {covered / runs:.4f}")
