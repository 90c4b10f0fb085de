"""The spans of a call, and their way to the sink."""

import logging
from collections.abc import Mapping, Set
from dataclasses import dataclass

import msgspec

from zirkel.core import Overloaded, Span, SpanEvent, SpanKind, TooLarge, encode_spans
from zirkel.gateway.facts import Attempt, CallFacts
from zirkel.gateway.guardrails import Verdict
from zirkel.gateway.limits import SoftPassed
from zirkel.gateway.masking import Mask, mask_json, mask_span, mask_text
from zirkel.gateway.metrics import GatewayMetrics
from zirkel.gateway.ports import SpanSink

_NOT_PARAMETERS = frozenset(
    {"model", "messages", "input", "prompt", "system", "instructions", "stream", "stream_options", "user"}
    | {"safety_identifier", "tools", "zirkel", "metadata"}
)
_NOTHING: Set[str] = frozenset()
_CONTENT = ("input", "output", "status_message", "tools")
_log = logging.getLogger("zirkel.gateway")


@dataclass(slots=True)
class GatewayCounters:
    """What a worker has counted since it started."""

    calls: int = 0
    """Calls whose record was written, or lost."""
    records_lost: int = 0
    """Calls that were answered though the sink refused their record."""
    spool_refusals: int = 0
    """Those of them whose record was refused because the spool is full."""


class Recorder:
    """Writes each call once: its span and those of its attempts, in one record."""

    def __init__(self, sink: SpanSink, counters: GatewayCounters, metrics: GatewayMetrics) -> None:
        self._sink = sink
        self._counters = counters
        self._metrics = metrics

    def write(self, facts: CallFacts, now_ns: int) -> None:
        """Write the record. Returns even if the sink fails: the caller's answer does not depend on it."""
        self._counters.calls += 1
        try:
            spans = call_spans(facts, now_ns)
            if facts.capture != "on" or facts.mask is not None or facts.rules is not None:
                spans = [_kept(span, facts) for span in spans]
            try:
                self._sink.append(encode_spans(spans))
            except TooLarge:
                # What was used and what it cost is kept in any case.
                self._sink.append(encode_spans([_without_content(span) for span in spans]))
        except Exception as error:  # noqa: BLE001 (whatever the sink raises, the caller is answered; logged, counted)
            self._lose(facts, error)

    def write_spans(self, spans: list[Span]) -> None:
        """Write spans that are no call of this worker's, such as those of recovery.

        Raises:
            OSError: If the sink fails.
            Overloaded: If it is full.
        """
        if spans:
            self._sink.append(encode_spans(spans))

    def _lose(self, facts: CallFacts, error: Exception) -> None:
        counters = self._counters
        counters.records_lost += 1
        self._metrics.count("records_lost_total")
        if isinstance(error, Overloaded):
            counters.spool_refusals += 1
            self._metrics.count("spool_refusals_total")
        # One in a thousand says enough: a full spool must not fill the log, too.
        if counters.records_lost % 1000 == 1:
            _log.error("the record of call %s was lost", facts.trace.trace_id, exc_info=error)


def _kept(span: Span, facts: CallFacts) -> Span:
    """Return the span as it may be kept."""
    if facts.capture == "off":
        return _without_content(span)
    if facts.rules is not None:
        span = mask_span(span, facts.rules)
    if facts.mask is not None:
        span = _with_masked_content(span, facts.mask)
    return _with_masked_content(span, mask_text) if facts.capture == "masked" else span


def _with_masked_content(span: Span, mask: Mask) -> Span:
    changes = {name: mask_json(text, mask) for name in _CONTENT if (text := getattr(span, name))}
    parameters = {name: mask_json(value, mask) for name, value in span.parameters.items()}
    return msgspec.structs.replace(span, parameters=parameters, **changes)


def _without_content(span: Span) -> Span:
    """Return the span without any text of the caller's or the model's. Of parameters, numbers and switches stay."""
    plain = {name: value for name, value in span.parameters.items() if value[:1] not in ('"', "[", "{")}
    return msgspec.structs.replace(span, parameters=plain, **dict.fromkeys(_CONTENT, ""))


def call_spans(facts: CallFacts, now_ns: int) -> list[Span]:
    """Return the spans of a call that ends at ``now_ns``: the call, then its attempts."""
    rewritten = _rewritten(facts)
    call = _call_span(facts, rewritten, now_ns)
    return [call, *[_attempt_span(call, facts, attempt, rewritten, now_ns) for attempt in facts.attempts]]


