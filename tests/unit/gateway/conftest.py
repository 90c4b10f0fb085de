"""A gateway on a real uvicorn and an upstream on a real server, both in threads of the test's process."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import cast

import msgspec
import pytest
import uvicorn
from aiohttp import web

from tests.unit.gateway.provider_stubs import ProviderStub
from zirkel.core import Json, Overloaded, Resilience, Role, Span, SpanKind, SystemClock, TooLarge, decode_batch
from zirkel.gateway import (
    Gateway,
    GatewayPorts,
    GatewaySettings,
    MessageTemplate,
    ModelPrice,
    PriceTier,
    Snapshot,
    SnapshotArm,
    SnapshotKey,
    SnapshotLink,
    SnapshotProject,
    SnapshotRelease,
    SnapshotRoute,
    SnapshotTarget,
    SnapshotUpstream,
    create_gateway,
    hash_key,
)
from zirkel.store.shared import LmdbState

PEPPER = b"pepper"
CREDENTIAL = "sk-upstream-secret-0123456789"
PRICE = ModelPrice(
    input=[PriceTier(0, "2.50")],
    cache_read=[PriceTier(0, "1.25")],
    output=[PriceTier(0, "10")],
    reasoning=[PriceTier(0, "10")],
    digest="p" * 64,
)
USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 12},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
WITHOUT_RETRIES = SnapshotProject(resilience=Resilience(retries=0))
WORDS = ("Hel", "lo ", "wörld")
Handler = Callable[[web.Request, dict[str, Json]], Awaitable[web.StreamResponse | None]]
"""A test's own way to answer; ``None`` leaves it to the stub."""


