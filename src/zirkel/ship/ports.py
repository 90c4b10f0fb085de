"""What shipping needs of other rooms."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from zirkel.core import EnvironmentRecord, Json, VerdictRecord


class EnvironmentStore(Protocol):
    """The state of each environment."""

    def get(self, project_id: str, service: str, environment: str) -> EnvironmentRecord | None: ...
    def list(self, project_id: str | None = None, service: str | None = None) -> Sequence[EnvironmentRecord]: ...
    def put(self, record: EnvironmentRecord) -> None: ...


class VerdictReader(Protocol):
    """What gates said."""

    def latest(self, project_id: str, release: str, environment: str) -> VerdictRecord | None: ...


class LedgerWriter(Protocol):
    """The append-only ledger."""

    def append(self, project_id: str, actor: str, action: str, payload: Json) -> str: ...


class ShipTransaction(Protocol):
    """What one transaction of shipping reaches."""

    @property
    def environments(self) -> EnvironmentStore: ...
    @property
    def verdicts(self) -> VerdictReader: ...
    @property
    def ledger(self) -> LedgerWriter: ...


class ShipMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[ShipTransaction]:
        """Open a read-write transaction; it commits at the end of the block."""
        ...


class ReleaseResolver(Protocol):
    """Finds releases by what people call them."""

    def resolve(self, project_id: str, service: str, reference: str) -> str:
        """Return the digest that a reference names."""
        ...


class Publisher(Protocol):
    """Tells the gateway what changed."""

    def publish(self) -> None:
        """Return when a new snapshot is in place; the gateway's next request sees it."""
        ...
