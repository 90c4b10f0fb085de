"""Which items people label next, and with which probability each was drawn."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats.label_chances import label_chances
from zirkel.stats.label_priorities import LabelPriorities, label_priorities
from zirkel.stats.prediction_powered import JudgedSample, PredictionPowered, ppi_difference, ppi_mean

Labels = list[float | None]
POOLS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0]),
        st.one_of(st.none(), st.sampled_from([0.0, 1.0])),
        st.floats(0.001, 0.999),
        st.floats(0.01, 1),
    ),
    min_size=1,
    max_size=60,
).filter(lambda pool: any(label is None for _, label, _, _ in pool))


def graded(n: int, seed: int) -> tuple[list[float], Labels]:
    """Return scores of a judge that errs at .5 and hardly ever at 0 and 1, with labels on every fourth item."""
    random = np.random.default_rng(seed)
    scores = random.choice([0.0, 0.5, 1.0], n)
    truth = (random.random(n) < 0.02 + 0.96 * scores).astype(float)
    return scores.tolist(), [float(y) if i % 4 == 0 else None for i, y in enumerate(truth)]


def uniform(n: int, seed: int) -> list[float]:
    return [float(number) for number in np.random.default_rng(seed).uniform(1e-9, 1 - 1e-9, n)]


def test_items_where_the_judge_errs_more_are_more_probable() -> None:
    scores, labels = graded(400, 1)
    found = label_priorities(scores, labels, uniform(400, 2), n_next=60, inclusion=[0.25] * 400)
    chances = dict(zip(scores, found.inclusion, strict=True))
    assert chances[0.0] == 0.25 < chances[0.5]
    assert found.label_error_now is not None
    assert found.label_error_next is not None
    assert found.label_error_next < found.label_error_now
    picked = [scores[place] for place in found.order[:60]]
    assert picked.count(0.5) > 30


def test_without_labels_the_order_is_a_simple_random_one() -> None:
    numbers = uniform(50, 3)
    found = label_priorities([0.0, 1.0] * 25, [None] * 50, numbers, n_next=10)
    assert list(found.order) == sorted(range(50), key=numbers.__getitem__)
    assert len(set(found.inclusion)) == 1
    assert found.label_error_next is None
    assert "the order is random" in found.warnings[0]


@given(POOLS, st.integers(1, 70))
def test_every_unlabelled_item_has_its_place_and_chances_never_fall(
    pool: list[tuple[float, float | None, float, float]], n_next: int
) -> None:
    scores, labels, numbers, before = (list(column) for column in zip(*pool, strict=True))
    found = label_priorities(scores, labels, numbers, n_next=n_next, inclusion=before)
    waiting = [place for place, label in enumerate(labels) if label is None]
    assert sorted(found.order) == waiting
    assert found.n_next == min(n_next, len(waiting))
    assert all(old <= new <= 1 for old, new in zip(before, found.inclusion, strict=True))
    if n_next >= len(waiting):
        assert set(found.inclusion) == {1.0}
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()


@given(POOLS, st.data())
def test_order_of_the_items_does_not_matter(
    pool: list[tuple[float, float | None, float, float]], data: st.DataObject
) -> None:
    pool = [(s, y, u + place / 1e6, p) for place, (s, y, u, p) in enumerate(pool)]
    moved = data.draw(st.permutations(pool))
    first, second = _by_number(pool), _by_number(moved)
    assert [number for number, _ in first] == [number for number, _ in second]
    assert [chance for _, chance in first] == pytest.approx([chance for _, chance in second])


def _by_number(pool: list[tuple[float, float | None, float, float]]) -> list[tuple[float, float]]:
    scores, labels, numbers, before = (list(column) for column in zip(*pool, strict=True))
    found = label_priorities(scores, labels, numbers, n_next=3, inclusion=before)
    return [(numbers[place], found.inclusion[place]) for place in found.order]


def test_more_labels_in_one_wave_begin_with_those_of_a_smaller_one() -> None:
    scores, labels = graded(200, 4)
    small = label_priorities(scores, labels, uniform(200, 5), n_next=10)
    large = label_priorities(scores, labels, uniform(200, 5), n_next=40)
    assert small.order == large.order


def test_labels_that_nobody_drew_stand_for_themselves() -> None:
    found = label_priorities([0.0] * 30, [1.0, *[None] * 29], uniform(30, 6), n_next=5)
    assert found.inclusion[0] == 1
    assert max(found.inclusion[1:]) < 1


@pytest.mark.parametrize("size", [2, 3, 5])
def test_labels_are_spread_over_clusters(size: int) -> None:
    n = 60 * size
    clusters = [i // size for i in range(n)]
    most = []
    for seed in range(20):
        found = label_priorities([0.0] * n, [None] * n, uniform(n, seed), n_next=60, clusters=clusters)
        most.append(max(np.bincount([clusters[place] for place in found.order[:60]])))
    assert max(most) <= 2


def test_chances_of_drawing_are_true() -> None:
    # Each item is drawn as often as the inclusion that it was drawn with says, over many sets of numbers.
    scores, labels = graded(80, 7)
    drawn, said = np.zeros(80), np.zeros(80)
    for seed in range(1500):
        found = label_priorities(scores, labels, uniform(80, seed), n_next=15, clusters=[i // 4 for i in range(80)])
        drawn[list(found.order[:15])] += 1
        said += found.inclusion
    free = [place for place, label in enumerate(labels) if label is None]
    assert drawn[free] / 1500 == pytest.approx(said[free] / 1500, abs=4 * math.sqrt(0.25 / 1500))


def test_a_paired_gate_asks_for_pairs_that_the_judge_tells_apart() -> None:
    random = np.random.default_rng(8)
    ours, theirs = random.integers(0, 2, 600).astype(float), random.integers(0, 2, 600).astype(float)
    theirs = np.where(random.random(600) < 0.7, ours, theirs)
    truth = np.where(random.random(600) < 0.3, 0.0, ours - theirs)
    labels: Labels = [float(v) if i < 150 else None for i, v in enumerate(truth)]
    found = label_priorities(ours, labels, uniform(600, 9), n_next=40, judged_baseline=theirs)
    apart = np.mean([ours[place] != theirs[place] for place in found.order[:40]])
    assert apart > 2 * np.mean(ours != theirs)


@given(POOLS, st.floats(0.5, 100))
def test_chances_sum_to_the_labels_wanted(
    pool: list[tuple[float, float | None, float, float]], n_labels: float
) -> None:
    scores, labels, _, before = (list(column) for column in zip(*pool, strict=True))
    chances = label_chances(scores, labels, n_labels, inclusion=before)
    assert np.all(chances > 0)
    assert np.all(chances <= 1)
    assert float(chances.sum()) == pytest.approx(min(n_labels, len(pool)))


@pytest.mark.parametrize(
    ("numbers", "n_next", "inclusion", "message"),
    [
        ([0.5, 0.5], 1, None, r"of \[2, 3\] items"),
        ([0.5, 0.0, 0.5], 1, None, "between 0 and 1"),
        ([0.5, 0.2, 0.7], 0, None, "n_next is 0"),
        ([0.5, 0.2, 0.7], 1, [0.5, 1.5, 0.5], "inclusion must lie"),
    ],
)
def test_input_that_does_not_fit_is_refused(
    numbers: list[float], n_next: int, inclusion: list[float] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        label_priorities([0, 1, 1], [None, 1, None], numbers, n_next=n_next, inclusion=inclusion)


def test_a_pool_with_every_label_has_nothing_to_ask() -> None:
    with pytest.raises(ValueError, match="nothing to label"):
        label_priorities([0, 1], [0, 1], [0.2, 0.3], n_next=1)


@pytest.mark.nightly
def test_asking_where_it_tells_most_narrows_the_interval_and_keeps_its_coverage() -> None:
    random, runs, mean = np.random.default_rng(20261123), 1000, 2 / 3
    asked: list[PredictionPowered] = []
    drawn: list[PredictionPowered] = []
    pairs: list[PredictionPowered] = []
    even: list[PredictionPowered] = []
    for _ in range(runs):
        scores = random.beta(0.4, 0.2, 1000)
        truth = (random.random(1000) < scores).astype(float)
        asked.append(_estimate(scores, truth, *_label(random, scores, truth)))
        drawn.append(_estimate(scores, truth, random.permutation(1000) < 150, None))
        ours = (random.random(1000) < 0.7).astype(float)
        theirs = np.where(random.random(1000) < 0.3, (random.random(1000) < 0.7).astype(float), ours)
        judged, rival = (np.where(random.random(1000) < 0.1, 1 - y, y) for y in (ours, theirs))
        pairs.append(_compare(judged, rival, ours, theirs, *_label(random, judged, ours - theirs, rival)))
        even.append(_compare(judged, rival, ours, theirs, random.permutation(1000) < 150, None))
    for name, truth_of, ask, random_ones in (("mean", mean, asked, drawn), ("difference", 0.0, pairs, even)):
        coverage = sum(each.low <= truth_of <= each.high for each in ask) / runs
        ratio = np.std([each.estimate for each in ask]) / np.std([each.estimate for each in random_ones])
        width = sum(each.high - each.low for each in ask) / sum(each.high - each.low for each in random_ones)
        print(f"{name}: coverage {coverage:.3f}, error {ratio:.3f} and width {width:.3f} of those of random labels")
        assert coverage > 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)
        assert ratio < 1
        assert width < 0.95


Booleans = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _label(
    random: np.random.Generator, scores: Floats, truth: Floats, rival: Floats | None = None
) -> tuple[Booleans, Floats]:
    """Return which items have a label after three waves of 50, and their chances."""
    labels: Labels = [None] * len(scores)
    numbers = random.uniform(1e-9, 1 - 1e-9, len(scores))
    chances: Floats | None = None
    for _ in range(3):
        found: LabelPriorities = label_priorities(
            scores, labels, numbers, n_next=50, judged_baseline=rival, inclusion=chances
        )
        for place in found.order[:50]:
            labels[place] = float(truth[place])
        chances = np.array(found.inclusion)
    assert chances is not None
    return np.array([label is not None for label in labels]), chances


def _estimate(scores: Floats, truth: Floats, known: Booleans, chances: Floats | None) -> PredictionPowered:
    inclusion = None if chances is None else chances[known]
    return ppi_mean(truth[known], scores[known], scores[~known], inclusion=inclusion)


def _compare(
    judged: Floats, rival: Floats, ours: Floats, theirs: Floats, known: Booleans, chances: Floats | None
) -> PredictionPowered:
    return ppi_difference(
        JudgedSample(ours[known], judged[known], judged[~known]),
        JudgedSample(theirs[known], rival[known], rival[~known]),
        inclusion=None if chances is None else chances[known],
    )
