"""What is known of the versions of data sets beside their items, and of the answers that items got."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from zirkel.core.canonical import Json

DatasetSource = Literal["service", "file", "items", "traces", "console"]
"""How a version came: with a service's files, as a file, as items from a program, from traces, or edited by hand."""


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What is noted of a version when it is pushed; nothing in it comes from an item but the variables' names."""

    schema: str
    """Canonical JSON."""
    items: int
    """How many there were; items that were erased since are counted."""
    source: str
    """A ``DatasetSource``."""
    pushed_by: str


@dataclass(frozen=True, slots=True)
class DatasetVersionRecord:
    """One version of a data set."""

    project_id: str
    name: str
    version: int
    """Counts a data set's versions from 1."""
    digest: str
    """Of the artefact, 64 hex digits."""
    created_ns: int
    facts: DatasetFacts | None
    """``None`` if nothing was noted when it was pushed."""


@dataclass(frozen=True, slots=True)
class DatasetLabelRecord:
    """A name for a version that can be moved to another one."""

    project_id: str
    name: str
    """Of the data set."""
    label: str
    digest: str
    moved_ns: int
    moved_by: str


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """How one answer to an item of a data set was scored."""

    release: str
    dataset_digest: str
    item_id: str
    scores: Mapping[str, Mapping[str, Json]]
    """By evaluator, as ``core.scores`` writes them."""
