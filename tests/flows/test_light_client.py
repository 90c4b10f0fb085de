"""The client side without the server's libraries."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.flows.harness import Stack
from tests.flows.service_files import ServiceFolder
from zirkel.app.config import clean_environment

pytestmark = pytest.mark.flow

SERVER_LIBRARIES = (
    "aiohttp",
    "alembic",
    "argon2",
    "chdb",
    "clickhouse_connect",
    "cryptography",
    "dbos",
    "fastapi",
    "fsspec",
    "genai_prices",
    "numpy",
    "psycopg",
    "scipy",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "uvloop",
)
LIGHT_MODULES = ("zirkel", "zirkel.client", "zirkel.core", "zirkel.version", "zirkel.app.cli")
LONGEST_IMPORT_S = 0.15
ROUNDS = 5


def _python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean_environment({}), check=False, timeout=60)


def _without_server(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run ``zirkel …`` in a Python in which importing a server library fails."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({SERVER_LIBRARIES!r}));from zirkel.app.cli import main; main()"
    )
    return _python(code, *arguments)


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_importing_the_client_side_imports_no_server_library(module: str) -> None:
    code = f"import sys, {module}; print(sorted(set(sys.modules) & set({SERVER_LIBRARIES!r})))"
    done = _python(code)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_importing_zirkel_takes_no_time_to_speak_of() -> None:
    def best_s(code: str) -> float:
        times = []
        for _ in range(ROUNDS):
            started_s = time.perf_counter()
            assert _python(code).returncode == 0
            times.append(time.perf_counter() - started_s)
        return min(times)

    assert best_s("import zirkel") - best_s("pass") < LONGEST_IMPORT_S


def test_lock_and_verify_need_no_server_library(service: ServiceFolder) -> None:
    locked = _without_server(["lock", str(service.folder)])
    assert locked.returncode == 0, locked.stderr
    verified = _without_server(["verify", str(service.folder)])
    assert verified.returncode == 0, verified.stderr

    service.write("context/policy.md", "something else\n")
    verified = _without_server(["verify", str(service.folder)])
    assert verified.returncode == 1
    assert "context/policy.md" in verified.stdout


def test_a_pack_is_verified_without_any_server_library(stack: Stack, tmp_path: Path) -> None:
    pack = tmp_path / "evidence.jsonl"
    stack.run("evidence", "export", str(pack))
    verified = _without_server(["evidence", "verify", str(pack)])
    assert verified.returncode == 0, verified.stderr
    assert "signatures were not checked here" in verified.stdout

    data = bytearray(pack.read_bytes())
    data[data.index(b"\n") + 40] ^= 1
    pack.write_bytes(data)
    broken = _without_server(["evidence", "verify", str(pack)])
    assert broken.returncode == 1
    assert "entry 1" in broken.stdout


def test_starting_a_server_without_its_libraries_says_what_to_install(tmp_path: Path) -> None:
    refused = _without_server(["up", "--data-dir", str(tmp_path / "data")])
    assert refused.returncode == 2
    assert "zirkel[server]" in refused.stderr
