"""The price books of projects, kept while they hold."""

import threading

import msgspec

from zirkel.core import Clock, GatewayConfig
from zirkel.observe.price_book import PriceBook, PriceShelf, open_book
from zirkel.observe.price_tables import PriceMetadata

LOOK_EVERY_NS = 10 * 10**9
"""How old what is known of a project's tables may be."""

_Stamp = tuple[object, ...]


class PriceBooks:
    """Opens a project's price book, and gives the same one again until its prices change. Thread safe."""

    def __init__(self, metadata: PriceMetadata, shelf: PriceShelf, clock: Clock) -> None:
        self._metadata = metadata
        self._shelf = shelf
        self._clock = clock
        self._lock = threading.Lock()
        self._books: dict[str, tuple[int, _Stamp, PriceBook]] = {}

    def book(self, project_id: str) -> PriceBook:
        """Return all prices of a project but those of single releases, at most ten seconds old."""
        now_ns = self._clock.now_ns()
        with self._lock:
            looked_ns, stamp, book = self._books.get(project_id, (0, (), None))
            if book is not None and 0 <= now_ns - looked_ns < LOOK_EVERY_NS:
                return book
            with self._metadata.transaction() as tx:
                current = tx.gateway_configs.current(project_id)
                tables = tx.price_tables.list(project_id)
                found: _Stamp = (current and current.digest, *((table.number, table.digest) for table in tables))
                if book is None or found != stamp:
                    config = msgspec.json.decode(current.config, type=GatewayConfig) if current else GatewayConfig()
                    book = open_book(self._shelf, config, tables, tx.price_tables.content)
            self._books[project_id] = (now_ns, found, book)
            return book
