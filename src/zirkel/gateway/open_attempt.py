"""An attempt as recovery needs to know it, should the gateway die before it ends."""

import logging
from collections.abc import Sequence

import msgspec

from zirkel.core import Span, SpanKind
from zirkel.gateway.facts import Attempt, CallFacts
from zirkel.gateway.limits import Abandoned

_ERROR = "gateway_died"
_MESSAGE = "the gateway was killed amid this call; the budget keeps the upper bound that was reserved"
_SETTLED_MESSAGE = (
    "the gateway was killed amid this call, after this attempt had ended; the cost is what it was settled at"
)
_log = logging.getLogger("zirkel.gateway")


class OpenAttempt(msgspec.Struct, frozen=True, array_like=True):
    """What is written down before an attempt, and read only after a crash."""

    project_id: str
    trace_id: str
    parent_span_id: str
    call_span_id: str
    call_start_ns: int
    call_name: str
    kind: SpanKind
    operation: str
    span_id: str
    start_ns: int
    link: int
    reason: str
    upstream: str
    model: str
    key_id: str
    service: str
    environment: str
    release: str
    arm: str
    arm_probability: float | None
    unit: str
    user_id: str
    session_id: str
    is_stream: bool
    price_digest: str


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(OpenAttempt)


def note_attempt(facts: CallFacts, attempt: Attempt) -> bytes:
    """Return what recovery needs to write the attempt's record."""
    return _encode(
        OpenAttempt(
            project_id=facts.project_id,
            trace_id=facts.trace.trace_id,
            parent_span_id=facts.trace.parent_span_id,
            call_span_id=facts.span_id,
            call_start_ns=facts.start_ns,
            call_name=facts.name,
            kind=facts.surface.kind,
            operation=facts.surface.operation,
            span_id=attempt.span_id,
            start_ns=attempt.start_ns,
            link=attempt.link,
            reason=attempt.reason,
            upstream=attempt.upstream,
            model=attempt.model,
            key_id=facts.key_id,
            service=facts.service,
            environment=facts.environment,
            release=facts.release,
            arm=facts.arm,
            arm_probability=facts.arm_probability,
            unit=facts.unit,
            user_id=facts.user_id,
            session_id=facts.wishes.session_id,
            is_stream=facts.is_stream,
            price_digest=attempt.price.digest if attempt.price is not None else "",
        )
    )


def abandoned_spans(abandoned: Sequence[Abandoned], now_ns: int) -> list[Span]:
    """Return the spans of attempts that a dead gateway left, and of their calls.

    They are provisional: had the gateway written them just before it died, those stay. What an open attempt really cost
    is unknown; what the budget was charged with is ``reserved_usd``. A note that another program wrote, in a form that
    is not known here, is logged and passed over.
    """
    spans: dict[str, Span] = {}
    for found in abandoned:
        try:
            note = _decoder.decode(found.note)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.error("attempt %s of a dead worker has no record: its note is damaged: %s", found.attempt_id, error)
            continue
        spans.setdefault(note.call_span_id, _call_span(note, now_ns))
        spans[note.span_id] = _attempt_span(note, found, now_ns)
    return list(spans.values())


def _call_span(note: OpenAttempt, now_ns: int) -> Span:
    return Span(
        project_id=note.project_id,
        trace_id=note.trace_id,
        span_id=note.call_span_id,
        parent_span_id=note.parent_span_id,
        name=note.call_name,
        kind=SpanKind.CALL,
        source="gateway",
        start_ns=note.call_start_ns,
        end_ns=now_ns,
        status="error",
        error_type=_ERROR,
        status_message=_MESSAGE,
        service=note.service,
        environment=note.environment,
        release=note.release,
        arm=note.arm,
        arm_probability=note.arm_probability,
        unit=note.unit,
        user_id=note.user_id,
        session_id=note.session_id,
        key_id=note.key_id,
        is_stream=note.is_stream,
        is_provisional=True,
    )


def _attempt_span(note: OpenAttempt, found: Abandoned, now_ns: int) -> Span:
    span = msgspec.structs.replace(
        _call_span(note, now_ns),
        span_id=note.span_id,
        parent_span_id=note.call_span_id,
        name=f"{note.operation} {note.model}".strip(),
        kind=note.kind,
        start_ns=note.start_ns,
        operation=note.operation,
        provider=note.upstream,
        request_model=note.model,
        attempt=note.link,
        attempt_reason=note.reason,
        price_digest=note.price_digest,
    )
    if not found.is_settled:
        return msgspec.structs.replace(span, settlement="reserved", reserved_usd=found.usd)
    settlement = "free" if found.usd == 0 else "counted"
    return msgspec.structs.replace(span, settlement=settlement, cost_usd=found.usd, status_message=_SETTLED_MESSAGE)
