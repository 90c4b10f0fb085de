"""From the spool to the telemetry store: nothing that was accepted is lost, whatever fails on the way."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from zirkel.core import Invalid, ManualClock, Span, encode_spans
from zirkel.jobs import Ingest
from zirkel.store.spool import SpoolReader, SpoolWriter


class ListStore:
    """Keeps what it is given; fails as often as it is told to, and never takes a span named ``refused``."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[str], str, int]] = []
        self.failures = 0
        self.stored = threading.Semaphore(0)
        self.failed = threading.Semaphore(0)

    def insert(self, spans: Sequence[Span], *, token: str, received_ns: int) -> None:
        if self.failures:
            self.failures -= 1
            self.failed.release()
            raise OSError("the telemetry store is away")
        if any(span.name == "refused" for span in spans):
            raise Invalid("a span that the store does not take")
        self.batches.append(([span.name for span in spans], token, received_ns))
        self.stored.release()

    @property
    def names(self) -> list[str]:
        return [name for names, _, _ in self.batches for name in names]


def record(*names: str) -> bytes:
    return encode_spans(
        [
            Span(project_id="p", trace_id="a" * 32, span_id="b" * 16, name=name, source="otlp", start_ns=1, end_ns=2)
            for name in names
        ]
    )


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
def ingest(reader: SpoolReader, store: ListStore, aside: list[bytes]) -> Ingest:
    return Ingest(reader, store, ManualClock(77), aside.append)


def test_draining_stores_everything_that_was_accepted_in_order_and_once(
    ingest: Ingest, writer: SpoolWriter, store: ListStore
) -> None:
    for part in (record("a", "b"), record("c")):
        writer.append_durable(part)
    ingest.drain()
    ingest.drain()
    assert store.names == ["a", "b", "c"]
    assert {received_ns for _, _, received_ns in store.batches} == {77}


def test_what_could_not_be_stored_is_stored_the_next_time_under_the_same_token(
    reader: SpoolReader, ingest: Ingest, writer: SpoolWriter, store: ListStore
) -> None:
    writer.append_durable(record("a"))
    expected = reader.next_batch(10, 10_000)
    assert expected is not None
    store.failures = 2
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            ingest.drain()
    ingest.drain()
    assert [(names, token) for names, token, _ in store.batches] == [(["a"], expected.token)]


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
    assert len({token for _, token, _ in store.batches}) == 2, "each record alone has a token of its own"


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
