"""Which items changed and why, and in which parts of a data set."""

from collections.abc import Mapping, Sequence

import pytest

from tests.unit.evaluate.measured import experiment_of, score_metric, trials_of
from zirkel.core import DatasetItem, Scored, TrialRecord, score_to_json
from zirkel.evaluate import ChangeQuery, comparison_report, frame_items, measure
from zirkel.evaluate.changes import Change, changed_items
from zirkel.evaluate.comparison import compare
from zirkel.evaluate.metrics import SYSTEM
from zirkel.evaluate.segments import MOST_VALUES, segment_rows

METRICS = {metric.name: metric for metric in (score_metric("m"), *SYSTEM)}


def items(count: int) -> list[DatasetItem]:
    return [
        DatasetItem(
            id=f"i{n:04d}",
            input={"q": n},
            expected="x",
            tags=["even"] if n % 2 == 0 else ["odd", "rare"] if n % 7 == 0 else ["odd"],
            split="test" if n < count // 2 else "dev",
            metadata={"language": "de" if n % 3 else "en", "row": n, "price": 1.5, "paid": n % 5 == 0},
        )
        for n in range(count)
    ]


def changes(ours: Sequence[float], theirs: Sequence[float], change: Change = "any", limit: int = 20) -> list[str]:
    query = ChangeQuery("m", change, limit)
    known = items(len(ours))
    found = changed_items(query, METRICS, known, trials_of({"m": ours}), trials_of({"m": theirs}))
    return [item.item_id for item in found]


def test_items_that_lost_most_come_first_and_those_alike_are_left_out() -> None:
    ours, theirs = [0.5, 0.0, 1.0, 0.9, 0.5], [0.6, 1.0, 0.2, 0.9, 0.9]
    assert changes(ours, theirs) == ["i0001", "i0004", "i0000", "i0002"]
    assert changes(ours, theirs, "worse", limit=2) == ["i0001", "i0004"]
    assert changes(ours, theirs, "better") == ["i0002"]


def test_a_metric_that_is_better_when_lower_is_sorted_so() -> None:
    slow, fast = trials_of({"m": [1.0, 1.0]}, duration_ms=90.0), trials_of({"m": [1.0, 1.0]}, duration_ms=10.0)
    query = ChangeQuery("latency_ms", "worse")
    assert len(changed_items(query, METRICS, items(2), slow, fast)) == 2
    assert changed_items(query, METRICS, items(2), fast, slow) == []


def test_both_answers_are_shown_with_scores_and_reasons() -> None:
    scores = {"m": score_to_json(Scored(0.0, reason="it is rude"))}
    ours = [trial for trial in trials_of({"m": [[0.0, 0.0]]}, output="go away", scores=scores)]
    theirs = trials_of({"m": [[1.0, 1.0]]}, output="hello")
    (found,) = changed_items(ChangeQuery("m"), METRICS, items(1), ours, theirs)
    assert (found.input, found.expected, found.differences) == ({"q": 0}, "x", {"m": -1.0})
    assert [trial.output for trial in found.candidate] == ["go away", "go away"]
    assert found.candidate[0].scores["m"]["reason"] == "it is rude"
    assert [trial.output for trial in found.baseline] == ["hello", "hello"]


def test_segments_are_tags_splits_and_fields_with_few_values() -> None:
    found = segment_rows(items(MOST_VALUES + 10))
    assert found["tag:even"][:3] == [0, 2, 4]
    assert set(found) == {
        "tag:even",
        "tag:odd",
        "tag:rare",
        "split:test",
        "split:dev",
        "language:de",
        "language:en",
        "paid:true",
        "paid:false",
    }
    assert segment_rows(items(60), ["row:7", "nothing:here"]) == {"row:7": [7]}


def report(values: Mapping[str, Sequence[float]], baseline: Mapping[str, Sequence[float]]) -> dict[str, object]:
    known = items(len(next(iter(values.values()))))
    frame = frame_items(known)

    def measured(trials: list[TrialRecord]) -> object:
        return measure(experiment_of(trials), trials, frame, ["m"])

    ours, theirs = measured(trials_of(values)), measured(trials_of(baseline))
    found = compare("s", METRICS, frame, ours, theirs, with_segments=True)  # type: ignore[arg-type]
    return dict(comparison_report(found))


def test_a_segment_that_broke_stands_out_and_the_report_says_that_this_is_exploring() -> None:
    count = 100
    theirs = {"m": [1.0] * count}
    ours = {"m": [float(n % 2 == 1 or n % 10 == 0) for n in range(count)]}
    found = report(ours, theirs)
    by_name = {segment["segment"]: segment for segment in found["segments"]["m"]}  # type: ignore[index]
    assert by_name["tag:even"]["stands_out"]
    assert not by_name["tag:odd"]["stands_out"]
    assert by_name["tag:even"]["adjusted_p"] >= by_name["tag:even"]["p_value"]
    assert "finding where to look" in str(found["segments_note"])


def test_without_a_difference_no_segment_stands_out() -> None:
    found = report({"m": [1.0] * 60}, {"m": [1.0] * 60})
    assert not any(segment["stands_out"] for segment in found["segments"]["m"])  # type: ignore[index]


@pytest.mark.parametrize("change", ["worse", "better", "any"])
def test_no_change_is_no_item(change: Change) -> None:
    assert changes([1.0, 0.0], [1.0, 0.0], change) == []
