"""The Langfuse SDKs (version 3 on), which export observations as OTLP spans with ``langfuse.*`` attributes."""

from decimal import Decimal

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.answers import answer_messages
from zirkel.observe.normalise.attributes import Attributes, as_usd
from zirkel.observe.normalise.messages import finish_reason_of, text_message, to_messages, to_tools
from zirkel.observe.normalise.reading import Reading
from zirkel.observe.normalise.timing import moment_after_ns
from zirkel.observe.normalise.usages import counts_of
from zirkel.observe.normalise.vocabulary import provider_of_model

_KINDS = {
    "span": SpanKind.SPAN,
    "generation": SpanKind.CHAT,
    "event": SpanKind.EVENT,
    "embedding": SpanKind.EMBEDDING,
    "agent": SpanKind.AGENT,
    "tool": SpanKind.TOOL,
    "chain": SpanKind.WORKFLOW,
    "retriever": SpanKind.RETRIEVER,
    "guardrail": SpanKind.GUARDRAIL,
    "evaluator": SpanKind.EVALUATOR,
}
_MODEL = "langfuse.observation.model.name"
_NOT_SENT = ("Infinity", None)
"""The SDK fills in defaults that the caller did not send; these values mean *none*."""


def read(span: DecodedSpan, attributes: Attributes) -> Reading:
    """Return what the ``langfuse.*`` attributes of a span say.

    The SDK overwrites the requested model with the answering one, so both are the same here.
    """
    kind = _KINDS.get(attributes.text("langfuse.observation.type").lower())
    model = attributes.text(_MODEL)
    started = attributes.text("langfuse.observation.completion_start_time")
    given, tools = _input(kind, attributes)
    answer = _output(kind, attributes)
    usage = attributes.mapping("langfuse.observation.usage_details", "langfuse.observation.usage")
    sent = attributes.mapping("langfuse.observation.model.parameters")
    return Reading(
        kind=kind,
        provider=provider_of_model(model),
        request_model=model,
        response_model=model,
        parameters={name: value for name, value in sent.items() if value not in _NOT_SENT},
        finish_reason=finish_reason_of(answer) or attributes.text("langfuse.observation.metadata.finish_reason"),
        is_stream=True if started else None,
        time_to_first_token_ns=moment_after_ns(span, started) if started else None,
        counts=counts_of(usage),
        cost_usd=_cost(attributes.mapping("langfuse.observation.cost_details"), has_usage=bool(usage)),
        input=given,
        output=answer,
        tools=tools,
        is_error=attributes.text("langfuse.observation.level").upper() == "ERROR",
        status_message=attributes.text("langfuse.observation.status_message"),
    )


def _input(kind: SpanKind | None, attributes: Attributes) -> tuple[JsonLike, JsonLike]:
    """Return input and tools; the OpenAI drop-in sends both in one object."""
    given = attributes.json("langfuse.observation.input", "langfuse.trace.input")
    if kind is not SpanKind.CHAT:
        return given, None
    if isinstance(given, str):
        return [text_message("user", given)], None
    tools = to_tools(given.get("tools")) if isinstance(given, dict) else None
    return to_messages(given), tools


def _output(kind: SpanKind | None, attributes: Attributes) -> JsonLike:
    answer = attributes.json("langfuse.observation.output", "langfuse.trace.output")
    return answer_messages(answer) if kind is SpanKind.CHAT and answer is not None else answer


def _cost(costs: dict[str, JsonLike], *, has_usage: bool) -> Decimal | None:
    """Return the total; the SDK's zeros of a call that failed without usage say nothing."""
    total = as_usd(costs.get("total"))
    if total is None:
        parts = [part for part in map(as_usd, costs.values()) if part is not None]
        total = sum(parts, Decimal(0)) if parts else None
    return None if total == 0 and not has_usage else total
