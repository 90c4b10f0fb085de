"""What governing needs of a store."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from zirkel.core import Checkpoint, Json, KeyRecord, LedgerEntry, PersonRecord, ProjectRecord, UpstreamRecord


class ProjectStore(Protocol):
    """Tenants."""

    def add(self, record: ProjectRecord) -> None: ...
    def list(self) -> Sequence[ProjectRecord]: ...


class KeyStore(Protocol):
    """API keys."""

    def add(self, record: KeyRecord) -> None: ...
    def by_hash(self, key_hash: str) -> KeyRecord | None: ...
    def list(self, project_id: str | None = None) -> Sequence[KeyRecord]: ...
    def revoke(self, project_id: str, key_id: str, revoked_ns: int) -> bool: ...


class PersonStore(Protocol):
    """Those who sign in."""

    def put(self, record: PersonRecord) -> None: ...
    def by_email(self, email: str) -> PersonRecord | None: ...


class UpstreamStore(Protocol):
    """Where models are called."""

    def put(self, record: UpstreamRecord) -> None: ...
    def list(self, project_id: str | None = None) -> Sequence[UpstreamRecord]: ...


class LedgerStore(Protocol):
    """The hash chain."""

    def append(self, project_id: str, actor: str, action: str, payload: Json) -> str: ...
    def entries(self, project_id: str, after: int = 0, limit: int | None = None) -> Sequence[LedgerEntry]: ...
    def last_sequence(self, project_id: str | None = None) -> int: ...
    def checkpoints(self, project_id: str) -> Sequence[Checkpoint]: ...
    def put_checkpoint(self, checkpoint: Checkpoint) -> None: ...


class GovernTransaction(Protocol):
    """What one transaction of governing reaches."""

    @property
    def projects(self) -> ProjectStore: ...
    @property
    def keys(self) -> KeyStore: ...
    @property
    def people(self) -> PersonStore: ...
    @property
    def upstreams(self) -> UpstreamStore: ...
    @property
    def ledger(self) -> LedgerStore: ...


class GovernMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[GovernTransaction]:
        """Open a read-write transaction; it commits at the end of the block."""
        ...


class Publisher(Protocol):
    """Tells the gateway what changed."""

    def publish(self) -> None:
        """Return when a new snapshot is in place; the gateway's next request sees it."""
        ...
