"""The spool under torn tails, damage, limits, full disks and restarts of either side."""

import resource
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.core import Conflict, Held, Incompatible, Invalid, Overloaded, TooLarge
from zirkel.store.spool import Batch, SpoolReader, SpoolWriter

HEADER_BYTES = 12
FRAME_BYTES = 8


@contextmanager
def writing(
    root: Path, name: str = "w", *, segment_bytes: int = 1 << 20, limit_bytes: int = 1 << 30
) -> Iterator[SpoolWriter]:
    writer = SpoolWriter(root, name, segment_bytes=segment_bytes, limit_bytes=limit_bytes)
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def reading(root: Path) -> Iterator[SpoolReader]:
    reader = SpoolReader(root)
    try:
        yield reader
    finally:
        reader.close()


def write_all(root: Path, payloads: list[bytes], name: str = "w", *, segment_bytes: int = 1 << 20) -> None:
    with writing(root, name, segment_bytes=segment_bytes) as writer:
        for payload in payloads:
            writer.append(payload)


def take_all(reader: SpoolReader, max_records: int = 3, max_bytes: int = 1 << 20) -> list[bytes]:
    taken: list[bytes] = []
    while (batch := reader.next_batch(max_records, max_bytes)) is not None:
        taken += batch.records
        reader.commit(batch)
    return taken


def newest_segment(root: Path, name: str = "w") -> Path:
    return max((root / name).glob("*.spool"))


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.write_bytes(bytes(data))


PAYLOADS = st.lists(st.binary(min_size=1, max_size=40), max_size=25)


