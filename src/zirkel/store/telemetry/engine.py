"""The way to ClickHouse: embedded in this process (chDB), or a server over HTTP, with the same SQL."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, cast

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, ProgrammingError

from zirkel.core import Held, Invalid, Overloaded

Row = TypeVar("Row", bound=msgspec.Struct)
Parameter = str | int | float | Sequence[str] | Sequence[int] | Sequence[float]

READERS = 4
"""Most queries at once; a further one waits for its turn."""

# Times of day and exact values must come back as they went in, whatever the server's own defaults.
_SESSION_SETTINGS: Mapping[str, str | int] = {
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_decimals": 1,
    "output_format_json_quote_denormals": 0,
    "precise_float_parsing": 1,
    "do_not_merge_across_partitions_select_final": 1,
}

_INSERT_SETTINGS: Mapping[str, str | int] = {
    "input_format_parallel_parsing": 0,
    "max_insert_threads": 1,
    "max_threads": 1,
    "async_insert": 0,
    # Old spans that arrive late must not be refused for the months they spread over.
    "max_partitions_per_insert_block": 0,
}

# A process of at most 900 MiB: caches of tens of megabytes instead of gigabytes, merges column by column and with small
# buffers (a fifth of the memory), and old parts removed by one thread (else 128 are started for it at once, and kept).
_EMBEDDED_CONFIG = """<clickhouse>
  <max_server_memory_usage>734003200</max_server_memory_usage>
  <merges_mutations_memory_usage_soft_limit>268435456</merges_mutations_memory_usage_soft_limit>
  <mark_cache_size>33554432</mark_cache_size>
  <primary_index_cache_size>33554432</primary_index_cache_size>
  <index_mark_cache_size>16777216</index_mark_cache_size>
  <query_condition_cache_size>4194304</query_condition_cache_size>
  <compiled_expression_cache_size>8388608</compiled_expression_cache_size>
  <max_thread_pool_free_size>16</max_thread_pool_free_size>
  <memory_worker_period_ms>1000</memory_worker_period_ms>
  <merge_tree>
    <vertical_merge_algorithm_min_rows_to_activate>8192</vertical_merge_algorithm_min_rows_to_activate>
    <max_compress_block_size>262144</max_compress_block_size>
    <merge_max_block_size_bytes>4194304</merge_max_block_size_bytes>
    <concurrent_part_removal_threshold>1000000</concurrent_part_removal_threshold>
  </merge_tree>
