"""The client's spool: whole records in order, within bounds, for several processes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.client.spool import Record, RecordKind, Spool, SpoolLimits, decode_record, encode_record
from zirkel.core import ManualClock

records = st.builds(Record, st.sampled_from(RecordKind), st.binary(max_size=200))


def make_spool(folder: Path, clock: ManualClock | None = None, limits: SpoolLimits | None = None) -> Spool:
    return Spool(folder / "spool", clock or ManualClock(), limits or SpoolLimits())


def bodies(spool: Spool) -> list[bytes]:
    found = [spool.read(name) for name in spool.names()]
    return [record.body for record in found if record]


def scores(body: bytes) -> Record:
    return Record(RecordKind.SCORES, body)


@given(records)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert decode_record(encode_record(record)) == record


@given(records, st.data())
def test_a_part_of_a_record_is_none(record: Record, data: st.DataObject) -> None:
    whole = encode_record(record)
    assert decode_record(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


@given(records, st.data())
def test_a_record_with_a_flipped_bit_is_none(record: Record, data: st.DataObject) -> None:
    damaged = bytearray(encode_record(record))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert decode_record(bytes(damaged)) is None


def test_records_come_out_in_the_order_in_which_they_went_in_also_when_the_clock_is_set_back(tmp_path: Path) -> None:
    clock = ManualClock()
    spool = make_spool(tmp_path, clock)
    for number in range(20):
        spool.append(scores(str(number).encode()))
        clock.advance(-1 if number % 3 else 0)
    assert bodies(spool) == [str(number).encode() for number in range(20)]


def test_beyond_its_size_the_oldest_go_first_and_are_counted(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, limits=SpoolLimits(size_bytes=1000))
    dropped = sum(spool.append(scores(bytes([number]) * 100)) for number in range(20))
    kept = bodies(spool)
    assert kept == [bytes([number]) * 100 for number in range(20)][-len(kept) :]
    assert dropped == 20 - len(kept)
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) <= 1000


def test_beyond_its_number_the_oldest_go_first_too(tmp_path: Path) -> None:
    spool = make_spool(tmp_path, limits=SpoolLimits(records=3))
    assert [spool.append(scores(str(number).encode())) for number in range(5)] == [0, 0, 0, 1, 1]
    assert bodies(spool) == [b"2", b"3", b"4"]


def test_what_has_waited_for_too_long_is_dropped_and_counted(tmp_path: Path) -> None:
    clock = ManualClock()
    spool = make_spool(tmp_path, clock, SpoolLimits(age_s=60))
    spool.append(scores(b"old"))
    clock.advance(50)
    spool.append(scores(b"young"))
    clock.advance(20)
    assert spool.drop_old() == 1
    assert bodies(spool) == [b"young"]


def test_a_write_that_a_crash_cut_short_is_no_record_and_is_cleared_away_in_time(tmp_path: Path) -> None:
    clock = ManualClock()
    spool = make_spool(tmp_path, clock)
    spool.append(scores(b"whole"))
    torn = tmp_path / "spool" / f"{clock.now_ns():020d}-1.new"
    torn.write_bytes(encode_record(scores(b"torn"))[:7])
    assert bodies(spool) == [b"whole"]
    assert spool.drop_old() == 0
    assert torn.exists()
    clock.advance(2 * 3600)
    spool.drop_old()
    assert not torn.exists()


def test_only_one_process_sends_at_a_time(tmp_path: Path) -> None:
    one, other = make_spool(tmp_path), make_spool(tmp_path)
    with one.sending() as is_mine:
        assert is_mine
        with other.sending() as is_others:
            assert not is_others
    with other.sending() as is_others:
        assert is_others


def test_a_record_that_another_process_has_sent_is_gone_without_a_fuss(tmp_path: Path) -> None:
    one, other = make_spool(tmp_path), make_spool(tmp_path)
    one.append(scores(b"x"))
    (name,) = other.names()
    assert other.remove(name) is True
    assert one.remove(name) is False
    assert one.read(name) is None
    assert one.is_empty()


def test_what_others_may_not_read_is_not_readable_for_them(tmp_path: Path) -> None:
    spool = make_spool(tmp_path)
    spool.append(scores(b"x"))
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_no_spool(tmp_path: Path) -> None:
    spool = make_spool(tmp_path)
    spool.append(scores(b"x"))
    (tmp_path / "spool").chmod(0o500)
    assert spool.is_empty()
    with pytest.raises(OSError, match="denied"):
        spool.append(scores(b"y"))