@settings(max_examples=30, deadline=None)
@given(st.lists(PAYLOADS, min_size=1, max_size=4), st.integers(20, 400), st.integers(1, 6), st.integers(1, 200))
def test_every_record_of_every_writer_comes_once_and_in_order(
    runs: list[list[bytes]], segment_bytes: int, max_records: int, max_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        expected: dict[str, list[bytes]] = {"a": [], "b": []}
        for index, payloads in enumerate(runs):
            name = "ab"[index % 2]
            write_all(root, payloads, name, segment_bytes=segment_bytes)
            expected[name] += payloads
        seen: dict[str, list[bytes]] = {"a": [], "b": []}
        with reading(root) as reader:
            while (batch := reader.next_batch(max_records, max_bytes)) is not None:
                assert 1 <= len(batch.records) <= max_records
                assert len(batch.records) == 1 or batch.to_offset - batch.from_offset <= max_bytes
                seen[batch.writer] += batch.records
                reader.commit(batch)
            assert reader.pending_bytes() == 0
            assert reader.damaged == 0
        assert seen == expected


@settings(max_examples=60, deadline=None)
@given(PAYLOADS, st.integers(20, 300), st.lists(st.sampled_from(["crash", "commit"]), max_size=40), st.data())
def test_a_reader_that_crashes_gets_the_identical_batch_again(
    payloads: list[bytes], segment_bytes: int, fates: list[str], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_all(root, payloads, segment_bytes=segment_bytes)
        stored: dict[str, list[bytes]] = {}
        handed_out: Batch | None = None
        for fate in [*fates, *(["commit"] * (len(payloads) + 1))]:
            with reading(root) as reader:
                batch = reader.next_batch(data.draw(st.integers(1, 5)), data.draw(st.integers(1, 100)))
                if handed_out is not None:
                    assert batch == handed_out
                if batch is None:
                    break
                # A store that knows tokens ignores one it has seen.
                stored.setdefault(batch.token, batch.records)
                handed_out = batch
                if fate == "commit":
                    reader.commit(batch)
                    handed_out = None
        assert [record for records in stored.values() for record in records] == payloads


@pytest.mark.parametrize("is_live", [True, False])
def test_a_tail_torn_at_any_byte_costs_only_the_torn_record(tmp_path: Path, is_live: bool) -> None:
    payloads = [b"first", b"second record", b"x"]
    write_all(tmp_path / "whole", payloads)
    whole = newest_segment(tmp_path / "whole").read_bytes()
    ends = [HEADER_BYTES]
    for payload in payloads:
        ends.append(ends[-1] + FRAME_BYTES + len(payload))
    for cut in range(len(whole) + 1):
        root = tmp_path / f"cut-{cut}"
        (root / "w").mkdir(parents=True)
        (root / "w" / f"{1:020d}.spool").write_bytes(whole[:cut])
        if not is_live:
            write_all(root, [b"after the crash"])
        with reading(root) as reader:
            expected = [payload for payload, end in zip(payloads, ends[1:], strict=True) if end <= cut]
            assert take_all(reader) == expected + ([] if is_live else [b"after the crash"])
            is_torn = cut not in (0, *ends)
            assert reader.damaged == (1 if is_torn and not is_live else 0)
            assert bool(list((root / "w").glob("*.damaged"))) == (is_torn and not is_live)


def test_a_record_completed_later_is_read_then(tmp_path: Path) -> None:
    write_all(tmp_path, [b"one", b"two"])
    path = newest_segment(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with reading(tmp_path) as reader:
        assert take_all(reader) == [b"one"]
        path.write_bytes(whole)
        assert take_all(reader) == [b"two"]
        assert reader.damaged == 0


def test_a_damaged_record_is_stepped_over_and_its_segment_kept_aside(tmp_path: Path) -> None:
    write_all(tmp_path, [b"aaaa", b"bbbb", b"cccc"])
    damaged = newest_segment(tmp_path)
    flip(damaged, HEADER_BYTES + 12 + FRAME_BYTES)
    contents = damaged.read_bytes()
    write_all(tmp_path, [b"dddd"])
    with reading(tmp_path) as reader:
        assert take_all(reader) == [b"aaaa", b"cccc", b"dddd"]
        assert reader.damaged == 1
        assert str(damaged) in reader.last_damage
        assert "checksum" in reader.last_damage
    assert damaged.with_suffix(".damaged").read_bytes() == contents
    assert not damaged.exists()


def test_a_segment_stays_known_as_damaged_across_readers(tmp_path: Path) -> None:
    write_all(tmp_path, [b"aaaa", b"bbbb", b"cccc"])
    damaged = newest_segment(tmp_path)
    flip(damaged, HEADER_BYTES + FRAME_BYTES)
    write_all(tmp_path, [b"dddd"])
    taken: list[bytes] = []
    for _ in range(3):
        with reading(tmp_path) as reader:
            batch = reader.next_batch(1, 1000)
            assert batch is not None
            taken += batch.records
            reader.commit(batch)
    assert taken == [b"bbbb", b"cccc", b"dddd"]
    assert damaged.with_suffix(".damaged").exists()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=8), st.data())
def test_one_flipped_bit_anywhere_never_gives_a_false_record_nor_stops_the_reader(
    payloads: list[bytes], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_all(root, payloads)
        path = newest_segment(root)
        flip(path, data.draw(st.integers(HEADER_BYTES, path.stat().st_size - 1)))
        write_all(root, [b"after"])
        with reading(root) as reader:
            taken = take_all(reader)
            assert reader.damaged >= 1
        assert taken[-1] == b"after"
        remaining = iter(payloads)
        assert all(record in remaining for record in taken[:-1]), "records are whole and in order"
        assert path.with_suffix(".damaged").exists()


def test_a_stretch_of_zeros_is_damage_not_records(tmp_path: Path) -> None:
    write_all(tmp_path, [b"one"])
    path = newest_segment(tmp_path)
    path.write_bytes(path.read_bytes() + bytes(4096))
    write_all(tmp_path, [b"two"])
    with reading(tmp_path) as reader:
        assert take_all(reader) == [b"one", b"two"]
        assert reader.damaged == 1


def _cut(data: bytes) -> bytes:
    return data[:-5]


def _flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("damage", [_cut, _flip_last])
def test_a_pending_batch_whose_bytes_were_lost_with_the_machine_stops_nothing_and_is_kept_aside(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    write_all(tmp_path, [b"one", b"two"])
    with reading(tmp_path) as reader:
        handed_out = reader.next_batch(10, 1000)
        assert handed_out is not None
    path = newest_segment(tmp_path)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    write_all(tmp_path, [b"three"])
    with reading(tmp_path) as reader:
        for _ in range(2):
            again = reader.next_batch(10, 1000)
        assert again is not None
        assert (again.token, again.records) == (handed_out.token, [b"one"])
        reader.commit(again)
        assert take_all(reader) == [b"three"]
        assert reader.damaged == 1
        assert path.name in reader.last_damage
    assert path.with_suffix(".damaged").read_bytes() == damaged


def test_a_checkpoint_that_cannot_be_read_starts_over_and_says_so(tmp_path: Path) -> None:
    write_all(tmp_path, [b"one", b"two"])
    with reading(tmp_path) as reader:
        assert take_all(reader, max_records=1) == [b"one", b"two"]
    (tmp_path / "w" / "checkpoint").write_text('{"segment": ')
    with reading(tmp_path) as reader:
        assert take_all(reader) == [b"one", b"two"]
        assert "checkpoint" in reader.last_damage


def test_segments_that_were_taken_over_are_deleted_and_their_numbers_never_come_again(tmp_path: Path) -> None:
    tokens: list[str] = []
    for index in range(4):
        write_all(tmp_path, [b"%d" % index])
        with reading(tmp_path) as reader:
            batch = reader.next_batch(1, 100)
            assert batch is not None
            tokens.append(batch.token)
            reader.commit(batch)
            assert reader.next_batch(1, 100) is None
    assert len(set(tokens)) == 4
    assert len(list((tmp_path / "w").glob("*.spool"))) == 1


def test_numbers_go_on_even_if_somebody_deleted_every_segment(tmp_path: Path) -> None:
    write_all(tmp_path, [b"old"])
    with reading(tmp_path) as reader:
        assert take_all(reader) == [b"old"]
    newest_segment(tmp_path).unlink()
    write_all(tmp_path, [b"new"])
    with reading(tmp_path) as reader:
        assert take_all(reader) == [b"new"]


def test_a_reader_sees_records_appended_and_writers_started_after_it(tmp_path: Path) -> None:
    with reading(tmp_path) as reader:
        assert reader.next_batch(5, 100) is None
        with writing(tmp_path, "a") as first, writing(tmp_path, "b") as second:
            first.append(b"a1")
            second.append(b"b1")
            assert sorted(take_all(reader)) == [b"a1", b"b1"]
            first.append(b"a2")
            assert reader.pending_bytes() == FRAME_BYTES + 2
            assert take_all(reader) == [b"a2"]


def test_a_busy_writer_does_not_starve_another(tmp_path: Path) -> None:
    write_all(tmp_path, [b"a"] * 10, "a")
    write_all(tmp_path, [b"b"] * 10, "b")
    with reading(tmp_path) as reader:
        turns = []
        for _ in range(4):
            batch = reader.next_batch(1, 100)
            assert batch is not None
            turns.append(batch.writer)
            reader.commit(batch)
    assert turns == ["a", "b", "a", "b"]


def test_only_the_batch_handed_out_last_can_be_committed(tmp_path: Path) -> None:
    write_all(tmp_path, [b"one", b"two"])
    with reading(tmp_path) as reader:
        first = reader.next_batch(1, 100)
        assert first is not None
        assert reader.next_batch(1, 100) == first
        reader.commit(first)
        with pytest.raises(Conflict):
            reader.commit(first)


def test_over_the_limit_the_writer_refuses_until_the_reader_made_room(tmp_path: Path) -> None:
    with writing(tmp_path, segment_bytes=200, limit_bytes=600) as writer:
        # Two records of 88 bytes and a header of 12 per segment: three segments are full, a fourth does not fit.
        for _ in range(6):
            writer.append(b"x" * 80)
        for _ in range(2):
            with pytest.raises(Overloaded, match="the core is not taking records over"):
                writer.append(b"x" * 80)
        assert sum(path.stat().st_size for path in (tmp_path / "w").glob("*.spool")) == 3 * 188
        with reading(tmp_path) as reader:
            assert take_all(reader) == [b"x" * 80] * 6
            writer.append(b"again")
            assert take_all(reader) == [b"again"]
            assert reader.damaged == 0


def test_a_full_disk_takes_nothing_and_leaves_no_half_record(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with writing(tmp_path) as writer:
        writer.append(b"before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        try:
            with pytest.raises(Overloaded, match="no space left"):
                writer.append(b"x" * 200)
            assert newest_segment(tmp_path).stat().st_size == HEADER_BYTES + FRAME_BYTES + len(b"before")
            writer.append(b"small")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        writer.append(b"y" * 200)
    with reading(tmp_path) as reader:
        assert take_all(reader) == [b"before", b"small", b"y" * 200]
        assert reader.damaged == 0


def test_a_writer_begins_on_a_full_disk_and_writes_once_there_is_space(tmp_path: Path) -> None:
    write_all(tmp_path, [b"before"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        writer = SpoolWriter(tmp_path, "w")
        for append in (writer.append, writer.append_durable):
            with pytest.raises(Overloaded, match="no space left"):
                append(b"refused")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.append_durable(b"after")
    writer.close()
    with reading(tmp_path) as reader:
        assert take_all(reader) == [b"before", b"after"]
        assert reader.damaged == 0


def test_pending_bytes_are_told_to_any_thread_and_change_nothing(tmp_path: Path) -> None:
    write_all(tmp_path, [b"one", b"two"])
    with reading(tmp_path) as reader:
        whole = reader.pending_bytes()
        assert whole == 2 * FRAME_BYTES + 6
        batch = reader.next_batch(1, 1000)
        assert batch is not None
        assert reader.pending_bytes() == whole
        reader.commit(batch)
        assert reader.pending_bytes() == whole // 2
        assert take_all(reader) == [b"two"]
        assert reader.pending_bytes() == 0
    with reading(tmp_path) as again:
        assert again.pending_bytes() == 0


def test_durable_appends_from_many_threads_all_arrive(tmp_path: Path) -> None:
    with writing(tmp_path, segment_bytes=500) as writer:

        def append(worker: int) -> None:
            for index in range(20):
                writer.append_durable(b"%d/%d" % (worker, index))

        threads = [threading.Thread(target=append, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert writer.failed_flushes == 0
    with reading(tmp_path) as reader:
        taken = take_all(reader)
    for worker in range(8):
        mine = [record for record in taken if record.startswith(b"%d/" % worker)]
        assert mine == [b"%d/%d" % (worker, index) for index in range(20)]
    assert len(taken) == 160


def test_one_writer_per_folder_and_one_reader_per_spool(tmp_path: Path) -> None:
    with writing(tmp_path), reading(tmp_path):
        with pytest.raises(Held):
            SpoolWriter(tmp_path, "w")
        with pytest.raises(Held):
            SpoolReader(tmp_path)
    with writing(tmp_path), reading(tmp_path):
        pass


def test_a_segment_of_a_newer_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    write_all(tmp_path, [b"one"])
    path = newest_segment(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"\x63" + data[9:])
    before = path.read_bytes()
    with reading(tmp_path) as reader, pytest.raises(Incompatible, match="format 99"):
        reader.next_batch(1, 100)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\x00"])
def test_a_writer_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid):
        SpoolWriter(tmp_path, name)


def test_empty_and_huge_records_are_refused(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        with pytest.raises(Invalid):
            writer.append(b"")
        with pytest.raises(TooLarge):
            writer.append(bytes(64 * 1024 * 1024 + 1))
        writer.append(b"good")
    with reading(tmp_path) as reader:
        assert take_all(reader) == [b"good"]


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, "w")
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.append(b"late")
