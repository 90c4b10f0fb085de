"""The metadata database: opening, migrating, transactions."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from zirkel.core import Clock, Incompatible, Overloaded
from zirkel.core.privacy import PrivacyRecord
from zirkel.store.metadata.artefacts import Artefacts
from zirkel.store.metadata.datasets import Datasets
from zirkel.store.metadata.documents import Documents
from zirkel.store.metadata.environments import Environments
from zirkel.store.metadata.experiments import Experiments
from zirkel.store.metadata.gateway_config import GatewayConfigs, PriceTables
from zirkel.store.metadata.keys import Keys, People, Projects, Upstreams
from zirkel.store.metadata.labels import Labels
from zirkel.store.metadata.ledger import Ledger
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.privacy import Erasures
from zirkel.store.metadata.releases import Releases
from zirkel.store.metadata.schema import privacy_configs
from zirkel.store.metadata.verdicts import Verdicts

# SQLITE_BUSY, SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN.
_PASSING_CODES = frozenset({5, 8, 10, 13, 14})


class Transaction:
    """Every room's tables behind one connection, so that a decision and its ledger entry commit together."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.projects = Projects(connection)
        self.keys = Keys(connection)
        self.people = People(connection)
        self.upstreams = Upstreams(connection)
        self.artefacts = Artefacts(connection)
        self.datasets = Datasets(connection)
        self.releases = Releases(connection)
        self.environments = Environments(connection)
        self.experiments = Experiments(connection)
        self.verdicts = Verdicts(connection)
        self.labels = Labels(connection)
        self.gateway_configs = GatewayConfigs(connection)
        self.price_tables = PriceTables(connection)
        self.privacy = Documents(connection, privacy_configs, PrivacyRecord)
        self.erasures = Erasures(connection)
        self.ledger = Ledger(connection, clock)


class Metadata:
    """The metadata store on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._this_thread = threading.local()

    @classmethod
    def open(cls, url: str, clock: Clock) -> "Metadata":
        """Open the database and migrate it to this program's version.

        Args:
            url: SQLAlchemy URL, e.g. ``sqlite:////data/zirkel.sqlite`` or ``postgresql+psycopg://…``.
            clock: Gives ledger entries their time.

        Raises:
            Incompatible: If the database was written by a newer program; it is not touched then.
        """
        engine = _create_engine(url)
        try:
            migrate(engine)
            if engine.dialect.name == "sqlite":
                # Kept in the file; set last, so that a database of a newer program is left as it is.
                _use_write_ahead_log(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a read-write transaction; it commits at the end of the block and rolls back on an error.

        Raises:
            Overloaded: If SQLite's disk is full or fails, or its lock is not free for half a minute.
            RuntimeError: If this thread has one open already. On SQLite the second would wait for the first.
        """
        if getattr(self._this_thread, "is_inside", False):
            raise RuntimeError("this thread has a transaction open already; end it first, or pass it on")
        self._this_thread.is_inside = True
        try:
            with self._engine.begin() as connection:
                yield Transaction(connection, self._clock)
        except OperationalError as error:
            code = getattr(error.orig, "sqlite_errorcode", None)
            if code is None or code & 0xFF not in _PASSING_CODES:
                raise
            raise Overloaded(
                f"the metadata database cannot be used now ({error.orig}), and nothing was changed; see that its disk "
                "has space, and try again"
            ) from error
        finally:
            self._this_thread.is_inside = False

    def compact(self) -> None:
        """Take out of the database's files what was deleted or overwritten in it; writers wait meanwhile.

        PostgreSQL keeps its own log of changes for as long as its administrator says.

        Raises:
            Overloaded: If somebody is in the midst of using it.
        """
        # Connections that wait in the pool must not hold the log open.
        self._engine.dispose()
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if connection.dialect.name == "sqlite":
                _rewrite_sqlite(connection)
            else:
                connection.exec_driver_sql("VACUUM (FULL) trials, labels")

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def migrate(engine: Engine) -> None:
    """Bring the tables to this program's version.

    Raises:
        Incompatible: If the database is at a revision that this program does not know.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with engine.begin() as connection:
        lock_name(connection, "zirkel migrations")
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in known:
            raise Incompatible(
                f"the database is at revision {current!r}, which this program does not know; it was written by a newer "
                "Zirkel. Start that version, or restore a backup made before the upgrade; nothing was changed"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _create_engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver's own transaction handling would begin late and deferred; see _begin_immediate.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _rewrite_sqlite(connection: Connection) -> None:
    driver = connection.connection.cursor()
    try:
        driver.execute("VACUUM")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        answer = driver.fetchone()
    except sqlite3.OperationalError as error:
        raise Overloaded(f"the metadata database is in use and was not rewritten; try again: {error}") from error
    finally:
        driver.close()
    if answer is None or answer[0]:
        raise Overloaded("the metadata database's log is being read and was not emptied; try again")


def _use_write_ahead_log(engine: Engine) -> None:
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _begin_immediate(connection: Connection) -> None:
    # Taking the write lock at once makes read-then-write transactions wait instead of failing half-way.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
