"""Releases and the services they belong to."""

import dataclasses
from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select

from zirkel.core import ReleaseRecord, ServiceRecord
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import releases, services


class Releases:
    """Immutable releases, numbered per service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: ReleaseRecord) -> bool:
        """Keep a release, giving it its service's next number; False if it is known already."""
        lock_name(self._connection, record.project_id)
        if self.get(record.project_id, record.digest) is not None:
            return False
        same = (releases.c.project_id == record.project_id, releases.c.service == record.service)
        last = self._connection.execute(select(func.max(releases.c.number)).where(*same)).scalar()
        numbered = dataclasses.replace(record, number=(last or 0) + 1)
        self._connection.execute(insert(releases).values(**dataclasses.asdict(numbered)))
        return True

    def get(self, project_id: str, digest: str) -> ReleaseRecord | None:
        """Return a release by its whole digest."""
        query = select(releases).where(releases.c.project_id == project_id, releases.c.digest == digest)
        row = self._connection.execute(query).first()
        return ReleaseRecord(*row) if row else None

    def find(self, project_id: str, service: str, prefix: str) -> Sequence[ReleaseRecord]:
        """Return a service's releases whose digest starts with ``prefix``."""
        return [record for record in self.history(project_id, service) if record.digest.startswith(prefix)]

    def history(self, project_id: str, service: str) -> Sequence[ReleaseRecord]:
        """Return a service's releases, newest first."""
        same = (releases.c.project_id == project_id, releases.c.service == service)
        rows = self._connection.execute(select(releases).where(*same).order_by(releases.c.number.desc()))
        return [ReleaseRecord(*row) for row in rows]

    def put_service(self, record: ServiceRecord) -> None:
        """Set what a service points to."""
        lock_name(self._connection, record.project_id)
        same = (services.c.project_id == record.project_id, services.c.name == record.name)
        self._connection.execute(delete(services).where(*same))
        self._connection.execute(insert(services).values(**dataclasses.asdict(record)))

    def service(self, project_id: str, service: str) -> ServiceRecord | None:
        """Return a service, or None."""
        query = select(services).where(services.c.project_id == project_id, services.c.name == service)
        row = self._connection.execute(query).first()
        return ServiceRecord(*row) if row else None

    def services(self, project_id: str) -> Sequence[ServiceRecord]:
        """Return all services of a project by name."""
        query = select(services).where(services.c.project_id == project_id).order_by(services.c.name)
        return [ServiceRecord(*row) for row in self._connection.execute(query)]
