import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.lib.http1 import (
    Answer,
    BrokenConnection,
    HttpClient,
    HttpFailure,
    MalformedRequest,
    NoConnection,
    TimedOut,
    Timeouts,
)

PATIENT = Timeouts(connect_s=5, silence_s=5, total_s=10)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """Answers each request with the next of ``answers``, given as raw pieces; then closes if there is no more."""

    answers: list[list[bytes]]
    pause_s: float = 0.0
    closes_after: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while self.answers:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
            self.requests.append(head + await reader.readexactly(length))
            for piece in self.answers.pop(0):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(self.pause_s)
            if self.closes_after:
                break
        writer.close()


async def with_server(server: Server, work: Callable[[HttpClient, str], Awaitable[None]]) -> None:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    client = HttpClient()
    try:
        await work(client, f"http://127.0.0.1:{server.port}/v1/x?y=%2F")
    finally:
        client.close()
        listening.close()
        for writer in server.writers:
            writer.transport.abort()
        # So that the transports hear of it before the loop ends.
        await asyncio.sleep(0.01)


async def read(answer: Answer) -> bytes:
    chunks = []
    while chunk := await answer.next_chunk():
        chunks.append(chunk)
    return b"".join(chunks)


def whole(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(b"%b\r\n" % header for header in headers)
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%b\r\n%b" % (len(body), lines, body)


def test_a_request_is_sent_as_it_is_and_its_connection_is_used_again() -> None:
    server = Server([[whole(b"one")], [whole(b"two", b"X-Up: 1")]])

    async def work(client: HttpClient, url: str) -> None:
        first = await client.request("POST", url, {"authorization": "Bearer k"}, b"{}", PATIENT)
        assert (first.status, await read(first)) == (200, b"one")
        second = await client.request("GET", url, {}, b"", PATIENT)
        assert (second.headers["x-up"], await read(second)) == ("1", b"two")

    asyncio.run(with_server(server, work))
    assert server.connections == 1
    host = f"127.0.0.1:{server.port}".encode()
    first, second = server.requests
    assert first == (
        b"POST /v1/x?y=%2F HTTP/1.1\r\nhost: " + host + b"\r\nauthorization: Bearer k\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert second == b"GET /v1/x?y=%2F HTTP/1.1\r\nhost: " + host + b"\r\n\r\n"


CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\ntrailer: t\r\n\r\n"
)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(1, len(CHUNKED) - 1), max_size=12))
def test_a_body_is_the_same_wherever_it_is_split(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(CHUNKED)]
    pieces = [CHUNKED[start:end] for start, end in pairwise(edges)]
    server = Server([pieces, [whole(b"next")]])

    async def work(client: HttpClient, url: str) -> None:
        assert await read(await client.request("POST", url, {}, b"", PATIENT)) == b"abcdefgh"
        assert await read(await client.request("POST", url, {}, b"", PATIENT)) == b"next"

    asyncio.run(with_server(server, work))
    assert server.connections == 1


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    server = Server([[b"HTTP/1.1 200 OK\r\n\r\nab", b"cd"]], closes_after=True)

    async def work(client: HttpClient, url: str) -> None:
        assert await read(await client.request("POST", url, {}, b"", PATIENT)) == b"abcd"

    asyncio.run(with_server(server, work))


def test_what_nobody_read_of_an_answer_is_no_part_of_the_next() -> None:
    server = Server([[whole(b"x" * 500)], [whole(b"good")]])

    async def work(client: HttpClient, url: str) -> None:
        left = await client.request("POST", url, {}, b"", PATIENT)
        await asyncio.sleep(0.05)
        left.close()
        assert await read(await client.request("POST", url, {}, b"", PATIENT)) == b"good"

    asyncio.run(with_server(server, work))


