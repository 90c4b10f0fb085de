"""What the shared state promises: transactions that happen whole or not at all, over threads, processes and kills."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.memory_state import MemoryState
from zirkel.core import Held, Invalid, Overloaded
from zirkel.gateway.ports import SharedState
from zirkel.store.shared import RESERVED_BYTES, LmdbState

_COUNT = """
import sys
from pathlib import Path
from zirkel.store.shared import RESERVED_BYTES, LmdbState

state = LmdbState(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    with state.transaction() as transaction:
        transaction.put(b"n", str(int(transaction.get(b"n") or b"0") + 1).encode())
state.close()
"""
_STALL = """
import sys, time
from pathlib import Path
from zirkel.store.shared import RESERVED_BYTES, LmdbState

state = LmdbState(Path(sys.argv[1]))
with state.transaction() as transaction:
    transaction.put(b"kept", b"1")
with state.transaction() as transaction:
    transaction.put(b"undone", b"1")
    transaction.delete(b"kept")
    print("inside", flush=True)
    time.sleep(1000)
"""


@pytest.fixture(params=["memory", "lmdb"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SharedState]:
    if request.param == "memory":
        yield MemoryState()
        return
    opened = LmdbState(tmp_path / "shared")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shared"


def _fill(state: SharedState, count: int) -> None:
    with state.transaction() as transaction:
        for number in range(count):
            transaction.put(f"key-{number:05}".encode(), b"x" * 200)


def test_a_transaction_sees_its_own_changes_and_others_see_them_after_it(state: SharedState) -> None:
    with state.transaction() as transaction:
        transaction.put(b"a", b"1")
        assert transaction.get(b"a") == b"1"
        assert transaction.get(b"b") is None
        assert state.get(b"a") is None
    assert state.get(b"a") == b"1"


def test_an_error_undoes_all_changes_of_its_transaction(state: SharedState) -> None:
    with state.transaction() as transaction:
        transaction.put(b"a", b"1")
        transaction.put(b"b", b"1")

    def fail() -> None:
        with state.transaction() as transaction:
            transaction.put(b"a", b"2")
            transaction.delete(b"b")
            transaction.put(b"c", b"2")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [state.get(key) for key in (b"a", b"b", b"c")] == [b"1", b"1", None]
    with state.transaction() as transaction:
        assert [key for key, _ in transaction.scan(b"")] == [b"a", b"b"]


def test_delete_tells_whether_there_was_something(state: SharedState) -> None:
    with state.transaction() as transaction:
        transaction.put(b"a", b"")
        assert transaction.delete(b"a")
        assert not transaction.delete(b"a")
        assert transaction.get(b"a") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    entries=st.dictionaries(st.binary(min_size=1, max_size=4), st.binary(max_size=8), max_size=30),
    prefix=st.binary(max_size=2),
)
def test_a_scan_gives_the_entries_with_its_prefix_in_order(
    state: SharedState, entries: dict[bytes, bytes], prefix: bytes
) -> None:
    with state.transaction() as transaction:
        for key, _ in list(transaction.scan(b"")):
            transaction.delete(key)
        for key, value in entries.items():
            transaction.put(key, value)
        found = list(transaction.scan(prefix))
    assert found == sorted((key, value) for key, value in entries.items() if key.startswith(prefix))


def test_increments_of_many_threads_lose_nothing(state: SharedState) -> None:
    def count() -> None:
        for _ in range(100):
            with state.transaction() as transaction:
                transaction.put(b"n", str(int(transaction.get(b"n") or b"0") + 1).encode())

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.get(b"n") == b"800"


def test_increments_of_four_processes_lose_nothing(folder: Path) -> None:
    children = [subprocess.Popen([sys.executable, "-c", _COUNT, str(folder), "2000"]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    state = LmdbState(folder)
    assert state.get(b"n") == b"8000"
    assert not state.was_lost
    state.close()


@pytest.mark.parametrize("is_open_elsewhere", [True, False])
def test_a_kill_in_the_middle_of_a_transaction_undoes_it_and_blocks_nobody(
    folder: Path, is_open_elsewhere: bool
) -> None:
    state = LmdbState(folder) if is_open_elsewhere else None
    with subprocess.Popen([sys.executable, "-c", _STALL, str(folder)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "inside\n"
        if state is not None:
            assert state.get(b"undone") is None, "reads wait for nobody"
        child.send_signal(signal.SIGKILL)
    state = state or LmdbState(folder)
    with state.transaction() as transaction:
        transaction.put(b"after", b"1")
    assert [state.get(key) for key in (b"kept", b"undone", b"after")] == [b"1", None, b"1"]
    assert not state.was_lost
    state.close()


def test_a_full_map_refuses_changes_and_keeps_what_it_has(folder: Path) -> None:
    state = LmdbState(folder, size_bytes=1024 * 1024)
    with state.transaction() as transaction:
        transaction.put(b"a", b"1")
    with pytest.raises(Overloaded, match="full at 1048576 bytes"):
        _fill(state, 100_000)
    assert state.get(b"a") == b"1"
    assert state.get(b"key-00000") is None
    with state.transaction() as transaction:
        assert transaction.delete(b"a")
    state.close()


def test_an_undamaged_map_is_as_it_was_when_it_is_opened_again(folder: Path) -> None:
    state = LmdbState(folder)
    _fill(state, 1000)
    state.close()
    state.close()
    state = LmdbState(folder)
    assert state.get(b"key-00999") == b"x" * 200
    assert not state.was_lost
    state.close()


def test_space_is_taken_before_it_is_needed(folder: Path) -> None:
    LmdbState(folder).close()
    assert (folder / "data.mdb").stat().st_blocks * 512 >= RESERVED_BYTES
    small = folder.with_name("small")
    LmdbState(small, size_bytes=1024 * 1024).close()
    assert (small / "data.mdb").stat().st_size == 1024 * 1024


def _cut(data: bytes) -> bytes:
    return data[: len(data.rstrip(b"\0")) // 2]


def _blank_a_page(data: bytes) -> bytes:
    """As if one page had not reached the disk: one that holds entries."""
    start = data.index(b"key-00500") // 4096 * 4096
    return data[:start] + bytes(4096) + data[start + 4096 :]


@pytest.mark.parametrize("damage", [_cut, _blank_a_page, lambda _: b"no map", lambda _: b""])
def test_a_damaged_map_is_moved_aside_begun_anew_and_says_so_until_it_was_rebuilt(
    folder: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    state = LmdbState(folder)
    _fill(state, 1000)
    state.close()
    data = folder / "data.mdb"
    damaged = damage(data.read_bytes())
    data.write_bytes(damaged)

    state = LmdbState(folder)
    assert state.was_lost
    assert state.get(b"key-00001") is None
    assert (folder / "data.mdb.damaged-1").read_bytes() == damaged
    assert "is damaged" in caplog.text
    state.close()

    state = LmdbState(folder)
    assert state.was_lost, "whoever saw it first may have been killed"
    state.note_rebuilt()
    state.close()
    rebuilt = LmdbState(folder)
    assert not rebuilt.was_lost
    rebuilt.close()


def test_a_second_opening_in_one_process_is_refused(folder: Path) -> None:
    state = LmdbState(folder)
    with pytest.raises(Held, match="open in this process already"):
        LmdbState(folder)
    with state.transaction() as transaction:
        transaction.put(b"a", b"1")
    state.close()


@pytest.mark.parametrize("key", [b"", b"k" * 600])
def test_a_key_of_no_use_is_refused(folder: Path, key: bytes) -> None:
    state = LmdbState(folder)
    with pytest.raises(Invalid, match="1 to 500 bytes"), state.transaction() as transaction:
        transaction.put(key, b"1")
    state.close()


def test_the_thread_brings_commits_to_disk_by_itself_and_close_the_rest(folder: Path) -> None:
    state = LmdbState(folder, sync_every_s=0.001)
    for _ in range(3):
        with state.transaction() as transaction:
            transaction.put(b"a", b"1")
        while state.is_dirty:
            threading.Event().wait(0.001)
    state.close()
    slow = LmdbState(folder, sync_every_s=1000)
    with slow.transaction() as transaction:
        transaction.put(b"a", b"2")
    was_dirty = slow.is_dirty
    slow.close()
    assert (was_dirty, slow.is_dirty, slow.failed_syncs) == (True, False, 0)
