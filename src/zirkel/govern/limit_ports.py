"""What looking at limits, and putting back what was spent, needs of the world."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Protocol

from zirkel.core import BudgetWindow, KeyRecord, ProjectRecord
from zirkel.core.gateway_config import GatewayConfigRecord


class KeyList(Protocol):
    """API keys."""

    def list(self, project_id: str | None = None, after: str = "", limit: int | None = None) -> Sequence[KeyRecord]: ...


class ProjectList(Protocol):
    """Tenants."""

    def list(self) -> Sequence[ProjectRecord]: ...


class Documents(Protocol):
    """The gateway's documents in force."""

    def current(self, project_id: str) -> GatewayConfigRecord | None: ...


class LimitsTransaction(Protocol):
    """Where limits are written down."""

    @property
    def projects(self) -> ProjectList: ...
    @property
    def keys(self) -> KeyList: ...
    @property
    def gateway_configs(self) -> Documents: ...


class LimitsMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[LimitsTransaction]:
        """Open a transaction; it ends with the block."""
        ...


class WindowMoney(Protocol):
    """Money of the current hour, day or month (UTC)."""

    @property
    def spent_usd(self) -> Decimal: ...
    @property
    def held_usd(self) -> Decimal: ...


class SubjectCounts(Protocol):
    """What the gateway has counted for one subject, now."""

    @property
    def running(self) -> int: ...
    @property
    def requests_last_minute(self) -> int: ...
    @property
    def tokens_last_minute(self) -> int: ...
    @property
    def windows(self) -> Mapping[BudgetWindow, WindowMoney]: ...


class Counters(Protocol):
    """The counters that all gateway workers share."""

    def usage(self, subject_id: str) -> SubjectCounts:
        """Return what is counted for a subject; zeros if nothing is."""
        ...

    def restore(self, subject_id: str, spent_usd: Mapping[BudgetWindow, Decimal]) -> None:
        """Raise what a subject has spent in the current windows to at least this."""
        ...


class SpentRow(Protocol):
    """What one key spent for one user on one service."""

    @property
    def key_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def spent_usd(self) -> Decimal: ...


class SpentRecords(Protocol):
    """The telemetry."""

    def spent_since(self, project_id: str, since_ns: int, users: Collection[str] | None) -> Sequence[SpentRow]:
        """Return what attempts that began at ``since_ns`` or later took from budgets.

        Only ``users`` are told apart, the others' rows have no user; ``None`` tells all apart.
        """
        ...
