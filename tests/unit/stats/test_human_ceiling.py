"""A judge beside people, and people beside each other."""

import json

import numpy as np
import pytest

from zirkel.stats.human_ceiling import human_ceiling
from zirkel.stats.ratings import Rating


def test_judge_is_compared_with_people_on_the_same_items() -> None:
    people: list[list[Rating | None]] = [[1, 1, 0, 0, 1], [1, 0, 0, 0, None], [1, 1, 0, 1, 1]]
    found = human_ceiling([1, 1, 0, 0, None], people)
    # Pairs of people agree on 1, 1/3, 1, 1/3; the judge with 1, 2/3, 1, 2/3 of them.
    assert found.human.estimate == pytest.approx(2 / 3)
    assert found.judge.estimate == pytest.approx(5 / 6)
    assert found.difference.estimate == pytest.approx(1 / 6)
    assert found.human.n == 4
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()


def test_a_judge_that_is_one_of_the_people_is_at_the_ceiling() -> None:
    random = np.random.default_rng(1)
    truth = random.random(4000) < 0.6
    people = [[int(v) for v in np.where(random.random(4000) < 0.2, ~truth, truth)] for _ in range(4)]
    found = human_ceiling(people[0], people[1:])
    assert found.difference.low < 0 < found.difference.high
    assert found.human.estimate == pytest.approx(0.68, abs=0.02)


def test_near_misses_count_on_a_scale_with_an_order() -> None:
    people: list[list[Rating | None]] = [[1, 3, 5, 2], [1, 3, 5, 2]]
    strict = human_ceiling([2, 4, 4, 3], people, categories=[1, 2, 3, 4, 5])
    lenient = human_ceiling([2, 4, 4, 3], people, "ordinal", categories=[1, 2, 3, 4, 5])
    assert (strict.judge.estimate, lenient.judge.estimate) == pytest.approx((0, 0.75))
    assert lenient.human.estimate == 1


def test_clusters_are_those_of_the_items_that_count() -> None:
    people: list[list[Rating | None]] = [[1, None, 0, 0, 1], [1, None, 1, 0, 0]]
    found = human_ceiling([1, 1, 0, 1, 1], people, clusters=["a", "x", "a", "b", "c"])
    assert found.difference.n_clusters == 3


@pytest.mark.parametrize(
    ("judged", "people", "message"),
    [([1, 1, 1], [[1, 1], [1, 1]], "3 verdicts"), ([1, 1], [[1, 1], [1, None]], "1 values")],
)
def test_items_that_cannot_be_compared_are_refused(
    judged: list[Rating | None], people: list[list[Rating | None]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        human_ceiling(judged, people)
