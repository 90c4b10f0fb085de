"""The guardrails of one call, and what they may ask of the world: a model of the project, or a hook behind HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from zirkel.core import Clock, GuardrailRefused, Json, JsonObject
from zirkel.gateway.facts import CallFacts
from zirkel.gateway.guardrails import GuardPorts, GuardSession
from zirkel.gateway.plan import Plan, Target, choose_format
from zirkel.gateway.ports import UpstreamBroken, UpstreamClient
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.request import Members
from zirkel.gateway.snapshot import SnapshotTarget
from zirkel.gateway.surfaces import CHAT, UPSTREAM_FORMATS
from zirkel.gateway.trying import Whole
from zirkel.lib.http1 import Timeouts

_MOST_BYTES = 1 << 20
_CONNECT_S = 5.0
_MOST_TOKENS = b"256"
_NOT_IN_CHAIN = 1_000
"""Link of a guardrail's own attempts: they are none of the release's."""


async def guard_input(plan: Plan, facts: CallFacts, ports: GuardPorts, clock: Clock) -> GuardSession | None:
    """Let the release's guardrails see, and maybe change, what goes to the model.

    Returns:
        What checks the answer; ``None`` if it may be passed on as it comes.

    Raises:
        GuardrailRefused: If one refuses.
    """
    if plan.guardrails is None:
        return None
    session = plan.guardrails.session(ports, clock)
    facts.verdicts = session.verdicts
    outcome = await session.check_input(msgspec.json.decode(facts.rendered, type=list[JsonObject]))
    if outcome.refusal is not None:
        raise GuardrailRefused(outcome.refusal.message)
    set_messages(plan, facts, outcome.messages)
    return session if session.touches_output else None


def set_messages(plan: Plan, facts: CallFacts, messages: list[JsonObject]) -> None:
    """Send ``messages`` instead of those that were rendered, wherever the call goes from here on."""
    raw = msgspec.Raw(msgspec.json.encode(messages))
    facts.rendered = bytes(raw).decode()
    for target in plan.targets:
        target.members["messages"] = raw


async def check_answer(guards: GuardSession, hub: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    """Return an answer after the guardrails, and the messages to add for a repair, if one is wanted.

    Raises:
        GuardrailRefused: If one refuses.
    """
    choices = []
    for choice in cast(list[JsonObject], hub["choices"]):
        outcome = await guards.check_output(cast(JsonObject, choice["message"]))
        if outcome.refusal is not None:
            raise GuardrailRefused(outcome.refusal.message)
        if outcome.repair is not None:
            return hub, outcome.repair
        # The tokens' texts would tell what was masked.
        hidden: JsonObject = {"logprobs": None} if choice.get("logprobs") is not None else {}
        choices.append({**choice, **hidden, "message": outcome.message})
    return {**hub, "choices": choices}, []


@dataclass(frozen=True, slots=True)
class CallGuardPorts:
    """The ``GuardPorts`` of one call. A model's answer is an attempt of the call: reserved, priced and recorded."""

    upstream: UpstreamClient
    prepared: Prepared
    facts: CallFacts
    ask: Callable[[Target], Awaitable[Whole]]
    """Makes one attempt."""

    async def ask_model(self, model: str, prompt: str) -> str:
        """Return what ``UPSTREAM/MODEL`` answers to one user message.

        Raises:
            UpstreamBroken: If it gives no usable answer.
        """
        name, _, sent = model.partition("/")
        upstream = self.prepared.snapshot.upstreams.get(f"{self.facts.project_id}/{name}")
        if upstream is None:
            raise UpstreamBroken("not_configured", f"the guardrail's upstream {name!r} is not configured")
        place = SnapshotTarget(name, sent)
        sent = upstream.model_override or sent
        messages = msgspec.json.encode([{"role": "user", "content": prompt}])
        members: Members = {"model": msgspec.Raw(msgspec.json.encode(sent)), "messages": msgspec.Raw(messages)}
        members |= {"temperature": msgspec.Raw(b"0"), "max_tokens": msgspec.Raw(_MOST_TOKENS)}
        target = Target(
            link=_NOT_IN_CHAIN,
            name=name,
            upstream=upstream,
            model=sent,
            format_name=choose_format(self.prepared.formats(upstream), CHAT, is_hub=True),
            members=members,
            is_hub=True,
            prices=self.prepared.prices(self.facts.project_id, place),
        )
        found = await self.ask(target)
        body = msgspec.json.decode(found.body, type=JsonObject)
        return _content(UPSTREAM_FORMATS[target.format_name].read_answer(body))

    async def post_json(self, url: str, body: Mapping[str, Json], timeout_s: float) -> Mapping[str, object]:
        """Return the JSON object that a hook answers.

        Raises:
            UpstreamBroken: If it gives no usable answer.
        """
        headers = {"content-type": "application/json", "user-agent": "zirkel"}
        headers["traceparent"] = self.facts.trace.for_span(self.facts.span_id)
        timeouts = Timeouts(min(_CONNECT_S, timeout_s), timeout_s, timeout_s)
        answer = await self.upstream.request("POST", url, headers, msgspec.json.encode(body), timeouts)
        data = await answer.read(_MOST_BYTES)
        if not 200 <= answer.status < 300:
            raise UpstreamBroken(f"http_{answer.status}", f"HTTP {answer.status}")
        try:
            return msgspec.json.decode(data, type=JsonObject)
        except msgspec.DecodeError:
            raise UpstreamBroken("not_an_answer", "the hook did not answer a JSON object") from None


def _content(hub: JsonObject) -> str:
    match hub.get("choices"):
        case [{"message": {"content": str(text)}}, *_]:
            return text
        case _:
            raise UpstreamBroken("not_an_answer", "the guardrail's model answered without text")
