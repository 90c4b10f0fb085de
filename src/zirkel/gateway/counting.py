"""``POST /v1/messages/count_tokens``: how long a request is, by the model's own tokenizer or the bundled one."""

from functools import partial

import msgspec

from zirkel.core import JsonObject, SpanKind, new_span_id
from zirkel.gateway.call import CallPorts
from zirkel.gateway.dialects import DIALECTS, Endpoint
from zirkel.gateway.exchange import Exchange
from zirkel.gateway.facts import Attempt
from zirkel.gateway.http import Receive
from zirkel.gateway.passing import Passed, PassedOn
from zirkel.gateway.plan import Plan, Target, plan_call
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.request import CallRequest, parse_request
from zirkel.gateway.settle import settle_free
from zirkel.gateway.snapshot import SnapshotKey, SnapshotUpstream
from zirkel.gateway.surfaces import SURFACES, UPSTREAM_FORMATS, Surface
from zirkel.gateway.tokens import count_request

_FORMAT = "count_tokens"
_COUNTED_MEMBERS = frozenset({"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"})
"""What the upstream takes of a request that was rendered or translated here."""
_MESSAGES = SURFACES["/v1/messages"]
COUNTING = Surface(_FORMAT, _MESSAGES.caller, SpanKind.SPAN, _FORMAT, "messages")


class TokenCount:
    """One question for a request's length. ``run`` is called once."""

    def __init__(self, ports: CallPorts, prepared: Prepared, key: SnapshotKey, exchange: Exchange) -> None:
        self._ports = ports
        self._prepared = prepared
        self._key = key
        self._exchange = exchange
        self._relay = PassedOn(ports, prepared, exchange)

    async def run(self, body: bytes, receive: Receive) -> None:
        """Answer and record the question. Neither is billed: where an upstream is asked, the attempt is free."""
        try:
            await self._exchange.run(partial(self._count, body), self._relay.abandon, receive)
        finally:
            self._relay.close()

    async def _count(self, body: bytes) -> None:
        facts = self._exchange.facts
        facts.surface = COUNTING
        request = parse_request(_MESSAGES, body)
        is_bounded = "max_tokens" in request.members
        # A question has no bound of the answer, which a request must have.
        request.members.setdefault("max_tokens", msgspec.Raw(b"1"))
        plan = plan_call(facts, self._key, self._prepared, request)
        # It is no answer of the service, so it is none in its statistics.
        facts.name, facts.target_name, facts.service, facts.is_stream = f"{_FORMAT} {facts.name}", "", "", False
        target = plan.chain[0].pool[0]
        upstream = target.upstream
        if upstream is not None and upstream.dialect in DIALECTS and _FORMAT in self._prepared.formats(upstream):
            if not is_bounded:
                target.members.pop("max_tokens", None)
            await self._ask(plan, target, upstream)
            return
        answer = _answer(request, target)
        self._exchange.close()
        await self._exchange.send_whole(200, answer, {"content-type": "application/json"})

    async def _ask(self, plan: Plan, target: Target, upstream: SnapshotUpstream) -> None:
        clock = self._ports.exchange.clock
        body = _body(target)
        attempt = Attempt(0, "first", upstream.name, target.model, new_span_id(), clock.now_ns(), body=body)
        settle_free(attempt)
        self._exchange.reserve(plan.scopes, attempt, 0, attempt.cost_usd)

        def find(credential: str, sent: bytes) -> Endpoint:
            return DIALECTS[upstream.dialect].endpoint(
                upstream.base_url, credential, format_name=_FORMAT, model=target.model, is_stream=False, body=sent,
                now_ns=clock.now_ns(),
            )  # fmt: skip

        headers = {"content-type": "application/json", **self._exchange.facts.wishes.forwarded}
        await self._relay.run(Passed(upstream, "POST", body, headers, find, is_free=True), attempt)


def _body(target: Target) -> bytes:
    if not target.is_hub:
        return msgspec.json.encode(target.members)
    hub = msgspec.json.decode(msgspec.json.encode(target.members), type=JsonObject)
    written = UPSTREAM_FORMATS["messages"].write_request(hub)
    return msgspec.json.encode({name: value for name, value in written.items() if name in _COUNTED_MEMBERS})


def _answer(request: CallRequest, target: Target) -> bytes:
    hub = target.members if target.is_hub else request.hub_members()
    counted = count_request(bytes(hub["messages"]), bytes(hub.get("tools", b"")), target.model)
    return msgspec.json.encode({"input_tokens": counted})
