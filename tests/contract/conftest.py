"""Databases for the contract suites: SQLite files, and a throw-away PostgreSQL where there is one."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

SERVER_URL = "ZIRKEL_TEST_POSTGRES_URL"
_FOLDERS = "/usr/lib/postgresql"


def _find_programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs, the newest version's first."""
    versions = sorted(Path(_FOLDERS).glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]), reverse=True)
    on_path = shutil.which("initdb")
    found = [*versions, *([Path(on_path)] if on_path else [])]
    return found[0].parent if found else None


def _owner() -> pwd.struct_passwd:
    """Return whom the server runs as: PostgreSQL refuses to be root."""
    return pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Cluster:
    """A PostgreSQL server of our own, in a temporary folder."""

    def __init__(self, programs: Path, owner: pwd.struct_passwd) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="zirkel-postgres-"))
        self._owner = owner
        if os.getuid() == 0:
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        data = self._folder / "data"
        made = self._start([programs / "initdb", "-D", data, "-U", "zirkel", "-A", "trust", "-E", "UTF8", "--no-sync"])
        if made.wait() != 0:
            said = self.log()
            shutil.rmtree(self._folder)
            raise OSError(f"initdb failed: {said}")
        self.port = _free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "100",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._server = self._start([programs / "postgres", "-D", data, *options])

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]

    def wait(self, url: str) -> None:
        for _ in range(300):
            try:
                psycopg.connect(url).close()
            except psycopg.OperationalError:
                if self._server.poll() is not None:
                    raise OSError(f"the server stopped: {self.log()}") from None
                time.sleep(0.1)
            else:
                return
        raise OSError(f"the server does not answer: {self.log()}")

    def stop(self) -> None:
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(timeout=60)
        shutil.rmtree(self._folder)

    def _start(self, command: list[Path | str]) -> subprocess.Popen[bytes]:
        is_root = os.getuid() == 0
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._owner.pw_uid if is_root else None,
                group=self._owner.pw_gid if is_root else None,
                extra_groups=[] if is_root else None,
            )


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server as ``postgresql://…/postgres``; skips, and says why, where there is none."""
    given = os.environ.get(SERVER_URL)  # noqa: TID251 (a setting of the tests, not of the program)
    if given:
        yield given
        return
    programs = _find_programs()
    if programs is None:
        pytest.skip(f"no PostgreSQL server is installed, and {SERVER_URL} names none")
    try:
        cluster = _Cluster(programs, _owner())
    except (OSError, KeyError) as error:
        pytest.skip(f"PostgreSQL could not be started: {error}")
    url = f"postgresql://zirkel@127.0.0.1:{cluster.port}/postgres"
    try:
        cluster.wait(url)
        yield url
    except OSError as error:
        pytest.skip(f"PostgreSQL could not be started: {error}")
    finally:
        cluster.stop()


NewDatabase = Callable[[], str]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewDatabase:
    """A function that makes an empty database and returns its SQLAlchemy URL."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path_factory.mktemp('database')}/metadata.sqlite"
    server: str = request.getfixturevalue("postgres_url")

    def create() -> str:
        name = f"zirkel_{os.urandom(6).hex()}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return server.replace("postgresql://", "postgresql+psycopg://", 1).rpartition("/")[0] + f"/{name}"

    return create


@pytest.fixture(scope="module")
def database_url(new_database: NewDatabase) -> str:
    """An empty database for one test module."""
    return new_database()
