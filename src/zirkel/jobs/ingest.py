"""From the spool to the telemetry store: each accepted record is stored once, in order, however often we crash."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from zirkel.core import Batch, Clock, Invalid, LogRecord, MetricPoint, ScoreRecord, Span, decode_batch

MAX_RECORDS = 2000
MAX_BYTES = 16 * 1024 * 1024
IDLE_WAIT_S = 0.1
ERROR_WAIT_S = 2.0
LONGEST_ERROR_WAIT_S = 30.0

# What is received later has a later time, whatever the clock does. The step leaves room for the versions of one insert.
_STEP_NS = 1_000_000

log = logging.getLogger(__name__)


class RecordBatch(Protocol):
    """Records read from the spool."""

    @property
    def records(self) -> Sequence[bytes]: ...


B = TypeVar("B", bound=RecordBatch)


class Spool(Protocol[B]):
    """The reading end of the spool."""

    def next_batch(self, max_records: int, max_bytes: int) -> B | None: ...
    def commit(self, batch: B) -> None: ...


class IngestStore(Protocol):
    """Where telemetry ends up. What is inserted again, with a later time, replaces what was."""

    def insert(self, spans: Sequence[Span], *, received_ns: int) -> None: ...
    def insert_logs(self, logs: Sequence[LogRecord], *, received_ns: int) -> None: ...
    def insert_points(self, points: Sequence[MetricPoint], *, received_ns: int) -> None: ...
    def insert_scores(self, scores: Sequence[ScoreRecord], *, received_ns: int) -> None: ...
    def newest_received_ns(self) -> int: ...


@dataclass(frozen=True, slots=True)
class IngestFault:
    """Why nothing is being stored at present. What was accepted waits in the spool meanwhile."""

    last_error: str
    since_ns: int
    """When storing failed first since it last worked, UTC nanoseconds."""
    failures: int
    """How often it was tried since then, at least 1."""


class Ingest:
    """A thread that empties the spool."""

    def __init__(
        self,
        spool: Spool[B],
        store: IngestStore,
        clock: Clock,
        set_aside: Callable[[bytes], None],
        refine: Callable[[Batch], Batch] = lambda batch: batch,
    ) -> None:
        """Prepare the thread.

        Args:
            spool: What is emptied.
            store: Where it goes.
            clock: Says when it was received.
            set_aside: Keeps a record that cannot be stored.
            refine: Adds to a batch what is known by now, such as costs.
        """
        self._next_batch: Callable[[], bool] = lambda: self._store_one(spool)
        self._store = store
        self._clock = clock
        self._set_aside = set_aside
        self._refine = refine
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._received_ns: int | None = None
        self.records_set_aside = 0
        """Records that were whole on disk and yet cannot be stored; they are kept as files, not lost."""
        self.fault: IngestFault | None = None
        """Set while storing fails; ``None`` when it works."""

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
            while self._try_one():
                pass

    def _run(self) -> None:
        while True:
            try:
                with self._lock:
                    stored = self._try_one()
            except Exception:  # noqa: BLE001 (the thread's edge: recorded as the fault, and tried again)
                # The batch stays pending: the spool holds it until it is stored.
                stored = False
                self._stopping.wait(self._report())
            if not stored and self._stopping.wait(IDLE_WAIT_S):
                return

    def _report(self) -> float:
        """Say what failed, once with all there is to say, and return how long to wait before trying again, in s."""
        failures = self.fault.failures if self.fault else 1
        wait_s = min(ERROR_WAIT_S * 1.5 ** (failures - 1), LONGEST_ERROR_WAIT_S)
        message = "storing telemetry failed (%d times); it waits in the spool; trying again in %.0f s: %s"
        last_error = self.fault.last_error if self.fault else ""
        log.error(message, failures, wait_s, last_error, exc_info=failures == 1)
        return wait_s

    def _try_one(self) -> bool:
        """Store the next batch, and keep the fault as it is; False if there was none."""
        try:
            stored = self._next_batch()
        except Exception as error:
            now_ns = self._clock.now_ns()
            before = self.fault or IngestFault("", now_ns, 0)
            text = f"{type(error).__name__}: {error}"
            self.fault = IngestFault(text, before.since_ns, before.failures + 1)
            raise
        if self.fault is not None:
            log.info("storing telemetry works again, after %d failures", self.fault.failures)
            self.fault = None
        return stored

    def _store_one(self, spool: Spool[B]) -> bool:
        batch = spool.next_batch(MAX_RECORDS, MAX_BYTES)
        if batch is None:
            return False
        try:
            self._insert(batch.records)
        except (msgspec.DecodeError, Invalid):
            self._insert_one_by_one(batch)
        spool.commit(batch)
        return True

    def _insert(self, records: Sequence[bytes]) -> None:
        """Store all four kinds; after a crash between two, all of them are stored again and each is there once."""
        batch = self._refine(_joined([decode_batch(record) for record in records]))
        received_ns = self._next_received_ns()
        if batch.spans:
            self._store.insert(batch.spans, received_ns=received_ns)
        if batch.logs:
            self._store.insert_logs(batch.logs, received_ns=received_ns)
        if batch.points:
            self._store.insert_points(batch.points, received_ns=received_ns)
        if batch.scores:
            self._store.insert_scores(batch.scores, received_ns=received_ns)

    def _insert_one_by_one(self, batch: RecordBatch) -> None:
        """Store what can be stored of a batch, and set the rest aside: one bad record must not stop the others."""
        for record in batch.records:
            try:
                self._insert([record])
            except (msgspec.DecodeError, Invalid) as error:
                self._set_aside(record)
                self.records_set_aside += 1
                log.warning("a spool record of %d bytes cannot be stored: %s; it was set aside", len(record), error)

    def _next_received_ns(self) -> int:
        """Return the time by the clock, or a later one: a clock that was put back must not make new versions old."""
        if self._received_ns is None:
            self._received_ns = self._store.newest_received_ns()
        self._received_ns = max(self._clock.now_ns(), self._received_ns + _STEP_NS)
        return self._received_ns


def _joined(batches: Sequence[Batch]) -> Batch:
    return Batch(
        [span for batch in batches for span in batch.spans],
        [record for batch in batches for record in batch.logs],
        [point for batch in batches for point in batch.points],
        [score for batch in batches for score in batch.scores],
    )
