"""The one connection to ClickHouse: embedded in this process (chDB), or a server over HTTP, with the same SQL."""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, cast

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, ProgrammingError

from zirkel.core import Held, Overloaded

Row = TypeVar("Row", bound=msgspec.Struct)
Parameter = str | int | Sequence[str]

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


class _Client(Protocol):
    """What is used of clickhouse-connect."""

    def command(self, cmd: str) -> object: ...

    def raw_query(self, query: str, parameters: Mapping[str, Parameter], *, fmt: str) -> bytes: ...

    def raw_insert(
        self, table: str, column_names: Sequence[str], insert_block: bytes, settings: Mapping[str, str | int], fmt: str
    ) -> object: ...

    def close(self) -> None: ...


class Engine:
    """Runs SQL, one statement at a time. Thread safe; a process has one, and must not be forked while it has."""

    def __init__(self, client: _Client, folder: Path | None) -> None:
        self._client = client
        self._folder = folder
        self._lock = threading.Lock()
        self._process_id = os.getpid()

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
        try:
            client = clickhouse_connect.get_client(
                interface="chdb",
                path=str(path),
                chdb_options={"config-file": str(configuration)},
                settings=dict(_SESSION_SETTINGS),
            )
        except ProgrammingError as error:
            raise Held(
                f"the telemetry store {path} cannot be opened: another process has it open, or this one has another "
                f"store open; stop that one first ({error})"
            ) from error
        return cls(cast(_Client, client), path)

    @classmethod
    def server(cls, url: str) -> "Engine":
        """Connect to a ClickHouse server, e.g. ``http://user:password@host:8123/zirkel``. The database must exist.

        Raises:
            Overloaded: If it does not answer.
        """
        try:
            client = clickhouse_connect.get_client(
                dsn=url, settings=dict(_SESSION_SETTINGS), autogenerate_session_id=False
            )
        except OperationalError as error:
            raise Overloaded(f"the ClickHouse server does not answer: {error}") from error
        return cls(cast(_Client, client), None)

    def execute(self, statement: str) -> None:
        """Run a statement that gives no rows."""
        with self._running():
            self._client.command(statement)

    def rows(self, query: str, parameters: Mapping[str, Parameter], row: type[Row]) -> list[Row]:
        """Return the rows of a query, whose column names are the fields of ``row``."""
        with self._running():
            lines = self._client.raw_query(query, parameters, fmt="JSONEachRow")
        return msgspec.json.Decoder(row).decode_lines(lines)

    def insert(self, table: str, columns: Sequence[str], lines: Iterable[bytes], token: str) -> None:
        """Insert rows, one JSON object each. The same ``token`` again within the last 1000 inserts does nothing."""
        block = b"\n".join(lines)
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token}
        with self._running():
            if self._folder is None:
                self._client.raw_insert(table, columns, block, settings, "JSONEachRow")
            else:
                self._insert_embedded(self._folder, table, columns, block, settings)

    def close(self) -> None:
        """Let go of the store. May be called twice."""
        with self._lock:
            self._client.close()

    def _insert_embedded(
        self, folder: Path, table: str, columns: Sequence[str], block: bytes, settings: Mapping[str, str | int]
    ) -> None:
        # The client's own way would leave a copy of the rows in the system's temporary folder after a crash.
        file = _insert_file(folder)
        assignments = ", ".join(f"{name} = {_quote(str(value))}" for name, value in settings.items())
        try:
            file.write_bytes(block)
            self._client.command(
                f"INSERT INTO {table} ({', '.join(columns)}) FROM INFILE {_quote(str(file))} "
                f"SETTINGS {assignments} FORMAT JSONEachRow"
            )
        finally:
            file.unlink(missing_ok=True)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Hold the engine for one statement, and say in Zirkel's words what passes by itself."""
        if os.getpid() != self._process_id:
            raise RuntimeError("the telemetry store was opened before a fork: open it in the process that uses it")
        with self._lock:
            try:
                yield
            except DatabaseError as error:
                if isinstance(error, OperationalError) or error.code in _PASSING_CODES:
                    raise Overloaded(f"the telemetry store cannot take this now; try again: {error}") from error
                raise


def _insert_file(path: Path) -> Path:
    return path / "zirkel-insert.jsonl"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
