"""One call from its body to its last byte: plan, guard, look it up, try the chain, answer, record."""

import asyncio
from dataclasses import dataclass
from functools import partial

import msgspec

from zirkel.core import GuardrailRefused, JsonObject, UpstreamFailed, new_span_id
from zirkel.gateway.chain import Chain, Steering
from zirkel.gateway.delivery import Delivery
from zirkel.gateway.exchange import Exchange, ExchangePorts
from zirkel.gateway.facts import Attempt
from zirkel.gateway.guarding import CallGuardPorts, check_answer, guard_input, set_messages
from zirkel.gateway.guardrails import GuardSession
from zirkel.gateway.http import Receive
from zirkel.gateway.keeping import Keeping, KeptAnswers
from zirkel.gateway.plan import Plan, Target, plan_call
from zirkel.gateway.ports import UpstreamBroken
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.record import recorded_parameters
from zirkel.gateway.request import CallRequest, parse_request
from zirkel.gateway.settle import bound_attempt
from zirkel.gateway.snapshot import SnapshotKey
from zirkel.gateway.trying import Streaming, Try, TryPorts, Whole, encode_request


@dataclass(frozen=True, slots=True)
class CallPorts:
    """What every call of a worker shares."""

    exchange: ExchangePorts
    tries: TryPorts
    steering: Steering
    answers: KeptAnswers


class _Asked(msgspec.Struct, frozen=True):
    """What is being answered, and how it is to be asked for."""

    request: CallRequest
    plan: Plan
    deadline_ns: int
    guards: GuardSession | None
    """Look at the answer."""
    is_stream: bool
    """The upstream is asked for a stream."""


