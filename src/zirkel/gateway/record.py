"""The spans of a call, and their way to the sink."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from zirkel.core import Span, SpanKind, encode_spans
from zirkel.gateway.facts import Attempt, CallFacts
from zirkel.gateway.ports import SpanSink

_NOT_PARAMETERS = frozenset({"model", "messages", "stream", "stream_options", "user", "safety_identifier", "tools"})
_log = logging.getLogger("zirkel.gateway")


@dataclass(slots=True)
class GatewayCounters:
    """What a worker has counted since it started."""

    calls: int = 0
    """Calls whose record was written, or lost."""
    records_lost: int = 0
    """Calls that were answered though the sink refused their record."""


class Recorder:
    """Writes each call once: its span and those of its attempts, in one record."""

    def __init__(self, sink: SpanSink, counters: GatewayCounters) -> None:
        self._sink = sink
        self._counters = counters

    def write(self, facts: CallFacts, now_ns: int) -> None:
        """Write the record. Returns even if the sink fails: the caller's answer does not depend on it."""
        self._counters.calls += 1
        try:
            self._sink.append(encode_spans(call_spans(facts, now_ns)))
        except Exception:  # noqa: BLE001 (whatever the sink raises, the caller is answered; logged and counted)
            self._counters.records_lost += 1
            _log.exception("the record of call %s was lost", facts.trace.trace_id)


def call_spans(facts: CallFacts, now_ns: int) -> list[Span]:
    """Return the spans of a call that ends at ``now_ns``: the call, then its attempts."""
    answered = facts.answered
    first_token_ns = None if answered is None else answered.first_token_ns
    common = _common(facts)
    call = msgspec.structs.replace(
        common,
        span_id=facts.span_id,
        parent_span_id=facts.trace.parent_span_id,
        name=facts.name,
        kind=SpanKind.CALL,
        start_ns=facts.start_ns,
        end_ns=now_ns,
        status="error" if facts.error_type else "ok",
        error_type=facts.error_type,
        status_message=facts.status_message,
        input=facts.input,
        output="" if answered is None else answered.completion.text,
        time_to_first_token_ns=None if first_token_ns is None else first_token_ns - facts.start_ns,
    )
    return [call, *(_attempt_span(common, facts, attempt, now_ns) for attempt in facts.attempts)]


def _common(facts: CallFacts) -> Span:
    wishes = facts.wishes
    return Span(
        project_id=facts.project_id,
        trace_id=facts.trace.trace_id,
        span_id="",
        name="",
        source="gateway",
        start_ns=0,
        end_ns=0,
        service=facts.service,
        environment=facts.environment,
        release=facts.release,
        arm=facts.arm,
        arm_probability=facts.arm_probability,
        prompt_name=facts.prompt_name,
        prompt_version=facts.prompt_version,
        unit=facts.unit,
        session_id=wishes.session_id,
        user_id=facts.user_id,
        key_id=facts.key_id,
        is_stream=facts.is_stream,
        experiment_id=wishes.experiment_id,
        item_id=wishes.item_id,
        trial=wishes.trial,
    )


def _attempt_span(common: Span, facts: CallFacts, attempt: Attempt, now_ns: int) -> Span:
    completion = attempt.completion
    first_token_ns = attempt.first_token_ns
    return msgspec.structs.replace(
        common,
        span_id=attempt.span_id,
        parent_span_id=facts.span_id,
        name=f"chat {attempt.model}",
        kind=SpanKind.CHAT,
        start_ns=attempt.start_ns,
        end_ns=attempt.end_ns or now_ns,
        status="error" if attempt.error_type else "ok",
        error_type=attempt.error_type,
        status_message=attempt.status_message,
        operation="chat",
        provider=attempt.upstream,
        request_model=attempt.model,
        response_model=completion.model,
        parameters=attempt.parameters,
        finish_reason=completion.finish_reason,
        attempt=attempt.number,
        time_to_first_token_ns=None if first_token_ns is None else first_token_ns - attempt.start_ns,
        usage=completion.usage,
        cost_usd=attempt.cost_usd,
        price_digest=attempt.price.digest if attempt.price is not None else "",
        input=facts.rendered,
        output=completion.message,
        tools=attempt.tools,
    )


def recorded_parameters(members: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    """Return the parameters among a body's members, each as JSON text."""
    return dict(_parameters(members))


def _parameters(members: Mapping[str, msgspec.Raw]) -> Iterator[tuple[str, str]]:
    for name, raw in members.items():
        if name not in _NOT_PARAMETERS:
            yield name, bytes(raw).decode()
