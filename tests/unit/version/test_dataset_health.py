"""What is found about the items of a data set: each fault is found where it is, and a sound one has none."""

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from zirkel.core import DatasetItem, Json
from zirkel.core.datasets import ItemOutcome
from zirkel.version.dataset_balance import balance_findings, label_times, measure_balance, measure_label_age
from zirkel.version.dataset_coverage import coverage_findings, measure_coverage
from zirkel.version.dataset_duplicates import ReferenceText, duplicate_findings, leak_findings
from zirkel.version.dataset_findings import Finding, ordered
from zirkel.version.dataset_health import HealthLimits, HealthMaterial, examine
from zirkel.version.dataset_outcomes import OutcomeTable, fold_outcomes
from zirkel.version.dataset_ports import LiveInput
from zirkel.version.dataset_vectors import EmbeddedVectors, WordVectors

DAY_NS = 86_400 * 10**9
NOW_NS = 20_000 * DAY_NS
TOPICS = ("battery charger cable", "refund invoice payment", "delivery parcel courier", "password login account")


def item(item_id: str, text: str, expected: str | None = None, cluster: str = "", split: str = "") -> DatasetItem:
    return DatasetItem(id=item_id, input={"text": text}, expected=expected, cluster=cluster, split=split)


def said(findings: Sequence[Finding]) -> dict[str, tuple[str, ...]]:
    return {found.kind: tuple(sorted(found.item_ids)) for found in findings}


def about(topic: str, seed: int) -> str:
    """A text of words of one topic, none like another."""
    chooser = random.Random(f"{topic} {seed}")
    words = [f"{word}{chooser.randrange(3)}" for word in topic.split()] + [f"x{topic[:3]}{seed}"]
    return " ".join(chooser.sample(words, len(words)))


def test_the_same_input_is_a_duplicate_and_with_another_label_a_conflict() -> None:
    items = [
        item("a", "where is my parcel", "x"),
        item("b", "where is my parcel", "x"),
        item("c", "I want a refund", "x"),
        item("d", "I want a refund", "y"),
        item("e", "something else entirely", "y"),
    ]
    found = list(duplicate_findings(items, 0.7))
    assert said(found) == {"exact_duplicate": ("a", "b"), "label_conflict": ("c", "d")}
    assert {one.kind: one.level for one in found} == {"exact_duplicate": "warning", "label_conflict": "error"}


def test_nearly_the_same_input_is_found_and_so_is_its_other_label() -> None:
    text = "my parcel was to come on monday and it is still not here what shall I do"
    items = [
        item("a", text, "x", split="test"),
        item("b", text.replace("monday", "friday"), "y", split="train"),
        item("c", text.replace("monday", "sunday"), "x"),
        item("d", "an entirely different question about invoices", "y"),
    ]
    found = list(duplicate_findings(items, 0.7))
    assert said(found) == {"near_duplicate": ("a", "b", "c"), "near_label_conflict": ("a", "b", "c")}
    assert "in the splits test, train" in found[0].said
    assert all(one.similarity is not None and 0.7 <= one.similarity < 1 for one in found)
    assert list(duplicate_findings(items, 0.99)) == []


def test_thousands_of_contradicting_copies_are_one_finding() -> None:
    items = [
        item(str(n), f"please look into the case with the number {n} for me today", str(n % 2)) for n in range(3000)
    ]
    found = list(duplicate_findings(items, 0.7))
    assert [(one.kind, one.items) for one in found] == [("near_duplicate", 3000), ("near_label_conflict", 3000)]
    assert len(found[0].item_ids) == 1000


def test_items_that_stand_in_what_the_model_is_shown_leak() -> None:
    items = [
        item("whole", "the kettle leaks water from the lid"),
        item("short", "great"),
        item("part", "the kettle leaks water, but the toaster never burned anything at all"),
        item("clean", "a very different review of a radio"),
    ]
    references = [
        ReferenceText("example 1", "Great!", is_example=True),
        ReferenceText("the prompt", "Be great. For instance: The kettle leaks water from the lid is negative."),
        ReferenceText("the prompt again", "Be great. For instance: The kettle leaks water from the lid is negative."),
    ]
    found = {one.said: one.item_ids for one in leak_findings(items, references, 0.8)}
    assert list(found.values()) == [("short",), ("whole",)]
    assert [said.rpartition(" stands in ")[2] for said in found] == ["example 1", "the prompt"]
    assert all(one.level == "error" for one in leak_findings(items, references, 0.8))


