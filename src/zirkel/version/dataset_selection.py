"""Choosing among the items of a data set. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from zirkel.core import DatasetItem, Invalid, sha256_hex
from zirkel.version.dataset_items import input_key

Item = TypeVar("Item", bound=DatasetItem)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which items are meant; all, if nothing is said."""

    split: str = ""
    """Those of this split."""
    tags: tuple[str, ...] = ()
    """Those that carry all of these tags."""


EVERY_ITEM = Selection()


def select_items(items: Sequence[DatasetItem], selection: Selection = EVERY_ITEM) -> list[DatasetItem]:
    """Return the items that are meant, in their order.

    Raises:
        Invalid: If there are none, with the splits or tags that there are.
    """
    found = [
        item
        for item in items
        if (not selection.split or item.split == selection.split) and set(selection.tags) <= set(item.tags)
    ]
    if items and not found:
        splits = ", ".join(sorted({item.split for item in items if item.split})) or "none"
        tags = ", ".join(sorted({tag for item in items for tag in item.tags})) or "none"
        raise Invalid(f"no item is of that split and carries these tags; splits are {splits}, tags are {tags}")
    return found


def sample_items(items: Sequence[Item], size: int, seed: int) -> list[Item]:
    """Return ``size`` of ``items`` in their order, all if there are no more; each has the same chance.

    Which ones depends on their inputs and the seed alone, not on their order: where more items come to the pile, those
    that were chosen stay chosen unless one of the new ones ranks before them.

    Raises:
        Invalid: If ``size`` is below 1.
    """
    if size < 1:
        raise Invalid(f"sample is {size}; it must be at least 1", path="sample")
    ranked = sorted(range(len(items)), key=lambda place: sha256_hex(f"{seed}:{input_key(items[place].input)}".encode()))
    return [items[place] for place in sorted(ranked[:size])]