def test_an_answer_that_is_closed_halfway_closes_its_connection() -> None:
    server = Server([[b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"], [whole(b"good")]])

    async def work(client: HttpClient, url: str) -> None:
        half = await client.request("POST", url, {}, b"", PATIENT)
        assert await half.next_chunk() == b"half"
        half.close()
        half.close()
        assert await read(await client.request("POST", url, {}, b"", PATIENT)) == b"good"

    asyncio.run(with_server(server, work))
    assert server.connections == 2


def test_a_kept_connection_that_is_gone_costs_one_more_try() -> None:
    server = Server([[whole(b"one")], [whole(b"two")]], closes_after=True)

    async def work(client: HttpClient, url: str) -> None:
        assert await read(await client.request("POST", url, {}, b"", PATIENT)) == b"one"
        assert await read(await client.request("POST", url, {}, b"", PATIENT)) == b"two"

    asyncio.run(with_server(server, work))
    assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_is_no_answer(answer: bytes) -> None:
    server = Server([[answer]], closes_after=True)

    async def work(client: HttpClient, url: str) -> None:
        with pytest.raises(BrokenConnection):
            await read(await client.request("POST", url, {}, b"", PATIENT))

    asyncio.run(with_server(server, work))
    assert len(server.requests) == 1  # a fresh connection that breaks is not tried again


def test_silence_and_the_whole_time_are_told_apart() -> None:
    drip = [b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", *[b"x"] * 100]

    async def expect(pause_s: float, timeouts: Timeouts, *, is_total: bool) -> None:
        server = Server([drip.copy()], pause_s=pause_s)

        async def work(client: HttpClient, url: str) -> None:
            with pytest.raises(TimedOut) as caught:
                await read(await client.request("POST", url, {}, b"", timeouts))
            assert caught.value.is_total is is_total

        await with_server(server, work)

    asyncio.run(expect(5, Timeouts(connect_s=5, silence_s=0.1, total_s=5), is_total=False))
    asyncio.run(expect(0.02, Timeouts(connect_s=5, silence_s=1, total_s=0.2), is_total=True))


def test_a_caller_that_is_slow_is_not_taken_for_a_silent_server() -> None:
    body = b"x" * 2_000_000
    server = Server([[whole(body)]])

    async def work(client: HttpClient, url: str) -> None:
        answer = await client.request("POST", url, {}, b"", Timeouts(connect_s=5, silence_s=0.1, total_s=10))
        await asyncio.sleep(0.3)
        assert await read(answer) == body

    asyncio.run(with_server(server, work))


def test_a_compressed_body_is_unpacked_though_nobody_asked_for_one() -> None:
    packed = gzip.compress(b"hello " * 100)
    server = Server([[whole(packed, b"content-encoding: gzip")], [whole(b"no gzip", b"content-encoding: gzip")]])

    async def work(client: HttpClient, url: str) -> None:
        assert await read(await client.request("POST", url, {}, b"", PATIENT)) == b"hello " * 100
        with pytest.raises(BrokenConnection):
            await read(await client.request("POST", url, {}, b"", PATIENT))

    asyncio.run(with_server(server, work))


def test_an_answer_to_head_has_no_body() -> None:
    server = Server([[b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"], [whole(b"good")]])

    async def work(client: HttpClient, url: str) -> None:
        assert await read(await client.request("HEAD", url, {}, b"", PATIENT)) == b""
        assert await read(await client.request("GET", url, {}, b"", PATIENT)) == b"good"

    asyncio.run(with_server(server, work))


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("POST", "ftp://x/", {}),
        ("POST", "http:///x", {}),
        ("POST", "http://user:secret@x/", {}),
        ("POST", "http://x/a b", {}),
        ("POST", "http://x/a\r\nhost: evil", {}),
        ("POST", "http://x:99999/", {}),
        ("POST", "http://127.0.0.1:9/", {"authorization": "secret\r\nx: y"}),
        ("POST", "http://127.0.0.1:9/", {"x y": "z"}),
        ("PO ST", "http://127.0.0.1:9/", {}),
    ],
)
def test_what_would_end_a_line_early_is_refused_without_a_word_of_it(
    method: str, url: str, headers: dict[str, str]
) -> None:
    async def work() -> None:
        with pytest.raises(MalformedRequest) as caught:
            await HttpClient().request(method, url, headers, b"", PATIENT)
        assert "secret" not in str(caught.value)

    asyncio.run(work())


def test_nobody_there_is_no_connection() -> None:
    async def work() -> None:
        for url in ("http://127.0.0.1:9/", "https://127.0.0.1:9/"):
            with pytest.raises(NoConnection):
                await HttpClient().request("POST", url, {}, b"", PATIENT)

    asyncio.run(work())


def test_a_call_that_is_cancelled_closes_its_connection() -> None:
    server = Server([[b""], [whole(b"good")]], pause_s=0.2)

    async def work(client: HttpClient, url: str) -> None:
        call = asyncio.ensure_future(client.request("POST", url, {}, b"", PATIENT))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await read(await client.request("POST", url, {}, b"", PATIENT)) == b"good"

    asyncio.run(with_server(server, work))
    assert server.connections == 2


def test_a_closed_client_makes_no_connection() -> None:
    async def work(client: HttpClient, url: str) -> None:
        client.close()
        with pytest.raises(HttpFailure):
            await client.request("POST", url, {}, b"", PATIENT)

    asyncio.run(with_server(Server([]), work))
