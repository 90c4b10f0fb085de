"""From the spool to the telemetry store: nothing that was accepted is lost, whatever fails on the way."""

import errno
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from zirkel.core import (
    Batch,
    Invalid,
    LogRecord,
    ManualClock,
    MetricPoint,
    ScoreKind,
    ScoreOrigin,
    ScoreRecord,
    Span,
    encode_batch,
    encode_spans,
)
from zirkel.jobs import Ingest, IngestFault
from zirkel.store.spool import SpoolReader, SpoolWriter


class ListStore:
    """Keeps what it is given; fails as often as it is told to, and never takes what is ``refused``."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[str]]] = []
        """What was new of each insert, and of which kind it was."""
        self.times: list[int] = []
        self.failures = 0
        self.failing: dict[str, Exception] = {}
        self.newest_ns = 0
        self.stored = threading.Semaphore(0)
        self.failed = threading.Semaphore(0)

    def insert(self, spans: Sequence[Span], *, received_ns: int) -> None:
        self._keep("spans", [span.name for span in spans], received_ns)

    def insert_logs(self, logs: Sequence[LogRecord], *, received_ns: int) -> None:
        self._keep("logs", [record.log_id for record in logs], received_ns)

    def insert_points(self, points: Sequence[MetricPoint], *, received_ns: int) -> None:
        self._keep("points", [point.point_id for point in points], received_ns)

    def insert_scores(self, scores: Sequence[ScoreRecord], *, received_ns: int) -> None:
        self._keep("scores", [score.score_id for score in scores], received_ns)

    def newest_received_ns(self) -> int:
        return self.newest_ns

    def _keep(self, kind: str, names: list[str], received_ns: int) -> None:
        if self.failures:
            self.failures -= 1
            self.failed.release()
            raise OSError("the telemetry store is away")
        if kind in self.failing:
            raise self.failing[kind]
        if "refused" in names:
            raise Invalid("what the store does not take")
        known = {name for before, listed in self.batches if before == kind for name in listed}
        self.times.append(received_ns)
        if new := [name for name in names if name not in known]:
            self.batches.append((kind, new))
        self.stored.release()

    @property
    def names(self) -> list[str]:
        return [name for _, names in self.batches for name in names]


def record(*names: str) -> bytes:
    return encode_spans(
        [
            Span(project_id="p", trace_id="a" * 32, span_id="b" * 16, name=name, source="otlp", start_ns=1, end_ns=2)
            for name in names
        ]
    )


def log_record(log_id: str) -> LogRecord:
    return LogRecord(project_id="p", log_id=log_id, time_ns=1)


def metric_point(point_id: str) -> MetricPoint:
    return MetricPoint(project_id="p", point_id=point_id, name="m", kind="gauge", time_ns=1)


def score_record(score_id: str) -> ScoreRecord:
    return ScoreRecord(
        project_id="p", score_id=score_id, name="s", kind=ScoreKind.NUMERIC, origin=ScoreOrigin.CODE, time_ns=1
    )


def record_of_all(name: str) -> bytes:
    """One record with one item of each kind, all of the same name."""
    span = Span(project_id="p", trace_id="a" * 32, span_id="b" * 16, name=name, source="otlp", start_ns=1, end_ns=2)
    return encode_batch(Batch([span], [log_record(name)], [metric_point(name)], [score_record(name)]))


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SpoolWriter]:
    opened = SpoolWriter(tmp_path / "spool", "test")
    yield opened
    opened.close()


@pytest.fixture
def reader(tmp_path: Path, writer: SpoolWriter) -> Iterator[SpoolReader]:
    opened = SpoolReader(tmp_path / "spool")
    yield opened
    opened.close()


@pytest.fixture
def store() -> ListStore:
    return ListStore()


@pytest.fixture
def aside() -> list[bytes]:
    return []


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(77_000_000)


@pytest.fixture
def ingest(reader: SpoolReader, store: ListStore, clock: ManualClock, aside: list[bytes]) -> Ingest:
    return Ingest(reader, store, clock, aside.append)


def test_draining_stores_everything_that_was_accepted_in_order_and_once(
    ingest: Ingest, writer: SpoolWriter, store: ListStore
) -> None:
    for part in (record("a", "b"), record("c")):
        writer.append_durable(part)
    ingest.drain()
    ingest.drain()
    assert store.names == ["a", "b", "c"]
    assert set(store.times) == {77_000_000}


def test_what_could_not_be_stored_is_stored_the_next_time(
    ingest: Ingest, writer: SpoolWriter, store: ListStore
) -> None:
    writer.append_durable(record("a"))
    store.failures = 2
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            ingest.drain()
    ingest.drain()
    assert store.names == ["a"]


@pytest.mark.parametrize("damaged", [b"not spans", b"\x91\x81\xa4name\xa1\xff", record("refused")])
def test_a_record_that_cannot_be_stored_is_set_aside_and_holds_nothing_up(
    ingest: Ingest,
    writer: SpoolWriter,
    store: ListStore,
    aside: list[bytes],
    damaged: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for part in (record("a"), damaged, record("b")):
        writer.append_durable(part)
    ingest.drain()
    assert store.names == ["a", "b"]
    assert (aside, ingest.records_set_aside) == ([damaged], 1)
    assert "set aside" in caplog.text


def test_records_that_hold_nothing_are_passed_over(ingest: Ingest, writer: SpoolWriter, store: ListStore) -> None:
    writer.append_durable(record())
    writer.append_durable(record("a"))
    ingest.drain()
    assert store.names == ["a"]


def test_the_thread_stores_what_comes_and_what_is_left_when_it_stops(
    ingest: Ingest, writer: SpoolWriter, store: ListStore
) -> None:
    ingest.start()
    writer.append_durable(record("a"))
    assert store.stored.acquire(timeout=30)
    writer.append_durable(record("b"))
    ingest.stop()
    assert store.names == ["a", "b"]


def test_the_thread_outlives_a_store_that_fails(
    ingest: Ingest, writer: SpoolWriter, store: ListStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.failures = 1
    writer.append_durable(record("a"))
    ingest.start()
    assert store.failed.acquire(timeout=30)
    assert store.stored.acquire(timeout=30)
    ingest.stop()
    assert store.names == ["a"]
    assert "trying again" in caplog.text


def test_all_four_kinds_are_stored(ingest: Ingest, writer: SpoolWriter, store: ListStore) -> None:
    for name in ("a", "b"):
        writer.append_durable(record_of_all(name))
    ingest.drain()
    assert [names for _, names in store.batches] == [["a", "b"]] * 4
    assert [kind for kind, _ in store.batches] == ["spans", "logs", "points", "scores"]


@pytest.mark.parametrize("kind", ["spans", "logs", "points", "scores"])
def test_a_failure_between_two_kinds_stores_each_once(
    ingest: Ingest, writer: SpoolWriter, store: ListStore, kind: str
) -> None:
    writer.append_durable(record_of_all("a"))
    store.failing[kind] = OSError("away")
    with pytest.raises(OSError, match="away"):
        ingest.drain()
    store.failing.clear()
    ingest.drain()
    assert [names for _, names in store.batches] == [["a"]] * 4


def test_a_crash_between_two_kinds_stores_each_once(
    tmp_path: Path, writer: SpoolWriter, store: ListStore, clock: ManualClock, aside: list[bytes]
) -> None:
    writer.append_durable(record_of_all("a"))
    for failing in ({"points": OSError("away")}, {}):
        reader = SpoolReader(tmp_path / "spool")
        store.failing = dict(failing)
        try:
            Ingest(reader, store, clock, aside.append).drain()
        except OSError:
            assert failing
        reader.close()
    assert [names for _, names in store.batches] == [["a"]] * 4


@pytest.mark.parametrize(
    "bad",
    [
        Batch(logs=[log_record("refused")]),
        Batch(points=[metric_point("refused")]),
        Batch(scores=[score_record("refused")]),
    ],
)
def test_a_record_whose_other_kinds_cannot_be_stored_is_set_aside_too(
    ingest: Ingest, writer: SpoolWriter, store: ListStore, aside: list[bytes], bad: Batch
) -> None:
    for part in (record_of_all("a"), encode_batch(bad), record_of_all("b")):
        writer.append_durable(part)
    ingest.drain()
    assert aside == [encode_batch(bad)]
    assert set(store.names) == {"a", "b"}


def test_the_time_of_receipt_never_goes_back_with_the_clock(
    ingest: Ingest, writer: SpoolWriter, store: ListStore, clock: ManualClock
) -> None:
    store.newest_ns = 500_000_000
    for now_ns in (77_000_000, 900_000_000, 3, 901_000_000):
        clock.current_ns = now_ns
        writer.append_durable(record("a"))
        ingest.drain()
    times = store.times
    assert times == sorted(set(times))
    assert times[0] > 500_000_000
    assert times[1] == 900_000_000


def test_a_fault_says_what_and_since_when_until_it_is_over(
    ingest: Ingest, writer: SpoolWriter, store: ListStore, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    assert ingest.fault is None
    writer.append_durable(record("a"))
    store.failing["spans"] = OSError(errno.ENOSPC, "No space left on device")
    text = "OSError: [Errno 28] No space left on device"
    for failures in (1, 2):
        clock.current_ns = 1_000_000 * failures
        with pytest.raises(OSError, match="No space"):
            ingest.drain()
        assert ingest.fault == IngestFault(text, 1_000_000, failures)
    store.failing.clear()
    with caplog.at_level("INFO"):
        ingest.drain()
    assert ingest.fault is None
    assert "works again, after 2 failures" in caplog.text
    assert store.names == ["a"]


def test_what_cannot_be_set_aside_stays_in_the_spool(
    reader: SpoolReader, writer: SpoolWriter, store: ListStore, clock: ManualClock
) -> None:
    kept: list[bytes] = []
    is_full = True

    def set_aside(data: bytes) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        kept.append(data)

    ingest = Ingest(reader, store, clock, set_aside)
    for part in (record("a"), b"no batch", record("b")):
        writer.append_durable(part)
    with pytest.raises(OSError, match="No space"):
        ingest.drain()
    assert reader.pending_bytes() > 0
    assert ingest.records_set_aside == 0
    is_full = False
    ingest.drain()
    assert (kept, ingest.records_set_aside) == ([b"no batch"], 1)
    assert store.names == ["a", "b"]
    assert reader.pending_bytes() == 0


def test_a_torn_tail_is_passed_over_and_what_came_before_and_after_is_stored(
    tmp_path: Path, store: ListStore, clock: ManualClock, aside: list[bytes]
) -> None:
    first = SpoolWriter(tmp_path / "spool", "torn")
    first.append_durable(record("a"))
    first.append_durable(record("torn"))
    first.close()
    (segment,) = (tmp_path / "spool" / "torn").glob("*.spool")
    segment.write_bytes(segment.read_bytes()[:-3])
    second = SpoolWriter(tmp_path / "spool", "torn")
    second.append_durable(record("b"))
    reader = SpoolReader(tmp_path / "spool")
    Ingest(reader, store, clock, aside.append).drain()
    assert store.names == ["a", "b"]
    assert reader.damaged == 1
    reader.close()
    second.close()


def test_a_thread_that_fails_stops_when_it_is_told_to_and_leaves_the_batch(
    ingest: Ingest, reader: SpoolReader, writer: SpoolWriter, store: ListStore
) -> None:
    store.failures = 1000
    writer.append_durable(record("a"))
    ingest.start()
    assert store.failed.acquire(timeout=30)
    ingest.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "ingest"]
    assert reader.pending_bytes() > 0
