"""Paired differences and McNemar's test."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats import Alternative, mcnemar, mean_interval, paired_difference, t_p_value

PAIRS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=60)
COUNT = st.integers(0, 400)


def test_difference_of_pass_rates_equals_the_reference() -> None:
    # Only the candidate passed 10, only the baseline 2, of 100.
    result = paired_difference([1] * 10 + [0] * 2 + [1] * 88, [0] * 10 + [1] * 2 + [1] * 88)
    assert result.estimate == pytest.approx(0.08)
    assert result.standard_error == pytest.approx(0.0338744, abs=1e-7)
    assert result.warnings == ()


def test_differences_are_clustered_like_scores() -> None:
    scores, four = [1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    result = paired_difference(scores, [0] * 12, four)
    assert result.standard_error == pytest.approx(0.235702, abs=1e-6)
    assert (result.method, result.n_clusters, result.degrees_of_freedom) == ("cr1_t", 4, 3)


@given(PAIRS)
def test_interval_is_the_one_of_scipy(pairs: list[tuple[int, int]]) -> None:
    new, old = np.array(pairs, dtype=np.float64).T
    result = paired_difference(new, old)
    if result.standard_error == 0:
        assert np.ptp(new - old) == 0
        return
    reference = stats.ttest_rel(new, old).confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((reference.low, reference.high), rel=1e-9, abs=1e-9)


@given(PAIRS, st.booleans())
def test_swapping_the_versions_flips_the_sign(pairs: list[tuple[int, int]], clustered: bool) -> None:
    new, old = np.array(pairs, dtype=np.float64).T
    labels = [i % 2 for i in range(len(pairs))] if clustered else None
    there, back = paired_difference(new, old, labels), paired_difference(old, new, labels)
    assert (back.estimate, back.low, back.high) == pytest.approx((-there.estimate, -there.high, -there.low), abs=1e-12)
    assert back.standard_error == pytest.approx(there.standard_error)
    assert back.warnings == there.warnings


@given(PAIRS, st.data())
def test_order_of_items_does_not_matter(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(pairs))
    before, after = (paired_difference(*np.array(p, dtype=np.float64).T) for p in (pairs, shuffled))
    assert (after.low, after.high) == pytest.approx((before.low, before.high), abs=1e-9)


def test_pairing_is_narrower_than_two_separate_means_when_items_differ_in_difficulty() -> None:
    random = np.random.default_rng(1)
    difficulty = random.uniform(size=200)
    new, old = (difficulty + random.normal(0, 0.05, 200) for _ in range(2))
    separate = np.hypot(mean_interval(new).standard_error, mean_interval(old).standard_error)
    assert paired_difference(new, old).standard_error < separate / 3


def test_rounding_is_not_taken_for_variation() -> None:
    result = paired_difference([0.3, 0.8, 0.9, 0.7] * 10, [0.1, 0.6, 0.7, 0.5] * 10)
    assert result.standard_error == 0
    assert result.estimate == pytest.approx(0.2)
    assert "do not vary" in result.warnings[-1]


@pytest.mark.parametrize(("n_changed", "warned"), [(0, False), (1, True), (9, True), (10, False)])
def test_few_changed_items_are_told(n_changed: int, warned: bool) -> None:
    result = paired_difference([1.0] * 200, [0.0] * n_changed + [1.0] * (200 - n_changed))
    assert any(f"only {n_changed} of 200 items changed" in warning for warning in result.warnings) is warned


def test_versions_on_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        paired_difference([1.0, 2.0, 3.0], [1.0, 2.0])


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_pairs_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        paired_difference(values, values)


def test_the_version_with_a_missing_score_is_named() -> None:
    with pytest.raises(ValueError, match=r"baseline\[0\] is nan"):
        paired_difference([1.0, 2.0], [float("nan"), 2.0])


def test_mcnemar_equals_the_published_numbers() -> None:
    result = mcnemar(10, 2)
    assert result.p_exact == pytest.approx(0.0385742, abs=1e-7)
    assert result.p_mid == pytest.approx(0.0224609, abs=1e-7)
    # Agresti, approval of the prime minister: 86 and 150 changed their mind.
    assert mcnemar(86, 150).p_exact == pytest.approx(3.72e-5, abs=1e-7)
    assert mcnemar(86, 150).chi_square == pytest.approx(17.3559, abs=1e-4)
    assert mcnemar(86, 150).p_chi_square == pytest.approx(3.10e-5, abs=1e-7)
    assert mcnemar(86, 150).to_dict()["n_only_second"] == 150


@given(COUNT, COUNT)
def test_mcnemar_is_the_binomial_test_and_symmetric(b: int, c: int) -> None:
    result, swapped = mcnemar(b, c), mcnemar(c, b)
    assert (result.p_exact, result.p_mid) == (swapped.p_exact, swapped.p_mid)
    assert 0 <= result.p_mid <= result.p_exact <= 1
    if b + c:
        assert result.p_exact == pytest.approx(stats.binomtest(b, b + c).pvalue, rel=1e-9)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_mcnemar_without_disagreement_finds_nothing() -> None:
    assert (mcnemar(0, 0).p_exact, mcnemar(0, 0).p_mid) == (1, 1)


def test_mcnemar_gets_surer_with_a_more_lopsided_split() -> None:
    values = [mcnemar(30 - fewer, fewer).p_mid for fewer in range(16)]
    assert all(first < second for first, second in pairwise(values))


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 3)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@given(pairs=PAIRS, null=st.integers(-5, 5))
def test_p_value_is_the_one_of_scipy(alternative: Alternative, pairs: list[tuple[int, int]], null: int) -> None:
    new, old = np.array(pairs, dtype=np.float64).T
    result = paired_difference(new, old)
    if result.standard_error > 0:
        reference = float(stats.ttest_1samp(new - old, null, alternative=alternative).pvalue)
        assert t_p_value(result, null=null, alternative=alternative) == pytest.approx(reference, rel=1e-6, abs=1e-12)


def test_p_value_respects_clusters() -> None:
    values, labels = np.repeat([1.0, 2.0, 4.0, -1.0], 5), np.repeat(np.arange(4), 5)
    clustered = t_p_value(paired_difference(values, np.zeros(20), labels))
    assert clustered == pytest.approx(float(stats.ttest_1samp([1.0, 2.0, 4.0, -1.0], 0).pvalue))


def test_p_value_without_variation_is_the_sign_test() -> None:
    always, never = paired_difference([1.0] * 5, [0.0] * 5), paired_difference([1.0] * 5, [1.0] * 5)
    assert t_p_value(always) == pytest.approx(2 * 0.5**5)
    assert t_p_value(always, alternative="greater") == pytest.approx(0.5**5)
    assert t_p_value(always, alternative="less") == t_p_value(never) == 1


def test_an_unknown_alternative_of_a_p_value_is_refused() -> None:
    with pytest.raises(ValueError, match="'up'"):
        t_p_value(paired_difference([1.0, 2.0], [0.0, 0.0]), alternative="up")  # type: ignore[arg-type]


@pytest.mark.nightly
@pytest.mark.parametrize(("n", "discordance"), [(50, 0.3), (200, 0.1)])
def test_mcnemar_rejects_equal_versions_no_more_often_than_alpha(n: int, discordance: float) -> None:
    # The unpaired z test, which ignores the pairing, is far too cautious, and so loses power.
    random, runs = np.random.default_rng(62), 20_000
    half = discordance / 2
    counts = random.multinomial(n, [half, half, 0.8 - half, 0.2 - half], size=runs)
    tests = [mcnemar(int(b), int(c)) for b, c, _, _ in counts]
    exact = float(np.mean([test.p_exact <= 0.05 for test in tests]))
    mid = float(np.mean([test.p_mid <= 0.05 for test in tests]))
    rates = (counts[:, 0] + counts[:, 2]) / n, (counts[:, 1] + counts[:, 2]) / n
    pooled = (rates[0] + rates[1]) / 2
    unpaired = float(np.mean(np.abs(rates[0] - rates[1]) > 1.96 * np.sqrt(2 * pooled * (1 - pooled) / n)))
    error = 4 * np.sqrt(0.05 * 0.95 / runs)
    assert exact <= mid <= 0.05 + error
    assert unpaired < mid
    print(f"n {n}, discordance {discordance}: exact {exact:.4f}, mid-p {mid:.4f}, unpaired z {unpaired:.4f}")
