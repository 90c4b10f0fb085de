"""Who may do what: projects, API keys, people, and the upstreams they may call."""

import dataclasses
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, or_, select, update

from zirkel.core import (
    Conflict,
    KeyPolicy,
    KeyRecord,
    PersonRecord,
    ProjectRecord,
    Role,
    UpstreamRecord,
    canonical_json,
)
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import api_keys, people, projects, upstreams


class Projects:
    """Tenants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: ProjectRecord) -> None:
        """Keep a project.

        Raises:
            Conflict: If its id is taken.
        """
        lock_name(self._connection, f"project {record.project_id}")
        if self.get(record.project_id) is not None:
            raise Conflict(f"there is a project {record.project_id!r} already; choose another name", path="name")
        self._connection.execute(insert(projects).values(**dataclasses.asdict(record)))

    def get(self, project_id: str) -> ProjectRecord | None:
        """Return a project, or None."""
        row = self._connection.execute(select(projects).where(projects.c.project_id == project_id)).first()
        return ProjectRecord(*row) if row else None

    def list(self) -> Sequence[ProjectRecord]:
        """Return all projects by id."""
        return [ProjectRecord(*row) for row in self._connection.execute(select(projects).order_by("project_id"))]


class Keys:
    """API keys, found by their id or by the keyed hash of their text."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: KeyRecord) -> None:
        """Keep a key."""
        self._connection.execute(insert(api_keys).values(**_key_values(record)))

    def get(self, project_id: str, key_id: str) -> KeyRecord | None:
        """Return a project's key, revoked or not."""
        row = self._connection.execute(select(api_keys).where(*_is_key(project_id, key_id))).first()
        return _key(row) if row else None

    def hold(self, project_id: str, key_id: str) -> KeyRecord | None:
        """Return a project's key like ``get``; nobody else changes it until this transaction ends."""
        query = select(api_keys).where(*_is_key(project_id, key_id)).with_for_update()
        row = self._connection.execute(query).first()
        return _key(row) if row else None

    def by_hash(self, key_hash: str) -> KeyRecord | None:
        """Return the key whose secret, or secret before the last rotation, has a hash; revoked or not."""
        is_one = or_(api_keys.c.key_hash == key_hash, api_keys.c.previous_hash == key_hash)
        row = self._connection.execute(select(api_keys).where(is_one)).first()
        return _key(row) if row else None

    def list(self, project_id: str | None = None, after: str = "", limit: int | None = None) -> Sequence[KeyRecord]:
        """Return keys by id, which is oldest first; of all projects if none is given.

        Args:
            project_id: Whose keys.
            after: Only those behind this key id.
            limit: At most so many.
        """
        query = select(api_keys).where(api_keys.c.key_id > after).order_by(api_keys.c.key_id).limit(limit)
        if project_id is not None:
            query = query.where(api_keys.c.project_id == project_id)
        return [_key(row) for row in self._connection.execute(query)]

    def put(self, record: KeyRecord) -> None:
        """Write a key that is kept already over its former self; see ``hold``."""
        same = _is_key(record.project_id, record.key_id)
        self._connection.execute(update(api_keys).where(*same).values(**_key_values(record)))


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


def _is_key(project_id: str, key_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return api_keys.c.project_id == project_id, api_keys.c.key_id == key_id


def _key_values(record: KeyRecord) -> dict[str, object]:
    # Not asdict: it copies what it knows as a dataclass, and the policy is none.
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    policy = canonical_json(msgspec.to_builtins(record.policy)).decode()
    return values | {"roles": _join(record.roles), "policy": policy}


def _key(row: Row[tuple[object, ...]]) -> KeyRecord:
    fields = dict(row._mapping)  # noqa: SLF001 (as above)
    policy = msgspec.json.decode(fields["policy"], type=KeyPolicy)
    return KeyRecord(**{**fields, "roles": _split(fields["roles"]), "policy": policy})
