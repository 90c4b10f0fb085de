"""What serves where."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Row, insert, select, update

from zirkel.core import Conflict, EnvironmentRecord, Rollout
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import environments as table


class Environments:
    """The state of each environment; every move is a compare-and-set on its version."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, project_id: str, service: str, environment: str) -> EnvironmentRecord | None:
        """Return an environment's state, or None if nothing was ever shipped there."""
        same = (table.c.project_id == project_id, table.c.service == service, table.c.environment == environment)
        row = self._connection.execute(select(table).where(*same)).first()
        return _from_row(row) if row else None

    def list(self, project_id: str | None = None, service: str | None = None) -> Sequence[EnvironmentRecord]:
        """Return environments by project, service and name; all of them if nothing is given."""
        query = select(table).order_by(table.c.project_id, table.c.service, table.c.environment)
        if project_id is not None:
            query = query.where(table.c.project_id == project_id)
        if service is not None:
            query = query.where(table.c.service == service)
        return [_from_row(row) for row in self._connection.execute(query)]

    def put(self, record: EnvironmentRecord) -> None:
        """Write the state that follows version ``record.version - 1``.

        Raises:
            Conflict: If the environment is not at that version any more.
        """
        lock_name(self._connection, record.project_id)
        values = _to_values(record)
        if record.version == 1:
            if self.get(record.project_id, record.service, record.environment) is not None:
                raise _stale(record)
            self._connection.execute(insert(table).values(**values))
            return
        expected = (
            table.c.project_id == record.project_id,
            table.c.service == record.service,
            table.c.environment == record.environment,
            table.c.version == record.version - 1,
        )
        if self._connection.execute(update(table).where(*expected).values(**values)).rowcount != 1:
            raise _stale(record)


def _stale(record: EnvironmentRecord) -> Conflict:
    return Conflict(
        f"{record.service!r} in {record.environment!r} was moved by somebody else meanwhile; look at it with "
        f"`zirkel status {record.service}` and try again"
    )


def _to_values(record: EnvironmentRecord) -> Mapping[str, object]:
    rollout = record.rollout
    return {
        "project_id": record.project_id,
        "service": record.service,
        "environment": record.environment,
        "version": record.version,
        "stable_release": record.stable_release,
        "stable_since_ns": record.stable_since_ns,
        "stable_by": record.stable_by,
        "previous_release": record.previous_release,
        "candidate_release": rollout.release if rollout else None,
        "candidate_since_ns": rollout.since_ns if rollout else None,
        "candidate_by": rollout.started_by if rollout else None,
        "candidate_weight": rollout.weight if rollout else 0.0,
        "salt": record.salt,
    }


def _from_row(row: Row[tuple[object, ...]]) -> EnvironmentRecord:
    fields = row._mapping  # noqa: SLF001 (SQLAlchemy's documented way to read a row by name)
    rollout = None
    if fields["candidate_release"] is not None:
        rollout = Rollout(
            release=fields["candidate_release"],
            weight=fields["candidate_weight"],
            since_ns=fields["candidate_since_ns"],
            started_by=fields["candidate_by"],
        )
    return EnvironmentRecord(
        project_id=fields["project_id"],
        service=fields["service"],
        environment=fields["environment"],
        version=fields["version"],
        stable_release=fields["stable_release"],
        stable_since_ns=fields["stable_since_ns"],
        stable_by=fields["stable_by"],
        salt=fields["salt"],
        previous_release=fields["previous_release"],
        rollout=rollout,
    )
