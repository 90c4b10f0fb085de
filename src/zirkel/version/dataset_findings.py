"""What is said of a data set's health. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

FindingKind = Literal[
    "label_conflict",
    "leak",
    "exact_duplicate",
    "near_duplicate",
    "near_label_conflict",
    "cluster_in_splits",
    "old_label",
    "never_right",
    "saturated",
    "never_discriminates",
    "uncovered",
    "class_imbalance",
    "cluster_dominates",
]
FindingLevel = Literal["error", "warning", "note"]
"""``error``: results are wrong or too good. ``warning``: they may be. ``note``: money or power is lost."""
MOST_IDS = 1000
"""Items that one finding names."""
_ORDER: Sequence[FindingLevel] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the items, and what to do about it."""

    kind: FindingKind
    level: FindingLevel
    said: str
    advice: str
    item_ids: tuple[str, ...] = ()
    """At most 1000 of ``items``."""
    items: int = 0
    """How many items it is about."""
    similarity: float | None = None
    """Of texts that are alike, 0 to 1."""
    trace_ids: tuple[str, ...] = ()
    """Examples, where live traffic is meant."""


def find(
    kind: FindingKind,
    level: FindingLevel,
    said: str,
    advice: str,
    item_ids: Iterable[str],
    similarity: float | None = None,
) -> Finding:
    """Return a finding about items; not all of them are named if they are very many."""
    ids = tuple(item_ids)
    return Finding(kind, level, said, advice, ids[:MOST_IDS], len(ids), similarity)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, the gravest first, those about more items before others of their kind."""
    return sorted(findings, key=lambda found: (_ORDER.index(found.level), found.kind, -found.items, found.item_ids))
