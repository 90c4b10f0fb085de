"""The way to ClickHouse: what fails is said in Zirkel's words, and connections are shared out."""

import errno
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from zirkel.core import Invalid, Overloaded
from zirkel.store.telemetry.engine import READERS, Engine, Parameter


class FakeClient:
    """Does what it is told to for each statement; notes if two are run on it at once."""

    def __init__(self, act: Callable[[str], None]) -> None:
        self._act = act
        self._busy = threading.Lock()
        self.is_closed = False
        self.overlaps = 0

    def _run(self, statement: str) -> bytes:
        if not self._busy.acquire(blocking=False):
            self.overlaps += 1
            return b""
        try:
            self._act(statement)
        finally:
            self._busy.release()
        return b'{"value":1}'

    def command(self, cmd: str, parameters: Mapping[str, Parameter]) -> object:
        return self._run(cmd)

    def raw_query(self, query: str, parameters: Mapping[str, Parameter], *, fmt: str) -> bytes:
        return self._run(query)

    def raw_insert(
        self, table: str, column_names: Sequence[str], insert_block: bytes, settings: Mapping[str, str | int], fmt: str
    ) -> object:
        return self._run(f"INSERT INTO {table}")

    def close(self) -> None:
        self.is_closed = True


class Value(msgspec.Struct):
    value: int


def engine_that(act: Callable[[str], None], folder: Path | None = None) -> tuple[Engine, list[FakeClient]]:
    clients: list[FakeClient] = []

    def connect() -> FakeClient:
        clients.append(FakeClient(act))
        return clients[-1]

    return Engine(connect, folder), clients


def failing(error: Exception) -> Callable[[str], None]:
    def act(_statement: str) -> None:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DatabaseError("too many parts", code=252), Overloaded),
        (DatabaseError("not enough space", code=243), Overloaded),
        (OperationalError("connection refused"), Overloaded),
        (DatabaseError("unknown table", code=60), DatabaseError),
        (DatabaseError("cannot parse", code=27), DatabaseError),
    ],
)
def test_what_passes_by_itself_is_said_to_pass(error: Exception, told: type[Exception]) -> None:
    engine, _ = engine_that(failing(error))
    with pytest.raises(told):
        engine.rows("SELECT 1 AS value", {}, Value)
    with pytest.raises(told):
        engine.execute("OPTIMIZE TABLE t")


@pytest.mark.parametrize("is_embedded", [True, False])
def test_a_row_that_clickhouse_cannot_read_is_the_rows_fault(tmp_path: Path, is_embedded: bool) -> None:
    engine, _ = engine_that(failing(DatabaseError("cannot parse", code=27)), tmp_path if is_embedded else None)
    with pytest.raises(Invalid, match="refuses a row for spans"):
        engine.insert("spans", ["a"], [b"{}"])
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_passes_and_leaves_no_rows_behind(tmp_path: Path) -> None:
    engine, _ = engine_that(failing(OSError(errno.ENOSPC, "No space left on device")), tmp_path)
    with pytest.raises(Overloaded, match="No space left on device"):
        engine.insert("spans", ["a"], [b"{}"])
    assert list(tmp_path.iterdir()) == []


def test_queries_have_connections_of_their_own_and_no_more_than_there_may_be() -> None:
    inside = threading.Semaphore(0)
    going_on = threading.Event()

    def act(statement: str) -> None:
        if statement.startswith("SELECT"):
            inside.release()
            assert going_on.wait(timeout=60)

    engine, clients = engine_that(act)
    threads = [
        threading.Thread(target=engine.rows, args=("SELECT 1 AS value", {}, Value)) for _ in range(2 * READERS + 1)
    ]
    for thread in threads:
        thread.start()
    for _ in range(READERS):
        assert inside.acquire(timeout=60)
    engine.execute("OPTIMIZE TABLE t")
    engine.insert("t", ["a"], [b"{}"])
    assert not inside.acquire(timeout=0.05), "a query more than there are readers"
    going_on.set()
    for thread in threads:
        thread.join(timeout=60)
    assert len(clients) == 2 + READERS
    assert sum(client.overlaps for client in clients) == 0


def test_a_connection_is_used_again_and_one_whose_query_failed_is_closed_and_replaced() -> None:
    def act(statement: str) -> None:
        if statement == "bad":
            raise DatabaseError("unknown table", code=60)

    engine, clients = engine_that(act)
    for _ in range(3):
        engine.rows("SELECT 1 AS value", {}, Value)
    assert len(clients) == 3
    for _ in range(2 * READERS):
        with pytest.raises(DatabaseError):
            engine.rows("bad", {}, Value)
    assert engine.rows("SELECT 1 AS value", {}, Value) == [Value(1)]
    is_failed = [client.is_closed for client in clients]
    assert is_failed == [False, False, *[True] * 2 * READERS, False]


def test_inserts_wait_while_they_are_kept_out_and_queries_do_not() -> None:
    inserted = threading.Event()
    engine, _ = engine_that(lambda statement: inserted.set() if statement.startswith("INSERT") else None)
    thread = threading.Thread(target=engine.insert, args=("t", ["a"], [b"{}"]))
    with engine.without_inserts():
        thread.start()
        assert engine.rows("SELECT 1 AS value", {}, Value) == [Value(1)]
        assert not inserted.is_set()
    thread.join(timeout=60)
    assert inserted.is_set()


def test_a_closed_engine_has_closed_all_its_connections_and_answers_nothing() -> None:
    engine, clients = engine_that(lambda _statement: None)
    engine.rows("SELECT 1 AS value", {}, Value)
    engine.close()
    engine.close()
    assert [client.is_closed for client in clients] == [True] * 3
    with pytest.raises(RuntimeError, match="was closed"):
        engine.rows("SELECT 1 AS value", {}, Value)
