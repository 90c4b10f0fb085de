"""Artefact versions."""

from sqlalchemy import Connection, func, insert, select

from zirkel.core import AddedArtefact, NotFound
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import artefacts as table


class Artefacts:
    """Immutable artefacts, numbered per kind and name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, project_id: str, kind: str, name: str, digest: str, content: str, created_ns: int) -> AddedArtefact:
        """Keep an artefact; one that is known keeps its version number."""
        lock_name(self._connection, project_id)
        known = self._version(project_id, digest)
        if known is not None:
            return AddedArtefact(version=known, is_new=False)
        same_name = (table.c.project_id == project_id, table.c.kind == kind, table.c.name == name)
        last = self._connection.execute(select(func.max(table.c.version)).where(*same_name)).scalar()
        version = (last or 0) + 1
        row = {"project_id": project_id, "digest": digest, "kind": kind, "name": name, "version": version}
        self._connection.execute(insert(table).values(**row, content=content, created_ns=created_ns))
        return AddedArtefact(version=version, is_new=True)

    def content(self, project_id: str, digest: str) -> str:
        """Return an artefact's content as canonical JSON.

        Raises:
            NotFound: If there is no such artefact.
        """
        query = select(table.c.content).where(table.c.project_id == project_id, table.c.digest == digest)
        content = self._connection.execute(query).scalar()
        if content is None:
            raise NotFound(f"artefact {digest[:12]!r} is not known in this project")
        return str(content)

    def version(self, project_id: str, digest: str) -> int:
        """Return an artefact's version number.

        Raises:
            NotFound: If there is no such artefact.
        """
        known = self._version(project_id, digest)
        if known is None:
            raise NotFound(f"artefact {digest[:12]!r} is not known in this project")
        return known

    def _version(self, project_id: str, digest: str) -> int | None:
        query = select(table.c.version).where(table.c.project_id == project_id, table.c.digest == digest)
        return self._connection.execute(query).scalar()
