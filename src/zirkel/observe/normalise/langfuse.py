"""The Langfuse SDKs (version 3 on), which export observations as OTLP spans with ``langfuse.*`` attributes."""

from decimal import Decimal

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.attributes import Attributes, as_count, as_mapping, as_usd
from zirkel.observe.normalise.messages import finish_reason_of, text_message, to_messages, to_tools
from zirkel.observe.normalise.reading import Counts, Reading
from zirkel.observe.normalise.timing import moment_after_ns
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
    sent = attributes.mapping("langfuse.observation.model.parameters")
    return Reading(
        kind=kind,
        provider=provider_of_model(model),
        request_model=model,
        response_model=model,
        parameters={name: value for name, value in sent.items() if value not in _NOT_SENT},
        finish_reason=finish_reason_of(answer),
        is_stream=True if started else None,
        time_to_first_token_ns=moment_after_ns(span, started) if started else None,
        counts=_counts(attributes.mapping("langfuse.observation.usage_details")),
        cost_usd=_cost(attributes.mapping("langfuse.observation.cost_details")),
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
    if kind is not SpanKind.CHAT:
        return answer
    return [text_message("assistant", answer)] if isinstance(answer, str) else to_messages(answer)


def _counts(usage: dict[str, JsonLike]) -> Counts:
    """Return token counts of ``usage_details``, which holds a provider's own shape or Langfuse's disjoint buckets.

    Source: Langfuse, "Token & cost tracking": OpenAI's shape has totals, ``input`` and ``input_*`` are disjoint.
    """
    if not usage:
        return Counts()
    input_details = as_mapping(usage.get("prompt_tokens_details")) or as_mapping(usage.get("input_tokens_details"))
    output_details = as_mapping(usage.get("completion_tokens_details")) or as_mapping(
        usage.get("output_tokens_details")
    )
    apart_read = _first(usage, "input_cached_tokens", "input_cache_read", "cache_read_input_tokens")
    apart_write = _first(usage, "input_cache_creation", "cache_creation_input_tokens")
    apart_reasoning = _first(usage, "output_reasoning_tokens", "output_reasoning")
    input_total = _first(usage, "input", "prompt_tokens", "input_tokens")
    output_total = _first(usage, "output", "completion_tokens", "output_tokens")
    if not _is_inclusive(usage, input_total, output_total):
        input_total = _plus(input_total, apart_read, apart_write)
        output_total = _plus(output_total, apart_reasoning)
    return Counts(
        input_total=input_total,
        cache_read=apart_read if apart_read is not None else as_count(input_details.get("cached_tokens")),
        cache_write=apart_write,
        input_audio=as_count(input_details.get("audio_tokens")),
        input_image=as_count(input_details.get("image_tokens")),
        output_total=output_total,
        reasoning=apart_reasoning if apart_reasoning is not None else as_count(output_details.get("reasoning_tokens")),
        output_audio=as_count(output_details.get("audio_tokens")),
        output_image=as_count(output_details.get("image_tokens")),
    )


def _is_inclusive(usage: dict[str, JsonLike], input_total: int | None, output_total: int | None) -> bool:
    """Return whether the details are parts of input and output: then those two alone make the total."""
    total = _first(usage, "total", "total_tokens")
    return total is not None and total == (input_total or 0) + (output_total or 0)


def _cost(costs: dict[str, JsonLike]) -> Decimal | None:
    total = as_usd(costs.get("total"))
    if total is not None:
        return total
    parts = [part for part in map(as_usd, costs.values()) if part is not None]
    return sum(parts, Decimal(0)) if parts else None


def _first(usage: dict[str, JsonLike], *keys: str) -> int | None:
    return next((count for count in (as_count(usage.get(key)) for key in keys) if count is not None), None)


def _plus(total: int | None, *parts: int | None) -> int | None:
    return None if total is None else total + sum(part or 0 for part in parts)
