"""From the spool to the telemetry store: each accepted record is stored once, in order, however often we crash."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from zirkel.core import Clock, Invalid, Span, decode_batch

MAX_RECORDS = 2000
MAX_BYTES = 8 * 1024 * 1024
IDLE_WAIT_S = 0.1
ERROR_WAIT_S = 2.0

log = logging.getLogger(__name__)


class RecordBatch(Protocol):
    """Records read from the spool; the token names exactly these."""

    @property
    def records(self) -> Sequence[bytes]: ...
    @property
    def token(self) -> str: ...


B = TypeVar("B", bound=RecordBatch)


class Spool(Protocol[B]):
    """The reading end of the spool."""

    def next_batch(self, max_records: int, max_bytes: int) -> B | None: ...
    def commit(self, batch: B) -> None: ...


class SpanStore(Protocol):
    """Where spans end up."""

    def insert(self, spans: Sequence[Span], *, token: str, received_ns: int) -> None: ...


class Ingest:
    """A thread that empties the spool."""

    def __init__(self, spool: Spool[B], store: SpanStore, clock: Clock, set_aside: Callable[[bytes], None]) -> None:
        self._next_batch: Callable[[], bool] = lambda: self._store_one(spool)
        self._store = store
        self._clock = clock
        self._set_aside = set_aside
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self.records_set_aside = 0
        """Records that were whole on disk and yet cannot be stored; they are kept as files, not lost."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Store what is there and stop."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def drain(self) -> None:
        """Return when everything that was accepted before the call is stored."""
        with self._lock:
            while self._next_batch():
                pass

    def _run(self) -> None:
        while True:
            try:
                with self._lock:
                    stored = self._next_batch()
            except Exception:
                # The batch stays pending and is tried again: the spool holds it until it is stored.
                log.exception("storing telemetry failed; trying again in %s s", ERROR_WAIT_S)
                stored = False
                self._stopping.wait(ERROR_WAIT_S)
            if not stored and self._stopping.wait(IDLE_WAIT_S):
                return

    def _store_one(self, spool: Spool[B]) -> bool:
        batch = spool.next_batch(MAX_RECORDS, MAX_BYTES)
        if batch is None:
            return False
        try:
            self._insert(batch.records, batch.token)
        except (msgspec.DecodeError, Invalid):
            self._insert_one_by_one(batch)
        spool.commit(batch)
        return True

    def _insert(self, records: Sequence[bytes], token: str) -> None:
        spans = [span for record in records for span in decode_batch(record).spans]
        if spans:
            self._store.insert(spans, token=token, received_ns=self._clock.now_ns())

    def _insert_one_by_one(self, batch: RecordBatch) -> None:
        """Store what can be stored of a batch, and set the rest aside: one bad record must not stop the others."""
        for number, record in enumerate(batch.records):
            try:
                self._insert([record], f"{batch.token}/{number}")
            except (msgspec.DecodeError, Invalid) as error:
                self.records_set_aside += 1
                self._set_aside(record)
                log.warning("a spool record of %d bytes cannot be stored: %s; it was set aside", len(record), error)
