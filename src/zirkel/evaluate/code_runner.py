"""Running users' evaluators in processes of their own, which stay for the next call.

What is isolated: memory, CPU time, run time, the environment, writing of files, and the network where the system lets a
process have one of its own (Linux, as root or with user namespaces). What is not: the code reads (and may delete) what
the server's user can, and sees its processes and Unix sockets. It is for code of people who may push, not of strangers.
"""

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

import msgspec

from zirkel.evaluate.code_worker import ALARM_MARGIN_S, IDLE_EXIT, LOAD_CPU_S

Network = Literal["closed", "closed_if_possible", "open"]

MOST_ANSWER_BYTES = 64 << 10
"""JSON text that a call may answer."""
_PROGRAM = Path(__file__).with_name("code_worker.py")
# Nothing of the server's own environment: it may hold secrets. The rest makes runs alike and single-threaded.
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class CodeFailed(Exception):
    """A user's code gave no answer. ``str()`` says why."""


class _WentIdle(Exception):
    """The process ended by itself before it saw the call."""


@dataclass(frozen=True, slots=True)
class CodeSpec:
    """Code and its limits."""

    source: str
    """Python with a function ``score(item, output, context)``."""
    cpu_s: int = 10
    """CPU time of a call, at least 1."""
    wall_s: float = 30
    """Time of a call."""
    memory_bytes: int = 512 << 20
    """Address space of the process, Python's own 30 MB included."""
    network: Network = "closed_if_possible"


@dataclass(frozen=True, slots=True)
class CodeAnswer:
    """What a call came to."""

    json: bytes
    is_network_closed: bool


class _Line(msgspec.Struct, frozen=True):
    """What a process says."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    ends: bool = False
    network_closed: bool = False


class CodeRunner:
    """Keeps processes for the next call of the same code. May be used by many threads."""

    def __init__(self, *, workers: int = 4) -> None:
        """Prepare; ``workers`` is how many calls run at once, and how many idle processes are kept."""
        self._workers = workers
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._is_closed = False

    def run(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
        """Return what the code answers to ``call``, one line of JSON with ``item``, ``output`` and ``context``.

        Calls of the same code may share a process, so what it keeps in its own variables may or may not still be there.

        Raises:
            CodeFailed: If it cannot be loaded, raises, breaks a limit or answers no JSON.
        """
        with self._slots:
            worker = self._take(spec) or _Worker(spec)
            try:
                try:
                    line = worker.ask(call)
                except _WentIdle:
                    worker.close()
                    worker = _Worker(spec)
                    line = worker.ask(call)
            except BaseException:
                worker.close()
                raise
            self._give_back(worker, is_good=not line.ends)
        if line.error:
            raise CodeFailed(line.error)
        return CodeAnswer(bytes(line.result), worker.is_network_closed)

    def close(self) -> None:
        """End all processes; one that is asked at the moment ends with its call."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()

    def _take(self, spec: CodeSpec) -> "_Worker | None":
        with self._lock:
            found = next((worker for worker in reversed(self._idle) if worker.spec == spec), None)
            if found is not None:
                self._idle.remove(found)
        if found is not None and not found.is_alive:
            found.close()
            return None
        return found

    def _give_back(self, worker: "_Worker", *, is_good: bool) -> None:
        surplus = [worker]
        with self._lock:
            if is_good and not self._is_closed:
                self._idle.append(worker)
                surplus = self._idle[: -self._workers]
                del self._idle[: -self._workers]
        for old in surplus:
            old.close()


class _Worker:
    """A process with one user's code."""

    def __init__(self, spec: CodeSpec) -> None:
        self.spec = spec
        self._process = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-s", "-P", "-B", "-X", "utf8", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        setup = {
            "source": spec.source,
            "cpu_s": spec.cpu_s,
            "wall_s": spec.wall_s,
            "memory_bytes": spec.memory_bytes,
            "network": spec.network,
            "answer_bytes": MOST_ANSWER_BYTES,
        }
        try:
            line = self._exchange(msgspec.json.encode(setup), spec.wall_s + LOAD_CPU_S)
        except BaseException:
            self.close()
            raise
        if line.error:
            self.close()
            raise CodeFailed(line.error)
        self.is_network_closed = line.network_closed

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, call: bytes) -> _Line:
        return self._exchange(call, self.spec.wall_s)

    def close(self) -> None:
        # The whole session: the code may have started processes, where the system let it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()

    def _exchange(self, line: bytes, limit_s: float) -> _Line:
        deadline_s = monotonic() + limit_s
        try:
            self._send(line + b"\n", deadline_s)
            said = self._receive(deadline_s)
        except _Ended:
            raise self._how_it_ended() from None
        except TimeoutError:
            raise CodeFailed(f"took longer than {limit_s:g} s") from None
        try:
            return msgspec.json.decode(said, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise CodeFailed("the process answered garbage") from None

    def _send(self, data: bytes, deadline_s: float) -> None:
        rest = memoryview(data)
        while rest:
            _wait(self._stdin, select.POLLOUT, deadline_s)
            try:
                rest = rest[os.write(self._stdin, rest) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise _Ended from None

    def _receive(self, deadline_s: float) -> bytes:
        said = bytearray()
        while not said.endswith(b"\n"):
            _wait(self._stdout, select.POLLIN, deadline_s)
            chunk = os.read(self._stdout, 1 << 16)
            if not chunk:
                raise _Ended
            said += chunk
            if len(said) > 2 * MOST_ANSWER_BYTES:
                raise CodeFailed(f"the process answered more than {MOST_ANSWER_BYTES} bytes")
        return bytes(said)

    def _how_it_ended(self) -> Exception:
        try:
            code = self._process.wait(timeout=ALARM_MARGIN_S)
        except subprocess.TimeoutExpired:
            return CodeFailed("the process closed its output")
        if code == IDLE_EXIT:
            return _WentIdle()
        if code == -signal.SIGXCPU:
            return CodeFailed(f"used more than {self.spec.cpu_s} s of CPU time")
        if code < 0:
            return CodeFailed(f"the process was ended by {signal.Signals(-code).name}")
        return CodeFailed(f"the process ended with exit code {code} and without an answer")


class _Ended(Exception):
    """There is no process any more."""


def _wait(descriptor: int, event: int, deadline_s: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    left_s = deadline_s - monotonic()
    if left_s <= 0 or not poll.poll(left_s * 1000):
        raise TimeoutError
