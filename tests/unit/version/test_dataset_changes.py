"""Differences, histories, merging and choosing, each held against a slow obvious version."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import DatasetItem, Invalid
from zirkel.core.datasets import DatasetFacts, DatasetVersionRecord
from zirkel.version.dataset_changes import compare_items, count_changes, item_history, label_times
from zirkel.version.dataset_items import input_key, item_digest, merge_items
from zirkel.version.dataset_selection import Selection, sample_items, select_items

VALUES = st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, "1", "x"])
ITEMS = st.builds(
    DatasetItem,
    id=st.sampled_from("abcd"),
    input=st.dictionaries(st.sampled_from("xy"), VALUES, max_size=2),
    expected=st.none() | st.sampled_from(["p", "q"]),
    tags=st.lists(st.sampled_from(["t1", "t2"]), unique=True),
)
VERSIONS = st.lists(st.lists(ITEMS, max_size=4, unique_by=lambda item: item.id), min_size=1, max_size=5)
Versions = list[list[DatasetItem]]


def numbered(versions: Versions) -> list[tuple[DatasetVersionRecord, list[DatasetItem]]]:
    facts = DatasetFacts("{}", 0, "file", "ann")
    return [
        (DatasetVersionRecord("p", "d", number, f"{number}" * 64, number * 10, facts), items)
        for number, items in enumerate(versions, start=1)
    ]


@given(VERSIONS)
def test_changes_are_what_turns_one_version_into_the_other(versions: Versions) -> None:
    before, after = versions[0], versions[-1]
    found = {change.item_id: change for change in compare_items(before, after)}
    old, new = ({item.id: item_digest(item) for item in items} for items in (before, after))
    assert {i for i, c in found.items() if c.change == "added"} == new.keys() - old.keys()
    assert {i for i, c in found.items() if c.change == "removed"} == old.keys() - new.keys()
    assert {i for i, c in found.items() if c.change == "changed"} == {
        i for i in old.keys() & new.keys() if old[i] != new[i]
    }
    assert all(bool(change.fields) == (change.change == "changed") for change in found.values())


@given(VERSIONS)
def test_an_items_history_replayed_is_what_the_last_version_has(versions: Versions) -> None:
    for item_id in "abcd":
        is_there, seen = False, 0
        for entry in item_history(numbered(versions), item_id):
            assert entry.version > seen
            assert is_there == (entry.change.change != "added")
            is_there, seen = entry.change.change != "removed", entry.version
        assert is_there == any(item.id == item_id for item in versions[-1])


@given(VERSIONS)
def test_counts_of_versions_add_up(versions: Versions) -> None:
    counts = count_changes(numbered(versions))
    before: list[DatasetItem] = []
    for found, items in zip(counts, versions, strict=True):
        kinds = [change.change for change in compare_items(before, items)]
        assert (found.added, found.changed, found.removed) == (
            kinds.count("added"),
            kinds.count("changed"),
            kinds.count("removed"),
        )
        assert found.items == len(items)
        before = items


@given(VERSIONS)
def test_a_label_is_as_old_as_the_version_since_which_it_stands(versions: Versions) -> None:
    times = label_times(numbered(versions))
    for item in versions[-1]:
        if item.expected is None:
            assert item.id not in times
            continue
        first = len(versions)
        while first > 1 and any(o.id == item.id and o.expected == item.expected for o in versions[first - 2]):
            first -= 1
        assert times[item.id] == first * 10


def test_what_is_equal_in_python_and_not_in_json_is_a_change() -> None:
    (change,) = compare_items([DatasetItem(id="a", input={"x": 1})], [DatasetItem(id="a", input={"x": True})])
    assert [(field.field, field.before, field.after) for field in change.fields] == [("input.x", 1, True)]


@given(VERSIONS)
def test_merged_items_keep_their_places_and_new_ones_come_last(versions: Versions) -> None:
    present, coming = versions[0], versions[-1]
    merged = merge_items(present, coming)
    ids = [item.id for item in merged.items]
    assert ids == [*(i.id for i in present), *(i.id for i in coming if i.id not in {p.id for p in present})]
    latest = {item.id: item for item in [*present, *coming]}
    assert list(merged.items) == [latest[item_id] for item_id in ids]
    known = {input_key(item.input) for item in present}
    assert merged.duplicates == sum(1 for item in coming if input_key(item.input) in known)


def many(count: int) -> list[DatasetItem]:
    return [DatasetItem(id=str(number), input={"n": number}) for number in range(count)]


def test_a_sample_depends_on_the_seed_and_not_on_the_order() -> None:
    items = many(100)
    shuffled = random.Random(1).sample(items, 100)
    chosen = {item.id for item in sample_items(items, 10, seed=3)}
    assert len(chosen) == 10
    assert {item.id for item in sample_items(shuffled, 10, seed=3)} == chosen
    assert {item.id for item in sample_items(items, 10, seed=4)} != chosen
    assert sample_items(items, 1000, seed=3) == items
    assert chosen < {item.id for item in sample_items(items, 11, seed=3)}
    with pytest.raises(Invalid, match="at least 1"):
        sample_items(items, 0, seed=3)


def test_each_item_has_the_same_chance_to_be_sampled() -> None:
    items = many(20)
    hits = [0] * 20
    for seed in range(2000):
        for item in sample_items(items, 5, seed):
            hits[int(item.id)] += 1
    # Binomial(2000, 0.25): 500 and a standard deviation of 19; five of those either way.
    assert all(abs(count - 500) < 97 for count in hits)


def test_a_selection_needs_the_split_and_all_tags_and_names_what_there_is_if_it_leaves_nothing() -> None:
    items = [
        DatasetItem(id="a", input={}, split="test", tags=["x", "y"]),
        DatasetItem(id="b", input={}, split="test", tags=["x"]),
        DatasetItem(id="c", input={}, tags=["x", "y"]),
    ]
    assert [item.id for item in select_items(items)] == ["a", "b", "c"]
    assert [item.id for item in select_items(items, Selection(split="test"))] == ["a", "b"]
    assert [item.id for item in select_items(items, Selection("test", ("y", "x")))] == ["a"]
    with pytest.raises(Invalid, match="splits are test, tags are x, y"):
        select_items(items, Selection("train"))
