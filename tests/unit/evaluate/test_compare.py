"""From answers to scores: what is counted, paired and left out."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import (
    DatasetItem,
    Errored,
    ExperimentRecord,
    ExperimentState,
    Score,
    Scored,
    TrialRecord,
    TrialState,
    Unscored,
    score_to_json,
)
from zirkel.evaluate import compare_metric, summarise
from zirkel.stats import mean_interval, paired_difference, wilson_interval


def experiment(items: int, trials: int = 1) -> ExperimentRecord:
    return ExperimentRecord("p", "e", "s", "r", "d", "v", trials, items, ExperimentState.FINISHED, 1)


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


@given(SCORES, SCORES)
def test_items_are_paired_by_id_and_only_where_both_have_scores(
    ours: dict[str, list[float]], theirs: dict[str, list[float]]
) -> None:
    items = [item(name) for name in "abcdefgh"]
    found = compare_metric("m", trials_of(ours), trials_of(theirs), items)
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
    found = compare_metric("m", ours, theirs, ITEMS)
    assert (found.shared_items, found.better_items, found.worse_items, found.difference) == (1, 1, 0, None)
    summary = summarise(experiment(4), ours, ITEMS, ["m"])
    assert (summary.answered, summary.errored, summary.metrics["m"].scored_items) == (3, 1, 1)
    assert summary.metrics["m"].interval is None


def test_repeated_trials_are_one_value_and_their_flips_are_told() -> None:
    trials = trials_of({"a": [1.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 0.0]})
    metric = summarise(experiment(3, 2), trials, ITEMS, ["m"]).metrics["m"]
    assert metric.interval == mean_interval([0.5, 1.0, 0.0])
    assert metric.flip_rate == pytest.approx(1 / 3)
    assert not metric.is_pass_fail
    single = summarise(experiment(2), trials_of({"a": [1.0], "b": [0.0]}), ITEMS, ["m"]).metrics["m"]
    assert (single.flip_rate, single.is_pass_fail) == (None, True)


@pytest.mark.parametrize(("value", "passes"), [(1.0, 4), (0.0, 0)])
def test_items_that_all_pass_or_all_fail_are_shown_with_wilsons_interval(value: float, passes: int) -> None:
    trials = trials_of({name: [value] for name in "abcd"})
    interval = summarise(experiment(4), trials, ITEMS, ["m"]).metrics["m"].interval
    expected = wilson_interval(passes, 4)
    assert interval is not None
    assert (interval.low, interval.high, interval.method) == (expected.low, expected.high, "wilson")
    alike = summarise(experiment(4), trials_of({name: [0.5] for name in "abcd"}), ITEMS, ["m"]).metrics["m"].interval
    assert alike == mean_interval([0.5] * 4)


def test_items_of_one_source_are_taken_together() -> None:
    items = [item("a", "x"), item("b", "x"), item("c", "y"), item("d")]
    values = {"a": [1.0], "b": [1.0], "c": [0.0], "d": [1.0]}
    interval = summarise(experiment(4), trials_of(values), items, ["m"]).metrics["m"].interval
    assert interval is not None
    assert (interval.n, interval.n_clusters) == (4, 3)
    found = compare_metric("m", trials_of(values), trials_of({name: [0.0] for name in "abcd"}), items)
    assert found.difference is not None
    assert found.difference.n_clusters == 3


def test_items_that_are_all_of_one_source_say_nothing_about_the_spread() -> None:
    items = [item(name, "x") for name in "abcd"]
    values = {"a": [1.0], "b": [1.0], "c": [0.0], "d": [1.0]}
    metric = summarise(experiment(4), trials_of(values), items, ["m"]).metrics["m"]
    assert (metric.scored_items, metric.interval) == (4, None)
    found = compare_metric("m", trials_of(values), trials_of(values), items)
    assert (found.shared_items, found.difference) == (4, None)


def test_an_item_that_is_named_like_a_cluster_is_not_of_it() -> None:
    items = [item("a", "b"), item("b"), item("c")]
    interval = summarise(experiment(3), trials_of({"a": [1.0], "b": [0.0], "c": [0.0]}), items, ["m"])
    assert interval.metrics["m"].interval is not None
    assert interval.metrics["m"].interval.n_clusters is None


def test_what_is_claimed_only_is_not_counted_at_all() -> None:
    trials = [trial("a", Scored(1.0)), trial("b", None, state=TrialState.CLAIMED)]
    summary = summarise(experiment(2), trials, ITEMS, ["m"])
    assert (summary.answered, summary.errored) == (1, 0)
    assert summary.results_digest == summarise(experiment(2), trials[:1], ITEMS, ["m"]).results_digest


def test_costs_add_up_unless_one_is_unknown() -> None:
    known = [trial("a", Scored(1.0)), trial("b", Scored(1.0), cost_usd=Decimal("0.02"))]
    assert summarise(experiment(2), known, ITEMS, ["m"]).cost_usd == Decimal("0.12")
    unknown = [*known, trial("c", Scored(1.0), cost_usd=None)]
    assert summarise(experiment(3), unknown, ITEMS, ["m"]).cost_usd is None


def test_recovered_answers_and_the_median_duration_are_told() -> None:
    trials = [
        trial("a", Scored(1.0), duration_ms=30.0, is_recovered=True),
        trial("b", Scored(1.0), duration_ms=10.0),
        trial("c", Scored(1.0), duration_ms=20.0),
    ]
    summary = summarise(experiment(3), trials, ITEMS, ["m"])
    assert (summary.recovered, summary.median_duration_ms) == (1, 20.0)
    assert summarise(experiment(3), [], ITEMS, ["m"]).median_duration_ms is None


@given(st.permutations(range(4)))
def test_the_digest_of_the_results_does_not_depend_on_their_order(order: list[int]) -> None:
    trials = trials_of({"a": [1.0, 0.0], "b": [1.0, 1.0]})
    shuffled = [trials[index] for index in order]
    expected = summarise(experiment(2, 2), trials, ITEMS, ["m"]).results_digest
    assert summarise(experiment(2, 2), shuffled, ITEMS, ["m"]).results_digest == expected


@pytest.mark.parametrize("changes", [{"output": "x"}, {"state": TrialState.ERRORED}, {"scores": None}])
def test_the_digest_of_the_results_depends_on_each_answer(changes: dict[str, object]) -> None:
    before = summarise(experiment(1), [trial("a", Scored(1.0))], ITEMS, ["m"]).results_digest
    assert summarise(experiment(1), [trial("a", Scored(1.0), 0, **changes)], ITEMS, ["m"]).results_digest != before
