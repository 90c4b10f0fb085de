"""pass@k, pass^k and flip rate."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats import flip_rate, pass_at_k, pass_hat_k

ITEM = st.integers(2, 8).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("trials", "passes", "k", "expected"), [(20, 5, 10, 0.983746), (10, 3, 1, 0.3), (10, 3, 5, 0.916667)]
)
def test_pass_at_k_equals_the_reference(trials: int, passes: int, k: int, expected: float) -> None:
    assert pass_at_k([passes], [trials], k)[0] == pytest.approx(expected, abs=1e-6)


def test_pass_hat_k_equals_the_reference() -> None:
    assert pass_hat_k([6], [8], 4)[0] == pytest.approx(0.214286, abs=1e-6)


@given(st.lists(ITEM, min_size=1, max_size=4), st.integers(1, 2))
def test_values_are_shares_of_all_ways_to_choose_trials(items: list[tuple[int, int]], k: int) -> None:
    passes, trials = [c for c, _ in items], [n for _, n in items]
    for place, (c, n) in enumerate(items):
        ways = list(itertools.combinations([True] * c + [False] * (n - c), k))
        assert pass_at_k(passes, trials, k)[place] == pytest.approx(sum(map(any, ways)) / len(ways))
        assert pass_hat_k(passes, trials, k)[place] == pytest.approx(sum(map(all, ways)) / len(ways))
        pairs = list(itertools.combinations([True] * c + [False] * (n - c), 2))
        assert flip_rate(passes, trials)[place] == pytest.approx(sum(a != b for a, b in pairs) / len(pairs))


@given(ITEM)
def test_more_tries_help_and_more_needed_passes_hurt(item: tuple[int, int]) -> None:
    at = [pass_at_k([item[0]], [item[1]], k)[0] for k in range(1, item[1] + 1)]
    hat = [pass_hat_k([item[0]], [item[1]], k)[0] for k in range(1, item[1] + 1)]
    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(at))
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(hat))
    assert at[0] == pytest.approx(hat[0])


def test_many_items_are_computed_at_once() -> None:
    assert pass_at_k(np.arange(5), np.full(5, 4), 2).tolist() == pytest.approx([0, 0.5, 5 / 6, 1, 1])
    assert flip_rate([0, 1, 2, 4], [4, 4, 4, 4]).tolist() == pytest.approx([0, 0.5, 2 / 3, 0])


@pytest.mark.parametrize(
    ("passes", "trials", "k", "message"),
    [
        ([1, 5], [4, 4], 1, "item 1 has 5 passes in 4"),
        ([-1], [4], 1, "item 0"),
        ([1], [4], 5, "at least 5 trials"),
        ([1], [4], 0, "k is 0"),
        ([1, 2], [4], 1, "one count per item"),
    ],
)
def test_counts_that_cannot_be_are_named(passes: list[int], trials: list[int], k: int, message: str) -> None:
    for function in (pass_at_k, pass_hat_k):
        with pytest.raises(ValueError, match=message):
            function(passes, trials, k)


def test_one_trial_cannot_flip() -> None:
    with pytest.raises(ValueError, match="at least 2 trials"):
        flip_rate([1], [1])


@pytest.mark.nightly
def test_estimates_are_unbiased_where_the_plug_in_is_not() -> None:
    random, rate, n, k = np.random.default_rng(4), 0.7, 5, 3
    passes = random.binomial(n, rate, size=200_000)
    trials = np.full(passes.shape, n)
    error = 4 * 0.5 / np.sqrt(len(passes))
    assert pass_hat_k(passes, trials, k).mean() == pytest.approx(rate**k, abs=error)
    assert pass_at_k(passes, trials, k).mean() == pytest.approx(1 - (1 - rate) ** k, abs=error)
    assert flip_rate(passes, trials).mean() == pytest.approx(2 * rate * (1 - rate), abs=error)
    assert abs(((passes / n) ** k).mean() - rate**k) > 10 * error
