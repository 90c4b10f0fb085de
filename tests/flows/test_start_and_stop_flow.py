"""Starting, being refused, and ending without a trace."""

import hashlib
import os
import signal
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.flows.harness import Stack, descendants, is_alive, run_command, wait_for
from zirkel.app.config import clean_environment
from zirkel.app.demo.processes import free_ports

pytestmark = pytest.mark.flow


def _processes_with(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and text.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid() and is_alive(pid)]


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_second_start_on_the_same_directory_is_refused_and_names_the_holder(stack: Stack) -> None:
    ports = ("--core-port", "0", "--gateway-port", "0", "--otlp-port", "0")
    refused = stack.command("up", "--data-dir", str(stack.data_dir), *ports)
    assert refused.exit_code == 1
    assert f"held by process {stack.process.pid} " in refused.errors
    assert str(stack.core_port) in refused.errors


@pytest.mark.parametrize("setting", ["core_port", "gateway_port", "otlp_port", "otlp_grpc_port"])
def test_a_taken_port_is_refused_and_the_refusal_names_the_setting(tmp_path: Path, setting: str) -> None:
    ports = dict(zip(("core_port", "gateway_port", "otlp_port", "otlp_grpc_port"), free_ports(4), strict=True))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports[setting] = int(taken.getsockname()[1])
        options = [word for name, port in ports.items() for word in (f"--{name.replace('_', '-')}", str(port))]
        refused = run_command(["up", "--data-dir", str(tmp_path / "data"), *options], clean_environment({}))
    assert refused.exit_code == 1
    assert f"port {ports[setting]} " in refused.errors
    assert f"ZIRKEL_{setting.upper()}" in refused.errors
    assert _processes_with(str(tmp_path)) == []


def test_sigterm_ends_every_process_and_a_newer_database_is_then_refused_untouched(tmp_path: Path) -> None:
    started = Stack.start(tmp_path / "stack")
    try:
        pids = [started.process.pid, *descendants(started.process.pid)]
        assert len(pids) >= 4  # the supervisor, the core and two gateway workers
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(30) == 0
        assert not any(map(is_alive, pids))
        assert _processes_with(str(tmp_path)) == []
    finally:
        started.stop()

    connection = sqlite3.connect(started.data_dir / "metadata.sqlite")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    connection.close()
    before = _digests(started.data_dir)
    options = ["--core-port", str(started.core_port), "--gateway-port", str(started.gateway_port), "--otlp-port", "0"]
    options += ["--otlp-grpc-port", "0"]

    refused = run_command(["up", "--data-dir", str(started.data_dir), *options], clean_environment({}))

    assert refused.exit_code == 1
    assert "9999_from_the_future" in refused.errors
    assert _digests(started.data_dir) == before
    assert _processes_with(str(tmp_path)) == []


def test_no_process_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    started = Stack.start(tmp_path / "stack")
    pids = descendants(started.process.pid)
    try:
        os.kill(started.process.pid, signal.SIGKILL)
        wait_for(lambda: not any(map(is_alive, pids)), "the children have ended")
        assert _processes_with(str(tmp_path)) == []
    finally:
        for pid in filter(is_alive, pids):
            os.kill(pid, signal.SIGKILL)
        started.process.wait()
