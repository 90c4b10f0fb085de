"""Segments of a data set."""

import json

import numpy as np
import pytest
from scipy import stats

from zirkel.stats import compare_segments, mcnemar, paired_difference


def test_each_segment_is_the_paired_difference_of_its_items() -> None:
    random = np.random.default_rng(1)
    new, old = random.random(60), random.random(60)
    segments = {"de": list(range(20)), "en": list(range(15, 60))}
    found = compare_segments(new, old, segments)
    assert [segment.segment for segment in found] == ["de", "en"]
    for segment in found:
        places = segments[segment.segment]
        alone = paired_difference(new[places], old[places])
        assert (segment.low, segment.high, segment.n) == (alone.low, alone.high, alone.n)
        assert segment.estimate == pytest.approx(alone.estimate)
        assert segment.p_value == pytest.approx(float(stats.ttest_rel(new[places], old[places]).pvalue))
        assert json.loads(json.dumps(segment.to_dict(), allow_nan=False)) == segment.to_dict()
    adjusted = stats.false_discovery_control([segment.p_value for segment in found])
    assert [segment.adjusted_p for segment in found] == pytest.approx(list(adjusted))


def test_pass_fail_items_are_tested_by_mcnemar() -> None:
    new, old = [1.0] * 9 + [0.0] * 1 + [1.0] * 10, [0.0] * 9 + [1.0] * 1 + [1.0] * 10
    (segment,) = compare_segments(new, old, {"all": range(20)})
    assert segment.p_value == pytest.approx(mcnemar(9, 1).p_mid)
    assert segment.stands_out


def test_one_real_change_stands_out_among_many_segments() -> None:
    random = np.random.default_rng(2)
    new, old = random.normal(size=1000), random.normal(size=1000)
    new[:50] += 1.5
    found = compare_segments(new, old, {f"s{i}": range(50 * i, 50 * i + 50) for i in range(20)})
    assert [segment.segment for segment in found if segment.stands_out] == ["s0"]


def test_segments_too_small_for_a_test_are_listed_without_one() -> None:
    found = compare_segments([1.0, 0.5, 0.2], [0.0, 0.5, 0.1], {"none": [], "one": [0], "two": [1, 2]})
    assert [segment.estimate for segment in found[:2]] == [None, 1.0]
    assert [segment.p_value for segment in found[:2]] == [None, None]
    assert "only 1 items" in found[1].warnings[0]
    assert found[2].adjusted_p == found[2].p_value


def test_clusters_are_respected_within_segments() -> None:
    new, old = np.repeat([1.0, 2.0, 4.0, 0.0], 3), np.zeros(12)
    labels = [f"doc {i // 3}" for i in range(12)]
    mixed, single = compare_segments(new, old, {"mixed": range(9), "single": range(3)}, labels)
    assert (mixed.method, mixed.n, mixed.n_clusters) == ("cr1_t", 9, 3)
    assert (single.p_value, single.n_clusters) == (None, 1)


def test_no_segment_is_no_result() -> None:
    assert compare_segments([1.0, 2.0], [0.0, 0.0], {}) == ()


@pytest.mark.parametrize("places", [[0, 0], [2], [-1]])
def test_positions_that_are_not_items_are_refused(places: list[int]) -> None:
    with pytest.raises(ValueError, match="segment 'a'"):
        compare_segments([1.0, 2.0], [0.0, 0.0], {"a": places})


def test_labels_that_do_not_fit_the_items_are_refused() -> None:
    with pytest.raises(ValueError, match="1 cluster labels for 2"):
        compare_segments([1.0, 2.0], [0.0, 0.0], {"a": [0, 1]}, ["x"])