def _call_span(facts: CallFacts, rewritten: Set[str], now_ns: int) -> Span:
    answered, wishes = facts.answered, facts.wishes
    first_token_ns = None if answered is None else answered.first_token_ns
    return Span(
        project_id=facts.project_id,
        trace_id=facts.trace.trace_id,
        span_id=facts.span_id,
        parent_span_id=facts.trace.parent_span_id,
        name=f"evaluate {wishes.evaluator}" if wishes.evaluator else facts.name,
        # What counts calls, compares answers or looks for drift looks at calls: a judge's call is not one of them.
        kind=SpanKind.EVALUATOR if wishes.evaluator else SpanKind.CALL,
        source="gateway",
        start_ns=facts.start_ns,
        end_ns=max(now_ns, facts.start_ns),
        status="error" if facts.error_type else "ok",
        error_type=facts.error_type,
        status_message=facts.status_message,
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
        cache=facts.cache,
        time_to_first_token_ns=None if first_token_ns is None else first_token_ns - facts.start_ns,
        input=facts.rendered if "input" in rewritten else facts.input,
        output=facts.output or ("" if answered is None else answered.completion.text),
        attributes=_judging(wishes.evaluator) if wishes.evaluator else {},
        events=_events(facts, now_ns) if facts.verdicts or facts.soft_passed else [],
    )


def _events(facts: CallFacts, now_ns: int) -> list[SpanEvent]:
    return [
        *(SpanEvent("zirkel.guardrail", now_ns, _verdict_attributes(verdict)) for verdict in facts.verdicts),
        *(SpanEvent("zirkel.budget.soft_passed", now_ns, _budget_attributes(it)) for it in facts.soft_passed),
    ]


def _attempt_span(call: Span, facts: CallFacts, attempt: Attempt, rewritten: Set[str], now_ns: int) -> Span:
    """Return an attempt's span: its call's, but for what the attempt has of its own."""
    completion, surface = attempt.completion, facts.surface
    first_token_ns = attempt.first_token_ns
    is_kept = attempt.reason != "guardrail" or not rewritten
    asked = attempt.messages.decode("utf-8", "replace") or facts.rendered
    return msgspec.structs.replace(
        call,
        span_id=attempt.span_id,
        parent_span_id=facts.span_id,
        name=f"{surface.operation} {attempt.model}".strip(),
        kind=surface.kind,
        start_ns=attempt.start_ns,
        end_ns=max(attempt.end_ns or now_ns, attempt.start_ns),
        status="error" if attempt.error_type else "ok",
        error_type=attempt.error_type,
        status_message=attempt.status_message,
        operation=surface.operation,
        provider=attempt.upstream,
        request_model=attempt.model,
        response_model=completion.model,
        parameters=attempt.parameters,
        finish_reason=completion.finish_reason,
        attempt=attempt.link,
        attempt_reason=attempt.reason,
        cache="",
        settlement=attempt.settlement,
        reserved_usd=attempt.reserved_usd,
        time_to_first_token_ns=None if first_token_ns is None else first_token_ns - attempt.start_ns,
        attributes={**call.attributes, **_pace(attempt)},
        usage=attempt.usage,
        cost_usd=attempt.cost_usd,
        price_digest=attempt.price.digest if attempt.price is not None else "",
        input=asked if is_kept else "",
        output="" if "output" in rewritten else completion.message,
        tools=attempt.tools,
        events=[],
    )


def _rewritten(facts: CallFacts) -> Set[str]:
    """Return the stages at which a hook put another text in the place of one: the first one is not to be kept."""
    if not facts.verdicts:
        return _NOTHING
    return {verdict.stage for verdict in facts.verdicts if verdict.kind == "http" and verdict.action == "mask"}


def _pace(attempt: Attempt) -> dict[str, str]:
    """Return the mean time per output token after the first one, in seconds, where a stream shows it.

    Source: OpenTelemetry semantic conventions 1.41, metric ``gen_ai.server.time_per_output_token``; spans have no name
    of their own for it.
    """
    tokens = (attempt.usage.output_tokens or 0) + (attempt.usage.reasoning_tokens or 0)
    if attempt.first_token_ns is None or attempt.last_token_ns is None or tokens < 2:
        return {}
    seconds = (attempt.last_token_ns - attempt.first_token_ns) / (tokens - 1) / 1e9
    return {"gen_ai.server.time_per_output_token": f"{seconds:.6f}"}


def _judging(evaluator: str) -> dict[str, str]:
    """Return the attribute that names who judges.

    Source: OpenTelemetry semantic conventions 1.41, attribute ``gen_ai.evaluation.name``.
    """
    return {"gen_ai.evaluation.name": msgspec.json.encode(evaluator).decode()}


def _verdict_attributes(verdict: Verdict) -> dict[str, str]:
    values = {
        "guardrail": verdict.guardrail,
        "kind": verdict.kind,
        "stage": verdict.stage,
        "action": verdict.action,
        "found": dict(verdict.found),
        "duration_ns": verdict.duration_ns,
        "error": verdict.error,
    }
    return {name: msgspec.json.encode(value).decode() for name, value in values.items()}


def _budget_attributes(passed: SoftPassed) -> dict[str, str]:
    values = {
        "subject": passed.scope.kind,
        "label": passed.scope.label,
        "window": passed.window,
        "soft_usd": passed.soft_usd,
        "total_usd": f"{passed.total_usd:f}",
    }
    return {name: msgspec.json.encode(value).decode() for name, value in values.items()}


def recorded_parameters(members: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    """Return the parameters among a body's members, each as JSON text."""
    return {name: str(raw, "utf-8") for name, raw in members.items() if name not in _NOT_PARAMETERS}
