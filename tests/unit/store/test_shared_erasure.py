"""Emptying a map that other processes use: nothing of what was in it is left in its file."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from zirkel.core import Overloaded
from zirkel.store.shared import LmdbState
from zirkel.store.shared_erasure import empty_shared_state

SECRET = b"whisper-4711"
_NEIGHBOUR = """
import sys
from pathlib import Path
from zirkel.store.shared import LmdbState

state = LmdbState(Path(sys.argv[1]))
with state.transaction() as transaction:
    transaction.put(b"theirs", b"whisper-4711" * 50)
assert state.get(b"theirs")
print("open", flush=True)
sys.stdin.readline()
assert state.get(b"theirs") is None
with state.transaction() as transaction:
    transaction.put(b"new", b"1")
print("ok", flush=True)
sys.stdin.readline()
state.close()
"""


def held(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("size_bytes", [40, 900, 3000, 40_000])
def test_what_was_in_the_map_is_in_its_file_no_more(tmp_path: Path, size_bytes: int) -> None:
    value = SECRET + b"x" * size_bytes
    with closing(LmdbState(tmp_path, 64 << 20)) as state:
        for part in range(5):
            with state.transaction() as transaction:
                for number in range(60):
                    transaction.put(f"a{part}/{number}".encode(), value)
        with state.transaction() as transaction:
            for number in range(0, 60, 2):
                transaction.delete(f"a1/{number}".encode())
    assert held(tmp_path).count(SECRET) >= 270

    with closing(LmdbState(tmp_path, 64 << 20)) as state:
        assert empty_shared_state(state) == 270
        assert SECRET not in held(tmp_path)
        assert state.get(b"a0/1") is None
        with state.transaction() as transaction:
            transaction.put(b"a", b"1")
        assert state.get(b"a") == b"1"
    assert SECRET not in held(tmp_path)


def fill(state: LmdbState) -> None:
    with state.transaction() as transaction:
        for number in range(1000):
            transaction.put(f"b{number}".encode(), SECRET + b"x" * 4000)


def test_a_full_map_is_emptied_too(tmp_path: Path) -> None:
    with closing(LmdbState(tmp_path, 1 << 20)) as state:
        for number in range(120):
            with state.transaction() as transaction:
                transaction.put(f"a{number}".encode(), SECRET + b"x" * 4000)
        with pytest.raises(Overloaded):
            fill(state)
    with closing(LmdbState(tmp_path, 1 << 20)) as state:
        assert empty_shared_state(state) == 120
        assert SECRET not in held(tmp_path)


def test_an_empty_map_stays_empty(tmp_path: Path) -> None:
    with closing(LmdbState(tmp_path)) as state:
        assert empty_shared_state(state) == 0
        assert empty_shared_state(state) == 0


def test_another_process_goes_on_with_the_same_file(tmp_path: Path) -> None:
    with (
        closing(LmdbState(tmp_path)) as state,
        subprocess.Popen(
            [sys.executable, "-c", _NEIGHBOUR, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as neighbour,
    ):
        assert neighbour.stdin is not None
        assert neighbour.stdout is not None
        assert neighbour.stdout.readline() == "open\n"
        assert empty_shared_state(state) == 1
        assert SECRET not in held(tmp_path)
        neighbour.stdin.write("\n")
        neighbour.stdin.flush()
        assert neighbour.stdout.readline() == "ok\n"
        assert state.get(b"new") == b"1"
        neighbour.stdin.write("\n")
        neighbour.stdin.flush()
        assert neighbour.wait() == 0
