"""The mock upstream: ``python -m bench.gateway.upstream --port PORT``. As light as Python allows."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import cast

import httptools
import msgspec
import uvloop

from bench.gateway.exchange import (
    BETWEEN_EVENTS_S,
    FIRST_EVENT_S,
    PACED_MODEL,
    PLAIN_MODEL,
    plain_answer,
    stream_answer,
)

_REFUSED = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class _Asked(msgspec.Struct):
    model: str
    stream: bool = False


_decoder = msgspec.json.Decoder(_Asked)


class _Answers:
    """Everything that is ever said, made once."""

    def __init__(self) -> None:
        models = (PLAIN_MODEL, PACED_MODEL)
        self.plain = {model: plain_answer(model) for model in models}
        self.streams = {model: stream_answer(model) for model in models}


class _Connection(asyncio.Protocol):
    """One keep-alive connection; answers one request after the other."""

    def __init__(self, answers: _Answers, loop: asyncio.AbstractEventLoop) -> None:
        self._answers = answers
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._url = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The event loop sets TCP_NODELAY on every TCP connection.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the protocol's signature)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._transport is None:
            return
        if not self._url.endswith(b"/chat/completions"):
            self._transport.write(_OK)
            return
        asked = _decoder.decode(self._body)
        if asked.model not in self._answers.plain:
            self._transport.write(_REFUSED)
        elif not asked.stream:
            self._transport.write(self._answers.plain[asked.model])
        else:
            self._begin_stream(asked.model)

    def _begin_stream(self, model: str) -> None:
        head, pieces = self._answers.streams[model]
        if model == PACED_MODEL:
            start_s = self._loop.time() + FIRST_EVENT_S
            self._loop.call_at(start_s, self._send_paced, head, pieces, 0, start_s)
        else:
            self._send_next(head, pieces, 0)

    def _send_next(self, head: bytes, pieces: Sequence[bytes], number: int) -> None:
        """Write an event; the next one in another turn of the loop, so that each is a system call of its own."""
        if self._transport is None:
            return
        self._transport.write(head + pieces[number])
        if number + 1 < len(pieces):
            self._loop.call_soon(self._send_next, b"", pieces, number + 1)

    def _send_paced(self, head: bytes, pieces: Sequence[bytes], number: int, start_s: float) -> None:
        """Write an event; the next one when it is due, whatever this one's delay."""
        if self._transport is None:
            return
        self._transport.write(head + pieces[number])
        if number + 1 < len(pieces):
            due_s = start_s + (number + 1) * BETWEEN_EVENTS_S
            self._loop.call_at(due_s, self._send_paced, b"", pieces, number + 1, start_s)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    answers = _Answers()
    server = await loop.create_server(lambda: _Connection(answers, loop), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="bench.gateway.upstream")
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
