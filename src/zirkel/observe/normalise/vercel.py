"""The Vercel AI SDK's own names, ``ai.*`` (versions 3 to 6, and ``LegacyOpenTelemetry`` of 7)."""

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.attributes import Attributes, as_count, as_mapping, as_text, parse_json
from zirkel.observe.normalise.messages import assistant_message, to_messages, to_tools
from zirkel.observe.normalise.reading import Counts, Reading
from zirkel.observe.normalise.timing import duration_ns

_PARAMETERS = {
    "maxOutputTokens": "max_tokens",
    "maxTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "stopSequences": "stop_sequences",
    "seed": "seed",
}


def read(span: DecodedSpan, attributes: Attributes) -> Reading:  # noqa: ARG001 (every dialect has this signature)
    """Return what the ``ai.*`` attributes of a span say.

    ``ai.generateText`` repeats the sum of its steps, so only the ``.do…`` spans are model calls.
    """
    operation = attributes.text("ai.operationId") or attributes.text("operation.name").partition(" ")[0]
    kind = _kind(operation, attributes)
    reason = attributes.text("ai.response.finishReason", "ai.finishReason")
    given, answer = _content(kind, attributes, reason)
    return Reading(
        kind=kind,
        provider=attributes.text("ai.model.provider", "gen_ai.system"),
        request_model=attributes.text("ai.model.id", "gen_ai.request.model"),
        response_model=attributes.text("ai.response.model", "gen_ai.response.model"),
        parameters=_parameters(attributes),
        finish_reason=reason,
        is_stream=True if "stream" in operation.lower() else None,
        time_to_first_token_ns=duration_ns(
            attributes.number("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"), 1_000_000
        ),
        counts=_counts(attributes),
        input=given,
        output=answer,
        tools=to_tools(list(attributes.texts("ai.prompt.tools"))) or None,
    )


def _kind(operation: str, attributes: Attributes) -> SpanKind | None:
    match operation.removeprefix("ai.").split("."):
        case ["generateText" | "streamText" | "generateObject" | "streamObject", step] if step.startswith("do"):
            return SpanKind.CHAT
        case ["generateText" | "streamText" | "generateObject" | "streamObject"]:
            return SpanKind.AGENT
        case ["embed" | "embedMany", step] if step.startswith("do"):
            return SpanKind.EMBEDDING
        case ["embed" | "embedMany" | "rerank"]:
            return SpanKind.WORKFLOW
        case ["rerank", _]:
            return SpanKind.RERANKER
        case ["toolCall"]:
            return SpanKind.TOOL
    return SpanKind.TOOL if "ai.toolCall.name" in attributes else None


def _parameters(attributes: Attributes) -> dict[str, JsonLike]:
    choice = attributes.json("ai.prompt.toolChoice")
    found: dict[str, JsonLike] = {} if choice is None else {"tool_choice": choice}
    for key, value in attributes.starting_with("ai.settings."):
        if key in _PARAMETERS and value is not None:
            found[_PARAMETERS[key]] = value
    return found


def _counts(attributes: Attributes) -> Counts:
    count = attributes.count
    anthropic = as_mapping(attributes.mapping("ai.response.providerMetadata").get("anthropic"))
    cache_read = count("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens")
    cache_write = count("ai.usage.inputTokenDetails.cacheWriteTokens")
    input_total = count("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", "gen_ai.usage.input_tokens")
    if cache_read is None and cache_write is None and anthropic:
        # Anthropic counts the cache apart from the input; version 4 passes its numbers on.
        cache_read = as_count(anthropic.get("cacheReadInputTokens"))
        cache_write = as_count(anthropic.get("cacheCreationInputTokens"))
        input_total = None if input_total is None else input_total + (cache_read or 0) + (cache_write or 0)
    return Counts(
        input_total=input_total,
        cache_read=cache_read,
        cache_write=cache_write,
        output_total=count("ai.usage.outputTokens", "ai.usage.completionTokens", "gen_ai.usage.output_tokens"),
        reasoning=count("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
        total=count("ai.usage.totalTokens"),
    )


def _reasoning(attributes: Attributes) -> str:
    """Return the reasoning's text, which version 5 sends as a list of parts."""
    value = attributes.json("ai.response.reasoning", "ai.response.reasoningText")
    texts = [as_text(as_mapping(part).get("text", part)) for part in value] if isinstance(value, list) else []
    return "\n".join(texts) or as_text(value)


def _content(kind: SpanKind | None, attributes: Attributes, reason: str) -> tuple[JsonLike, JsonLike]:
    if kind is SpanKind.TOOL:
        given = attributes.json("ai.toolCall.args", "ai.toolCall.input")
        return given, attributes.json("ai.toolCall.result", "ai.toolCall.output")
    given = attributes.json("ai.prompt.messages", "ai.prompt")
    if given is None:
        values = attributes.texts("ai.values", "ai.value")
        return [parse_json(value) for value in values] or attributes.json("ai.documents"), attributes.json("ai.ranking")
    answer = assistant_message(
        attributes.text("ai.response.text", "ai.result.text"),
        attributes.raw("ai.response.toolCalls", "ai.result.toolCalls"),
        attributes.json("ai.response.object", "ai.result.object"),
        _reasoning(attributes),
        reason,
    )
    return to_messages(given), answer or None
