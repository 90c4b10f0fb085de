"""One try at one place: send, read the answer, whole or up to the first part of its stream."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from zirkel.core import Clock, Invalid, JsonObject
from zirkel.gateway.completion import Completion, parse_completion, parse_embedding
from zirkel.gateway.dialects import DIALECTS, Dialect
from zirkel.gateway.facts import Attempt, CallFacts
from zirkel.gateway.guardrails import GuardSession
from zirkel.gateway.plan import Plan, Target
from zirkel.gateway.ports import Refused, Timeouts, UpstreamAnswer, UpstreamBroken, UpstreamClient
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.refusals import classify_refusal
from zirkel.gateway.request import CallRequest
from zirkel.gateway.settings import GatewaySettings
from zirkel.gateway.settle import settle_answer, settle_free
from zirkel.gateway.stream import LONGEST_EVENT_BYTES, StreamRelay
from zirkel.gateway.surfaces import UPSTREAM_FORMATS
from zirkel.lib.eventstream import EventStreamParser
from zirkel.lib.sse import SseParser

_COMMON_CODES = {"context_window": "context_length_exceeded", "content_filter": "content_filter"}
"""What every provider refuses has one name, OpenAI's, for callers of another format."""
_STREAM_TYPES = {"sse": "text/event-stream", "eventstream": "application/vnd.amazon.eventstream"}


class Whole(msgspec.Struct, frozen=True):
    """An answer that came in one piece."""

    attempt: Attempt
    media_type: str
    body: bytes
    """As the upstream sent it."""
    hub: JsonObject | None
    """In hub form; ``None`` if the caller gets the body as it is."""


class Streaming(msgspec.Struct, frozen=True):
    """A stream whose first part has arrived."""

    attempt: Attempt
    trial: "Try"
    """Whose stream it is; told when it ends."""
    relay: StreamRelay
    first_part: bytes
    """Up to and with the first piece of the answer."""


@dataclass(frozen=True, slots=True)
class TryPorts:
    """What every try of a worker shares."""

    settings: GatewaySettings
    upstream: UpstreamClient
    clock: Clock