def outcomes(scores: Mapping[str, Sequence[Sequence[float]]], evaluator: str = "match") -> OutcomeTable:
    """A table of items' scores: by item, for each release its trials."""
    table = OutcomeTable()
    for item_id, releases in scores.items():
        for number, trials in enumerate(releases):
            for value in trials:
                score: dict[str, Json] = {"state": "scored", "value": value}
                table.add(ItemOutcome(f"r{number}", "d", item_id, {evaluator: score}))
    return table


SCORES: dict[str, list[list[float]]] = {
    "right": [[1, 1], [1, 1], [1, 1]],
    "wrong": [[0, 0], [0], [0]],
    "alike": [[1, 0], [0, 1], [0.5]],
    "tells": [[1, 1], [0, 1], [1]],
    "alone": [[1, 1]],
    "two-alike": [[0.5], [0.5]],
}


def test_items_that_move_no_verdict_are_named() -> None:
    found = list(outcomes(SCORES).findings([*SCORES, "never asked"]))
    assert said(found) == {"saturated": ("right",), "never_right": ("wrong",), "never_discriminates": ("alike",)}
    assert all("of 7 items" in one.said for one in found)


def test_where_less_is_better_always_0_is_always_right() -> None:
    found = list(outcomes(SCORES).findings(list(SCORES), ["match"]))
    assert said(found)["saturated"] == ("wrong",)
    assert said(found)["never_right"] == ("right",)


def test_measures_beyond_0_to_1_do_not_say_who_is_right() -> None:
    table = outcomes({"a": [[1.0], [1.0]], "b": [[350.0], [1.0]]}, "latency")
    assert list(table.findings(["a", "b"])) == []
    assert (table.answers, table.releases()) == (4, 2)


def test_only_scores_count_and_only_of_items_as_they_are_now() -> None:
    scored: Mapping[str, Json] = {"state": "scored", "value": 1.0}
    found = [
        ItemOutcome("r1", "v1", "same", {"m": scored}),
        ItemOutcome("r2", "v2", "same", {"m": scored, "n": {"state": "errored", "error": "x"}}),
        ItemOutcome("r1", "v1", "changed", {"m": scored}),
        ItemOutcome("r2", "v2", "changed", {"m": scored}),
        ItemOutcome("r2", "gone", "same", {"m": {"state": "scored", "value": 0.0}}),
    ]
    table = fold_outcomes(found, {"v1": {"same"}, "v2": {"same", "changed"}})
    assert said(list(table.findings(["same", "changed"]))) == {"saturated": ("same",)}


def test_live_inputs_unlike_any_item_are_a_region_with_examples() -> None:
    items = [item(f"{topic[:3]}{n}", about(topic, n)) for topic in TOPICS[:3] for n in range(30)]
    live = [LiveInput(f"t{n}", {"text": about(topic, n)}) for topic in TOPICS for n in range(100, 140)]
    coverage = measure_coverage(items, live, WordVectors())
    assert coverage is not None
    assert 40 <= coverage.far <= 50
    assert coverage.far_share.low < coverage.far / 160 < coverage.far_share.high
    assert coverage.regions[0].inputs >= 35
    (found,) = coverage_findings(coverage, smallest_share=0.02)
    assert set(found.trace_ids) <= {f"t{n}" for n in range(100, 140)}
    assert "zirkel dataset collect" in found.advice


def test_traffic_like_the_items_is_covered() -> None:
    items = [item(f"{topic[:3]}{n}", about(topic, n)) for topic in TOPICS for n in range(60)]
    live = [LiveInput(f"t{n}", {"text": about(topic, n)}) for topic in TOPICS for n in range(100, 150)]
    coverage = measure_coverage(items, live, WordVectors())
    assert coverage is not None
    assert coverage.far / coverage.inputs < 0.1
    assert coverage_findings(coverage, smallest_share=0.1) == []
    assert measure_coverage(items, [], WordVectors()) is None


