"""One connection: sends one request at a time and reads its answer as it comes.

Source: RFC 9112, sections 6 and 9.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import cast

import httptools

from zirkel.lib.http1.failures import BrokenConnection, HttpFailure, TimedOut

_MOST_HEADER_BYTES = 65_536
_PAUSE_BYTES = 262_144
_MAGIC_GZIP_OR_ZLIB = 47
_NO_BODY = frozenset({204, 304})


class Answer:
    """An answer whose head has arrived. Read it to its end, or close it."""

    __slots__ = ("_connection", "_decompress", "headers", "status")

    def __init__(self, connection: "Connection", status: int, headers: Mapping[str, str]) -> None:
        self._connection: Connection | None = connection
        self.status = status
        self.headers = headers
        """By lower-case name; of one that came twice, the last counts."""
        is_compressed = headers.get("content-encoding", "identity") in ("gzip", "deflate")
        self._decompress = zlib.decompressobj(_MAGIC_GZIP_OR_ZLIB) if is_compressed else None

    async def next_chunk(self) -> bytes:
        """Return what has arrived since the last call, at least one byte; empty at the end of the body.

        Raises:
            BrokenConnection: If it breaks, or the body is not what its head says.
            TimedOut: If it is silent for too long, or the whole takes too long.
        """
        while True:
            connection = self._connection
            if connection is None:
                return b""
            chunk = connection.take()
            if not chunk:
                if connection.is_complete:
                    self._connection = None
                    connection.end()
                    return b""
                await connection.wait()
                continue
            if self._decompress is None:
                return chunk
            try:
                plain = self._decompress.decompress(chunk)
            except zlib.error as error:
                raise BrokenConnection("the body is not compressed as its head says") from error
            if plain:
                return plain

    def close(self) -> None:
        """Drop the connection unless the body was read to its end. May be called twice."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            if connection.is_complete:
                connection.end()
            else:
                connection.abort()


class Connection(asyncio.Protocol):
    """A connection and the answer that is under way on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_idle: Callable[["Connection"], None]) -> None:
        self._loop = loop
        self._on_idle = on_idle
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._is_head_complete = False
        self._is_paused = False
        self._has_length = False
        self._is_bodyless = False
        self._keeps_alive = False
        self._failure: HttpFailure | None = None
        self._silence_s = 0.0
        self._deadline_s = 0.0
        self._heard_s = 0.0
        self.is_complete = False
        """The answer has arrived to its last byte."""
        self.has_heard = False
        """At least one byte of the answer has arrived."""
        self.idle_since_s = 0.0
        self.status = 0

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._failure is None

    async def exchange(
        self, head: bytes, body: bytes, *, is_head_request: bool, silence_s: float, total_s: float
    ) -> Answer:
        """Send a request and return its answer once the head has arrived.

        Raises:
            BrokenConnection, TimedOut: As ``Answer.next_chunk``.
        """
        self._begin(is_head_request=is_head_request, silence_s=silence_s, total_s=total_s)
        transport = self._transport
        if transport is None:
            raise BrokenConnection("the connection is closed")
        if len(body) < _PAUSE_BYTES:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        try:
            while not self._is_head_complete:
                await self.wait()
        except BaseException:
            self.abort()
            raise
        return Answer(self, self.status, self._headers)

    def _begin(self, *, is_head_request: bool, silence_s: float, total_s: float) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._header_bytes = {}, 0
        self._is_head_complete = self.is_complete = self.has_heard = self._has_length = self._keeps_alive = False
        self._is_bodyless = is_head_request
        now_s = self._loop.time()
        self._silence_s, self._deadline_s, self._heard_s = silence_s, now_s + total_s, now_s
        self._timer = self._loop.call_at(min(self._deadline_s, now_s + silence_s), self._on_time)

    async def wait(self) -> None:
        """Return when something has happened.

        Raises:
            BrokenConnection, TimedOut: If it is the end, and not a good one.
        """
        self._check()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if not self._chunks and not self.is_complete:
            self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def take(self) -> bytes:
        """Return what has arrived of the body."""
        chunks = self._chunks
        if not chunks:
            return b""
        taken = chunks.popleft() if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return taken

    def end(self) -> None:
        """Note that the answer was taken to its end: the connection is free, or closed if it cannot be used again."""
        self._stop_timer()
        self._parser = None
        # What nobody took must not be taken for the next answer's.
        self.take()
        if not self._keeps_alive or not self.is_open:
            self.abort()
            return
        self.idle_since_s = self._loop.time()
        self._on_idle(self)

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface without being subclasses.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            # Nothing was asked, so nothing that comes is an answer.
            self.abort()
            return
        self._heard_s = self._loop.time()
        self.has_heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, _Oversized):
            self._fail(BrokenConnection("what came is not HTTP"))
            self.abort()
            return
        if self._is_head_complete:
            self._wake()

    def eof_received(self) -> None:
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._stop_timer()
        if self._parser is None or self.is_complete:
            return
        if self._is_head_complete and not self._has_length and error is None:
            # Without a length the end of the connection is the end of the body.
            self.is_complete = True
            self._wake()
        else:
            self._fail(BrokenConnection("the connection broke"))

    # What the parser tells.

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise _Oversized
        self._headers, self._header_bytes = {}, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _MOST_HEADER_BYTES:
            raise _Oversized
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return
        self._is_head_complete = True
        coding = self._headers.get("transfer-encoding", "")
        self._has_length = "content-length" in self._headers or "chunked" in coding
        if self._is_bodyless or self.status in _NO_BODY:
            self.is_complete = True

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > _PAUSE_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self.is_complete = True
            # Only here the parser knows.
            self._keeps_alive = self._parser is not None and self._parser.should_keep_alive()

    def _on_time(self) -> None:
        """Look whether the time is up; if there was something to hear meanwhile, look again later."""
        now_s = self._loop.time()
        due_s = self._deadline_s
        if not self._is_paused:
            # While nobody takes what came, the silence is ours.
            due_s = min(due_s, self._heard_s + self._silence_s)
        if now_s >= due_s:
            self._fail(TimedOut("timed out", is_total=now_s >= self._deadline_s))
            self.abort()
        else:
            self._timer = self._loop.call_at(max(due_s, now_s + 0.001), self._on_time)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, failure: HttpFailure) -> None:
        if self._failure is None:
            self._failure = failure
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Oversized(Exception):
    """More than an answer may bring."""
