"""Parts of a data set, named by what their items share. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from zirkel.core import DatasetItem

SegmentRows = Mapping[str, Sequence[int]]
"""Rows of items by segment: ``tag:X``, ``split:X``, ``cluster:X``, or ``FIELD:X`` for a field of the metadata."""

MOST_VALUES = 50
"""A field with more values than this names single items rather than kinds of them, and is no segment."""


def segment_rows(items: Sequence[DatasetItem], wanted: Iterable[str] | None = None) -> SegmentRows:
    """Return the rows of each segment, segments in order of first appearance.

    Args:
        items: In the order of the data set.
        wanted: Only these, where there are such items. If None: every tag and split, and each field of the metadata
            (and the clusters) with at most ``MOST_VALUES`` values.
    """
    found: dict[str, list[int]] = {}
    values: dict[str, set[str]] = {}
    for row, item in enumerate(items):
        for field, value in _labels(item):
            found.setdefault(f"{field}:{value}", []).append(row)
            values.setdefault(field, set()).add(value)
    if wanted is not None:
        return {name: found[name] for name in wanted if name in found}
    fixed = {"tag", "split"}
    return {
        name: rows
        for name, rows in found.items()
        if (field := name.partition(":")[0]) in fixed or len(values[field]) <= MOST_VALUES
    }


def _labels(item: DatasetItem) -> Iterator[tuple[str, str]]:
    yield from (("tag", tag) for tag in dict.fromkeys(item.tags))
    if item.split:
        yield "split", item.split
    if item.cluster:
        yield "cluster", item.cluster
    for field, value in item.metadata.items():
        if field in ("tag", "split", "cluster"):
            continue
        if isinstance(value, bool):
            yield field, str(value).lower()
        elif isinstance(value, str | int) and str(value):
            yield field, str(value)