def test_scattered_inputs_far_from_any_item_are_told_together() -> None:
    items = [item(str(n), about(TOPICS[0], n)) for n in range(30)]
    live = [LiveInput(f"t{n}", {"text": f"lone{n} word{n}"}) for n in range(40)]
    coverage = measure_coverage(items, live, WordVectors(), 0.2)
    assert coverage is not None
    (found,) = coverage_findings(coverage, smallest_share=0.02)
    assert (coverage.far, coverage.threshold, len(found.trace_ids)) == (40, 0.2, 5)
    assert "unlike each other" in found.said


class Axes:
    """Embeds a text on the axis of its first letter."""

    name = "axes"

    def embed_whole(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([np.eye(26)["abcdefghijklmnopqrstuvwxyz".index(text[0])] for text in texts], np.float32)


def test_an_embedding_model_can_compare_instead_of_words() -> None:
    live = [LiveInput("near", {"text": "apple"}), LiveInput("far", {"text": "zebra"})]
    coverage = measure_coverage([item("a", "ant"), item("b", "bee")], live, EmbeddedVectors(Axes()))
    assert coverage is not None
    assert (coverage.compared_by, coverage.far, coverage.regions[0].trace_ids) == ("axes", 1, ("far",))


def test_uneven_classes_clusters_and_splits_are_told() -> None:
    items = [item(f"a{n}", "", "yes", cluster="big" if n < 30 else f"c{n}") for n in range(95)]
    items += [item(f"b{n}", "", "no", cluster="both", split="test" if n else "train") for n in range(3)]
    items += [item("open", "")]
    balance = measure_balance(items)
    assert (dict(balance.classes), balance.unlabelled, balance.clusters) == ({"yes": 95, "no": 3}, 1, 68)
    assert balance.effective_clusters == pytest.approx(99**2 / (30**2 + 65 + 9 + 1))
    found = list(balance_findings(items, balance))
    assert [one.kind for one in found] == [
        "class_imbalance",
        "class_imbalance",
        "cluster_dominates",
        "cluster_in_splits",
    ]
    assert [one.items for one in found] == [95, 3, 30, 3]


def test_expected_texts_of_their_own_are_no_classes() -> None:
    items = [item(str(n), "", f"answer {n}") for n in range(40)]
    balance = measure_balance(items)
    assert (balance.classes, list(balance_findings(items, balance))) == ({}, [])


def test_a_label_is_as_old_as_its_metadata_say_or_else_its_version() -> None:
    noted = DatasetItem(id="noted", input={}, expected="x", metadata={"labelled_at": "2020-01-01"})
    unreadable = DatasetItem(id="unreadable", input={}, expected="x", metadata={"labelled_at": "long ago"})
    times = label_times([noted, unreadable, item("open", "")], {"noted": 5, "unreadable": 7})
    assert times == {"noted": 18_262 * DAY_NS, "unreadable": 7}
    age = measure_label_age({"a": NOW_NS - DAY_NS, "b": NOW_NS - 4 * DAY_NS}, NOW_NS)
    assert age is not None
    assert (age.labelled, age.median_days, age.oldest_days) == (2, 2.5, 4)
    assert measure_label_age({}, NOW_NS) is None


def material(items: list[DatasetItem], **labelled_ns: int) -> HealthMaterial:
    return HealthMaterial(items, (), OutcomeTable(), (), (), labelled_ns, NOW_NS)


def test_old_labels_are_named_the_oldest_first() -> None:
    items = [item("young", "one thing", "x"), item("old", "other matter", "y"), item("older", "third case", "z")]
    times = {"young": NOW_NS, "old": NOW_NS - 400 * DAY_NS, "older": NOW_NS - 500 * DAY_NS}
    report = examine(material(items, **times), WordVectors(), HealthLimits())
    assert [(one.kind, one.item_ids) for one in report.findings] == [("old_label", ("older", "old"))]
    assert examine(material(items, **times), WordVectors(), HealthLimits(label_age_days=600)).findings == []


def test_the_gravest_findings_come_first_and_make_it_unsound() -> None:
    twice = [item("a", "same words here", "x"), item("b", "same words here", "x")]
    report = examine(material(twice), WordVectors(), HealthLimits())
    assert report.is_sound
    conflict = [item("c", "quite another thing", "x"), item("d", "quite another thing", "y")]
    report = examine(material([*twice, *conflict]), WordVectors(), HealthLimits())
    assert not report.is_sound
    assert [one.level for one in report.findings] == ["error", "warning"]
    assert list(report.findings) == ordered(reversed(report.findings))
    assert all(one.said and one.advice for one in report.findings)