@dataclass
class StubUpstream:
    """Answers by the model's name; see ``_answer``. Remembers what it was asked."""

    port: int = 0
    requests: list[dict[str, Json]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    used: list[asyncio.Transport] = field(default_factory=list)
    was_left: threading.Event = field(default_factory=threading.Event)
    """The gateway closed the connection while an answer was under way."""
    is_waiting: threading.Event = field(default_factory=threading.Event)
    """A ``gated`` answer has come to its gate."""
    may_go_on: threading.Event = field(default_factory=threading.Event)
    handlers: dict[str, Handler] = field(default_factory=dict)
    """By the model's name."""
    providers: ProviderStub = field(default_factory=lambda: ProviderStub(CREDENTIAL))
    """Answers everything but chats."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        try:
            return await self._answer(request, body)
        except asyncio.CancelledError:
            self.was_left.set()
            raise

    async def _answer(self, request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
        model = cast(str, body["model"])
        if model in self.handlers:
            own = await self.handlers[model](request, body)
            if own is not None:
                return own
        if model.startswith("http-"):
            return web.json_response({"error": {"message": f"no {CREDENTIAL}"}}, status=int(model[5:9]))
        if model == "garbage":
            return web.Response(text="<html>", content_type="text/html")
        if model in ("aborts", "aborts-when-reused"):
            assert request.transport is not None
            if model == "aborts" or request.transport in self.used:
                request.transport.abort()
            self.used.append(request.transport)
        if model == "hangs":
            await self._gate()
        if not body.get("stream"):
            if model == "gated":
                await self._gate()
            message = {"role": "assistant", "content": "".join(WORDS)}
            answer = {"model": f"{model}-0806", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
            return web.json_response(answer | ({} if model == "no-usage" else {"usage": USAGE}))
        return await self._stream(request, body, model)

    async def _stream(self, request: web.Request, body: dict[str, Json], model: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        transport = request.transport
        assert transport is not None
        if model == "breaks-first":
            transport.abort()
            return response
        if model == "error-first":
            await response.write(b'data: {"error": {"message": "overloaded"}}\n\n')
            return response
        for number, word in enumerate(WORDS):
            if number == 1 and model == "breaks-midway":
                await response.write(b'data: {"choices": [{"del')
                await asyncio.sleep(0.05)
                transport.abort()
                return response
            if number == 1 and model == "cut-off":
                return response
            if number == 1 and model == "gated":
                await self._gate()
            chunk = {"model": f"{model}-0806", "choices": [{"index": 0, "delta": {"content": word}}]}
            await response.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
        await response.write(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n')
        if cast(dict[str, Json], body.get("stream_options") or {}).get("include_usage"):
            await response.write(f"data: {json.dumps({'choices': [], 'usage': USAGE})}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _gate(self) -> None:
        self.is_waiting.set()
        await _wait(self.may_go_on)

    def serve(self, is_up: threading.Event, stop: threading.Event) -> None:
        asyncio.run(self._serve(is_up, stop))

    async def _serve(self, is_up: threading.Event, stop: threading.Event) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self.answer)
        app.router.add_route("*", "/{path:.*}", self.providers.answer)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = cast(tuple[str, int], runner.addresses[0])[1]
        is_up.set()
        await _wait(stop)
        await runner.cleanup()


async def _wait(event: threading.Event) -> None:
    while not event.is_set():  # noqa: ASYNC110 (the event is another thread's; an executor could not be cancelled)
        await asyncio.sleep(0.005)


class QuickServer(uvicorn.Server):
    """Notices at once that it is to end, not a tenth of a second later."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 (uvicorn has a flag, set by another thread)
            await asyncio.sleep(0.005)


@dataclass
class ListSink:
    """Keeps what is appended. Waits in ``append`` while ``may_write`` is clear; raises if ``is_full``."""

    payloads: list[bytes] = field(default_factory=list)
    is_full: bool = False
    error: Exception | None = None
    largest_bytes: int = 1 << 30
    is_asked: threading.Event = field(default_factory=threading.Event)
    may_write: threading.Event = field(default_factory=threading.Event)

    def append(self, payload: bytes) -> None:
        self.is_asked.set()
        self.may_write.wait(10)
        if self.is_full:
            raise OSError("disk full")
        if self.error is not None:
            raise self.error
        if len(payload) > self.largest_bytes:
            raise TooLarge("the record is too long")
        self.payloads.append(payload)

    def calls(self) -> list[list[Span]]:
        """Return the recorded calls, each as its spans: the call's own first."""
        return [decode_batch(payload).spans for payload in self.payloads]


@dataclass
class BoxedSnapshot:
    """A ``SnapshotSource`` that tests put a snapshot into."""

    snapshot: Snapshot
    is_missing: bool = False

    def current(self) -> Snapshot:
        if self.is_missing:
            raise Overloaded("no configuration yet")
        return self.snapshot


@dataclass
class ShiftedClock:
    """The machine's clock, and what tests add to it."""

    ahead_ns: int = 0

    def now_ns(self) -> int:
        return SystemClock().now_ns() + self.ahead_ns


@dataclass(frozen=True)
class Reply:
    """An answer of the gateway."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, str]:
        return cast(dict[str, str], json.loads(self.body)["error"])

    @property
    def events(self) -> list[bytes]:
        return [line.removeprefix(b"data: ") for line in self.body.split(b"\n\n") if line]

    @property
    def text(self) -> str:
        """The content of a stream."""
        chunks = [json.loads(event) for event in self.events if event.startswith(b'{"model"')]
        return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


def target(model: str = "good", upstream: str = "stub", parameters: bytes = b"{}") -> SnapshotTarget:
    return SnapshotTarget(upstream=upstream, model=model, parameters=msgspec.Raw(parameters), prices=[PRICE])


def release(name: str, targets: Sequence[SnapshotTarget], **fields: dict[str, str]) -> SnapshotRelease:
    return SnapshotRelease(
        digest=name * 64,
        service="triage",
        prompt_name="triage",
        prompt_version="7",
        messages=[
            MessageTemplate("system", "Use {{braces}} as they are.", is_literal=True),
            MessageTemplate("user", "Sort this: {{ ticket }}"),
        ],
        variables=fields.get("variables", {"ticket": "string"}),
        chain=[SnapshotLink([place]) for place in targets],
    )


@dataclass
class Stage:
    """Everything a test needs: the gateway, its upstream, its sink, and a client."""

    gateway: Gateway
    port: int
    upstream: StubUpstream
    sink: ListSink
    source: BoxedSnapshot
    server: uvicorn.Server
    clock: ShiftedClock

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def configure(
        self,
        *targets: SnapshotTarget,
        weight: float = 0.0,
        unit: str = "user",
        project: SnapshotProject = WITHOUT_RETRIES,
        **changes: object,
    ) -> None:
        """Serve the service ``triage`` by a release of these targets; the candidate's share is ``weight``."""
        good = list(targets) or [target()]
        arms = [SnapshotArm("stable", "a" * 64, 1 - weight), SnapshotArm("candidate", "b" * 64, weight)]
        route = SnapshotRoute("p1", "triage", "production", unit, "salt", arms)
        self.source.snapshot = Snapshot(
            version=self.source.snapshot.version + 1,
            published_ns=1_700_000_000_000_000_000,
            keys={hash_key(PEPPER, f"{key.label}-key"): key for key in _keys()},
            upstreams=_other_upstreams(self.upstream.port)
            | {
                "p1/stub": SnapshotUpstream("stub", f"http://127.0.0.1:{self.upstream.port}/v1", "sealed"),
                "p1/dead": SnapshotUpstream("dead", f"http://127.0.0.1:{_closed_port()}/v1", "sealed"),
                "p1/stand-in": SnapshotUpstream(
                    "stand-in", f"http://127.0.0.1:{self.upstream.port}/v1", model_override="good"
                ),
            },
            routes={"p1/triage/production": route, "p2/secret/production": route},
            releases={f"p1/{name * 64}": release(name, good) for name in "ab"},
            prices={
                f"p1/{name}/good": [PRICE]
                for name in ("stub", "anthropic", "uncounted", "gemini", "bedrock", "chat-only")
            },
            projects={"p1": project},
        )
        self.source.snapshot = msgspec.structs.replace(self.source.snapshot, **changes)

    def ask(self, body: Json | bytes, *, key: str = "call-key", **headers: str) -> Reply:
        """Post a chat completion. Header names are given with underscores."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", "/v1/chat/completions", sent, key=key, **headers)

    def ask_service(
        self, *, key: str = "call-key", stream: bool = False, headers: dict[str, str] | None = None
    ) -> Reply:
        body = {"model": "service:triage", "zirkel": {"variables": {"ticket": "Ünser"}}, "stream": stream}
        return self.ask(cast(Json, body), key=key, **(headers or {}))

    def send(self, method: str, path: str, body: bytes = b"", *, key: str = "call-key", **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            bearer = {"authorization": f"Bearer {key}"} if key else {}
            connection.request(method, path, body, bearer | named)
            response = connection.getresponse()
            answer = response.read()
            return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, answer)
        finally:
            connection.close()

    def shut_down(self) -> None:
        """Ask the gateway's server to end, as SIGTERM does."""
        self.server.should_exit = True

    def open_call(self, headers: Mapping[str, str], *, is_stream: bool = True) -> socket.socket:
        """Call the service over a bare connection and return it."""
        asked = {"model": "service:triage", "zirkel": {"variables": {"ticket": "x"}}, "stream": is_stream}
        body = json.dumps(asked).encode()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(body)}\r\n\r\n"
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(head.encode() + body)
        return connection

    def only_call(self) -> list[Span]:
        """Return the spans of the one call that was recorded, the call's own first."""
        calls = self.sink.calls()
        assert len(calls) == 1
        assert [span.kind for span in calls[0]][:1] == [SpanKind.CALL]
        return calls[0]


