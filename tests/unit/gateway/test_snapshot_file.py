import os
from pathlib import Path

import pytest

from zirkel.core import Overloaded
from zirkel.gateway import FileSnapshots, Snapshot, encode_snapshot


def publish(path: Path, version: int) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(encode_snapshot(Snapshot(version, 0, {}, {}, {}, {})))
    new.replace(path)


def test_a_new_file_is_taken_and_an_unchanged_one_is_not_read_again(tmp_path: Path) -> None:
    source = FileSnapshots(tmp_path / "snapshot.json")
    publish(tmp_path / "snapshot.json", 1)
    first = source.current()

    assert source.current() is first
    publish(tmp_path / "snapshot.json", 2)
    assert (first.version, source.current().version) == (1, 2)


def test_a_damaged_file_is_counted_once_and_the_last_good_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    publish(path, 1)
    source = FileSnapshots(path)
    source.current()
    for damage in (b"", b'{"version": 2', b'{"format": 99}', b"\xff"):
        path.write_bytes(damage)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        assert [source.current().version for _ in range(3)] == [1, 1, 1]

    assert source.damaged_loads == 4
    publish(path, 3)
    assert source.current().version == 3


def test_a_file_that_vanishes_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    publish(path, 1)
    source = FileSnapshots(path)
    source.current()
    path.unlink()

    assert source.current().version == 1


def test_without_any_good_file_the_gateway_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    source = FileSnapshots(path)
    with pytest.raises(Overloaded, match="no configuration"):
        source.current()
    path.write_bytes(b"{")
    with pytest.raises(Overloaded):
        source.current()
    publish(path, 1)

    assert source.current().version == 1
