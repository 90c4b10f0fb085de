"""The load generator: ``python -m bench.gateway.load SPEC``, a closed loop on keep-alive connections.

Prints ``ready`` once warm, waits for a line on standard input, runs, and prints what it saw as JSON: whoever started
it reads the processor time of the system under test between the two.
"""

import asyncio
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import cast

import httptools
import msgspec
import uvloop

from bench.gateway.exchange import WORD, WORDS, request

_DATA, _DONE = b"data: ", b"[DONE]"
_CARRY = len(WORD) - 1
"""Bytes kept of a piece: a mark cut in two is found, and none twice, since all marks are one byte longer."""
GIVE_UP_S = 900.0
"""Beyond a window's own time."""
UNBOUNDED = 10**9


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, and how long."""

    port: int
    keys: list[str]
    """Taken in turn, over all connections."""
    models: list[str]
    """Taken in turn, over all connections."""
    is_stream: bool = False
    connections: int = 1
    duration_s: float = 0.0
    """No request begins later than this; 0 is no bound."""
    per_connection: int = UNBOUNDED
    """Requests of each connection at most."""
    warm_up_s: float = 0.3
    """At least one request per connection is made to warm up, and as many as fit in this time."""


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    requests: int
    """All that were sent."""
    errors: int
    """Not 200, or a connection that was closed."""
    short: int
    """Streams without all their words and their end."""
    elapsed_s: float
    """From the first request to the last answer."""
    events_per_stream: float
    p50_ms: float
    """Of requests, from the first byte out to the last byte in."""
    p99_ms: float
    first_p50_ms: float
    """Of streams, from the first byte out to the first content event in; 0 for plain requests."""


class _Run:
    """A measured window, or a warm-up: what it counts, and when it is over."""

    def __init__(self, requests: Iterator[bytes], spec: LoadSpec, duration_s: float, per_connection: int) -> None:
        self.requests = requests
        self.is_stream = spec.is_stream
        self.begun = self.errors = self.short = self.events = 0
        self.total_s: list[float] = []
        self.first_s: list[float] = []
        self._active = spec.connections
        self._longest_s = duration_s + GIVE_UP_S
        self._per_connection = per_connection
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._start_s = perf_counter()
        self._end_s = self._start_s + duration_s if duration_s else float("inf")

    def goes_on(self, done: int, now_s: float) -> bool:
        """Return whether a connection that has done so many requests begins another."""
        return done < self._per_connection and (now_s < self._end_s or done == 0)

    def leave(self) -> None:
        """Count a connection out."""
        self._active -= 1
        if not self._active and not self._over.done():
            self._over.set_result(None)

    async def finish(self) -> LoadResult:
        """Return what was seen when the last connection is through."""
        async with asyncio.timeout(self._longest_s):
            await self._over
        elapsed_s = perf_counter() - self._start_s
        return LoadResult(
            requests=self.begun,
            errors=self.errors,
            short=self.short,
            elapsed_s=elapsed_s,
            events_per_stream=self.events / max(1, len(self.total_s)) if self.is_stream else 0.0,
            p50_ms=_quantile_ms(self.total_s, 0.5),
            p99_ms=_quantile_ms(self.total_s, 0.99),
            first_p50_ms=_quantile_ms(self.first_s, 0.5),
        )


class _Connection(asyncio.Protocol):
    """One connection: sends, reads the answer with as little work as it can, sends again."""

    def __init__(self) -> None:
        self._run: _Run | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._done = 0
        self._words = 0
        self._carry = b""
        self._is_ended = False
        self._sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the protocol's signature)
        self._transport = None
        if self._run is not None:
            self._run.errors += 1
            self._run.leave()
            self._run = None

    def join(self, run: _Run) -> None:
        """Take part in a run."""
        self._run, self._done = run, 0
        if self._transport is None:
            run.errors += 1
            run.leave()
            self._run = None
            return
        self._send(run)

    def _send(self, run: _Run) -> None:
        assert self._transport is not None
        self._words, self._carry, self._is_ended = 0, b"", False
        run.begun += 1
        self._sent_s = perf_counter()
        self._transport.write(next(run.requests))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        run = self._run
        if run is None or not run.is_stream:
            return
        text = self._carry + body
        words = text.count(WORD)
        if words and not self._words:
            run.first_s.append(perf_counter() - self._sent_s)
        self._words += words
        run.events += text.count(_DATA)
        self._is_ended = self._is_ended or _DONE in text
        self._carry = text[-_CARRY:]

    def on_message_complete(self) -> None:
        run = self._run
        if run is None:
            return
        now_s = perf_counter()
        if self._parser.get_status_code() == 200:
            run.total_s.append(now_s - self._sent_s)
            run.short += run.is_stream and not (self._is_ended and self._words == WORDS)
        else:
            run.errors += 1
        self._done += 1
        if run.goes_on(self._done, now_s) and self._transport is not None:
            self._send(run)
        else:
            self._run = None
            run.leave()


def _requests(spec: LoadSpec) -> Iterator[bytes]:
    """Return the requests, for ever: every key and every model in turn."""
    count = max(len(spec.keys), len(spec.models))
    pairs = zip(itertools.cycle(spec.keys), itertools.cycle(spec.models), strict=False)
    made = [request(spec.port, key, model, is_stream=spec.is_stream) for key, model in itertools.islice(pairs, count)]
    return itertools.cycle(made)


async def run_load(spec: LoadSpec, when_warm: Callable[[], None]) -> LoadResult:
    """Warm up, call ``when_warm``, and return what the measured window saw."""
    loop = asyncio.get_running_loop()
    requests = _requests(spec)
    connections = []
    for _ in range(spec.connections):
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", spec.port)
        connections.append(connection)
    if spec.warm_up_s:
        warming = _Run(requests, spec, spec.warm_up_s, spec.per_connection)
        for connection in connections:
            connection.join(warming)
        await warming.finish()
    when_warm()
    run = _Run(requests, spec, spec.duration_s, spec.per_connection)
    for connection in connections:
        connection.join(run)
    return await run.finish()


def _quantile_ms(values_s: Sequence[float], share: float) -> float:
    ordered = sorted(values_s)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 if ordered else 0.0


def _wait_for_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def main() -> None:
    """Read the specification's file, run, print the result."""
    spec = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=LoadSpec)
    result = uvloop.run(run_load(spec, _wait_for_start))
    sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")


if __name__ == "__main__":
    main()