def _other_upstreams(port: int) -> dict[str, SnapshotUpstream]:
    """Return upstreams of every other dialect, and one that speaks chats only."""
    base = f"http://127.0.0.1:{port}"
    found = [
        SnapshotUpstream("anthropic", f"{base}/anthropic", "sealed", "anthropic"),
        SnapshotUpstream("uncounted", f"{base}/anthropic", "sealed", "anthropic", ["messages"]),
        SnapshotUpstream("gemini", f"{base}/gemini/v1beta", "sealed", "gemini"),
        SnapshotUpstream("bedrock", f"{base}/bedrock?region=eu-central-1", "aws", "bedrock"),
        SnapshotUpstream("chat-only", f"{base}/v1", "sealed", formats=["chat"]),
    ]
    return {f"p1/{upstream.name}": upstream for upstream in found}


def _keys() -> list[SnapshotKey]:
    return [
        SnapshotKey("k-call", "p1", "call", frozenset({Role.CALL})),
        SnapshotKey("k-admin", "p1", "admin", frozenset({Role.ADMIN})),
        SnapshotKey("k-read", "p1", "read", frozenset({Role.READ})),
        SnapshotKey("k-old", "p1", "old", frozenset({Role.CALL}), expires_ns=1),
    ]


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast(tuple[str, int], probe.getsockname())[1]


def _unseal(sealed: str) -> str:
    return {"sealed": CREDENTIAL, "aws": f"AKIAEXAMPLE:{CREDENTIAL}", "malformed": f"{CREDENTIAL}\n"}[sealed]


def wait_until(is_true: Callable[[], bool]) -> None:
    """Return once ``is_true``; a test that waits in vain fails by assertion."""
    pause = threading.Event()
    for _ in range(2000):
        if is_true():
            return
        pause.wait(0.005)
    raise AssertionError("waited in vain")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A gateway with the service ``triage`` and short timeouts."""
    with ExitStack() as stack:
        upstream = StubUpstream()
        is_up, stop = threading.Event(), threading.Event()
        thread = threading.Thread(target=upstream.serve, args=(is_up, stop))
        thread.start()
        stack.callback(thread.join)
        stack.callback(stop.set)
        assert is_up.wait(10)
        sink = ListSink()
        sink.may_write.set()
        source = BoxedSnapshot(Snapshot(0, 0, {}, {}, {}, {}))
        settings = GatewaySettings(pepper=PEPPER, max_body_bytes=4 << 20, first_byte_s=0.5, connect_s=2, worker="w1")
        limits, answers = LmdbState(tmp_path / "limits"), LmdbState(tmp_path / "answers")
        stack.callback(limits.close)
        stack.callback(answers.close)
        clock = ShiftedClock()
        ports = GatewayPorts(
            snapshots=source,
            sink=sink,
            unseal=_unseal,
            clock=clock,
            limits=limits,
            answers=answers,
            is_alive=lambda _worker: False,
            metrics_folder=tmp_path / "metrics",
            random=Random(7),
        )
        gateway = create_gateway(settings, ports)
        config = uvicorn.Config(
            gateway, loop="uvloop", http="httptools", lifespan="on", log_level="critical", access_log=False
        )
        server = QuickServer(config)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        runner = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        runner.start()
        stack.callback(runner.join)
        stack.callback(setattr, server, "should_exit", True)
        stack.callback(upstream.may_go_on.set)
        wait_until(lambda: server.started)
        port = cast(tuple[str, int], listener.getsockname())[1]
        stage = Stage(gateway, port, upstream, sink, source, server, clock)
        stage.configure()
        yield stage