class Try:
    """One try. ``start`` is called once, ``close`` at the end in any case."""

    def __init__(
        self,
        ports: TryPorts,
        prepared: Prepared,
        facts: CallFacts,
        plan: Plan,
        request: CallRequest,
        target: Target,
        attempt: Attempt,
        *,
        guards: GuardSession | None,
        is_stream: bool,
    ) -> None:
        """Prepare to call ``target``.

        Args:
            ports: Shared by the worker.
            prepared: The configuration of the call.
            facts: Of the call.
            plan: Of the call.
            request: Of the call.
            target: Where to.
            attempt: Filled in on the way.
            guards: Look at the answer, which is wanted in hub form then, whatever format it comes in.
            is_stream: Ask for a stream.
        """
        self._ports = ports
        self._prepared = prepared
        self._facts = facts
        self._plan = plan
        self._request = request
        self._target = target
        self._attempt = attempt
        self._guards = guards
        is_kept = plan.cache is not None and target.format_name != "chat"
        self._needs_hub = guards is not None or is_kept or target.format_name != request.surface.format_name
        self._is_stream = is_stream
        self._answer: UpstreamAnswer | None = None
        self._relay: StreamRelay | None = None

    @property
    def is_stream(self) -> bool:
        """Whether a stream is asked for."""
        return self._is_stream

    @property
    def is_sent(self) -> bool:
        """Whether the upstream may have received the request."""
        return self._attempt.is_sent

    @property
    def format_name(self) -> str:
        """The wire format the upstream is asked in."""
        return self._target.format_name

    async def start(self, deadline_ns: int) -> Whole | Streaming:
        """Return the answer, settled if it is whole.

        Raises:
            UpstreamBroken: If there is none, or a refusal; the attempt has ended then.
            Invalid: If the request cannot be said in the target's format; nothing was sent.
        """
        first_s = self._plan.resilience.first_token_s if self._is_stream else None
        try:
            if first_s is None:
                # The connection watches the time by itself.
                return await self._start(deadline_ns)
            async with asyncio.timeout(first_s):
                return await self._start(deadline_ns)
        except TimeoutError:
            error = UpstreamBroken("timeout_first_token", "timed out before its first token")
        except UpstreamBroken as broken:
            error = broken
        self.fail(error.error_type, f"{error.reason}: {error.detail}" if error.detail else error.reason)
        raise error

    def fail(self, error_type: str, message: str) -> None:
        """Note that the attempt ends without a whole answer, and settle what it used so far."""
        attempt = self._attempt
        if not attempt.is_over:
            attempt.note_failure(error_type, message)
            self._end(self._relay.completion() if self._relay is not None else Completion())
        self.close()

    def lose(self) -> None:
        """Note that another request answered first. If this one had answered, too, what it used stays settled."""
        attempt, error_type, message = self._attempt, "hedge_lost", "another request answered first"
        if attempt.is_over and not attempt.error_type:
            attempt.note_failure(error_type, message)
        self.fail(error_type, message)

    def end_stream(self) -> None:
        """Note that the stream has brought a whole answer."""
        if self._relay is not None and not self._attempt.is_over:
            self._end(self._relay.completion())

    def close(self) -> None:
        """Drop the connection unless the answer was read to its end."""
        if self._answer is not None:
            self._answer.close()

    async def _start(self, deadline_ns: int) -> Whole | Streaming:
        attempt, target = self._attempt, self._target
        dialect, headers, url = self._address()
        attempt.is_sent = True
        answer = self._answer = await self._ports.upstream.request(
            "POST", url, headers, attempt.body, self._timeouts(deadline_ns)
        )
        if not 200 <= answer.status < 300:
            raise await self._refusal(answer)
        if self._is_stream:
            wanted = _STREAM_TYPES[dialect.framing]
            if answer.media_type != wanted:
                raise UpstreamBroken("not_a_stream", f"answered a stream with {answer.media_type[:100]}")
            relay = self._relay = self._open_relay(answer, dialect)
            return Streaming(attempt, self, relay, await _opening(relay))
        body = await answer.read(self._ports.settings.max_answer_bytes)
        hub = None
        try:
            completion, hub = self._read(target.format_name, body)
        except (msgspec.DecodeError, ValueError) as error:
            raise UpstreamBroken(
                "not_an_answer", f"its answer is not of the format {target.format_name}", str(error)
            ) from None
        self._end(completion)
        return Whole(attempt, answer.media_type, body, hub)

    def _address(self) -> tuple[Dialect, Mapping[str, str], str]:
        attempt, upstream = self._attempt, self._target.upstream
        if upstream is None:
            raise UpstreamBroken("not_configured", "is not configured", is_retryable=False)
        dialect = DIALECTS.get(upstream.dialect)
        if dialect is None or not self._target.format_name:
            raise UpstreamBroken(
                "not_supported", f"cannot be asked for {self._request.surface.format_name}", is_retryable=False
            )
        try:
            attempt.credential = self._prepared.credential(upstream)
        except Exception as error:  # noqa: BLE001 (the vault is a plug-in; the next target may need no credential)
            name = type(error).__name__
            raise UpstreamBroken("credential", "its credential cannot be opened", name, is_retryable=False) from None
        try:
            endpoint = dialect.endpoint(
                upstream.base_url,
                attempt.credential,
                format_name=self._target.format_name,
                model=attempt.model,
                is_stream=self._is_stream,
                body=attempt.body,
                now_ns=self._ports.clock.now_ns(),
            )
        except ValueError as error:
            raise UpstreamBroken("malformed", str(error), is_retryable=False) from None
        return dialect, self._headers(dialect, endpoint.headers), endpoint.url

    def _headers(self, dialect: Dialect, authorised: Mapping[str, str]) -> Mapping[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": _STREAM_TYPES[dialect.framing] if self._is_stream else "application/json",
            "accept-encoding": "identity",
            "user-agent": "zirkel",
            "traceparent": self._facts.trace.for_span(self._attempt.span_id),
            **authorised,
        }
        if self._target.format_name == self._request.surface.format_name:
            headers |= self._facts.wishes.forwarded
        return headers

    def _timeouts(self, deadline_ns: int) -> Timeouts:
        own, settings = self._plan.resilience, self._ports.settings
        silence_s = settings.first_byte_s
        if self._is_stream:
            # ``start`` and the relay watch these two exactly; the connection's own limit must not be shorter.
            silence_s = max(silence_s, own.first_token_s or 0.0, own.between_tokens_s or 0.0)
        left_s = max(0.0, (deadline_ns - self._ports.clock.now_ns()) / 1e9)
        return Timeouts(min(own.connect_s or settings.connect_s, left_s), silence_s, left_s)

    async def _refusal(self, answer: UpstreamAnswer) -> UpstreamBroken:
        body = await answer.read(self._ports.settings.max_answer_bytes)
        found = classify_refusal(answer.status, answer.headers, body, now_ns=self._ports.clock.now_ns())
        text = self._attempt.redact(body.decode("utf-8", "replace"))
        message = self._attempt.redact(found.message)
        is_callers = found.kind != "failure"
        return UpstreamBroken(
            f"http_{answer.status}",
            f"HTTP {answer.status}",
            text,
            kind=found.kind,
            is_retryable=found.is_retryable,
            retry_after_s=found.retry_after_s,
            refused=Refused(
                answer.status, answer.media_type, text.encode(), message, _COMMON_CODES.get(found.kind, found.code)
            )
            if is_callers
            else None,
        )

    def _open_relay(self, answer: UpstreamAnswer, dialect: Dialect) -> StreamRelay:
        settings, request, format_name = self._ports.settings, self._request, self._target.format_name
        longest = min(LONGEST_EVENT_BYTES, settings.max_answer_bytes)
        is_sse = dialect.framing == "sse"
        is_hub = format_name == "chat"
        relay = StreamRelay(
            answer,
            self._ports.clock,
            parser=SseParser(max_event_bytes=longest) if is_sse else EventStreamParser(max_event_bytes=longest),
            reader=None if is_hub else UPSTREAM_FORMATS[format_name].stream_reader(),
            writer=request.surface.caller.stream_writer(request.native()) if self._needs_hub else None,
            hides_usage=request.hides_usage,
            max_bytes=settings.max_answer_bytes,
            between_tokens_s=self._plan.resilience.between_tokens_s,
        )
        if self._guards is not None:
            relay.guard_with(self._guards.output_stream())
        return relay

    def _read(self, format_name: str, body: bytes) -> tuple[Completion, JsonObject | None]:
        if format_name == "embeddings":
            return parse_embedding(body), None
        if format_name == "chat":
            hub = msgspec.json.decode(body, type=JsonObject) if self._needs_hub else None
            return parse_completion(body), hub
        hub = UPSTREAM_FORMATS[format_name].read_answer(msgspec.json.decode(body, type=JsonObject))
        return parse_completion(msgspec.json.encode(hub)), hub if self._needs_hub else None

    def _end(self, completion: Completion) -> None:
        attempt = self._attempt
        attempt.end_ns = self._ports.clock.now_ns()
        if self._relay is not None:
            attempt.first_token_ns, attempt.last_token_ns = self._relay.first_token_ns, self._relay.last_token_ns
        if not attempt.is_sent or attempt.error_type == "connect" or attempt.error_type.startswith("http_"):
            settle_free(attempt)
        else:
            settle_answer(attempt, completion)


async def _opening(relay: StreamRelay) -> bytes:
    """Return a stream's parts up to and with the first that carries some of the answer.

    Until then nothing is sent to the caller, so that another place can answer instead.
    """
    parts = [await relay.next_part()]
    while not (relay.has_begun or relay.is_done):
        parts.append(await relay.next_part())
    return b"".join(parts)


def encode_request(target: Target, *, is_stream: bool) -> bytes:
    """Return the body for a target.

    Raises:
        Invalid: If the request cannot be said in the target's format.
    """
    members = target.members
    if not is_stream and "stream" in members:
        for name in ("stream", "stream_options"):
            members.pop(name, None)
    try:
        return target.body()
    except (KeyError, TypeError, AttributeError) as error:
        raise Invalid(f"the request is malformed: {type(error).__name__} at {error}") from None
