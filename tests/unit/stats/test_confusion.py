"""Confusion matrix, sensitivity, specificity and Youden's index."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats.confusion import confusion_matrix, judge_accuracy
from zirkel.stats.proportion import clopper_pearson_interval

VERDICTS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def test_matrix_counts_labels_by_row_and_verdicts_by_column() -> None:
    found = confusion_matrix(["good", "bad", "bad", "odd"], ["good", "good", "bad", "bad"])
    assert found.categories == ("bad", "good", "odd")
    assert found.counts == ((1, 1, 0), (0, 1, 0), (1, 0, 0))
    assert json.loads(json.dumps(found.to_dict())) == {
        "categories": ["bad", "good", "odd"],
        "counts": [[1, 1, 0], [0, 1, 0], [1, 0, 0]],
    }


def test_sensitivity_and_specificity_have_exact_intervals() -> None:
    labels, judged = [True] * 20 + [False] * 10, [True] * 19 + [False] * 10 + [True]
    found = judge_accuracy(labels, judged)
    assert found.sensitivity == clopper_pearson_interval(19, 20)
    assert found.specificity == clopper_pearson_interval(9, 10)
    assert found.youden is not None
    assert found.youden.estimate == pytest.approx(0.85)
    assert found.warnings == (
        f"Youden's index may be as low as {found.youden.low:.2f}, below 0.5: the judge may be weak",
    )


@given(VERDICTS)
def test_a_side_without_labels_stays_unknown(verdicts: list[tuple[bool, bool]]) -> None:
    labels, judged = [label for label, _ in verdicts], [verdict for _, verdict in verdicts]
    found = judge_accuracy(labels, judged)
    assert (found.sensitivity is None) is (True not in labels)
    assert (found.specificity is None) is (False not in labels)
    assert (found.youden is None) is (len(set(labels)) < 2)
    if found.youden is not None:
        assert -1 <= found.youden.low <= found.youden.estimate <= found.youden.high <= 1
    else:
        assert "is not known" in found.warnings[0]


@given(VERDICTS)
def test_exchanging_pass_and_fail_exchanges_the_sides(verdicts: list[tuple[bool, bool]]) -> None:
    before = judge_accuracy([label for label, _ in verdicts], [verdict for _, verdict in verdicts])
    after = judge_accuracy([not label for label, _ in verdicts], [not verdict for _, verdict in verdicts])
    assert (before.sensitivity, before.specificity) == (after.specificity, after.sensitivity)


def test_a_judge_near_a_coin_is_called_weak() -> None:
    found = judge_accuracy([True, False] * 100, [True, True, False, False] * 50)
    assert "this judge is weak" in found.warnings[0]


def test_lists_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 labels and 1 verdicts"):
        confusion_matrix([1, 2], [1])
    with pytest.raises(ValueError, match="3 is not among"):
        confusion_matrix([1, 3], [1, 1], [1, 2])


@pytest.mark.nightly
def test_interval_of_youden_never_covers_too_seldom() -> None:
    random, runs, covered = np.random.default_rng(3), 2000, 0
    for _ in range(runs):
        labels = random.random(60) < 0.6
        judged = np.where(labels, random.random(60) < 0.9, random.random(60) > 0.8)
        youden = judge_accuracy(labels.tolist(), judged.tolist()).youden
        assert youden is not None
        covered += youden.low <= 0.7 <= youden.high
    assert covered / runs > 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)
