"""One call from its body to its last byte: plan, try the targets in order, answer, record."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from zirkel.core import Clock, UpstreamFailed, ZirkelError, new_span_id
from zirkel.gateway.completion import parse_completion
from zirkel.gateway.errors import error_body
from zirkel.gateway.facts import Attempt, CallFacts
from zirkel.gateway.http import Receive, Send, send_head, send_json, send_part, send_whole
from zirkel.gateway.plan import Target, plan_call
from zirkel.gateway.ports import UpstreamAnswer, UpstreamBroken, UpstreamClient
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.record import Recorder, recorded_parameters
from zirkel.gateway.request import parse_request
from zirkel.gateway.settings import GatewaySettings
from zirkel.gateway.stream import StreamRelay, error_event
from zirkel.gateway.watch import DisconnectWatch
from zirkel.lib.tasks import OwnedTasks

_REUSE_WAIT_S = 0.5
_STREAM_TYPE = "text/event-stream"
_STREAM_HEADERS = {"content-type": f"{_STREAM_TYPE}; charset=utf-8", "cache-control": "no-cache"}
_log = logging.getLogger("zirkel.gateway")


@dataclass(frozen=True, slots=True)
class CallPorts:
    """What every call of a worker shares."""

    settings: GatewaySettings
    upstream: UpstreamClient
    recorder: Recorder
    tasks: OwnedTasks
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Whole:
    """The upstream's answer came in one piece; a refusal (4xx) is one, too."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Stream:
    """The upstream's answer is a stream whose first part has arrived."""

    relay: StreamRelay
    first_part: bytes


