"""Sending, loading, asking, and what that took."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from bench.processes import Unavailable, cpu_s, rss_mib, tree
from bench.telemetry.spans import Sent, recorded
from bench.telemetry.systems import System, folder_bytes
from zirkel.core import Overloaded, Span, SystemClock, encode_spans
from zirkel.store.spool import SpoolWriter

_CONNECTIONS = 2
_CALLS_PER_RECORD = 100
_READ_EVERY_S = 1.0
_LONGEST_STORE_S = 1800.0
_SEALED_AFTER_S = 150.0
"""A day is sealed once nothing came for a minute, looked at once a minute; and sealing takes time."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What taking spans in took."""

    system: str
    spans: int
    accepted_s: float
    """Until the last batch was acknowledged."""
    stored_s: float
    """Until the last span could be read."""
    cpu_s: float
    """Of all processes of the system, reads included."""
    refused: int
    """Batches that were answered with 429 or 503 and sent again."""
    reads: int
    read_p95_ms: float
    rss_mib: float
    """The largest of the storing process."""

    @property
    def per_s(self) -> float:
        """Spans a second, until they could be read."""
        return self.spans / self.stored_s


@dataclass(frozen=True, slots=True)
class Asked:
    """How long a question takes."""

    system: str
    name: str
    spans: int
    """How many the system held."""
    p50_ms: float
    p95_ms: float
    times: int
    answer_bytes: int


def ingest(system: System, batches: Sequence[Sent]) -> Ingested:
    """Send all batches over two connections, a reader asking for the newest traces meanwhile.

    Raises:
        Unavailable: If a batch is refused for good, or is not stored in half an hour.
    """
    reader = _Reader(system)
    pids = list(tree(system.pid))
    before_s, started_s = cpu_s([system.pid]), time.monotonic()
    refused = 0
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for share in [pool.submit(_send, system, batches[number::_CONNECTIONS]) for number in range(_CONNECTIONS)]:
            refused += share.result()
    accepted_s = time.monotonic() - started_s
    with system.client() as client:
        last = [batch.trace_ids[-1] for batch in batches[-_CONNECTIONS:]]
        _wait_until(lambda: all(system.is_stored(client, trace_id) for trace_id in last))
    stored_s = time.monotonic() - started_s
    used_s = cpu_s([system.pid]) - before_s
    times = reader.stop()
    return Ingested(
        system.name,
        sum(batch.spans for batch in batches),
        accepted_s,
        stored_s,
        used_s,
        refused,
        len(times),
        float(np.percentile(times, 95)) if times else 0.0,
        max(rss_mib(pid) for pid in pids),
    )


def load(system: System, count: int, span_bytes: int, days: int, *, say: Callable[[str], None]) -> float:
    """Store what a gateway worker of Zirkel would have recorded in ``days``; return the seconds that took.

    It is written to the spool, as a worker does, so that millions do not pass through HTTP.
    """
    writer = SpoolWriter(system.folder / "spool", "bench")
    started_s = time.monotonic()
    stored, last = 0, ""
    record: list[Span] = []
    for call in recorded(count, span_bytes, SystemClock().now_ns(), days, seed=7):
        record += call
        if len(record) >= 2 * _CALLS_PER_RECORD:
            _append(writer, encode_spans(record))
            stored += len(record)
            record = []
            if stored % 100_000 < 2 * _CALLS_PER_RECORD:
                say(f"  {stored:,} of {count:,} spans written after {time.monotonic() - started_s:.0f} s")
        last = call[0].trace_id
    if record:
        _append(writer, encode_spans(record))
    with system.client() as client:
        _wait_until(lambda: system.is_stored(client, last))
    writer.close()
    taken_s = time.monotonic() - started_s
    say(f"  written after {taken_s:.0f} s; waiting until past days are sealed")
    time.sleep(_SEALED_AFTER_S)
    return taken_s


def ask(
    system: System, name: str, spans: int, times: int, question: Callable[[httpx.Client, int], httpx.Response]
) -> Asked:
    """Ask a question again and again, each time a little differently, and return how long it took.

    Raises:
        Unavailable: If it is not answered with 200.
    """
    taken: list[float] = []
    size = 0
    with system.client() as client:
        for number in range(times + 1):
            started_s = time.perf_counter()
            answer = question(client, number)
            taken.append((time.perf_counter() - started_s) * 1e3)
            if answer.status_code != 200:
                raise Unavailable(f"{system.name}: {name}: {answer.status_code} {answer.text[:300]}")
            size = max(size, len(answer.content))
    # The first one opens the connection.
    taken = taken[1:]
    p50, p95 = np.percentile(taken, [50, 95])
    return Asked(system.name, name, spans, float(p50), float(p95), times, size)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an amount of spans takes on disk and in memory."""

    spans: int
    disk_bytes: int
    rss_mib: float


def kept(system: System, spans: int) -> Kept:
    """Return what the telemetry takes now."""
    return Kept(spans, folder_bytes(system.folder / "telemetry"), rss_mib(system.storing_pid()))


class PeakMemory:
    """Watches the resident memory of a process until stopped."""

    def __init__(self, pid: int) -> None:
        self.peak_mib = 0.0
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Stop and return the largest in MiB."""
        self._is_over.set()
        self._thread.join()
        return self.peak_mib

    def _watch(self) -> None:
        while not self._is_over.wait(0.5):
            if Path(f"/proc/{self._pid}").exists():
                self.peak_mib = max(self.peak_mib, rss_mib(self._pid))


class _Reader:
    """Asks for the newest traces once a second."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._times_ms: list[float] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> list[float]:
        self._is_over.set()
        self._thread.join()
        return self._times_ms

    def _read(self) -> None:
        with self._system.client() as client:
            while not self._is_over.wait(_READ_EVERY_S):
                started_s = time.perf_counter()
                self._system.list_newest(client).raise_for_status()
                self._times_ms.append((time.perf_counter() - started_s) * 1e3)


def _send(system: System, batches: Sequence[Sent]) -> int:
    refused = 0
    with system.client() as client:
        for batch in batches:
            while True:
                answer = client.post(
                    "/v1/traces", content=batch.body, headers={"content-type": "application/x-protobuf"}
                )
                if answer.status_code == 200:
                    break
                if answer.status_code not in (429, 503):
                    raise Unavailable(f"{system.name} refused a batch: {answer.status_code} {answer.text[:300]}")
                refused += 1
                time.sleep(float(answer.headers.get("retry-after", "1")))
    return refused


def _append(writer: SpoolWriter, payload: bytes) -> None:
    while True:
        try:
            writer.append(payload)
        except Overloaded:
            time.sleep(0.5)
        else:
            return


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _LONGEST_STORE_S
    while not is_so():
        if time.monotonic() > deadline_s:
            raise Unavailable(f"not stored after {_LONGEST_STORE_S} s")
        time.sleep(0.05)


def stay_off(cores: set[int]) -> None:
    """Run this process on other cores only."""
    os.sched_setaffinity(0, cores)
