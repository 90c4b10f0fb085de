"""One point: a load on a system, and the processor time that took."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import msgspec

from bench.gateway.load import UNBOUNDED, LoadResult, LoadSpec
from bench.gateway.system import System
from bench.processes import cpu_s, rss_mib, tree

_SETTLE_S = 60.0
_QUIET_SHARE = 0.05
"""Processes that use less of a core than this over half a second are at rest: nothing of what came before is left."""

Kind = Literal["plain", "stream", "paced"]


@dataclass(frozen=True, slots=True)
class Point:
    """A load that all systems get."""

    name: str
    kind: Kind
    connections: int
    duration_s: float = 0.0
    per_connection: int = UNBOUNDED


@dataclass(frozen=True, slots=True)
class Measured:
    """What a system did under a load. Times are seconds, latencies in milliseconds."""

    system: str
    point: str
    requests: int
    errors: int
    short: int
    per_s: float
    p50_ms: float
    p99_ms: float
    first_p50_ms: float
    events_per_stream: float
    cpu_ms: float
    """Per request, of the processes that requests pass through, until they are at rest again."""
    storing_cpu_ms: float
    """Per request, of the processes that store the records, until they have."""
    rss_mib: float
    """Of the largest process that requests pass through."""


def measure(system: System, point: Point, folder: Path) -> Measured:
    """Return what a system does under a load."""
    models = system.paced_models if point.kind == "paced" else system.plain_models
    spec = LoadSpec(
        port=system.port,
        keys=list(system.keys),
        models=list(models),
        is_stream=point.kind != "plain",
        connections=point.connections,
        duration_s=point.duration_s,
        per_connection=point.per_connection,
    )
    file = folder / "load.json"
    file.write_bytes(msgspec.json.encode(spec))
    with subprocess.Popen(
        [sys.executable, "-m", "bench.gateway.load", str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        _read_line(load.stdout)
        _settle([*system.gateway_pids, *system.storing_pids])
        before = cpu_s(system.gateway_pids), cpu_s(system.storing_pids)
        load.stdin.write(b"go\n")
        load.stdin.flush()
        result = msgspec.json.decode(_read_line(load.stdout), type=LoadResult)
        _settle(system.gateway_pids)
        gateway_s = cpu_s(system.gateway_pids) - before[0]
        _settle(system.storing_pids)
        storing_s = cpu_s(system.storing_pids) - before[1]
    return _measured(system, point, result, gateway_s, storing_s)


def largest_rss_mib(system: System) -> float:
    """Return the resident memory of a system's largest process that requests pass through, in MiB; 0 if none."""
    return max((rss_mib(pid) for root in system.gateway_pids for pid in tree(root)), default=0.0)


def _measured(system: System, point: Point, result: LoadResult, gateway_s: float, storing_s: float) -> Measured:
    per_request = 1e3 / max(1, result.requests)
    return Measured(
        system=system.name,
        point=point.name,
        requests=result.requests,
        errors=result.errors,
        short=result.short,
        per_s=(result.requests - result.errors) / result.elapsed_s,
        p50_ms=result.p50_ms,
        p99_ms=result.p99_ms,
        first_p50_ms=result.first_p50_ms,
        events_per_stream=result.events_per_stream,
        cpu_ms=gateway_s * per_request,
        storing_cpu_ms=storing_s * per_request,
        rss_mib=largest_rss_mib(system),
    )


def _read_line(pipe: IO[bytes]) -> bytes:
    line = pipe.readline()
    if not line:
        raise RuntimeError("the load generator ended; its message is above")
    return line


def _settle(pids: Sequence[int]) -> None:
    """Return when the processes are at rest, or a minute is over."""
    deadline_s = time.monotonic() + _SETTLE_S
    while pids and time.monotonic() < deadline_s:
        before_s = cpu_s(pids)
        time.sleep(0.5)
        if cpu_s(pids) - before_s < 0.5 * _QUIET_SHARE:
            return
