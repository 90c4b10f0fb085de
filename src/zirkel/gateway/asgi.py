"""The gateway as an ASGI application, without a framework: dispatch, and errors in one shape."""

import logging
from typing import cast

import msgspec

from zirkel.core import Clock, Unauthenticated, Unsupported, ZirkelError, new_span_id
from zirkel.gateway.admission import Wishes, authenticate, read_wishes
from zirkel.gateway.call import CallPorts, ChatCall
from zirkel.gateway.errors import MethodNotAllowed, error_body, unknown_path
from zirkel.gateway.facts import CallFacts
from zirkel.gateway.http import (
    ClientLeft,
    Headers,
    Receive,
    Scope,
    Send,
    read_body,
    request_headers,
    send_json,
)
from zirkel.gateway.ports import SnapshotSource, SpanSink, Unseal
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.record import GatewayCounters, Recorder
from zirkel.gateway.settings import GatewaySettings
from zirkel.gateway.snapshot import Snapshot, SnapshotKey
from zirkel.gateway.trace import TraceContext, join_trace
from zirkel.gateway.upstream import AiohttpUpstream
from zirkel.lib.tasks import OwnedTasks

_METHODS = {"/healthz": "GET", "/v1/models": "GET", "/v1/chat/completions": "POST"}
_log = logging.getLogger("zirkel.gateway")


class Gateway:
    """The data plane of one worker: an ASGI application that opens and closes with its lifespan."""

    def __init__(
        self, settings: GatewaySettings, snapshots: SnapshotSource, sink: SpanSink, unseal: Unseal, clock: Clock
    ) -> None:
        self._settings = settings
        self._snapshots = snapshots
        self._unseal = unseal
        self._prepared: Prepared | None = None
        self.counters = GatewayCounters()
        self._ports = CallPorts(
            settings=settings,
            upstream=AiohttpUpstream(settings),
            recorder=Recorder(sink, self.counters),
            tasks=OwnedTasks(),
            clock=clock,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope of the ASGI protocol: ``lifespan`` or ``http``."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            raise NotImplementedError(f"ASGI scope {scope['type']!r}")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._ports.upstream.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._ports.tasks.close(grace_s=self._settings.drain_s)
        await self._ports.upstream.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = request_headers(scope)
        trace = join_trace(headers.get("traceparent", ""))
        known = {"x-zirkel-trace-id": trace.trace_id}
        try:
            path = _check_path(scope)
            prepared = self._prepare()
            if path == "/healthz":
                await send_json(send, 200, self._health(prepared.snapshot), known)
                return
            key = authenticate(prepared.snapshot, self._settings.pepper, headers, self._ports.clock)
            if path == "/v1/models":
                await send_json(send, 200, _model_list(prepared.snapshot, key), known)
            else:
                await self._chat(prepared, key, trace, headers, receive, send)
        except ClientLeft:
            return
        except ZirkelError as error:
            await send_json(send, error.http_status, error_body(error), {**known, **_extra_headers(error)})

    async def _chat(
        self, prepared: Prepared, key: SnapshotKey, trace: TraceContext, headers: Headers, receive: Receive, send: Send
    ) -> None:
        facts = CallFacts(
            project_id=key.project_id,
            key_id=key.key_id,
            trace=trace,
            span_id=new_span_id(),
            start_ns=self._ports.clock.now_ns(),
            wishes=Wishes(),
        )
        try:
            facts.wishes = read_wishes(key, headers)
            if headers.get("content-encoding", "identity") != "identity":
                raise Unsupported(f"Content-Encoding {headers['content-encoding'][:40]!r}; send the body as it is")
            body = await read_body(receive, headers, self._settings.max_body_bytes)
        except ZirkelError as error:
            facts.fail(error.code, str(error))
            self._ports.recorder.write(facts, self._ports.clock.now_ns())
            raise
        await ChatCall(self._ports, prepared, facts).run(body, receive, send)

    def _prepare(self) -> Prepared:
        snapshot = self._snapshots.current()
        if self._prepared is None or self._prepared.snapshot is not snapshot:
            self._prepared = Prepared(snapshot, self._unseal)
        return self._prepared

    def _health(self, snapshot: Snapshot) -> bytes:
        return msgspec.json.encode(
            {
                "status": "ok",
                "worker": self._settings.worker,
                "snapshot_version": snapshot.version,
                "calls": self.counters.calls,
                "records_lost": self.counters.records_lost,
            }
        )


def create_gateway(
    settings: GatewaySettings, snapshots: SnapshotSource, sink: SpanSink, unseal: Unseal, clock: Clock
) -> Gateway:
    """Return the gateway of one worker, ready for ``uvicorn --loop uvloop --http httptools --lifespan on``."""
    return Gateway(settings, snapshots, sink, unseal, clock)


def _check_path(scope: Scope) -> str:
    path, method = cast(str, scope["path"]), cast(str, scope["method"])
    allowed = _METHODS.get(path)
    if allowed is None:
        raise unknown_path(path)
    if method != allowed:
        raise MethodNotAllowed(path, method, allowed)
    return path


def _extra_headers(error: ZirkelError) -> Headers:
    if isinstance(error, MethodNotAllowed):
        return {"allow": error.allowed}
    return {"www-authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}


def _model_list(snapshot: Snapshot, key: SnapshotKey) -> bytes:
    names = sorted({route.service for route in snapshot.routes.values() if route.project_id == key.project_id})
    created_s = snapshot.published_ns // 1_000_000_000
    models = [
        {"id": f"service:{name}", "object": "model", "created": created_s, "owned_by": "zirkel"} for name in names
    ]
    return msgspec.json.encode({"object": "list", "data": models})
