"""The gateway as an ASGI application, without a framework: dispatch, and errors in the caller's own shape."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

import msgspec

from zirkel.core import Clock, Role, Unsupported, ZirkelError, new_span_id
from zirkel.gateway.admission import NO_WISHES, authenticate, read_wishes
from zirkel.gateway.cache import BoundedMap
from zirkel.gateway.call import Call, CallPorts
from zirkel.gateway.chain import Steering
from zirkel.gateway.counting import TokenCount
from zirkel.gateway.errors import MethodNotAllowed, error_headers, unknown_path
from zirkel.gateway.exchange import Exchange, ExchangePorts
from zirkel.gateway.exposition import CONTENT_TYPE, render_metrics
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
    send_whole,
)
from zirkel.gateway.keeping import KeptAnswers
from zirkel.gateway.limits import Limiter
from zirkel.gateway.listing import model_list
from zirkel.gateway.metrics import GatewayMetrics
from zirkel.gateway.open_attempt import abandoned_spans
from zirkel.gateway.passage import Passage, is_passage
from zirkel.gateway.ports import SharedState, SnapshotSource, SpanSink, Unseal
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.record import GatewayCounters, Recorder
from zirkel.gateway.settings import GatewaySettings
from zirkel.gateway.snapshot import Snapshot, SnapshotKey
from zirkel.gateway.surfaces import CHAT, COUNT_TOKENS_PATH, SURFACES, Surface
from zirkel.gateway.tally import count_resting
from zirkel.gateway.trace import TraceContext, join_trace
from zirkel.gateway.trying import TryPorts
from zirkel.gateway.upstream import HttpUpstream
from zirkel.lib.tasks import OwnedTasks

_MODELS = "/v1/models"
_PLAIN = {"/healthz": "GET", "/metrics": "GET", _MODELS: "GET"}
_PRUNE_EVERY_S = 10
_log = logging.getLogger("zirkel.gateway")


@dataclass(frozen=True, slots=True)
class GatewayPorts:
    """What a worker needs of the world; ``app`` provides it."""

    snapshots: SnapshotSource
    sink: SpanSink
    unseal: Unseal
    clock: Clock
    limits: SharedState
    """Counters and open attempts, shared by all workers."""
    answers: SharedState
    """Kept answers, shared by all workers."""
    is_alive: Callable[[str], bool]
    """Whether the worker of a name runs."""
    metrics_folder: Path
    """Where each worker leaves its figures."""
    random: Random


class Gateway:
    """The data plane of one worker: an ASGI application that opens and closes with its lifespan."""

    def __init__(self, settings: GatewaySettings, ports: GatewayPorts) -> None:
        self._settings = settings
        self._world = ports
        self._prepared: Prepared | None = None
        self._resting: set[str] = set()
        self.counters = GatewayCounters()
        self._tasks = OwnedTasks()
        self._upstream = HttpUpstream()
        clock = ports.clock
        metrics = GatewayMetrics(settings.worker, ports.metrics_folder, clock.now_ns())

        def count_rest(upstream: str, model: str) -> None:
            metrics.count("cooldowns_total", upstream=upstream, model=model)

        self._exchanges = ExchangePorts(
            recorder=Recorder(ports.sink, self.counters, metrics),
            limiter=Limiter(ports.limits, settings.worker, clock),
            metrics=metrics,
            tasks=self._tasks,
            clock=clock,
        )
        self._calls = CallPorts(
            exchange=self._exchanges,
            tries=TryPorts(settings, self._upstream, clock),
            steering=Steering(clock, self._tasks, ports.random, count_rest),
            answers=KeptAnswers(BoundedMap(ports.answers, max_bytes=settings.kept_answers_bytes), clock),
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
        await self._upstream.open()
        self._recover()
        housekeeping = self._tasks.start(self._keep_house(), name="housekeeping")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        housekeeping.cancel()
        await self._tasks.close(grace_s=self._settings.drain_s)
        await self._upstream.close()
        self._calls.answers.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _recover(self) -> None:
        """Settle and record what workers that are gone left open, so that a crash costs no row and no budget.

        What cannot be made good now is logged and waits for the next start: it must not keep this one from serving.
        """
        limiter = self._exchanges.limiter
        try:
            found = limiter.recover(self._world.is_alive)
            if found:
                _log.warning("%d attempts were open when a worker died; settled at what was reserved", len(found))
                self._exchanges.recorder.write_spans(abandoned_spans(found, self._world.clock.now_ns()))
                limiter.forget(found)
        except (ZirkelError, OSError):
            _log.exception("what dead workers left could not be made good")

    async def _keep_house(self) -> None:
        """Write the metrics once a second until cancelled, and tidy up beside it."""
        tidying = self._tasks.start(self._tidy(), name="tidying")
        try:
            await self._exchanges.metrics.keep_dumping(self._world.clock)
        finally:
            tidying.cancel()

    async def _tidy(self) -> None:
        """Say once a second which places rest, and let the limiter forget who is idle."""
        for second in count(1):
            await asyncio.sleep(1)
            self._note_rests()
            if second % _PRUNE_EVERY_S == 0:
                try:
                    self._exchanges.limiter.prune()
                except ZirkelError:
                    _log.exception("limits of idle subjects could not be removed")

    def _note_rests(self) -> None:
        resting = set(self._calls.steering.health.resting(self._world.clock.now_ns()))
        count_resting(self._exchanges.metrics, resting, self._resting - resting)
        self._resting = resting

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = request_headers(scope)
        trace = join_trace(headers.get("traceparent", ""))
        surface = _surface(scope["path"], headers)
        try:
            await self._dispatch(scope, headers, trace, surface, receive, send)
        except ClientLeft:
            return
        except ZirkelError as error:
            body = surface.caller.error_body(str(error), status=error.http_status, code=error.code, param=error.path)
            await send_json(send, error.http_status, body, {**_known(trace), **error_headers(error)})

    async def _dispatch(
        self, scope: Scope, headers: Headers, trace: TraceContext, surface: Surface, receive: Receive, send: Send
    ) -> None:
        path = scope["path"]
        _check_method(path, scope["method"])
        prepared = self._prepare()
        if path == "/healthz":
            await send_json(send, 200, self._health(prepared.snapshot), _known(trace))
            return
        key = authenticate(prepared.snapshot, self._settings.pepper, headers, self._world.clock)
        if path == "/metrics":
            key.require(Role.READ)
            text = render_metrics(self._world.metrics_folder, self._world.clock.now_ns())
            await send_whole(send, 200, text.encode(), {"content-type": CONTENT_TYPE, **_known(trace)})
            return
        key.require(Role.CALL)
        if path.startswith(_MODELS):
            await send_json(send, 200, model_list(prepared, key, path.removeprefix(_MODELS)[1:]), _known(trace))
            return
        await self._call(
            prepared,
            key,
            Exchange(self._exchanges, self._facts(prepared, key, trace, surface), send),
            scope,
            headers,
            receive,
        )

    def _facts(self, prepared: Prepared, key: SnapshotKey, trace: TraceContext, surface: Surface) -> CallFacts:
        return CallFacts(
            project_id=key.project_id,
            key_id=key.key_id,
            trace=trace,
            span_id=new_span_id(),
            start_ns=self._world.clock.now_ns(),
            wishes=NO_WISHES,
            surface=surface,
            capture=key.capture or prepared.project(key.project_id).capture,
            rules=prepared.rules(key.project_id),
        )

    async def _call(
        self,
        prepared: Prepared,
        key: SnapshotKey,
        exchange: Exchange,
        scope: Scope,
        headers: Headers,
        receive: Receive,
    ) -> None:
        try:
            exchange.facts.wishes = read_wishes(key, headers)
            _check_encoding(headers)
            body = await read_body(receive, headers, self._settings.max_body_bytes)
        except ZirkelError as error:
            await exchange.refuse(error)
            return
        path = scope["path"]
        if path == COUNT_TOKENS_PATH:
            await TokenCount(self._calls, prepared, key, exchange).run(body, receive)
        elif is_passage(path):
            await Passage(self._calls, prepared, key, exchange).run(scope, headers, body, receive)
        else:
            await Call(self._calls, prepared, key, exchange).run(body, receive)

    def _prepare(self) -> Prepared:
        snapshot = self._world.snapshots.current()
        if self._prepared is None or self._prepared.snapshot is not snapshot:
            self._prepared = Prepared(snapshot, self._world.unseal)
            self._exchanges.metrics.serve_snapshot(snapshot.version, snapshot.published_ns)
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


def create_gateway(settings: GatewaySettings, ports: GatewayPorts) -> Gateway:
    """Return the gateway of one worker, ready for ``uvicorn --loop uvloop --http httptools --lifespan on``."""
    return Gateway(settings, ports)


def _surface(path: str, headers: Headers) -> Surface:
    """Return whose words errors are told in."""
    if path == COUNT_TOKENS_PATH or (path not in SURFACES and "anthropic-version" in headers):
        return SURFACES["/v1/messages"]
    return SURFACES.get(path, CHAT)


def _known(trace: TraceContext) -> Headers:
    """Return the headers of every answer that is not recorded."""
    return {"x-zirkel-trace-id": trace.trace_id}


def _check_encoding(headers: Headers) -> None:
    encoding = headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise Unsupported(f"Content-Encoding {encoding[:40]!r}; send the body as it is")


def _check_method(path: str, method: str) -> None:
    if path in SURFACES or path == COUNT_TOKENS_PATH:
        allowed = "POST"
    elif is_passage(path):
        return
    elif path.startswith(f"{_MODELS}/"):
        allowed = "GET"
    else:
        found = _PLAIN.get(path)
        if found is None:
            raise unknown_path(path)
        allowed = found
    if method != allowed:
        raise MethodNotAllowed(path, method, allowed)
