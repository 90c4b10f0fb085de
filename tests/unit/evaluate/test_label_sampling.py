"""The sample: each answer is in it as often as its probability says."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.evaluate.label_queue_sampling import Candidate, chances, draw, joined

RUNS = 4000
fractions = st.floats(0.01, 1.0)


def candidates(count: int) -> list[Candidate]:
    return [Candidate(f"i{n}", 0, (n * 7 % 11) / 10) for n in range(count)]


@given(st.lists(fractions, min_size=1, max_size=40), st.integers())
def test_as_many_are_drawn_as_the_probabilities_sum_to(total: list[float], seed: int) -> None:
    found = draw(candidates(len(total)), [0.0] * len(total), total, [False] * len(total), Random(seed))
    assert len(set(found)) == len(found)
    assert abs(len(found) - sum(total)) <= 1 + 1e-6


@given(st.lists(fractions, min_size=1, max_size=40), st.integers())
def test_what_is_certain_is_always_drawn(total: list[float], seed: int) -> None:
    sure = [1.0, *total]
    assert 0 in draw(candidates(len(sure)), [0.0] * len(sure), sure, [False] * len(sure), Random(seed))


def test_over_two_draws_each_answer_is_in_the_sample_as_often_as_said() -> None:
    count = 12
    first = [0.1 + 0.02 * n for n in range(count)]
    total = [min(1.0, chance + 0.05 * (n % 4)) for n, chance in enumerate(first)]
    counts: Counter[int] = Counter()
    for seed in range(RUNS):
        random = Random(seed)
        nothing = [0.0] * count
        earlier = set(draw(candidates(count), nothing, first, [False] * count, random))
        later = draw(candidates(count), first, total, [n in earlier for n in range(count)], random)
        assert earlier.isdisjoint(later)
        counts.update([*earlier, *later])
    for place, chance in enumerate(total):
        error = (chance * (1 - chance) / RUNS) ** 0.5
        assert counts[place] / RUNS == pytest.approx(chance, abs=4 * error)


def test_each_stretch_of_scores_has_its_share_of_the_sample() -> None:
    scored = [Candidate(f"i{n}", 0, float(n >= 80)) for n in range(100)]
    for seed in range(50):
        found = draw(scored, [0.0] * 100, [0.2] * 100, [False] * 100, Random(seed))
        assert sum(place >= 80 for place in found) == 4


def test_of_pairs_the_difference_is_what_is_spread_over() -> None:
    pairs = [Candidate(f"i{n}", 0, 1.0, float(n % 2)) for n in range(100)]
    for seed in range(50):
        found = draw(pairs, [0.0] * 100, [0.2] * 100, [False] * 100, Random(seed))
        assert sum(place % 2 for place in found) == 10


def test_without_labels_all_answers_are_alike() -> None:
    assert chances(candidates(50), [None] * 50, [0.0] * 50, 10) == [pytest.approx(0.2)] * 50


def test_where_the_judge_errs_answers_become_more_probable() -> None:
    scored = [Candidate(f"i{n}", 0, float(n % 2)) for n in range(200)]
    # Of those that it passes half are bad; those that it fails are bad indeed.
    labels: list[float | None] = [float(n % 4 == 1) if n < 80 else None for n in range(200)]
    found = chances(scored, labels, [0.4] * 200, 100)
    assert found[101] > found[100] >= 0.4


def test_no_probability_falls_by_drawing_more() -> None:
    earlier = [0.9, *[0.05] * 49]
    assert all(
        now >= before for now, before in zip(chances(candidates(50), [None] * 50, earlier, 10), earlier, strict=True)
    )


def test_a_label_that_somebody_chose_does_not_sway_the_draw() -> None:
    labels: list[float | None] = [*[1.0] * 30, *[None] * 20]
    assert chances(candidates(50), labels, [0.0] * 50, 10) == [pytest.approx(0.2)] * 50


def test_samples_of_the_same_answers_are_one_draw_and_others_are_independent() -> None:
    first, second = {("a", 0): 0.5, ("b", 0): 0.5}, {("a", 0): 0.2, ("b", 0): 0.2}
    same = joined([first, first], [[("a", 0)], [("a", 0)]])
    assert same == pytest.approx(first)
    both = joined([first, second], [[("a", 0)], [("b", 0)]])
    assert both == pytest.approx({("a", 0): 0.6, ("b", 0): 0.6})
    assert joined([first, {}], [[], []]) == {}


@given(st.integers(1, 60), st.integers(1, 80))
def test_the_probabilities_sum_to_what_is_wanted(count: int, wanted: int) -> None:
    found = chances(candidates(count), [None] * count, [0.0] * count, wanted)
    assert sum(found) == pytest.approx(min(wanted, count))
    assert all(0 < chance <= 1 for chance in found)
