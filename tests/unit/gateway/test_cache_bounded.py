"""The bounded map: what was put is there until it expires or must make room, and the bound always holds."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.memory_state import MemoryState
from zirkel.core import Overloaded
from zirkel.gateway.cache.bounded import BoundedMap, count_entries, read_total
from zirkel.gateway.ports import SharedState
from zirkel.store.shared import LmdbState

MAX_BYTES = 2_000


def put(entries: BoundedMap, key: bytes, value: bytes, expires_ns: int, now_ns: int = 0) -> bool:
    with entries.edit(now_ns) as edit:
        return edit.put(key, value, expires_ns)


def held_bytes(state: MemoryState) -> int:
    return sum(len(key) + len(value) for key, value in state._values.items() if key != b"t")


def test_a_value_is_there_until_it_expires() -> None:
    entries = BoundedMap(MemoryState(), max_bytes=MAX_BYTES)
    assert put(entries, b"k", b"v", 10)
    assert entries.get(b"k", 9) == b"v"
    assert entries.get(b"k", 10) is None


def test_a_value_that_is_put_again_replaces_the_old_one_and_its_expiry() -> None:
    entries = BoundedMap(MemoryState(), max_bytes=MAX_BYTES)
    put(entries, b"k", b"old", 10)
    put(entries, b"k", b"new", 5)
    assert entries.get(b"k", 4) == b"new"
    assert entries.get(b"k", 5) is None


def test_what_expires_soonest_makes_room() -> None:
    entries = BoundedMap(MemoryState(), max_bytes=MAX_BYTES)
    for number in range(30):
        put(entries, b"long%d" % number, b"x" * 20, 1000)
    put(entries, b"short", b"x" * 200, 50)
    put(entries, b"new", b"x" * 200, 500)
    assert entries.get(b"short", 0) is None
    assert entries.get(b"new", 0) is not None
    assert entries.get(b"long29", 0) is not None


def test_a_value_that_would_drive_out_many_is_not_kept() -> None:
    entries = BoundedMap(MemoryState(), max_bytes=MAX_BYTES)
    put(entries, b"k", b"old", 10)
    assert not put(entries, b"k", b"x" * (MAX_BYTES // 4), 10)
    assert entries.get(b"k", 0) is None


def test_expired_entries_go_little_by_little() -> None:
    state = MemoryState()
    entries = BoundedMap(state, max_bytes=1 << 20)
    for number in range(20):
        put(entries, b"%d" % number, b"x", 10)
    left = []
    for number in range(3):
        put(entries, b"new%d" % number, b"x", 100, now_ns=50)
        with state.transaction() as transaction:
            left.append(count_entries(transaction, 100))
    assert left == [13, 6, 3]


def test_a_smaller_bound_holds_from_the_next_write_on() -> None:
    state = MemoryState()
    large = BoundedMap(state, max_bytes=MAX_BYTES)
    for number in range(25):
        put(large, b"%d" % number, b"x" * 20, 100 + number)
    put(BoundedMap(state, max_bytes=500), b"new", b"x", 1000)
    assert held_bytes(state) <= 500
    assert large.get(b"new", 0) == b"x"


def test_an_edit_that_fails_changes_nothing() -> None:
    state = MemoryState()
    entries = BoundedMap(state, max_bytes=MAX_BYTES)
    state.is_full = True
    with pytest.raises(Overloaded):
        put(entries, b"k", b"v", 10)
    assert entries.get(b"k", 0) is None
    assert held_bytes(state) == 0


@dataclass
class Model:
    """The obvious map: everything that was put and has not expired, if nothing had to go."""

    values: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)

    def get(self, key: bytes, now_ns: int) -> bytes | None:
        value, expires_ns = self.values.get(key, (b"", -1))
        return value if expires_ns > now_ns else None


steps = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"]), st.binary(max_size=300), st.integers(1, 50)),
    max_size=40,
)


def check(state: SharedState, script: list[tuple[bytes, bytes, int]], max_bytes: int) -> None:
    entries, model = BoundedMap(state, max_bytes=max_bytes), Model()
    for now_ns, (key, value, ttl_ns) in enumerate(script):
        if put(entries, key, value, now_ns + ttl_ns, now_ns):
            model.values[key] = (value, now_ns + ttl_ns)
            assert entries.get(key, now_ns) == value
        else:
            model.values.pop(key, None)
        for name in (b"a", b"b", b"c", b"d", b"e", b"f"):
            found = entries.get(name, now_ns)
            assert found is None or found == model.get(name, now_ns)
            if max_bytes > 1 << 20:
                assert found == model.get(name, now_ns)
        with state.transaction() as transaction:
            held = sum(len(key) + len(value) for key, value in transaction.scan(b"") if key != b"t")
            assert read_total(transaction) == held <= max_bytes


@given(script=steps)
def test_nothing_is_lost_while_there_is_room(script: list[tuple[bytes, bytes, int]]) -> None:
    check(MemoryState(), script, 1 << 30)


@given(script=steps)
def test_the_bound_holds_and_what_is_left_is_right(script: list[tuple[bytes, bytes, int]]) -> None:
    check(MemoryState(), script, 1_000)


def test_the_real_state_behaves_alike(tmp_path: Path) -> None:
    state = LmdbState(tmp_path / "cache", 16 << 20)
    try:
        check(state, [(bytes([97 + n % 6]), b"x" * (n * 37 % 120), 1 + n % 50) for n in range(60)], 1_000)
    finally:
        state.close()
