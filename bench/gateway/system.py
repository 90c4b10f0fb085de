"""What is measured: a system that listens, with what its callers send and the processes it consists of."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.gateway.exchange import PACED_MODEL, PLAIN_MODEL
from bench.processes import answers, start, stop, wait_for


@dataclass(frozen=True, slots=True)
class System:
    """A running system."""

    name: str
    version: str
    port: int
    stop: Callable[[], None]
    keys: Sequence[str] = ("sk-bench",)
    plain_models: Sequence[str] = (PLAIN_MODEL,)
    paced_models: Sequence[str] = (PACED_MODEL,)
    gateway_pids: Sequence[int] = ()
    """The roots of the process trees that requests pass through; none for the upstream itself."""
    storing_pids: Sequence[int] = ()
    """Further processes, which store what the gateway hands on."""


def start_direct(folder: Path, port: int) -> System:
    """Start the mock upstream: without any gateway between, it is the measure of all others."""
    log = folder / "upstream.log"
    process = start([sys.executable, "-m", "bench.gateway.upstream", "--port", str(port)], log)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/v1/models"), process, log, 20)
    except BaseException:
        stop(process)
        raise
    return System("direct", "", port, lambda: stop(process))
