"""The mock upstream: ``python -m bench.evaluate.upstream --port PORT --latency-ms MS``. It answers after a fixed time.

``GET /stats`` tells how many calls there were, and for how long how many were under way.
"""

import argparse
import asyncio
from typing import cast

import httptools
import msgspec
import uvloop

_BODY = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "mock-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "The answer is 42. " * 20},
            }
        ],
        "usage": {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300},
    }
)
_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-zirkel-cost-usd: 0.000045\r\ncontent-length: %d\r\n\r\n"
    % len(_BODY)
) + _BODY


class Stats:
    """What went through."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._first_s: float | None = None
        self._last_s = 0.0
        self.calls = 0
        self.busy_s = 0.0

    def begin(self) -> float:
        """Note a request; return when it came."""
        now_s = self._loop.time()
        self._first_s = now_s if self._first_s is None else self._first_s
        return now_s

    def end(self, began_s: float) -> None:
        """Note its answer."""
        self._last_s = self._loop.time()
        self.calls += 1
        self.busy_s += self._last_s - began_s

    def to_json(self) -> bytes:
        """Return the figures; ``elapsed_s`` is from the first request to the last answer."""
        elapsed_s = self._last_s - (self._first_s or self._last_s)
        return msgspec.json.encode({"calls": self.calls, "busy_s": self.busy_s, "elapsed_s": elapsed_s})


class _Connection(asyncio.Protocol):
    def __init__(self, stats: Stats, latency_s: float, loop: asyncio.AbstractEventLoop) -> None:
        self._stats = stats
        self._latency_s = latency_s
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the protocol's signature)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        if self._url.endswith(b"/stats"):
            self._send(self._stats_answer())
        else:
            self._loop.call_later(self._latency_s, self._answer, self._stats.begin())

    def _answer(self, began_s: float) -> None:
        self._stats.end(began_s)
        self._send(_ANSWER)

    def _stats_answer(self) -> bytes:
        body = self._stats.to_json()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def _serve(port: int, latency_s: float) -> None:
    loop = asyncio.get_running_loop()
    stats = Stats(loop)
    server = await loop.create_server(lambda: _Connection(stats, latency_s, loop), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="bench.evaluate.upstream")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, required=True)
    given = parser.parse_args()
    uvloop.run(_serve(given.port, given.latency_ms / 1000))


if __name__ == "__main__":
    main()
