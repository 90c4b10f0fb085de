"""What versioning needs of a store."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from zirkel.core import AddedArtefact, EnvironmentRecord, Json, ReleaseRecord, ServiceRecord
from zirkel.core.datasets import DatasetFacts


class Blobs(Protocol):
    """Content-addressed bytes."""

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its SHA-256."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest, verified."""
        ...


class ItemMasker(Protocol):
    """A project's rules for what must not be kept in data sets."""

    def mask_json(self, text: str) -> str:
        """Return JSON text with its strings masked."""
        ...


class ItemMaskers(Protocol):
    """The rules of projects."""

    def dataset_masker(self, project_id: str) -> ItemMasker | None:
        """Return a project's rules for data sets, None if it masks none."""
        ...


class ArtefactStore(Protocol):
    """Immutable artefact versions."""

    def add(self, project_id: str, kind: str, name: str, digest: str, content: str, created_ns: int) -> AddedArtefact:
        """Keep an artefact; one that is known keeps its version number."""
        ...

    def content(self, project_id: str, digest: str) -> str:
        """Return an artefact's content as canonical JSON."""
        ...

    def version(self, project_id: str, digest: str) -> int:
        """Return an artefact's version number."""
        ...


class DatasetNotes(Protocol):
    """What is known of versions of data sets beside their items."""

    def describe(self, project_id: str, digest: str, facts: DatasetFacts) -> None:
        """Note what is known of a version."""
        ...


class ReleaseStore(Protocol):
    """Immutable releases and the services they belong to."""

    def add(self, record: ReleaseRecord) -> bool:
        """Keep a release; False if it is known already."""
        ...

    def get(self, project_id: str, digest: str) -> ReleaseRecord | None:
        """Return a release by its whole digest."""
        ...

    def find(self, project_id: str, service: str, prefix: str) -> Sequence[ReleaseRecord]:
        """Return a service's releases whose digest starts with ``prefix``."""
        ...

    def history(self, project_id: str, service: str) -> Sequence[ReleaseRecord]:
        """Return a service's releases, newest first."""
        ...

    def put_service(self, record: ServiceRecord) -> None:
        """Set what a service points to."""
        ...

    def service(self, project_id: str, service: str) -> ServiceRecord | None:
        """Return a service, or None."""
        ...

    def services(self, project_id: str) -> Sequence[ServiceRecord]:
        """Return all services of a project by name."""
        ...


class EnvironmentReader(Protocol):
    """What serves where."""

    def get(self, project_id: str, service: str, environment: str) -> EnvironmentRecord | None:
        """Return an environment's state, or None if nothing was ever shipped there."""
        ...


class LedgerWriter(Protocol):
    """The append-only ledger."""

    def append(self, project_id: str, actor: str, action: str, payload: Json) -> str:
        """Append an entry in the running transaction and return its hash."""
        ...


class VersionTransaction(Protocol):
    """What one transaction of versioning reaches."""

    @property
    def artefacts(self) -> ArtefactStore: ...
    @property
    def datasets(self) -> DatasetNotes: ...
    @property
    def releases(self) -> ReleaseStore: ...
    @property
    def environments(self) -> EnvironmentReader: ...
    @property
    def ledger(self) -> LedgerWriter: ...


class VersionMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[VersionTransaction]:
        """Open a read-write transaction; it commits at the end of the block."""
        ...
