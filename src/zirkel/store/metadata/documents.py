"""Versioned documents of projects: the newest version is in force, all stay."""

import dataclasses
from collections.abc import Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection, Table, func, insert, select

from zirkel.core.gateway_config import GatewayConfigRecord
from zirkel.core.privacy import PrivacyRecord
from zirkel.store.metadata.locks import lock_name

Record = TypeVar("Record", GatewayConfigRecord, PrivacyRecord)
"""One version; its fields are the table's columns, in their order."""


class Documents(Generic[Record]):
    """The documents of one kind."""

    def __init__(self, connection: Connection, table: Table, record: type[Record]) -> None:
        self._connection = connection
        self._table = table
        self._record: type[Record] = record

    def lock(self, project_id: str) -> None:
        """Return when this transaction alone may change the project's document."""
        lock_name(self._connection, project_id)

    def add(self, record: Record) -> None:
        """Keep a version."""
        self._connection.execute(insert(self._table).values(**dataclasses.asdict(record)))

    def current(self, project_id: str) -> Record | None:
        """Return the newest version, None if there has been none."""
        return next(iter(self.history(project_id, 1)), None)

    def get(self, project_id: str, version: int) -> Record | None:
        """Return one version."""
        same = (self._table.c.project_id == project_id, self._table.c.version == version)
        row = self._connection.execute(select(self._table).where(*same)).first()
        return self._record(*row) if row else None

    def history(self, project_id: str, limit: int) -> Sequence[Record]:
        """Return the newest versions, newest first."""
        query = select(self._table).where(self._table.c.project_id == project_id)
        rows = self._connection.execute(query.order_by(self._table.c.version.desc()).limit(limit))
        return [self._record(*row) for row in rows]

    def all_current(self) -> Sequence[Record]:
        """Return the newest version of each project that has one."""
        columns = (self._table.c.project_id, func.max(self._table.c.version).label("version"))
        newest = select(*columns).group_by(self._table.c.project_id).subquery()
        same = (self._table.c.project_id == newest.c.project_id, self._table.c.version == newest.c.version)
        query = select(self._table).where(*same).order_by(self._table.c.project_id)
        return [self._record(*row) for row in self._connection.execute(query)]
