"""Taking items out of a data set's file. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import msgspec

EMPTIED = b'{"id":"[erased]","input":{}}\n'
"""What a file holds of which every item was taken out: a data set without any cannot be opened."""


@dataclass(frozen=True, slots=True)
class ErasedItems:
    """A data set's file without some of its items."""

    data: bytes
    item_ids: Sequence[str]
    """Of those that were taken out."""


class _Item(msgspec.Struct, frozen=True):
    id: str = ""
    cluster: str = ""
    metadata: object = None


_decode = msgspec.json.Decoder(_Item).decode


def erase_items(data: bytes, ids: Collection[str]) -> ErasedItems:
    """Return a JSONL data set without the items that come from one of ``ids``, of a user, sessions or traces.

    An item comes from there if its cluster or any text in its metadata, however deep, is one of them. The other lines
    stay as they are, to the byte; ``data`` itself comes back if none was taken out.
    """
    kept: list[bytes] = []
    taken: list[str] = []
    for line in data.split(b"\n"):
        item = _read(line)
        if item is not None and not set(ids).isdisjoint(_texts([item.cluster, item.metadata])):
            taken.append(item.id)
        else:
            kept.append(line)
    if not taken:
        return ErasedItems(data, ())
    left = b"\n".join(kept)
    return ErasedItems(left if left.strip() else EMPTIED, taken)


def _read(line: bytes) -> _Item | None:
    try:
        return _decode(line) if line.strip() else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _texts(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, dict):
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
