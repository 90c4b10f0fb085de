"""Means of labels that a judge's scores make more precise."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats import mean_interval, non_inferiority, wilson_interval
from zirkel.stats.prediction_powered import JudgedSample, PredictionPowered, ppi_difference, ppi_mean

# Counts of label and judge: 11, 10, 01, 00; then the judge alone.
LABELS = [1] * 127 + [0] * 73
JUDGED = [1] * 106 + [0] * 21 + [1] * 9 + [0] * 64
OTHERS = [1] * 1268 + [0] * 732
VALUES = st.floats(-100, 100).map(lambda x: round(x, 3))
SAMPLES = st.tuples(
    st.lists(st.tuples(VALUES, VALUES), min_size=3, max_size=40), st.lists(VALUES, min_size=1, max_size=40)
)


def estimate(sample: tuple[list[tuple[float, float]], list[float]], weight: float | None = None) -> PredictionPowered:
    pairs, others = sample
    return ppi_mean([y for y, _ in pairs], [j for _, j in pairs], others, weight=weight)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (None, (0.672863, 0.622825, 0.722902)),
        (1.0, (0.694, 0.636924, 0.751076)),
        (0.0, (0.635, 0.568278, 0.701722)),
    ],
)
def test_normal_interval_equals_that_of_ppi_python(weight: float | None, expected: tuple[float, float, float]) -> None:
    found = ppi_mean(LABELS, JUDGED, OTHERS, weight=weight, interval="normal")
    assert (found.estimate, found.low, found.high) == pytest.approx(expected, abs=1e-5)


def test_what_was_used_is_told() -> None:
    found = ppi_mean(LABELS, JUDGED, OTHERS)
    assert (found.n, found.n_unlabelled, found.method, found.warnings) == (200, 2000, "ppi++_t", ())
    assert (found.judge_estimate, found.label_estimate) == pytest.approx((1383 / 2200, 0.635))
    assert found.weight == pytest.approx(0.64175, abs=1e-5)
    assert 300 < found.effective_labels < 356
    assert found.low < 0.622825 < 0.722902 < found.high
    assert "equal probability" in found.assumptions[0]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()


def test_interval_is_one_that_the_gate_takes() -> None:
    found = ppi_mean(LABELS, JUDGED, OTHERS)
    assert non_inferiority(found, margin=0.05).verdict == "SUPERIOR"


@given(SAMPLES)
def test_weight_0_is_the_mean_of_the_labels(sample: tuple[list[tuple[float, float]], list[float]]) -> None:
    labels = [y for y, _ in sample[0]]
    if set(labels) <= {0.0, 1.0}:
        return
    found, plain = estimate(sample, 0.0), mean_interval(labels)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), rel=1e-6, abs=1e-6)
    assert found.effective_labels == pytest.approx(len(labels))


@given(SAMPLES, st.sampled_from([None, 0.0, 0.5, 1.0]))
def test_estimate_is_the_formula(sample: tuple[list[tuple[float, float]], list[float]], weight: float | None) -> None:
    found = estimate(sample, weight)
    pairs, others = sample
    expected = found.weight * np.mean(others) + np.mean([y - found.weight * j for y, j in pairs])
    assert found.estimate == pytest.approx(float(expected), abs=1e-6)
    if weight is None:
        assert 0 <= found.weight <= 1
    else:
        assert found.weight == pytest.approx(weight)


@given(SAMPLES, st.floats(-50, 50))
def test_a_shift_of_the_judge_is_corrected_away(
    sample: tuple[list[tuple[float, float]], list[float]], shift: float
) -> None:
    pairs, others = sample
    moved = ([(y, j + shift) for y, j in pairs], [j + shift for j in others])
    before, after = estimate(sample), estimate(moved)
    assert (after.low, after.high) == pytest.approx((before.low, before.high), rel=1e-4, abs=1e-4)


@given(SAMPLES, st.data())
def test_order_of_items_does_not_matter(
    sample: tuple[list[tuple[float, float]], list[float]], data: st.DataObject
) -> None:
    before = estimate(sample)
    after = estimate((data.draw(st.permutations(sample[0])), data.draw(st.permutations(sample[1]))))
    assert (after.low, after.high) == pytest.approx((before.low, before.high), rel=1e-6, abs=1e-6)


@given(SAMPLES)
def test_clusters_of_one_item_change_nothing(sample: tuple[list[tuple[float, float]], list[float]]) -> None:
    pairs, others = sample
    alone = ppi_mean(
        [y for y, _ in pairs], [j for _, j in pairs], others, clusters=list(range(len(pairs) + len(others)))
    )
    plain = estimate(sample)
    assert (alone.low, alone.high) == pytest.approx((plain.low, plain.high), rel=1e-6, abs=1e-6)


@given(SAMPLES, st.floats(0.01, 1))
def test_equal_chances_are_no_chances(sample: tuple[list[tuple[float, float]], list[float]], chance: float) -> None:
    pairs, others = sample
    given_weight, n, n_others = 0.4, len(pairs), len(others)
    labels, judged = [y for y, _ in pairs], [j for _, j in pairs]
    plain = ppi_mean(labels, judged, others, weight=given_weight)
    # With chances the judge's mean is over all items, of which the labelled are a part.
    weighted = ppi_mean(labels, judged, others, inclusion=[chance] * n, weight=given_weight * (n + n_others) / n_others)
    assert weighted.estimate == pytest.approx(plain.estimate, abs=1e-6)
    assert (weighted.low, weighted.high) == pytest.approx((plain.low, plain.high), rel=1e-6, abs=1e-6)


def test_labels_that_were_rarely_drawn_weigh_more() -> None:
    # 10 of 100 items that the judge fails were labelled, and 50 of 100 that it passes.
    labels = [0.0] * 6 + [1.0] * 4 + [1.0] * 45 + [0.0] * 5
    judged = [0.0] * 10 + [1.0] * 50
    found = ppi_mean(labels, judged, [0.0] * 90 + [1.0] * 50, inclusion=[0.1] * 10 + [0.5] * 50)
    assert found.estimate == pytest.approx((0.4 + 0.9) / 2)
    assert "given probabilities" in found.assumptions[0]
    # Kish: (10 * 10 + 50 * 2)^2 / (10 * 100 + 50 * 4) = 33.3 labels, less 2.
    assert found.degrees_of_freedom == 31


def test_copies_in_a_cluster_add_no_evidence() -> None:
    labels = [float(i % 3 > 0) + i % 5 for i in range(60)]
    judged = [label + (i % 4 == 0) for i, label in enumerate(labels)]
    others = [float(i % 5) for i in range(90)]
    once = ppi_mean(labels, judged, others, weight=0.5, clusters=[*range(60), *range(100, 190)])
    often = ppi_mean(
        labels * 4, judged * 4, others * 4, weight=0.5, clusters=[*[*range(60)] * 4, *[*range(100, 190)] * 4]
    )
    assert (often.low, often.high) == pytest.approx((once.low, once.high), rel=1e-9)
    assert often.naive_standard_error < 0.6 * often.standard_error
    assert often.method == "ppi_cr1_t"


def test_a_judge_that_says_nothing_is_ignored() -> None:
    constant = ppi_mean(LABELS, [1] * 200, [1] * 2000)
    assert (constant.weight, constant.method) == (0, "labels_t")
    against = ppi_mean(LABELS, [1 - j for j in JUDGED], [1 - j for j in OTHERS])
    assert (against.weight, against.effective_labels) == pytest.approx((0, 200))
    everything = ppi_mean(LABELS, JUDGED, [])
    assert (everything.estimate, everything.weight, everything.n_unlabelled) == (0.635, 0, 0)


def test_a_judge_that_made_no_error_so_far_is_not_taken_for_perfect() -> None:
    labels = [1.0] * 35 + [0.0] * 15
    found = ppi_mean(labels, labels, [1.0] * 70_000 + [0.0] * 30_000)
    paper = ppi_mean(labels, labels, [1.0] * 70_000 + [0.0] * 30_000, interval="normal")
    assert paper.high - paper.low < 0.01
    assert found.high - found.low > 0.04


def test_few_labels_and_labels_all_alike_are_told() -> None:
    found = ppi_mean([1, 1, 1], [1, 0, 1], [1, 0])
    assert found.warnings == (
        "only 3 labels: below 50 the interval may be too narrow",
        "all labels are alike: they cannot tell how the judge errs",
    )
    labels = [float(i % 2) for i in range(100)]
    clustered = ppi_mean(labels, labels, [1.0, 0.0], clusters=[*[i // 4 for i in range(100)], 50, 51])
    assert clustered.warnings == ("only 25 clusters with labels: below 50 the interval may be too narrow",)


def test_difference_of_two_systems_is_the_mean_of_differences() -> None:
    random = np.random.default_rng(1)
    new, old = random.normal(3, 1, 150), random.normal(2.8, 1, 150)
    judged_new, judged_old = new + random.normal(0, 0.3, 150), old + random.normal(0, 0.3, 150)
    both = ppi_difference(
        JudgedSample(new[:50], judged_new[:50], judged_new[50:]),
        JudgedSample(old[:50], judged_old[:50], judged_old[50:]),
    )
    differences = judged_new - judged_old
    alone = ppi_mean(new[:50] - old[:50], differences[:50], differences[50:])
    assert both.to_dict() == alone.to_dict()


def test_difference_of_pass_fail_systems_that_no_label_tells_apart_is_not_certain() -> None:
    same = JudgedSample([1.0, 0.0] * 30, [1.0, 0.0] * 30, [1.0] * 500)
    found = ppi_difference(same, same)
    assert found.estimate == 0
    assert found.high - found.low == pytest.approx(2 * 2.0017 / 60 * math.sqrt(60 / 58), rel=1e-3)


@pytest.mark.parametrize(
    ("labels", "judged", "inclusion", "clusters", "message"),
    [
        ([1], [1], None, None, "1 labels"),
        ([1, 0], [1], None, None, "2 labels and 1 scores"),
        ([1, math.nan], [1, 0], None, None, r"labels\[1\] is nan"),
        ([1, 0], [1, 0], [0.5], None, "inclusion needs"),
        ([1, 0], [1, 0], [0.0, 0.5], None, "inclusion needs"),
        ([1, 0], [1, 0], None, ["a", "b"], "2 cluster labels for 3 items"),
        ([1, 0], [1, 0], None, ["a", "a", "b"], "all labels are of one cluster"),
    ],
)
def test_input_that_does_not_fit_is_refused(
    labels: list[float],
    judged: list[float],
    inclusion: list[float] | None,
    clusters: list[str] | None,
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        ppi_mean(labels, judged, [1.0], inclusion=inclusion, clusters=clusters)


def test_systems_with_labels_on_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="both must cover the same items"):
        ppi_difference(JudgedSample([1, 0], [1, 0], [1]), JudgedSample([1, 0, 1], [1, 0, 1], []))


RUNS = 4000
ERROR = 4 * math.sqrt(0.95 * 0.05 / RUNS)


def _draw(
    random: np.random.Generator, n: int, n_others: int, sensitivity: float, specificity: float, rate: float = 0.7
) -> tuple[list[float], list[float], list[float]]:
    truth = random.random(n) < rate
    judged = np.where(truth, random.random(n) < sensitivity, random.random(n) > specificity)
    n_passed = int(random.binomial(n_others, rate * sensitivity + (1 - rate) * (1 - specificity)))
    return truth.astype(float).tolist(), judged.astype(float).tolist(), [1.0] * n_passed + [0.0] * (n_others - n_passed)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("sensitivity", "specificity", "n", "naive_coverage"),
    [(0.95, 0.95, 100, 0.751), (0.9, 0.75, 200, 0.936), (0.7, 0.6, 200, 0.0)],
)
def test_interval_covers_the_truth_where_the_naive_one_does_not(
    sensitivity: float, specificity: float, n: int, naive_coverage: float
) -> None:
    # Reference simulation, true rate .7, 1,000 judged: PPI++ .934/.095, .946/.101, .943/.122; labels alone .179, .127.
    random = np.random.default_rng(20261123)
    covered = paper = naive = alone = 0
    width = paper_width = alone_width = 0.0
    for _ in range(RUNS):
        sample = _draw(random, n, 1000 - n, sensitivity, specificity)
        found, plain = ppi_mean(*sample), ppi_mean(*sample, interval="normal")
        judge = wilson_interval(round(found.judge_estimate * 1000), 1000)
        human = mean_interval(sample[0])
        covered, width = covered + (found.low <= 0.7 <= found.high), width + found.high - found.low
        paper, paper_width = paper + (plain.low <= 0.7 <= plain.high), paper_width + plain.high - plain.low
        alone, alone_width = alone + (human.low <= 0.7 <= human.high), alone_width + human.high - human.low
        naive += judge.low <= 0.7 <= judge.high
    print(
        f"judge {sensitivity}/{specificity}, {n} labels of 1000: ours {covered / RUNS:.3f}/{width / RUNS:.3f}, "
        f"PPI++ as published {paper / RUNS:.3f}/{paper_width / RUNS:.3f}, labels alone "
        f"{alone / RUNS:.3f}/{alone_width / RUNS:.3f}, judge alone {naive / RUNS:.3f}"
    )
    assert covered / RUNS >= 0.93
    assert covered / RUNS > 0.95 - ERROR
    assert width < alone_width
    assert naive / RUNS == pytest.approx(naive_coverage, abs=0.04)


@pytest.mark.nightly
@pytest.mark.parametrize(("accuracy", "n"), [(0.95, 50), (0.95, 100), (0.98, 50), (0.98, 100), (0.99, 100)])
def test_a_good_judge_of_much_traffic_does_not_make_the_interval_too_narrow(accuracy: float, n: int) -> None:
    random = np.random.default_rng(7)
    covered = paper = 0
    for _ in range(1000):
        sample = _draw(random, n, 20_000, accuracy, accuracy, 0.9)
        found, plain = ppi_mean(*sample), ppi_mean(*sample, interval="normal")
        covered += found.low <= 0.9 <= found.high
        paper += plain.low <= 0.9 <= plain.high
    print(f"judge {accuracy}, {n} labels of 20,000: ours {covered / 1000:.3f}, as published {paper / 1000:.3f}")
    assert covered / 1000 > 0.93 - 4 * math.sqrt(0.07 * 0.93 / 1000)
    assert paper < covered


@pytest.mark.nightly
def test_clustered_interval_covers_where_one_of_independent_items_does_not() -> None:
    random, runs = np.random.default_rng(11), 1000
    covered = naive = 0
    for _ in range(runs):
        rates = np.repeat(random.beta(2.1, 0.9, 100), 10)
        truth = random.random(1000) < rates
        judged = np.where(truth, random.random(1000) < 0.9, random.random(1000) > 0.8).astype(float)
        labelled = random.permutation(1000) < 400
        clusters = np.repeat(np.arange(100), 10)
        order = np.concatenate([np.flatnonzero(labelled), np.flatnonzero(~labelled)])
        labels, known, others = truth[labelled].astype(float), judged[labelled], judged[~labelled]
        robust = ppi_mean(labels, known, others, clusters=clusters[order])
        plain = ppi_mean(labels, known, others)
        covered += robust.low <= 0.7 <= robust.high
        naive += plain.low <= 0.7 <= plain.high
    print(f"100 clusters of 10: cluster-robust {covered / runs:.3f}, independent {naive / runs:.3f}")
    assert covered / runs == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / runs))
    assert naive / runs < 0.9
