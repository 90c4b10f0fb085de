"""Gate verdicts."""

import dataclasses
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from zirkel.core import VerdictRecord
from zirkel.store.metadata.schema import verdicts as table


class Verdicts:
    """What gates said; a verdict is never changed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: VerdictRecord) -> None:
        """Keep a verdict."""
        self._connection.execute(insert(table).values(**dataclasses.asdict(record)))

    def get(self, project_id: str, verdict_id: str) -> VerdictRecord | None:
        """Return a verdict, or None."""
        same = (table.c.project_id == project_id, table.c.verdict_id == verdict_id)
        row = self._connection.execute(select(table).where(*same)).first()
        return VerdictRecord(*row) if row else None

    def latest(self, project_id: str, release: str, environment: str) -> VerdictRecord | None:
        """Return the newest verdict on a release for an environment, or None."""
        same = (table.c.project_id == project_id, table.c.release == release, table.c.environment == environment)
        query = select(table).where(*same).order_by(table.c.created_ns.desc(), table.c.verdict_id.desc()).limit(1)
        row = self._connection.execute(query).first()
        return VerdictRecord(*row) if row else None

    def list(self, project_id: str, service: str, limit: int = 50) -> Sequence[VerdictRecord]:
        """Return a service's verdicts, newest first."""
        same = (table.c.project_id == project_id, table.c.service == service)
        query = select(table).where(*same).order_by(table.c.created_ns.desc()).limit(limit)
        return [VerdictRecord(*row) for row in self._connection.execute(query)]
