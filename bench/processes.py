"""Processes: started, ended, and what the kernel says of a tree of them."""

import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from zirkel.app.config import clean_environment

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STOP_S = 20.0
_KEY = re.compile(r"zk_[A-Za-z0-9_-]+")
_SHOWN_OF_LOG = 1500


class Unavailable(Exception):
    """A system cannot be measured on this machine; the text says why."""


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all below it, those that are there."""
    yield pid
    try:
        children = [
            child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
        ]
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def cpu_s(pids: Sequence[int]) -> float:
    """Return the processor time, user and system, of process trees so far, with their ended children's: seconds."""
    total = 0
    for pid in [member for root in pids for member in tree(root)]:
        try:
            # Behind the command's name, which may hold spaces: utime, stime, cutime, cstime are fields 14 to 17.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / _TICKS_PER_S


def rss_mib(pid: int) -> float:
    """Return the resident memory of one process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def start(
    command: Sequence[str], log: Path, changes: Mapping[str, str] | None = None, folder: Path | None = None
) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, with its output in ``log``."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean_environment(changes or {}),
            cwd=folder,
            start_new_session=True,
        )


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all below it."""
    members = list(tree(process.pid))
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in members[1:]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_for(found: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path, timeout_s: float) -> None:
    """Return when ``found`` is true.

    Raises:
        Unavailable: If the process ends before, or time is up; with the end of its log.
    """
    deadline_s = time.monotonic() + timeout_s
    while not found():
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise Unavailable(f"{log.stem} did not come up (exit status {process.poll()}):\n{end_of(log)}")
        time.sleep(0.1)


def end_of(log: Path) -> str:
    """Return the last of what a process said, without keys."""
    return _KEY.sub("zk_…", log.read_text(errors="replace")[-_SHOWN_OF_LOG:])


def answers(url: str) -> bool:
    """Return whether a GET is answered with 200."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
