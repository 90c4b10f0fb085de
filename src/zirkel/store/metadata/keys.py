"""Who may do what: projects, API keys, people, and the upstreams they may call."""

import dataclasses
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Row, delete, insert, select, update

from zirkel.core import Conflict, KeyRecord, PersonRecord, ProjectRecord, Role, UpstreamRecord
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import api_keys, people, projects, upstreams


class Projects:
    """Tenants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: ProjectRecord) -> None:
        """Keep a project."""
        self._connection.execute(insert(projects).values(**dataclasses.asdict(record)))

    def list(self) -> Sequence[ProjectRecord]:
        """Return all projects by id."""
        return [ProjectRecord(*row) for row in self._connection.execute(select(projects).order_by("project_id"))]


class Keys:
    """API keys, found by the keyed hash of their text."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: KeyRecord) -> None:
        """Keep a key."""
        values = dataclasses.asdict(record) | {"roles": _join(record.roles)}
        self._connection.execute(insert(api_keys).values(**values))

    def by_hash(self, key_hash: str) -> KeyRecord | None:
        """Return the key with a hash, revoked or not."""
        row = self._connection.execute(select(api_keys).where(api_keys.c.key_hash == key_hash)).first()
        return _key(row) if row else None

    def list(self, project_id: str | None = None) -> Sequence[KeyRecord]:
        """Return keys, oldest first; of all projects if none is given."""
        query = select(api_keys).order_by(api_keys.c.created_ns, api_keys.c.key_id)
        if project_id is not None:
            query = query.where(api_keys.c.project_id == project_id)
        return [_key(row) for row in self._connection.execute(query)]

    def revoke(self, project_id: str, key_id: str, revoked_ns: int) -> bool:
        """Revoke a key; False if there is none that is still valid."""
        valid = (
            api_keys.c.project_id == project_id,
            api_keys.c.key_id == key_id,
            api_keys.c.revoked_ns.is_(None),
        )
        return self._connection.execute(update(api_keys).where(*valid).values(revoked_ns=revoked_ns)).rowcount == 1


class People:
    """Those who sign in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, record: PersonRecord) -> None:
        """Keep a person; one with the same address is replaced.

        Raises:
            Conflict: If the address belongs to somebody of another project.
        """
        lock_name(self._connection, f"person {record.email}")
        known = self.by_email(record.email)
        if known is not None and known.project_id != record.project_id:
            raise Conflict(f"{record.email!r} belongs to somebody of another project; use another address")
        self._connection.execute(delete(people).where(people.c.email == record.email))
        values = dataclasses.asdict(record) | {"roles": _join(record.roles)}
        self._connection.execute(insert(people).values(**values))

    def by_email(self, email: str) -> PersonRecord | None:
        """Return the person with an address, or None."""
        row = self._connection.execute(select(people).where(people.c.email == email)).first()
        if row is None:
            return None
        fields = dict(row._mapping)  # noqa: SLF001 (SQLAlchemy's documented way to read a row by name)
        return PersonRecord(**{**fields, "roles": _split(fields["roles"])})


class Upstreams:
    """Where models are called."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, record: UpstreamRecord) -> None:
        """Keep an upstream; one of the same name is replaced."""
        lock_name(self._connection, record.project_id)
        same = (upstreams.c.project_id == record.project_id, upstreams.c.name == record.name)
        self._connection.execute(delete(upstreams).where(*same))
        self._connection.execute(insert(upstreams).values(**dataclasses.asdict(record)))

    def list(self, project_id: str | None = None) -> Sequence[UpstreamRecord]:
        """Return upstreams by name; of all projects if none is given."""
        query = select(upstreams).order_by(upstreams.c.project_id, upstreams.c.name)
        if project_id is not None:
            query = query.where(upstreams.c.project_id == project_id)
        return [UpstreamRecord(*row) for row in self._connection.execute(query)]


def _join(roles: Collection[Role]) -> str:
    return " ".join(sorted(roles))


def _split(text: str) -> frozenset[Role]:
    return frozenset(Role(part) for part in text.split())


def _key(row: Row[tuple[object, ...]]) -> KeyRecord:
    fields = dict(row._mapping)  # noqa: SLF001 (as above)
    return KeyRecord(**{**fields, "roles": _split(fields["roles"])})
