"""What projects' gateways are configured to do: every version of their documents, and their price tables."""

import dataclasses
from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select

from zirkel.core import NotFound
from zirkel.core.gateway_config import GatewayConfigRecord, PriceTableRecord
from zirkel.store.metadata.documents import Documents
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import gateway_configs, price_table_contents, price_tables, upstreams


class GatewayConfigs(Documents[GatewayConfigRecord]):
    """The gateway's documents, and the upstreams that belong to them."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, gateway_configs, GatewayConfigRecord)

    def remove_upstream(self, project_id: str, name: str) -> None:
        """Forget an upstream, with its credential."""
        same = (upstreams.c.project_id == project_id, upstreams.c.name == name)
        self._connection.execute(delete(upstreams).where(*same))


class PriceTables:
    """Loaded price tables; a content that is loaded twice is kept once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: PriceTableRecord, content: str) -> PriceTableRecord:
        """Keep a table under the next number, which the returned record has."""
        lock_name(self._connection, record.project_id)
        same = price_tables.c.project_id == record.project_id
        last = self._connection.execute(select(func.max(price_tables.c.number)).where(same)).scalar() or 0
        kept = dataclasses.replace(record, number=last + 1)
        self._connection.execute(insert(price_tables).values(**dataclasses.asdict(kept)))
        if not self._has_content(record.project_id, record.digest):
            values = {"project_id": record.project_id, "digest": record.digest, "content": content}
            self._connection.execute(insert(price_table_contents).values(**values))
        return kept

    def list(self, project_id: str | None = None) -> Sequence[PriceTableRecord]:
        """Return tables, of all projects if none is given: those with the newest first day first, then the newest."""
        query = select(price_tables)
        if project_id is not None:
            query = query.where(price_tables.c.project_id == project_id)
        order = (price_tables.c.project_id, price_tables.c.effective.desc(), price_tables.c.number.desc())
        return [PriceTableRecord(*row) for row in self._connection.execute(query.order_by(*order))]

    def content(self, project_id: str, digest: str) -> str:
        """Return what is in a table.

        Raises:
            NotFound: If the project has no table of this digest.
        """
        same = (price_table_contents.c.project_id == project_id, price_table_contents.c.digest == digest)
        found = self._connection.execute(select(price_table_contents.c.content).where(*same)).scalar()
        if found is None:
            raise NotFound(f"there is no price table {digest[:12]!r} in this project; see: zirkel prices list")
        return str(found)

    def _has_content(self, project_id: str, digest: str) -> bool:
        same = (price_table_contents.c.project_id == project_id, price_table_contents.c.digest == digest)
        return self._connection.execute(select(price_table_contents.c.digest).where(*same)).first() is not None