class ChatCall:
    """One chat completion. ``run`` is called once."""

    def __init__(self, ports: CallPorts, prepared: Prepared, facts: CallFacts) -> None:
        self._ports = ports
        self._prepared = prepared
        self._facts = facts
        self._open_answer: UpstreamAnswer | None = None
        self._relay: StreamRelay | None = None
        self._watch: DisconnectWatch | None = None
        self._is_started = False
        self._is_recorded = False

    async def run(self, body: bytes, receive: Receive, send: Send) -> None:
        """Answer the caller and record the call exactly once, before the answer's last byte is sent.

        If the client leaves, the upstream is cancelled, unless the call belongs to an experiment: that one is finished
        and recorded, so that a resumed experiment finds its answer.
        """
        if not self._facts.wishes.experiment_id:
            self._watch = DisconnectWatch(self._ports.tasks, receive)
        try:
            await self._answer(body, send)
        except asyncio.CancelledError:
            has_left = self._watch is not None and self._watch.absorb()
            self._give_up("client_disconnected" if has_left else "cancelled")
            if not has_left:
                raise
        except ZirkelError as error:
            self._facts.fail(error.code, str(error))
            self._record()
            await send_json(send, error.http_status, error_body(error), self._facts.headers())
        except Exception:
            _log.exception("call %s failed", self._facts.trace.trace_id)
            self._give_up("internal")
            if self._is_started:
                raise
            internal = ZirkelError("internal error; the gateway's log tells more about this trace id")
            await send_json(send, internal.http_status, error_body(internal), self._facts.headers())
        finally:
            if self._watch is not None:
                self._watch.stop()
            if self._open_answer is not None:
                self._open_answer.close()

    async def _answer(self, body: bytes, send: Send) -> None:
        facts = self._facts
        request = parse_request(body)
        targets = plan_call(facts, self._prepared, request)
        reasons: list[str] = []
        for number, target in enumerate(targets):
            attempt = self._begin(number, target)
            try:
                found = await self._try(attempt, target, hides_usage=not request.wants_usage)
            except UpstreamBroken as error:
                self._fail_attempt(attempt, error)
                reasons.append(f"{target.name}/{target.model}: {error.reason}")
                continue
            facts.answered = attempt
            if isinstance(found, _Whole):
                await self._send_whole(attempt, found, send)
            else:
                await self._send_stream(attempt, found, send)
            return
        raise UpstreamFailed("no upstream answered; " + "; ".join(reasons))

    def _begin(self, number: int, target: Target) -> Attempt:
        tools = target.members.get("tools")
        attempt = Attempt(
            number=number,
            upstream=target.name,
            model=target.model,
            span_id=new_span_id(),
            start_ns=self._ports.clock.now_ns(),
            price=target.price,
            parameters=recorded_parameters(target.members),
            tools="" if tools is None else bytes(tools).decode(),
        )
        self._facts.attempts.append(attempt)
        return attempt

    async def _try(self, attempt: Attempt, target: Target, *, hides_usage: bool) -> _Whole | _Stream:
        """Return the target's answer: whole, or once the first part of its stream is here."""
        answer = self._open_answer = await self._post(attempt, target)
        max_bytes = self._ports.settings.max_answer_bytes
        is_good = 200 <= answer.status < 300
        if not is_good:
            body = await answer.read(max_bytes)
            text = attempt.redact(body.decode("utf-8", "replace"))
            if answer.status == 429 or not 400 <= answer.status < 500:
                raise UpstreamBroken(f"http_{answer.status}", f"HTTP {answer.status}", text)
            attempt.fail(f"http_{answer.status}", text, self._ports.clock.now_ns())
            return _Whole(answer.status, answer.media_type, text.encode())
        if self._facts.is_stream:
            if answer.media_type != _STREAM_TYPE:
                raise UpstreamBroken("not_a_stream", f"answered a stream with {answer.media_type[:100]}")
            relay = self._relay = StreamRelay(answer, self._ports.clock, hides_usage=hides_usage, max_bytes=max_bytes)
            return _Stream(relay, await relay.next_part())
        body = await answer.read(max_bytes)
        try:
            attempt.end(parse_completion(body), self._ports.clock.now_ns())
        except msgspec.DecodeError as error:
            raise UpstreamBroken("not_a_completion", "its answer is not a chat completion", str(error)) from None
        return _Whole(answer.status, answer.media_type, body)

    async def _post(self, attempt: Attempt, target: Target) -> UpstreamAnswer:
        upstream = target.upstream
        if upstream is None:
            raise UpstreamBroken("not_configured", "is not configured")
        if upstream.dialect != "openai":
            raise UpstreamBroken("not_supported", f"speaks {upstream.dialect}, which this gateway does not")
        try:
            attempt.credential = self._prepared.credential(upstream)
        except Exception as error:  # noqa: BLE001 (the vault is a plug-in; the next target may need no credential)
            raise UpstreamBroken("credential", "its credential cannot be opened", type(error).__name__) from None
        headers = self._upstream_headers(attempt)
        return await self._ports.upstream.post(f"{upstream.base_url}/chat/completions", headers, target.body())

    def _upstream_headers(self, attempt: Attempt) -> Mapping[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": _STREAM_TYPE if self._facts.is_stream else "application/json",
            "accept-encoding": "identity",
            "user-agent": "zirkel",
            "traceparent": self._facts.trace.for_span(attempt.span_id),
        }
        if attempt.credential:
            headers["authorization"] = f"Bearer {attempt.credential}"
        return headers

    def _fail_attempt(self, attempt: Attempt, error: UpstreamBroken) -> None:
        message = f"{error.reason}: {error.detail}" if error.detail else error.reason
        self._end_relay(attempt)
        attempt.fail(error.error_type, message, self._ports.clock.now_ns())
        if self._open_answer is not None:
            self._open_answer.close()
            self._open_answer = None

    async def _send_whole(self, attempt: Attempt, found: _Whole, send: Send) -> None:
        if attempt.error_type:
            self._facts.fail(attempt.error_type, attempt.status_message)
        self._record()
        headers = {"content-type": found.media_type, **self._facts.headers()}
        await send_whole(send, found.status, found.body, headers)

    async def _send_stream(self, attempt: Attempt, found: _Stream, send: Send) -> None:
        relay, part = found.relay, found.first_part
        self._is_started = True
        await send_head(send, 200, {**_STREAM_HEADERS, **self._facts.headers()})
        try:
            while not relay.is_done:
                await send_part(send, part, is_last=False)
                part = await relay.next_part()
        except UpstreamBroken as error:
            self._fail_attempt(attempt, error)
            self._facts.fail(error.error_type, f"{attempt.upstream}: {error.reason}")
            part = error_event(error)
        else:
            self._end_relay(attempt)
        self._record()
        await send_part(send, part, is_last=True)
        if not attempt.error_type:
            await relay.finish(wait_s=_REUSE_WAIT_S)

    def _end_relay(self, attempt: Attempt) -> None:
        """Note what a stream, if there is one, has brought so far."""
        if self._relay is not None:
            attempt.first_token_ns = self._relay.first_token_ns
            attempt.end(self._relay.completion(), self._ports.clock.now_ns())
            self._relay = None

    def _give_up(self, error_type: str) -> None:
        """Record a call that ends without an answer, unless it has been recorded."""
        if self._is_recorded:
            return
        self._facts.fail(error_type, "")
        if self._facts.attempts and not self._facts.attempts[-1].end_ns:
            attempt = self._facts.attempts[-1]
            self._end_relay(attempt)
            attempt.fail(error_type, "", self._ports.clock.now_ns())
        self._record()

    def _record(self) -> None:
        """Write the record. From here on the call is over, so a client that leaves cancels nothing."""
        if self._watch is not None:
            self._watch.stop()
        self._is_recorded = True
        self._ports.recorder.write(self._facts, self._ports.clock.now_ns())
