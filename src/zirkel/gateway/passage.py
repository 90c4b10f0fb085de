"""``/providers/NAME/…``: a request passed on to an upstream as it is; still authenticated, priced and recorded."""

import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import quote, unquote

import msgspec

from zirkel.core import NotFound, SpanKind, new_span_id
from zirkel.gateway.call import CallPorts
from zirkel.gateway.dialects import DIALECTS, Endpoint
from zirkel.gateway.exchange import Exchange
from zirkel.gateway.facts import Attempt
from zirkel.gateway.http import Headers, Receive, Scope
from zirkel.gateway.passing import Passed, PassedOn
from zirkel.gateway.plan import Target
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.request import Members
from zirkel.gateway.settle import bound_attempt, settle_free
from zirkel.gateway.snapshot import SnapshotKey, SnapshotTarget
from zirkel.gateway.surfaces import CHAT, SURFACES, Surface

_PREFIX = "/providers/"
_MODEL_IN_PATH = re.compile(r"/models?/([^/:]+)")
_FORMATS: Mapping[str, str] = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/responses": "responses",
    "/messages": "messages",
    "enerateContent": "gemini",
    "/converse": "converse",
    "/converse-stream": "converse",
}
"""The format of a path by its ending."""
_COUNT_ENDINGS = ("/count_tokens", ":countTokens", "/count-tokens", "/input_tokens")
_STREAM_ENDINGS = (":streamGenerateContent", "/converse-stream")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""They only look at what is there. Source: RFC 9110, section 9.2.1."""
_KEPT_HEADERS = ("content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta", "idempotency-key")
_CALLERS: Mapping[str, Surface] = {surface.format_name: surface for surface in SURFACES.values()}


class _Named(msgspec.Struct, frozen=True):
    model: str | None = None
    stream: bool | None = None
    user: str | None = None


def is_passage(path: str) -> bool:
    """Return whether a path is passed through."""
    return path.startswith(_PREFIX)


class Passage:
    """One request that is passed through. ``run`` is called once."""

    def __init__(self, ports: CallPorts, prepared: Prepared, key: SnapshotKey, exchange: Exchange) -> None:
        self._prepared = prepared
        self._key = key
        self._exchange = exchange
        self._clock = ports.exchange.clock
        self._relay = PassedOn(ports, prepared, exchange)

    async def run(self, scope: Scope, headers: Headers, body: bytes, receive: Receive) -> None:
        """Pass the request on and its answer back; record it exactly once, before the answer's last byte is sent."""
        try:
            await self._exchange.run(partial(self._pass, scope, headers, body), self._relay.abandon, receive)
        finally:
            self._relay.close()

    async def _pass(self, scope: Scope, headers: Headers, body: bytes) -> None:
        passed, path = self._read(scope, headers, body)
        model = self._describe(passed, path)
        facts, upstream = self._exchange.facts, passed.upstream
        scopes = self._prepared.scopes(self._key, self._key.user or facts.user_id, "")
        self._prepared.check_models(scopes, f"{upstream.name}/{model or '-'}")
        attempt = Attempt(0, "first", upstream.name, model, new_span_id(), self._clock.now_ns(), body=body)
        tokens = 0
        if passed.is_free:
            settle_free(attempt)
        else:
            prices = self._prepared.prices(facts.project_id, SnapshotTarget(upstream.name, model))
            target = Target(0, upstream.name, upstream, model, "", _members(body), is_hub=False, prices=prices)
            tokens = bound_attempt(attempt, target, facts.surface.kind)
        self._exchange.reserve(scopes, attempt, tokens, attempt.cost_usd if passed.is_free else attempt.reserved_usd)
        await self._relay.run(passed, attempt)

    def _read(self, scope: Scope, headers: Headers, body: bytes) -> tuple[Passed, str]:
        raw = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
        name, _, rest = raw.removeprefix(_PREFIX).partition("/")
        upstream = self._prepared.snapshot.upstreams.get(f"{self._exchange.facts.project_id}/{name}")
        dialect = DIALECTS.get(upstream.dialect) if upstream is not None else None
        if upstream is None or dialect is None:
            raise NotFound(f"this project has no upstream {name[:200]!r}")
        method, path = scope["method"], f"/{rest}"
        query = scope.get("query_string", b"").decode("latin-1")

        def find(credential: str, sent: bytes) -> Endpoint:
            return dialect.passage(
                upstream.base_url, credential, method=method, path=path, query=query, body=sent,
                now_ns=self._clock.now_ns(),
            )  # fmt: skip

        is_free = method in _SAFE_METHODS or path.endswith(_COUNT_ENDINGS)
        format_name = "" if is_free else next((name for end, name in _FORMATS.items() if path.endswith(end)), "")
        kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        return Passed(upstream, method, body, kept, find, format_name, is_free=is_free), path

    def _describe(self, passed: Passed, path: str) -> str:
        """Note what is asked, and return the model's name, empty if there is none."""
        facts, body = self._exchange.facts, passed.body
        named = _read_named(body)
        in_path = _MODEL_IN_PATH.search(path)
        facts.surface = _surface(passed)
        facts.name = f"passage {passed.upstream.name}"
        facts.user_id = named.user or self._key.user
        facts.unit = facts.wishes.unit or facts.user_id or facts.key_id
        facts.is_stream = bool(named.stream) or path.endswith(_STREAM_ENDINGS)
        facts.input = facts.rendered = body.decode("utf-8", "replace") if body[:1] in (b"{", b"[") else ""
        return named.model or (unquote(in_path.group(1)) if in_path else "")


def _surface(passed: Passed) -> Surface:
    format_name = passed.format_name
    caller = _CALLERS.get(format_name, CHAT)
    if not format_name:
        kind, operation = SpanKind.SPAN if passed.is_free else SpanKind.COMPLETION, "passage"
    else:
        kind, operation = (caller.kind, caller.operation)
    return Surface(format_name, caller.caller, kind, operation, "", is_chat=False)


def _read_named(body: bytes) -> _Named:
    try:
        return msgspec.json.decode(body, type=_Named)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Named()


def _members(body: bytes) -> Members:
    try:
        return msgspec.json.decode(body, type=Members)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
