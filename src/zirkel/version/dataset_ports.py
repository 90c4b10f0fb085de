"""What data sets need of stores and of other rooms."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from zirkel.core import DatasetItem, JsonObject, Principal, ReleaseBundle, ReleaseRecord
from zirkel.core.datasets import DatasetFacts, DatasetLabelRecord, DatasetVersionRecord, ItemOutcome
from zirkel.version.ports import ArtefactStore, LedgerWriter, ReleaseStore


class DatasetStore(Protocol):
    """Versions of data sets and their labels."""

    def describe(self, project_id: str, digest: str, facts: DatasetFacts) -> None:
        """Note what is known of a version."""
        ...

    def newest(self, project_id: str) -> Sequence[DatasetVersionRecord]:
        """Return the newest version of each data set, by name."""
        ...

    def versions(self, project_id: str, name: str) -> Sequence[DatasetVersionRecord]:
        """Return the versions of a data set, newest first."""
        ...

    def set_label(self, record: DatasetLabelRecord) -> None:
        """Have a label point to a version."""
        ...

    def remove_label(self, project_id: str, name: str, label: str) -> bool:
        """Remove a label; False if there is none."""
        ...

    def labels(self, project_id: str, name: str | None = None) -> Sequence[DatasetLabelRecord]:
        """Return labels by data set and name."""
        ...

    def outcomes(self, project_id: str, digests: Collection[str], *, experiments_at_most: int) -> Iterator[ItemOutcome]:
        """Yield the scores of the newest experiments' answers to these versions' items."""
        ...


class DatasetTransaction(Protocol):
    """What one transaction of data sets reaches."""

    @property
    def artefacts(self) -> ArtefactStore: ...
    @property
    def datasets(self) -> DatasetStore: ...
    @property
    def releases(self) -> ReleaseStore: ...
    @property
    def ledger(self) -> LedgerWriter: ...


class DatasetMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[DatasetTransaction]:
        """Open a read-write transaction; it commits at the end of the block."""
        ...


@dataclass(frozen=True, slots=True)
class TraceWish:
    """Which traces items are made of."""

    where: str = ""
    """A line of the filter language."""
    since: str = ""
    until: str = ""
    limit: int = 1000
    """Look at so many traces at most, the newest."""
    variable: str = "input"
    """The variable that takes the user's message, for calls of no service."""


@dataclass(frozen=True, slots=True)
class TraceItems:
    """Items made of traces."""

    items: Sequence[DatasetItem]
    duplicates: int
    """Traces whose input another one had."""
    unusable: Sequence[tuple[str, str]]
    """Traces that no item can be made of: id and reason."""


class TraceSource(Protocol):
    """Makes items of what was observed."""

    def items(self, actor: Principal, wish: TraceWish) -> TraceItems:
        """Return items of the traces that are meant, each input once."""
        ...


@dataclass(frozen=True, slots=True)
class LiveInput:
    """What somebody really asked a service."""

    trace_id: str
    input: JsonObject


class LiveTraffic(Protocol):
    """Samples of what a service is asked."""

    def inputs(self, actor: Principal, service: str, since: str, limit: int) -> Sequence[LiveInput]:
        """Return at most ``limit`` different inputs, of the newest traces since a time; experiments left out."""
        ...


class ReleaseOpener(Protocol):
    """Opens releases: their prompts and examples are what items must not be in."""

    def open(self, project_id: str, digest: str) -> ReleaseBundle:
        """Return a release with its artefacts parsed."""
        ...


class ReleaseHistory(Protocol):
    """The releases of a service."""

    def history(self, project_id: str, service: str) -> Sequence[ReleaseRecord]:
        """Return a service's releases, newest first."""
        ...