</clickhouse>
"""

# MEMORY_LIMIT_EXCEEDED, TOO_MANY_PARTS, TIMEOUT_EXCEEDED, TOO_MANY_SIMULTANEOUS_QUERIES, NETWORK_ERROR,
# NOT_ENOUGH_SPACE, CANNOT_WRITE_TO_FILE_DESCRIPTOR.
_PASSING_CODES = frozenset({241, 252, 159, 202, 210, 243, 75})

# What is over when the disk is mended, or mounted again: CANNOT_READ_FROM_FILE_DESCRIPTOR, CANNOT_OPEN_FILE,
# FILE_DOESNT_EXIST, CHECKSUM_DOESNT_MATCH, CORRUPTED_DATA, and STD_EXCEPTION, which is what the file system says.
_DISK_CODES = frozenset({74, 76, 107, 40, 246, 1001})

# What only a row itself can be the reason of: CANNOT_PARSE_TEXT, CANNOT_PARSE_QUOTED_STRING,
# CANNOT_PARSE_INPUT_ASSERTION_FAILED, ATTEMPT_TO_READ_AFTER_EOF, CANNOT_READ_ARRAY_FROM_TEXT, TYPE_MISMATCH,
# ARGUMENT_OUT_OF_BOUND, CANNOT_PARSE_NUMBER, INCORRECT_DATA, TOO_LARGE_STRING_SIZE, DECIMAL_OVERFLOW.
_ROW_CODES = frozenset({6, 26, 27, 32, 33, 53, 69, 72, 117, 131, 407})


class _Client(Protocol):
    """What is used of clickhouse-connect."""

    def command(self, cmd: str, parameters: Mapping[str, Parameter]) -> object: ...

    def raw_query(self, query: str, parameters: Mapping[str, Parameter], *, fmt: str) -> bytes: ...

    def raw_insert(
        self, table: str, column_names: Sequence[str], insert_block: bytes, settings: Mapping[str, str | int], fmt: str
    ) -> object: ...

    def close(self) -> None: ...


class Engine:
    """Runs SQL: one insert, one other statement and some queries at a time, which do not wait for each other.

    Thread safe; a process has one, and must not be forked while it has.
    """

    def __init__(self, connect: Callable[[], _Client], folder: Path | None) -> None:
        """Make the first connection with ``connect``; ``folder`` is the embedded engine's."""
        self._folder = folder
        self._process_id = os.getpid()
        self._inserting = threading.RLock()
        self._inserter = connect()
        self._executing = threading.Lock()
        self._readers = _Readers(connect)
        try:
            self._executor = connect()
        except BaseException:
            self._inserter.close()
            raise

    @classmethod
    def embedded(cls, path: Path) -> "Engine":
        """Start the engine in this process over the folder ``path``, made if it does not exist.

        Raises:
            Held: If another process has it, or this one has another folder open: ClickHouse allows one of each.
        """
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        configuration = path / "zirkel-engine.xml"
        configuration.write_text(_EMBEDDED_CONFIG)
        _insert_file(path).unlink(missing_ok=True)

        def connect() -> _Client:
            client = clickhouse_connect.get_client(
                interface="chdb",
                path=str(path),
                chdb_options={"config-file": str(configuration)},
                settings=dict(_SESSION_SETTINGS),
            )
            return cast(_Client, client)

        try:
            return cls(connect, path)
        except ProgrammingError as error:
            raise Held(
                f"the telemetry store {path} cannot be opened: another process has it open, or this one has another "
                f"store open; stop that one first ({error})"
            ) from error

    @classmethod
    def server(cls, url: str) -> "Engine":
        """Connect to a ClickHouse server, e.g. ``http://user:password@host:8123/zirkel``. The database must exist.

        Raises:
            Overloaded: If it does not answer.
        """

        def connect() -> _Client:
            client = clickhouse_connect.get_client(
                dsn=url, settings=dict(_SESSION_SETTINGS), autogenerate_session_id=False
            )
            return cast(_Client, client)

        try:
            return cls(connect, None)
        except OperationalError as error:
            raise Overloaded(f"the ClickHouse server does not answer: {error}") from error

    def execute(self, statement: str, parameters: Mapping[str, Parameter] | None = None) -> None:
        """Run a statement that gives no rows, and return when it is done."""
        with self._checked(), self._executing:
            self._executor.command(statement, parameters or {})

    def rows(self, query: str, parameters: Mapping[str, Parameter], row: type[Row]) -> list[Row]:
        """Return the rows of a query, whose column names are the fields of ``row``."""
        return msgspec.json.Decoder(row).decode_lines(self.answer(query, parameters, "JSONEachRow"))

    def answer(self, query: str, parameters: Mapping[str, Parameter], form: str) -> bytes:
        """Return the answer to a query in one of ClickHouse's formats, e.g. ``JSONEachRow`` or ``Parquet``."""
        with self._checked(), self._readers.taken() as client:
            return client.raw_query(query, parameters, fmt=form)

    def insert(self, table: str, columns: Sequence[str], lines: Iterable[bytes]) -> None:
        """Insert rows, one JSON object each. What is inserted again is there again, until versions are merged.

        The engine's own tokens against that are not used: it notes them before the rows are there for good, so that a
        crash in between would make it pass over rows that it never had.

        Raises:
            Invalid: If ClickHouse cannot read a row; none was kept.
        """
        block = b"\n".join(lines)
        with self._checked(), self._inserting:
            try:
                if self._folder is None:
                    self._inserter.raw_insert(table, columns, block, _INSERT_SETTINGS, "JSONEachRow")
                else:
                    self._insert_embedded(self._folder, table, columns, block)
            except DatabaseError as error:
                if error.code in _ROW_CODES:
                    raise Invalid(f"ClickHouse refuses a row for {table}: {error}") from error
                raise
            except OSError as error:
                raise Overloaded(f"the telemetry store cannot write to its disk: {error}") from error

    @contextmanager
    def without_inserts(self) -> Iterator[None]:
        """Keep other threads' inserts waiting: what was counted stays so until it is acted on."""
        with self._inserting:
            yield

    def close(self) -> None:
        """Let go of the store when what is running is done. May be called twice."""
        self._readers.close()
        with self._inserting, self._executing:
            self._executor.close()
            self._inserter.close()

    def _insert_embedded(self, folder: Path, table: str, columns: Sequence[str], block: bytes) -> None:
        # The client's own way would leave a copy of the rows in the system's temporary folder after a crash.
        file = _insert_file(folder)
        assignments = ", ".join(f"{name} = {_quote(str(value))}" for name, value in _INSERT_SETTINGS.items())
        try:
            file.write_bytes(block)
            self._inserter.command(
                f"INSERT INTO {table} ({', '.join(columns)}) FROM INFILE {_quote(str(file))} "
                f"SETTINGS {assignments} FORMAT JSONEachRow",
                {},
            )
        finally:
            file.unlink(missing_ok=True)

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """Refuse after a fork, and say in Zirkel's words what passes by itself."""
        if os.getpid() != self._process_id:
            raise RuntimeError("the telemetry store was opened before a fork: open it in the process that uses it")
        try:
            yield
        except DatabaseError as error:
            if isinstance(error, OperationalError) or error.code in _PASSING_CODES:
                raise Overloaded(f"the telemetry store cannot take this now; try again: {error}") from error
            if error.code in _DISK_CODES:
                raise Overloaded(f"the telemetry store's files cannot be used; look at its disk: {error}") from error
            raise


class _Readers:
    """Connections for queries, made when they are needed and kept: a connection runs one query at a time."""

    def __init__(self, connect: Callable[[], _Client]) -> None:
        self._connect = connect
        self._turns = threading.BoundedSemaphore(READERS)
        self._lock = threading.Lock()
        self._idle: list[_Client] = []
        self._is_closed = False

    @contextmanager
    def taken(self) -> Iterator[_Client]:
        """Have a connection to oneself.

        Raises:
            RuntimeError: If the store was closed.
        """
        with self._turns:
            with self._lock:
                if self._is_closed:
                    raise RuntimeError("the telemetry store was closed")
                client = self._idle.pop() if self._idle else None
            client = client or self._connect()
            try:
                yield client
            except BaseException:
                # A query that failed midway leaves what it had written in the connection, for the next one to find.
                client.close()
                raise
            with self._lock:
                self._idle.append(client)

    def close(self) -> None:
        """Close all connections when their queries are done."""
        with self._lock:
            self._is_closed = True
        for _ in range(READERS):
            self._turns.acquire()
        for client in self._idle:
            client.close()
        self._idle.clear()
        for _ in range(READERS):
            self._turns.release()


def _insert_file(path: Path) -> Path:
    return path / "zirkel-insert.jsonl"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
