"""What the spool's files still hold after records were taken over, and files that were kept aside."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from zirkel.core import Batch, LogRecord, Span, decode_batch, encode_batch
from zirkel.store.segments import CHECKPOINT
from zirkel.store.spool import SpoolReader, SpoolWriter
from zirkel.store.spool_erasure import KeptAside, blank_consumed, erase_kept_aside

SECRET = "whisper-4711"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def span(trace_id: str = TRACE, **changes: str) -> Span:
    made = Span(project_id="p", trace_id=trace_id, span_id="b" * 16, name="n", source="otlp", start_ns=1, end_ns=2)
    return replace(made, **changes)


def record(text: str, **changes: str) -> bytes:
    return encode_batch(Batch([span(input=text, **changes)]))


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SpoolWriter]:
    opened = SpoolWriter(tmp_path / "spool", "core")
    yield opened
    opened.close()


def take_all(reader: SpoolReader) -> list[bytes]:
    found: list[bytes] = []
    while (batch := reader.next_batch(3, 10_000)) is not None:
        found += batch.records
        reader.commit(batch)
    return found


def held(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_what_was_taken_over_is_overwritten_and_what_was_not_is_read_on(tmp_path: Path, writer: SpoolWriter) -> None:
    reader = SpoolReader(tmp_path / "spool")
    for _ in range(7):
        writer.append_durable(record(SECRET))
    assert len(take_all(reader)) == 7
    writer.append_durable(record("later"))
    assert SECRET.encode() in held(tmp_path)

    assert blank_consumed(tmp_path / "spool") > 0
    assert SECRET.encode() not in held(tmp_path)
    assert take_all(reader) == [record("later")]
    writer.append_durable(record("last"))
    assert take_all(reader) == [record("last")]
    assert reader.damaged == 0
    reader.close()


def test_a_reader_without_its_checkpoint_reads_over_what_was_overwritten(tmp_path: Path, writer: SpoolWriter) -> None:
    reader = SpoolReader(tmp_path / "spool")
    writer.append_durable(record(SECRET))
    take_all(reader)
    writer.append_durable(record("later"))
    blank_consumed(tmp_path / "spool")
    reader.close()
    (tmp_path / "spool" / "core" / CHECKPOINT).unlink()

    again = SpoolReader(tmp_path / "spool")
    batches = [decode_batch(found) for found in take_all(again)]
    assert [bool(batch) for batch in batches] == [False, True]
    assert batches[1].spans[0].input == "later"
    assert again.damaged == 0
    again.close()


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_any_number_of_taken_bytes_can_be_overwritten(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    root = tmp_path_factory.mktemp("spool")
    writer, reader = SpoolWriter(root, "w"), SpoolReader(root)
    for size in sizes:
        writer.append(b"\xc1" * size)
    take_all(reader)
    size_before = sum(path.stat().st_size for path in root.rglob("*.spool"))
    blank_consumed(root)
    blank_consumed(root)
    writer.append(record("later"))
    assert take_all(reader) == [record("later")]
    assert sum(path.stat().st_size for path in root.rglob("*.spool")) > size_before
    assert (b"\xc1" * 9 in held(root)) is (sum(sizes) + 8 * len(sizes) < 15 and max(sizes) >= 9)
    writer.close()
    reader.close()


def test_an_empty_spool_has_nothing_to_overwrite(tmp_path: Path) -> None:
    assert blank_consumed(tmp_path / "nothing") == 0


def kept_aside(tmp_path: Path) -> tuple[Path, Path]:
    spool, aside = tmp_path / "spool", tmp_path / "set-aside"
    (spool / "core").mkdir(parents=True)
    aside.mkdir()
    mixed = Batch(
        [span(user_id="u1", input=SECRET), span("c" * 32, user_id="u2", input="other")],
        [LogRecord(project_id="p", log_id="1", time_ns=1, session_id="s1", body=SECRET)],
    )
    (aside / "mixed.record").write_bytes(encode_batch(mixed))
    (aside / "theirs.record").write_bytes(record(SECRET))
    (aside / "others.record").write_bytes(record("other", trace_id="d" * 32))
    (aside / "broken.record").write_bytes(record(SECRET, user_id="u1")[:-3])
    (aside / "broken-other.record").write_bytes(b"u1 is no id here")
    (spool / "core" / "1.damaged").write_bytes(b"\x00\x01" + record(SECRET, session_id="session-1234")[9:])
    (spool / "core" / "2.damaged").write_bytes(record("other", trace_id="d" * 32)[9:])
    return spool, aside


def test_of_files_that_were_kept_aside_only_what_is_others_stays(tmp_path: Path) -> None:
    spool, aside = kept_aside(tmp_path)
    ids = {"u1", "s1", "session-1234", TRACE}
    before = held(tmp_path)
    assert erase_kept_aside(spool, aside, ids, dry_run=True) == KeptAside(deleted=3, rewritten=1)
    assert held(tmp_path) == before

    assert erase_kept_aside(spool, aside, ids, dry_run=False) == KeptAside(deleted=3, rewritten=1)
    assert SECRET.encode() not in held(tmp_path)
    assert sorted(path.name for path in aside.iterdir()) == ["broken-other.record", "mixed.record", "others.record"]
    assert [path.name for path in (spool / "core").iterdir()] == ["2.damaged"]
    left = decode_batch((aside / "mixed.record").read_bytes())
    assert [found.user_id for found in left.spans] == ["u2"]
    assert left.logs == []
    assert erase_kept_aside(spool, aside, ids, dry_run=False) == KeptAside(deleted=0, rewritten=0)


def test_nothing_set_aside_is_nothing_to_do(tmp_path: Path) -> None:
    assert erase_kept_aside(tmp_path / "spool", tmp_path / "set-aside", {"u1"}, dry_run=False) == KeptAside(0, 0)
