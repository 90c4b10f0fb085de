"""Chains and faulty upstreams for the stage."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import msgspec
from aiohttp import web

from zirkel.core import FallbackReason, Json, Resilience
from zirkel.gateway import Snapshot, SnapshotLink, SnapshotRelease, SnapshotTarget, SnapshotUpstream

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Handler, Stage

PLAIN = Resilience(retries=0)
FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
ROLE = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'


def link(*models: str | SnapshotTarget, on: tuple[FallbackReason, ...] = ("failure",)) -> SnapshotLink:
    """Return a link of places: models of the stub, or targets."""
    return SnapshotLink([SnapshotTarget("stub", place) if isinstance(place, str) else place for place in models], on)


def serve(stage: "Stage", *links: SnapshotLink, resilience: Resilience | None = PLAIN) -> None:
    """Serve ``triage`` by a chain, with what its release says of resilience."""
    change(stage, "releases", chain=list(links), resilience=resilience)


def change(stage: "Stage", member: str, **fields: object) -> None:
    """Replace fields of all entries of a member of the snapshot, such as ``releases``."""
    snapshot: Snapshot = stage.source.snapshot
    entries = cast(Mapping[str, SnapshotRelease], getattr(snapshot, member))
    changed = {name: msgspec.structs.replace(entry, **fields) for name, entry in entries.items()}
    stage.source.snapshot = msgspec.structs.replace(snapshot, version=snapshot.version + 1, **{member: changed})


def add_upstream(stage: "Stage", name: str, port: int) -> None:
    """Add an upstream on a port of this machine."""
    stage.source.snapshot.upstreams[f"p1/{name}"] = SnapshotUpstream(name, f"http://127.0.0.1:{port}/v1", "sealed")


def asked(stage: "Stage") -> list[str]:
    """Return the models that the stub was asked for, in order."""
    return [cast(str, request["model"]) for request in stage.upstream.requests]


def refuses(status: int, *, times: int = 10**9, body: Json | None = None, **headers: str) -> "Handler":
    """Return a handler that refuses the first ``times`` requests. Header names are given with underscores."""
    left = iter(range(times))
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def handle(_request: web.Request, _body: dict[str, Json]) -> web.StreamResponse | None:
        if next(left, None) is None:
            return None
        return web.json_response(body or {"error": {"message": "refused"}}, status=status, headers=named)

    return handle


def streams(*parts: bytes | float | None) -> "Handler":
    """Return a handler that streams parts, each on its own; a number is a pause, ``None`` one without end."""

    async def handle(request: web.Request, _body: dict[str, Json]) -> web.StreamResponse | None:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            if part is None:
                await asyncio.Event().wait()
            elif isinstance(part, float):
                await asyncio.sleep(part)
            else:
                await response.write(part)
                await asyncio.sleep(0.01)
        return response

    return handle


def says(text: str, **delta: object) -> bytes:
    """Return an event with a piece of an answer."""
    chunk = {"model": "m", "choices": [{"index": 0, "delta": {"content": text, **delta}}]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


class Waits:
    """A handler that never answers, or only when it is let go; counts who asks and who leaves."""

    def __init__(self, *, then: int = 0) -> None:
        self.asked = 0
        self.left = 0
        self._then = then
        self._may_go = threading.Event()

    async def __call__(self, _request: web.Request, _body: dict[str, Json]) -> web.StreamResponse | None:
        self.asked += 1
        try:
            while not self._may_go.is_set():  # noqa: ASYNC110 (the event is another thread's)
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.left += 1
            raise
        await asyncio.sleep(0.1)
        return web.json_response({}, status=self._then)

    def let_go(self) -> None:
        """Answer with the status ``then``, a moment after being asked."""
        self._may_go.set()

    def wait_until_asked(self, times: int) -> None:
        """Return once it was asked so often."""
        self.wait_until(lambda: self.asked >= times)

    def wait_until_left(self, times: int) -> None:
        """Return once so many have left."""
        self.wait_until(lambda: self.left >= times)

    def wait_until(self, is_true: Callable[[], bool]) -> None:
        """Return once ``is_true``; fail after ten seconds."""
        for _ in range(2000):
            if is_true():
                return
            self.wait_for_s(0.005)
        raise AssertionError("waited in vain")

    def wait_for_s(self, seconds: float) -> None:
        """Let time pass."""
        threading.Event().wait(seconds)


async def waits(_request: web.Request, _body: dict[str, Json]) -> web.StreamResponse | None:
    """Never answer."""
    await asyncio.Event().wait()
    return None


@contextmanager
def raw_upstream(*answers: bytes, is_held: bool = False) -> Iterator[int]:
    """Serve connections one after another, each with one answer, and closed then or held open; give the port."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve_raw, args=(listener, answers, held, is_held))
        thread.start()
        try:
            yield cast(tuple[str, int], listener.getsockname())[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


def _serve_raw(listener: socket.socket, answers: Sequence[bytes], held: list[socket.socket], is_held: bool) -> None:
    for answer in answers:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.settimeout(10)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        connection.sendall(answer)
        if is_held:
            held.append(connection)
        else:
            connection.close()
