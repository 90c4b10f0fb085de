"""Projects: the tenants of an installation, and the first key of each."""

import re
import unicodedata
from dataclasses import dataclass, replace

from zirkel.core import Clock, Forbidden, Invalid, Json, NotFound, Principal, ProjectRecord, Role
from zirkel.govern.keys import Keys, NewKey
from zirkel.govern.ports import GovernMetadata, Publisher

DEFAULT_PROJECT = "default"
LONGEST_PROJECT_ID = 64
SYSTEM = Principal(DEFAULT_PROJECT, "system", "system", frozenset({Role.ADMIN}))
"""Zirkel itself, as the ledger names it."""


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project just made, with its first admin key."""

    record: ProjectRecord
    key: NewKey


class Projects:
    """Makes and lists projects; only an admin of the default project may."""

    def __init__(self, metadata: GovernMetadata, publisher: Publisher, keys: Keys, clock: Clock) -> None:
        self._metadata = metadata
        self._publisher = publisher
        self._keys = keys
        self._clock = clock

    def bootstrap(self) -> NewKey | None:
        """Create the default project and its first admin key; None if the installation has them already."""
        with self._metadata.transaction() as tx:
            if tx.projects.list():
                return None
            tx.projects.add(ProjectRecord(DEFAULT_PROJECT, DEFAULT_PROJECT, self._clock.now_ns()))
            # In one transaction: a project without a key would lock everybody out.
            first = self._keys.add(tx, SYSTEM, "first admin key", frozenset({Role.ADMIN}))
        self._publisher.publish()
        return first

    def create(self, actor: Principal, name: str) -> NewProject:
        """Make a project and its first admin key; the chains of both projects record it.

        Raises:
            Forbidden: If the actor is no admin of the default project.
            Invalid: If no id can be made of the name.
            Conflict: If the id is taken.
        """
        _require_installation_admin(actor)
        record = ProjectRecord(project_id_of(name), name.strip(), self._clock.now_ns())
        payload: Json = {"project_id": record.project_id, "name": record.name}
        inside = replace(actor, project_id=record.project_id)
        with self._metadata.transaction() as tx:
            tx.projects.add(record)
            for project_id in (actor.project_id, record.project_id):
                tx.ledger.append(project_id, actor.label, "project.created", payload)
            key = self._keys.add(tx, inside, "first admin key", frozenset({Role.ADMIN}))
        self._publisher.publish()
        return NewProject(record, key)

    def all(self, actor: Principal) -> list[ProjectRecord]:
        """Return all projects by id.

        Raises:
            Forbidden: If the actor is no admin of the default project.
        """
        _require_installation_admin(actor)
        with self._metadata.transaction() as tx:
            return list(tx.projects.list())

    def rescue(self, project_id: str) -> NewKey:
        """Make an admin key in the system's name, for when all others are lost.

        Raises:
            NotFound: If there is no such project.
        """
        with self._metadata.transaction() as tx:
            if tx.projects.get(project_id) is None:
                known = ", ".join(record.project_id for record in tx.projects.list())
                raise NotFound(f"there is no project {project_id!r}; there are: {known}")
            key = self._keys.add(tx, replace(SYSTEM, project_id=project_id), "rescue key", frozenset({Role.ADMIN}))
        self._publisher.publish()
        return key


def project_id_of(name: str) -> str:
    """Return the id that a project of this name gets: lower-case letters, digits and hyphens, 1 to 64 characters.

    Raises:
        Invalid: If nothing is left of the name, or too much.
    """
    # Taken apart, an accented letter is a letter that stays and an accent that goes.
    plain = "".join(c for c in unicodedata.normalize("NFKD", name).lower() if not unicodedata.combining(c))
    project_id = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not project_id:
        raise Invalid(f"the name {name[:80]!r} has neither a letter from a to z nor a digit for an id", path="name")
    if len(project_id) > LONGEST_PROJECT_ID:
        raise Invalid(f"the name gives an id of more than {LONGEST_PROJECT_ID} characters: {project_id}", path="name")
    return project_id


def _require_installation_admin(actor: Principal) -> None:
    actor.require(Role.ADMIN)
    if actor.project_id != DEFAULT_PROJECT:
        raise Forbidden(f"{actor.label!r} belongs to {actor.project_id!r}; projects are made in {DEFAULT_PROJECT!r}")
