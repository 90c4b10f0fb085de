"""What differs between two versions of a data set, and what became of its items over all of them. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from zirkel.core import DatasetItem
from zirkel.core.datasets import DatasetVersionRecord
from zirkel.version.dataset_items import item_digest

ChangeKind = Literal["added", "changed", "removed"]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an item, before and after; ``None`` also where it was not there."""

    field: str
    """``expected``, ``cluster``, …, ``input.NAME`` or ``metadata.NAME``."""
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class ItemChange:
    """What became of an item from one version to another."""

    item_id: str
    change: ChangeKind
    fields: tuple[FieldChange, ...] = ()
    """Those that differ, of an item that changed."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What a version did to one item."""

    version: int
    digest: str
    created_ns: int
    pushed_by: str
    """Empty if it was not noted."""
    change: ItemChange


@dataclass(frozen=True, slots=True)
class VersionCounts:
    """What a version did to the items of the one before."""

    version: int
    digest: str
    created_ns: int
    pushed_by: str
    items: int
    added: int
    changed: int
    removed: int


VersionItems = Iterable[tuple[DatasetVersionRecord, Sequence[DatasetItem]]]
"""Versions with their items, the oldest first; read one after the other, so that two are in memory."""


def compare_items(before: Sequence[DatasetItem], after: Sequence[DatasetItem]) -> list[ItemChange]:
    """Return what was removed, added and changed, by item; where an item stands is no change."""
    known, present = {item.id: item for item in before}, {item.id: item for item in after}
    removed = [ItemChange(item_id, "removed") for item_id in known if item_id not in present]
    added = [ItemChange(item_id, "added") for item_id in present if item_id not in known]
    changed = [
        ItemChange(item_id, "changed", fields)
        for item_id, item in present.items()
        if item_id in known and (fields := tuple(_field_changes(known[item_id], item)))
    ]
    return [*removed, *added, *changed]


def item_history(versions: VersionItems, item_id: str) -> list[HistoryEntry]:
    """Return which versions added, changed or removed an item, the oldest first; none if it was never there."""
    entries = []
    before: list[DatasetItem] = []
    for record, items in versions:
        after = [item for item in items if item.id == item_id]
        pushed_by = record.facts.pushed_by if record.facts else ""
        entries += [
            HistoryEntry(record.version, record.digest, record.created_ns, pushed_by, change)
            for change in compare_items(before, after)
        ]
        before = after
    return entries


def count_changes(versions: VersionItems) -> list[VersionCounts]:
    """Return what each version did to the items of the one before, the oldest first."""
    counts = []
    before: Mapping[str, str] = {}
    for record, items in versions:
        after = {item.id: item_digest(item) for item in items}
        counts.append(
            VersionCounts(
                version=record.version,
                digest=record.digest,
                created_ns=record.created_ns,
                pushed_by=record.facts.pushed_by if record.facts else "",
                items=len(after),
                added=len(after.keys() - before.keys()),
                changed=sum(1 for item_id, found in after.items() if before.get(item_id, found) != found),
                removed=len(before.keys() - after.keys()),
            )
        )
        before = after
    return counts


def label_times(versions: VersionItems) -> dict[str, int]:
    """Return since when each item of the last version has the expected output that it has, in UTC nanoseconds."""
    since: dict[str, tuple[str, int]] = {}
    for record, items in versions:
        fresh = {item.id: (item.expected, record.created_ns) for item in items if item.expected is not None}
        since = {
            item_id: since[item_id] if item_id in since and since[item_id][0] == found[0] else found
            for item_id, found in fresh.items()
        }
    return {item_id: at_ns for item_id, (_, at_ns) in since.items()}


def _field_changes(before: DatasetItem, after: DatasetItem) -> Iterator[FieldChange]:
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    for name in ("expected", "contexts", "cluster", "split", "tags"):
        if old[name] != new[name]:
            yield FieldChange(name, old[name], new[name])
    for name in ("input", "metadata"):
        # Equal in Python is not equal in JSON: 1, 1.0 and true.
        was = {key: msgspec.json.encode(value, order="sorted") for key, value in old[name].items()}
        is_now = {key: msgspec.json.encode(value, order="sorted") for key, value in new[name].items()}
        for key in sorted(was.keys() | is_now.keys()):
            if was.get(key) != is_now.get(key):
                yield FieldChange(f"{name}.{key}", old[name].get(key), new[name].get(key))
