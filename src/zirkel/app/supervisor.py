"""``zirkel up``: one supervisor over a core and gateway workers, in one data directory."""

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from zirkel.app.config import Config, process_environment
from zirkel.core import Clock, Held, Overloaded, Refused, SystemClock, iso_utc

BACKLOG = 2048
FIRST_RESTART_S = 0.1
LONGEST_RESTART_S = 5.0
STEADY_S = 10.0
"""A process that ran this long and then died is started again at once."""
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


class DirectoryLock:
    """Holds a data directory for one supervisor; says who holds it when it is taken."""

    def __init__(self, data_dir: Path, config: Config, clock: Clock) -> None:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = (data_dir / "holder.json").open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder_text = self._file.read()
            self._file.close()
            raise Held(f"{data_dir} is held by {_describe(holder_text)}; stop that one first") from None
        self._file.truncate(0)
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": iso_utc(clock.now_ns()),
            "core_port": config.core_port,
            "gateway_port": config.gateway_port,
        }
        self._file.write(json.dumps(holder))
        self._file.flush()

    def release(self) -> None:
        """Let go of the directory."""
        self._file.truncate(0)
        self._file.close()


def bind(host: str, port: int, setting: str) -> socket.socket:
    """Return a listening socket; it outlives the processes that serve it, so a restart refuses no connection.

    Raises:
        Held: If the port is taken, with the setting that changes it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Held(
            f"port {port} on {host} cannot be used ({error.strerror}); choose another with "
            f"--{setting.replace('_', '-')} or ZIRKEL_{setting.upper()}"
        ) from error
    return listener


@dataclass(slots=True)
class Child:
    """One process that is kept running."""

    name: str
    arguments: list[str]
    sockets: list[socket.socket]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    restart_at_s: float = 0.0
    delay_s: float = FIRST_RESTART_S
    restarts: int = field(default=0)

    def start(self) -> None:
        """Start the process."""
        fds = [listener.fileno() for listener in self.sockets]
        command = [sys.executable, "-m", "zirkel.app.serve", *self.arguments]
        for fd in fds:
            command += ["--fd", str(fd)]
        self.process = subprocess.Popen(  # noqa: S603 (our own module, no shell)
            command, pass_fds=fds, start_new_session=True, env=self.environment
        )
        self.started_s = time.monotonic()

    def keep_running(self, say: Callable[[str], None]) -> None:
        """Start the process again if it has ended, with growing pauses if it keeps ending."""
        now_s = time.monotonic()
        if self.process is None:
            if now_s >= self.restart_at_s:
                self.start()
            return
        status = self.process.poll()
        if status is None:
            return
        steady = now_s - self.started_s >= STEADY_S
        self.delay_s = FIRST_RESTART_S if steady else min(self.delay_s * 2, LONGEST_RESTART_S)
        self.restart_at_s = now_s + self.delay_s
        self.restarts += 1
        self.process = None
        say(f"{self.name} ended with status {status}; starting it again in {self.delay_s:.1f} s")

    def stop(self) -> None:
        """Ask the process to end and wait; kill it if it does not."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Starts the processes, keeps them running, and stops them in order."""

    def __init__(self, config: Config, say: Callable[[str], None]) -> None:
        self._config = config
        self._say = say
        self._stopping = threading.Event()
        self._children: list[Child] = []

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises:
            Held: If the directory or a port is taken.
            Refused: If the core ends at once; it has said why.
            Overloaded: If it does not answer in time.
        """
        config = self._config
        lock = DirectoryLock(config.data_dir, config, SystemClock())
        try:
            sockets = self._bind()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self._stopping.set())
            try:
                self._start(*sockets)
                self._announce()
                while not self._stopping.wait(0.1):
                    for child in self._children:
                        child.keep_running(self._say)
            finally:
                # Gateways first: what they record on their last requests still reaches a running core.
                for child in reversed(self._children):
                    child.stop()
                for listener in (listener for group in sockets for listener in group):
                    listener.close()
        finally:
            lock.release()

    def _bind(self) -> tuple[list[socket.socket], list[socket.socket]]:
        config = self._config
        wanted = [("gateway_port", config.gateway_port), ("core_port", config.core_port)]
        if config.otlp_port:
            wanted.append(("otlp_port", config.otlp_port))
        bound: list[socket.socket] = []
        try:
            for setting, port in wanted:
                bound.append(bind(config.host, port, setting))
            if config.otlp_grpc_port:
                # The core listens there by itself; that it can is found out before anything starts.
                bind(config.host, config.otlp_grpc_port, "otlp_grpc_port").close()
        except Held:
            for listener in bound:
                listener.close()
            raise
        return bound[1:], bound[:1]

    def _start(self, core: list[socket.socket], gateway: list[socket.socket]) -> None:
        folder = ["--data-dir", str(self._config.data_dir)]
        environment = process_environment(self._config)
        self._children.append(Child("core", ["core", *folder], core, environment))
        self._children[0].start()
        self._wait_for_core()
        for number in range(self._config.gateway_workers):
            name = f"gateway-{number}"
            child = Child(name, ["gateway", *folder, "--worker", name], gateway, environment)
            self._children.append(child)
            child.start()

    def _wait_for_core(self) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        process = self._children[0].process
        while time.monotonic() < deadline_s and not self._stopping.is_set():
            if process is not None and process.poll() is not None:
                raise Refused("the core could not start; its message is above")
            if answers(f"http://{self._config.host_in_url}:{self._config.core_port}/healthz"):
                return
            time.sleep(0.02)
        if not self._stopping.is_set():
            raise Overloaded(f"the core did not answer within {START_TIMEOUT_S:.0f} s")

    def _announce(self) -> None:
        config = self._config
        self._say(f"gateway  http://{config.host_in_url}:{config.gateway_port}/v1   (OpenAI-shaped)")
        self._say(f"console  http://{config.host_in_url}:{config.core_port}/")
        otlp = f" and :{config.otlp_port}" if config.otlp_port else ""
        otlp += f"; gRPC :{config.otlp_grpc_port}" if config.otlp_grpc_port else ""
        self._say(f"OTLP     http://{config.host_in_url}:{config.core_port}/v1/traces{otlp}")
        self._say(f"data     {config.data_dir.resolve()}")
        self._say("ready; stop with Ctrl-C")


def answers(url: str) -> bool:
    """Return whether a GET of an address on this machine is answered with 200."""
    try:
        # Without proxies: a setting like http_proxy is not meant for this machine's own ports.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=0.5) as response:
            return bool(response.status == 200)
    except (http.client.HTTPException, OSError):
        return False


def _describe(text: str) -> str:
    try:
        holder = json.loads(text)
        return (
            f"process {holder['pid']} on {holder['host']} since {holder['since']} "
            f"(core port {holder['core_port']}, gateway port {holder['gateway_port']})"
        )
    except (ValueError, KeyError, TypeError):
        return "another process"
