"""The processes a demo starts, and how it ends them."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from zirkel.app.config import clean_environment
from zirkel.core import Json, ZirkelError

KEY = re.compile(r"zk_[A-Za-z0-9_-]+")
STOP_TIMEOUT_S = 20


class StepFailed(ZirkelError):
    """A step did not do what it claims."""

    code = "step_failed"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command of ours said."""

    exit_code: int
    output: str
    errors: str

    def json(self) -> dict[str, Json]:
        """Return the object that the command printed."""
        value = json.loads(self.output)
        if not isinstance(value, dict):
            raise StepFailed(f"expected a JSON object, got {self.output[:200]!r}")
        return value


@dataclass(slots=True)
class Stack:
    """Everything that runs; ends in reverse order of its start."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        """Start ``python -m …`` with its output in ``NAME.log``."""
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(  # noqa: S603 (our own modules, no shell)
            [sys.executable, "-m", *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=clean_environment(self.environment),
            start_new_session=True,
        )
        log.close()
        self.processes[name] = process
        return process

    def log(self, name: str) -> str:
        """Return what a process has printed so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait_until(self, name: str, ready: Callable[[], bool], timeout_s: float) -> None:
        """Return when ``ready`` says so.

        Raises:
            StepFailed: If the process ends before, or time is up.
        """
        deadline_s = time.monotonic() + timeout_s
        while not ready():
            process = self.processes[name]
            if process.poll() is not None:
                raise StepFailed(f"{name} ended with status {process.returncode}:\n{self.log(name)[-2000:]}")
            if time.monotonic() > deadline_s:
                raise StepFailed(f"{name} was not ready within {timeout_s:.0f} s:\n{self.log(name)[-2000:]}")
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        """End a process at once (SIGKILL)."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop_all(self) -> None:
        """End every process, the newest first."""
        for process in reversed(list(self.processes.values())):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def command(self, *arguments: str) -> CommandResult:
        """Run ``zirkel …`` as a user would."""
        done = subprocess.run(  # noqa: S603 (our own command, no shell)
            [sys.executable, "-m", "zirkel.app", *arguments],
            capture_output=True,
            text=True,
            env=clean_environment(self.environment),
            check=False,
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def run(self, *arguments: str) -> CommandResult:
        """Run ``zirkel …`` and expect exit code 0.

        Raises:
            StepFailed: If it ends with another one.
        """
        result = self.command(*arguments)
        if result.exit_code != 0:
            shown = (result.errors or result.output).strip()
            raise StepFailed(f"`zirkel {' '.join(arguments)}` ended with {result.exit_code}: {shown}")
        return result


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