class Call:
    """One call in one of the callers' formats. ``run`` is called once."""

    def __init__(self, ports: CallPorts, prepared: Prepared, key: SnapshotKey, exchange: Exchange) -> None:
        self._ports = ports
        self._prepared = prepared
        self._key = key
        self._exchange = exchange
        self._facts = exchange.facts
        self._trials: list[tuple[Attempt, Try]] = []
        self._chain: Chain | None = None

    async def run(self, body: bytes, receive: Receive) -> None:
        """Answer the caller and record the call exactly once, before the answer's last byte is sent.

        If the client leaves, the upstream is cancelled, unless the call belongs to an experiment: that one is finished
        and recorded, so that a resumed experiment finds its answer.
        """
        watched = None if self._facts.wishes.experiment_id else receive
        try:
            await self._exchange.run(partial(self._answer, body), self._abandon, watched)
        finally:
            for _, trial in self._trials:
                trial.close()
            # The chain knows this call, and attempts know the guardrails' questions, which know it, too: without these
            # circles all of it is free at once, and nothing is left to the garbage collector.
            self._chain = None
            self._trials.clear()

    async def _answer(self, body: bytes) -> None:
        facts = self._facts
        request = parse_request(facts.surface, body)
        plan = plan_call(facts, self._key, self._prepared, request)
        asked = _Asked(request, plan, facts.start_ns + int(self._total_s(plan) * 1e9), None, request.is_stream)
        delivery = Delivery(self._exchange, request)
        if plan.guardrails is not None:
            guards = await self._check_input(asked)
            needs_whole = guards is not None and plan.guardrails.needs_whole_output
            asked = _Asked(request, plan, asked.deadline_ns, guards, request.is_stream and not needs_whole)
        kept = self._keeping(plan)
        if kept is not None:
            known = await self._find_kept(kept, asked.guards)
            if known is not None:
                await delivery.give_hub(known, None)
                return
        begin = partial(self._begin, asked)
        chain = self._chain = Chain(self._ports.steering, facts.project_id, plan, begin, asked.deadline_ns)
        try:
            await self._deliver(asked, chain, kept, delivery)
        except UpstreamBroken as error:
            await self._refuse(error, delivery)

    async def _deliver(self, asked: _Asked, chain: Chain, kept: Keeping | None, delivery: Delivery) -> None:
        found = await chain.run()
        if isinstance(found, Streaming):
            await delivery.give_stream(found, kept)
            return
        hub: JsonObject | None = found.hub
        if asked.guards is not None and found.hub is not None:
            found, hub = await self._check_output(asked, found, found.hub, asked.guards, chain)
        if kept is not None:
            # As the model said it: what a guardrail puts in is this caller's alone.
            kept.keep(found.hub or msgspec.json.decode(found.body, type=JsonObject), found.attempt)
        if hub is None:
            await delivery.give_native(found)
        else:
            await delivery.give_hub(hub, found.attempt)

    def _total_s(self, plan: Plan) -> float:
        own = plan.resilience.total_s
        return self._ports.tries.settings.total_s if own is None else own

    async def _check_input(self, asked: _Asked) -> GuardSession | None:
        async def ask(target: Target) -> Whole:
            trial = self._begin(asked, target, "guardrail")
            try:
                found = await trial.start(asked.deadline_ns)
            except asyncio.CancelledError:
                trial.fail("cancelled", "the guardrail waits no longer")
                raise
            if not isinstance(found, Whole):
                raise UpstreamBroken("not_an_answer", "a guardrail's model answered with a stream")
            return found

        ports = CallGuardPorts(self._ports.tries.upstream, self._prepared, self._facts, ask)
        return await guard_input(asked.plan, self._facts, ports, self._ports.exchange.clock)

    async def _check_output(
        self, asked: _Asked, found: Whole, hub: JsonObject, guards: GuardSession, chain: Chain
    ) -> tuple[Whole, JsonObject]:
        """Return the answer as the model gave it, and as the guardrails let it go on; maybe after a repair.

        Raises:
            GuardrailRefused: If one refuses.
        """
        checked, repair = await check_answer(guards, hub)
        if not repair:
            return found, checked
        messages = msgspec.json.decode(self._facts.rendered, type=list[JsonObject])
        set_messages(asked.plan, self._facts, [*messages, *repair])
        again = await chain.run("repair")
        if not isinstance(again, Whole) or again.hub is None:
            raise UpstreamFailed("the repaired request was not answered whole")
        checked, _ = await check_answer(guards, again.hub)
        return again, checked

    def _keeping(self, plan: Plan) -> Keeping | None:
        """Return where the call's answer is kept; ``None`` if its release keeps none, or the caller wants a fresh one.

        Experiments always get a fresh one, as their trials are to be independent, and where nothing is recorded nothing
        is kept either.
        """
        facts = self._facts
        if plan.cache is None:
            return None
        if facts.wishes.bypasses_cache or facts.wishes.experiment_id or facts.capture == "off":
            facts.cache = "bypass"
            return None
        hub = msgspec.json.decode(msgspec.json.encode(plan.chain[0].pool[0].members), type=JsonObject)
        return Keeping(
            self._ports.answers, plan.cache, facts.project_id, facts.release, hub, plan.variables, facts.rules
        )

    async def _find_kept(self, kept: Keeping, guards: GuardSession | None) -> JsonObject | None:
        """Return an earlier answer to the same request, as the guardrails let it go on."""
        known, self._facts.cache = await kept.find()
        if known is None or guards is None:
            return known
        checked, repair = await check_answer(guards, known)
        if repair:
            self._facts.cache = "miss"
            return None
        return checked

    def _begin(self, asked: _Asked, target: Target, reason: str) -> Try:
        """Reserve what an attempt may use and return it, ready to start.

        Raises:
            Invalid: If the request cannot be said in the target's format.
            LimitReached: If it is over a limit.
        """
        facts = self._facts
        is_stream = asked.is_stream and reason != "guardrail"
        attempt = self._attempt(target, reason, is_stream=is_stream)
        tokens = bound_attempt(attempt, target, facts.surface.kind)
        self._exchange.reserve(asked.plan.scopes, attempt, tokens, attempt.reserved_usd)
        trial = Try(
            self._ports.tries, self._prepared, facts, asked.plan, asked.request, target, attempt,
            guards=asked.guards, is_stream=is_stream,
        )  # fmt: skip
        self._trials.append((attempt, trial))
        return trial

    def _attempt(self, target: Target, reason: str, *, is_stream: bool) -> Attempt:
        tools = target.members.get("tools")
        is_hub = target.is_hub or target.format_name == "chat"
        messages = target.members.get("messages") if is_hub else None
        return Attempt(
            link=target.link,
            reason=reason,
            because=self._chain.because if self._chain is not None and reason == "fallback" else "",
            upstream=target.name,
            model=target.model,
            span_id=new_span_id(),
            start_ns=self._ports.exchange.clock.now_ns(),
            parameters=recorded_parameters(target.members),
            tools="" if tools is None else str(tools, "utf-8"),
            body=encode_request(target, is_stream=is_stream),
            messages=b"" if messages is None else bytes(messages),
        )

    async def _refuse(self, error: UpstreamBroken, delivery: Delivery) -> None:
        """Give the caller an upstream's refusal."""
        refused = error.refused
        if refused is None:
            raise UpstreamFailed(f"the upstream failed: {error.reason}") from None
        attempt, trial = next(
            (pair for pair in reversed(self._trials) if pair[0].error_type == error.error_type), self._trials[-1]
        )
        is_native = trial.format_name == self._facts.surface.format_name
        await delivery.give_refusal(refused, attempt, is_native=is_native)

    def _abandon(self, error_type: str, message: str) -> None:
        for _, trial in self._trials:
            if error_type == GuardrailRefused.code:
                # What the model said up to there was good work, though nobody gets it.
                trial.end_stream()
            trial.fail(error_type, message)
