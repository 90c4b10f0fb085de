"""From answers to numbers: what is counted, paired and left out."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluate.measured import experiment_of, score_metric
from zirkel.core import (
    DatasetItem,
    Errored,
    Score,
    Scored,
    TrialRecord,
    TrialState,
    Unscored,
    score_to_json,
)
from zirkel.evaluate import ExperimentSummary, PairedMetric, compare_metric, frame_items, measure, summarise
from zirkel.evaluate.compare import MetricSummary
from zirkel.evaluate.measure import Measured
from zirkel.evaluate.metrics import COST, ERROR_RATE, LATENCY, SYSTEM
from zirkel.stats import flip_rate, mean_interval, paired_difference, pass_at_k, pass_hat_k, wilson_interval

M = score_metric("m")
METRICS = {metric.name: metric for metric in (M, *SYSTEM)}


def item(item_id: str, cluster: str = "") -> DatasetItem:
    return DatasetItem(id=item_id, input={}, cluster=cluster)


def trial(item_id: str, score: Score | None, number: int = 0, **changes: object) -> TrialRecord:
    fields: dict[str, object] = {
        "state": TrialState.ANSWERED if score else TrialState.ERRORED,
        "scores": {"m": score_to_json(score)} if score else None,
        "cost_usd": Decimal("0.1"),
    }
    return TrialRecord("p", "e", item_id, number, claimed_ns=1, trace_id="t", **(fields | changes))  # type: ignore[arg-type]


def trials_of(values: Mapping[str, Sequence[float]]) -> list[TrialRecord]:
    return [trial(name, Scored(value), n) for name, scores in values.items() for n, value in enumerate(scores)]


ITEMS = [item(name) for name in "abcd"]
SCORES = st.dictionaries(
    st.sampled_from("abcdefgh"), st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=3), min_size=2
)


def measured(
    trials: Sequence[TrialRecord], items: Sequence[DatasetItem] = ITEMS, planned: int | None = None
) -> Measured:
    return measure(experiment_of(trials, planned), trials, frame_items(items), ["m"])


def summary(trials: Sequence[TrialRecord], items: Sequence[DatasetItem] = ITEMS) -> ExperimentSummary:
    return summarise(measured(trials, items), frame_items(items), METRICS)


def metric(trials: Sequence[TrialRecord], items: Sequence[DatasetItem] = ITEMS, name: str = "m") -> MetricSummary:
    return summary(trials, items).metrics[name]


def paired(
    ours: Sequence[TrialRecord], theirs: Sequence[TrialRecord], items: Sequence[DatasetItem] = ITEMS, name: str = "m"
) -> PairedMetric:
    return compare_metric(METRICS[name], measured(ours, items), measured(theirs, items), frame_items(items))


@given(SCORES, SCORES)
def test_items_are_paired_by_id_and_only_where_both_have_scores(
    ours: dict[str, list[float]], theirs: dict[str, list[float]]
) -> None:
    items = [item(name) for name in "abcdefgh"]
    found = paired(trials_of(ours), trials_of(theirs), items)
    shared = sorted(set(ours) & set(theirs))
    first = [sum(ours[name]) / len(ours[name]) for name in shared]
    second = [sum(theirs[name]) / len(theirs[name]) for name in shared]
    assert found.shared_items == len(shared)
    assert found.better_items == sum(a > b for a, b in zip(first, second, strict=True))
    assert found.worse_items == sum(a < b for a, b in zip(first, second, strict=True))
    assert found.difference == (paired_difference(first, second) if len(shared) > 1 else None)


def test_errored_and_unscored_answers_are_left_out_and_not_counted_as_zero() -> None:
    ours = [trial("a", Scored(1.0)), trial("b", None), trial("c", Unscored("-")), trial("d", Errored("boom"))]
    theirs = trials_of({name: [0.0] for name in "abcd"})
    found = paired(ours, theirs)
    assert (found.shared_items, found.better_items, found.worse_items, found.difference) == (1, 1, 0, None)
    one = summary(ours)
    assert (one.measured.answered, one.measured.errored, one.metrics["m"].scored_items) == (3, 1, 1)
    assert (one.metrics["m"].interval, one.metrics["m"].errored, one.metrics["m"].unscored) == (None, 1, 1)


def test_repeated_trials_are_one_value_and_their_flips_are_told() -> None:
    found = metric(trials_of({"a": [1.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 0.0]}))
    expected = mean_interval([0.5, 1.0, 0.0])
    assert found.interval is not None
    assert (found.interval.estimate, found.interval.standard_error) == (expected.estimate, expected.standard_error)
    assert found.flip_rate == pytest.approx(1 / 3)
    assert not found.is_pass_fail
    single = metric(trials_of({"a": [1.0], "b": [0.0]}))
    assert (single.flip_rate, single.is_pass_fail, single.components, single.repeats) == (None, True, None, ())


def test_more_trials_do_not_make_the_standard_error_that_of_more_items() -> None:
    values = {name: [float(n % 2)] for n, name in enumerate("abcd")}
    once = metric(trials_of(values)).interval
    often = metric(trials_of({name: scores * 50 for name, scores in values.items()})).interval
    assert once is not None
    assert often is not None
    assert often.standard_error == pytest.approx(once.standard_error)
    assert (once.n, often.n) == (4, 4)


def test_the_variance_is_told_apart_into_items_and_trials() -> None:
    found = metric(trials_of({"a": [1.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 0.0], "d": [1.0, 1.0]}))
    assert found.components is not None
    assert found.components.within == pytest.approx(0.125)
    of_means = float(np.var([0.5, 1.0, 0.0, 1.0], ddof=1))
    assert found.components.between == pytest.approx(of_means - 0.125 / 2)


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3), min_size=2, max_size=6))
def test_flips_and_attempts_are_those_of_the_statistics(values: list[list[float]]) -> None:
    items = [item(f"i{n}") for n in range(len(values))]
    found = metric(trials_of({f"i{n}": scores for n, scores in enumerate(values)}), items)
    passes = [int(sum(scores)) for scores in values]
    tried = [3] * len(values)
    assert found.flip_rate == pytest.approx(float(np.mean(flip_rate(passes, tried))))
    assert [repeat.k for repeat in found.repeats] == [2, 3]
    for repeat in found.repeats:
        assert repeat.at_least_one.estimate == pytest.approx(float(np.mean(pass_at_k(passes, tried, repeat.k))))
        assert repeat.every_one.estimate == pytest.approx(float(np.mean(pass_hat_k(passes, tried, repeat.k))))


def test_trials_that_differ_at_all_count_as_flips_where_scores_are_no_passes() -> None:
    found = metric(trials_of({"a": [0.2, 0.3, 0.3], "b": [0.5, 0.5, 0.5]}))
    assert found.flip_rate == pytest.approx((2 / 3) / 2)
    assert found.repeats == ()


@pytest.mark.parametrize(("value", "passes"), [(1.0, 4), (0.0, 0)])
def test_items_that_all_pass_or_all_fail_are_shown_with_wilsons_interval(value: float, passes: int) -> None:
    interval = metric(trials_of({name: [value] for name in "abcd"})).interval
    expected = wilson_interval(passes, 4)
    assert interval is not None
    assert (interval.low, interval.high, interval.method) == (expected.low, expected.high, "wilson")
    assert metric(trials_of({name: [0.5] for name in "abcd"})).interval == mean_interval([0.5] * 4)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_the_interval_of_a_share_stays_between_0_and_1(values: list[float]) -> None:
    items = [item(f"i{n}") for n in range(len(values))]
    found = metric(trials_of({f"i{n}": [value] for n, value in enumerate(values)}), items).interval
    assert found is not None
    assert 0 <= found.low <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.high <= 1


def test_independent_passes_are_shown_with_wilsons_interval() -> None:
    found = metric(trials_of({"a": [1.0], "b": [1.0], "c": [1.0], "d": [0.0]})).interval
    expected = wilson_interval(3, 4)
    assert found is not None
    assert (found.low, found.high, found.method) == (expected.low, expected.high, "wilson")


def test_items_of_one_source_are_taken_together() -> None:
    items = [item("a", "x"), item("b", "x"), item("c", "y"), item("d")]
    values = {"a": [1.0], "b": [1.0], "c": [0.0], "d": [1.0]}
    interval = metric(trials_of(values), items).interval
    assert interval is not None
    assert (interval.n, interval.n_clusters) == (4, 3)
    found = paired(trials_of(values), trials_of({name: [0.0] for name in "abcd"}), items)
    assert found.difference is not None
    assert found.difference.n_clusters == 3


def test_items_that_are_all_of_one_source_say_nothing_about_the_spread() -> None:
    items = [item(name, "x") for name in "abcd"]
    values = {"a": [1.0], "b": [1.0], "c": [0.0], "d": [1.0]}
    one = metric(trials_of(values), items)
    assert (one.scored_items, one.interval) == (4, None)
    found = paired(trials_of(values), trials_of(values), items)
    assert (found.shared_items, found.difference) == (4, None)


def test_an_item_that_is_named_like_a_cluster_is_not_of_it() -> None:
    interval = metric(trials_of({"a": [1.0], "b": [0.0], "c": [0.0]}), [item("a", "b"), item("b"), item("c")]).interval
    assert interval is not None
    assert interval.n_clusters is None


def test_what_is_only_claimed_or_not_yet_judged_is_not_counted_at_all() -> None:
    trials = [
        trial("a", Scored(1.0)),
        trial("b", None, state=TrialState.CLAIMED),
        trial("c", Scored(0.0), state=TrialState.JUDGING),
    ]
    found = measured(trials, planned=3)
    assert (found.answered, found.errored, found.missing) == (1, 0, 2)
    assert found.results_digest == measured(trials[:1]).results_digest


def test_costs_add_up_unless_one_is_unknown() -> None:
    known = [trial("a", Scored(1.0)), trial("b", Scored(1.0), cost_usd=Decimal("0.02"), judges_usd=Decimal("0.5"))]
    assert measured(known).cost_usd == Decimal("0.12")
    assert measured(known).judging_usd == Decimal("0.5")
    unknown = [*known, trial("c", Scored(1.0), cost_usd=None, judges_usd=None)]
    assert (measured(unknown).cost_usd, measured(unknown).judging_usd) == (None, None)
    assert measured(unknown).columns[COST.name].errored == 1


def test_cost_latency_and_errors_of_the_system_are_metrics_too() -> None:
    ours = [trial("a", Scored(1.0), duration_ms=30.0), trial("b", Scored(1.0), duration_ms=10.0), trial("c", None)]
    theirs = [trial(name, Scored(1.0), duration_ms=40.0, cost_usd=Decimal("0.2")) for name in "abc"]
    latency = paired(ours, theirs, name=LATENCY.name)
    assert latency.difference is not None
    assert latency.difference.estimate == pytest.approx(-20.0)
    assert (latency.better_items, latency.worse_items, latency.shared_items) == (2, 0, 2)
    cost = metric(ours, name=COST.name).interval
    assert cost is not None
    assert cost.estimate == pytest.approx(0.1)
    errors = paired(ours, theirs, name=ERROR_RATE.name)
    assert errors.difference is not None
    assert errors.difference.estimate == pytest.approx(1 / 3)
    assert (errors.better_items, errors.worse_items, errors.shared_items) == (0, 1, 3)


def test_recovered_answers_and_the_median_duration_are_told() -> None:
    trials = [
        trial("a", Scored(1.0), duration_ms=30.0, is_recovered=True),
        trial("b", Scored(1.0), duration_ms=10.0),
        trial("c", Scored(1.0), duration_ms=20.0),
    ]
    found = measured(trials)
    assert (found.recovered, found.median_duration_ms) == (1, 20.0)
    assert measured([], planned=3).median_duration_ms is None


def test_the_parts_of_a_difference_are_told() -> None:
    ours = trials_of({"a": [1.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 0.0]})
    theirs = trials_of({"a": [0.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 0.0]})
    found = paired(ours, theirs).components
    assert found is not None
    assert found.within_candidate == pytest.approx(0.5 / 3)
    assert found.within_baseline == 0.0


@given(st.permutations(range(4)))
def test_the_digest_of_the_results_does_not_depend_on_their_order(order: list[int]) -> None:
    trials = trials_of({"a": [1.0, 0.0], "b": [1.0, 1.0]})
    assert measured([trials[index] for index in order]).results_digest == measured(trials).results_digest


@pytest.mark.parametrize("changes", [{"output": "x"}, {"state": TrialState.ERRORED}, {"scores": None}])
def test_the_digest_of_the_results_depends_on_each_answer(changes: dict[str, object]) -> None:
    before = measured([trial("a", Scored(1.0))]).results_digest
    assert measured([trial("a", Scored(1.0), 0, **changes)]).results_digest != before
