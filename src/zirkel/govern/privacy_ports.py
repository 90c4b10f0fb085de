"""What governing privacy needs of other rooms."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from zirkel.core.erasure import ErasureRecord, Findings, PlaceReport, Subject
from zirkel.core.privacy import PrivacyRecord
from zirkel.govern.config_ports import DecisionLog


class PrivacyStore(Protocol):
    """Every version of projects' documents."""

    def lock(self, project_id: str) -> None: ...
    def add(self, record: PrivacyRecord) -> None: ...
    def current(self, project_id: str) -> PrivacyRecord | None: ...
    def get(self, project_id: str, version: int) -> PrivacyRecord | None: ...
    def history(self, project_id: str, limit: int) -> Sequence[PrivacyRecord]: ...
    def all_current(self) -> Sequence[PrivacyRecord]: ...


class ErasureStore(Protocol):
    """What was erased."""

    def add(self, record: ErasureRecord) -> None: ...
    def list(self, project_id: str, limit: int) -> Sequence[ErasureRecord]: ...


class PrivacyTransaction(Protocol):
    """What one transaction reaches."""

    @property
    def privacy(self) -> PrivacyStore: ...
    @property
    def erasures(self) -> ErasureStore: ...
    @property
    def ledger(self) -> DecisionLog: ...


class PrivacyMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[PrivacyTransaction]:
        """Open a read-write transaction; it commits at the end of the block."""
        ...


class RuleCache(Protocol):
    """Keeps projects' rules as they were last read."""

    def forget(self, project_id: str) -> None:
        """Read a project's rules anew when they are next needed."""
        ...


class RemovedRows(Protocol):
    """How many rows of each kind were removed or emptied."""

    @property
    def spans(self) -> int: ...
    @property
    def logs(self) -> int: ...
    @property
    def points(self) -> int: ...
    @property
    def scores(self) -> int: ...


class AgeingTelemetry(Protocol):
    """Removes what is older than a moment; without an environment, of all of them."""

    def drop_content_before(self, project_id: str, environment: str | None, before_ns: int) -> RemovedRows: ...
    def drop_spans_before(self, project_id: str, environment: str | None, before_ns: int) -> RemovedRows: ...
    def drop_points_before(self, project_id: str, before_ns: int) -> RemovedRows: ...


class SubjectFinder(Protocol):
    """Knows what belongs to whom."""

    def find(self, subject: Subject) -> Findings:
        """Return what belongs to a subject, with everything that was accepted before the call."""
        ...


class ErasurePlace(Protocol):
    """One place where something of a subject may be. Doing it twice is harmless."""

    def erase(self, findings: Findings, /, *, dry_run: bool) -> PlaceReport:
        """Remove what is there for good, or with ``dry_run`` only say what would be removed."""
        ...
