"""OpenTelemetry's GenAI conventions, every generation of them; also OpenLIT, Pydantic AI and MLflow's GenAI mode.

New names win over deprecated ones in the same span. Source: semantic conventions 1.27 to 1.41 and their successor
repository's current direction; the deprecated names are those its migration notes list.
"""

from collections.abc import Mapping
from decimal import Decimal

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.attributes import Attributes, Fields, as_text
from zirkel.observe.normalise.content_events import as_messages, event_messages, listed_bodies, span_event_bodies
from zirkel.observe.normalise.messages import (
    finish_reason_of,
    text_message,
    to_messages,
    to_tools,
    typed_parts,
    with_instructions,
)
from zirkel.observe.normalise.reading import Counts, Reading
from zirkel.observe.normalise.timing import duration_ns
from zirkel.observe.normalise.vocabulary import kind_of_operation

_PARAMETERS = Fields(
    {
        "temperature": ("gen_ai.request.temperature",),
        "top_p": ("gen_ai.request.top_p",),
        "top_k": ("gen_ai.retrieval.top_k", "gen_ai.request.top_k"),
        "max_tokens": ("gen_ai.request.max_tokens",),
        "frequency_penalty": ("gen_ai.request.frequency_penalty",),
        "presence_penalty": ("gen_ai.request.presence_penalty",),
        "stop_sequences": ("gen_ai.request.stop_sequences",),
        "choice_count": ("gen_ai.request.choice.count",),
        "encoding_formats": ("gen_ai.request.encoding_formats",),
        "reasoning_level": ("gen_ai.request.reasoning.level", "gen_ai.request.reasoning_effort"),
        "seed": ("gen_ai.request.seed", "gen_ai.openai.request.seed"),
        "output_type": ("gen_ai.output.type", "gen_ai.openai.request.response_format"),
        "service_tier": ("openai.request.service_tier", "gen_ai.openai.request.service_tier"),
        "previous_response_id": ("gen_ai.request.previous_response.id",),
    }
)
_NOT_PARAMETERS = frozenset({"model", "stream", "is_stream", "user", "type"})
"""What ``gen_ai.request.`` is followed by where it is no parameter."""
_MODALITIES = ("text", "image", "audio")
_COUNTS = Fields(
    {
        "input_total": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        "cache_read": (
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.details.cache_read_input_tokens",
            "gen_ai.usage.details.cached_tokens",
        ),
        "cache_write": (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
            "gen_ai.usage.details.cache_creation_input_tokens",
        ),
        "input_audio": ("gen_ai.usage.details.input_audio_tokens",),
        "output_total": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        "reasoning": (
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "llm.usage.reasoning_tokens",
        ),
        "output_audio": ("gen_ai.usage.audio.output_tokens", "gen_ai.usage.details.output_audio_tokens"),
        "output_image": ("gen_ai.usage.image.output_tokens",),
        "total": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "gen_ai.client.token.usage"),
    }
)
_COUNTS_BY_MODALITY = Fields(
    {
        f"{modality}.{name}": (f"gen_ai.usage.{modality}.{name}",)
        for modality in _MODALITIES
        for name in ("input_tokens", "cache_read.input_tokens", "output_tokens")
    }
)


def read(span: DecodedSpan, attributes: Attributes) -> Reading:
    """Return what the ``gen_ai.*`` attributes (and content events) of a span say."""
    operation = attributes.text("gen_ai.operation.name")
    kind = _kind(operation, attributes)
    if kind is SpanKind.TOOL:
        given, answer = _tool_content(attributes)
    elif kind in (SpanKind.RETRIEVER, SpanKind.RERANKER):
        given, answer = _retrieval_content(attributes)
    elif "memory" in operation.lower():
        given, answer = _memory_content(attributes)
    else:
        given, answer = _messages(span, attributes)
    reasons = attributes.texts("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason")
    return Reading(
        kind=kind,
        operation=operation or ("" if kind is SpanKind.TOOL else attributes.text("mcp.method.name")),
        provider=attributes.text("gen_ai.provider.name", "gen_ai.system"),
        request_model=attributes.text("gen_ai.request.model"),
        response_model=attributes.text("gen_ai.response.model"),
        parameters=_parameters(attributes),
        finish_reason=reasons[0] if reasons else finish_reason_of(answer),
        is_stream=attributes.flag(
            "gen_ai.request.stream", "gen_ai.request.is_stream", "gen_ai.is_streaming", "llm.is_streaming"
        ),
        time_to_first_token_ns=_time_to_first_token_ns(attributes),
        counts=_counts(attributes),
        cost_usd=_cost(span, attributes),
        input=given,
        output=answer,
        tools=_tools(attributes),
    )


def _kind(operation: str, attributes: Attributes) -> SpanKind | None:
    if known := kind_of_operation(operation):
        return known
    if attributes.text("gen_ai.request.model", "gen_ai.response.model"):
        if "gen_ai.embeddings.dimension.count" in attributes:
            return SpanKind.EMBEDDING
        # A custom operation that calls a model: its tokens must count, once (totals take leaves only).
        return SpanKind.COMPLETION if operation else SpanKind.CHAT
    if attributes.text("gen_ai.tool.name") or attributes.text("mcp.method.name") == "tools/call":
        return SpanKind.TOOL
    if attributes.text("gen_ai.workflow.name"):
        return SpanKind.WORKFLOW
    return SpanKind.AGENT if attributes.text("gen_ai.agent.name", "agent_name") else None


def _parameters(attributes: Attributes) -> dict[str, JsonLike]:
    """Return the parameters by their names here; a parameter of no known name keeps its own."""
    found = attributes.raw_of(_PARAMETERS)
    # OpenLIT writes -1 for a limit that the request did not have.
    if found.get("max_tokens") == -1:
        del found["max_tokens"]
    for name, value in attributes.starting_with("gen_ai.request."):
        is_known = f"gen_ai.request.{name}" in _PARAMETERS.field_of or name in _NOT_PARAMETERS
        if not is_known and value not in (None, "", [], {}):
            found.setdefault(name, value)
    return found


def _counts(attributes: Attributes) -> Counts:
    found = attributes.counts_of(_COUNTS)
    by_modality = attributes.counts_of(_COUNTS_BY_MODALITY)
    if by_modality:
        # A whole that is reported wins over the sum of its modalities.
        found = {**_sums(by_modality), **found, **_uncached(by_modality)}
    return Counts(**found)


def _sums(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the totals over the modalities; none where text is not reported."""
    names = {"input_total": "input_tokens", "cache_read": "cache_read.input_tokens", "output_total": "output_tokens"}
    return {
        field: sum(counts.get(f"{modality}.{name}", 0) for modality in _MODALITIES)
        for field, name in names.items()
        if f"text.{name}" in counts
    }


def _uncached(counts: Mapping[str, int]) -> dict[str, int]:
    """Return audio and image input without what was read from a cache."""
    return {
        f"input_{modality}": max(
            0, counts[f"{modality}.input_tokens"] - counts.get(f"{modality}.cache_read.input_tokens", 0)
        )
        for modality in ("audio", "image")
        if f"{modality}.input_tokens" in counts
    }


def _cost(span: DecodedSpan, attributes: Attributes) -> Decimal | None:
    reported = attributes.usd("gen_ai.usage.cost", "operation.cost")
    # OpenLIT writes 0 when it could not load its price list: unknown, not free.
    if reported == 0 and (span.scope_name.startswith("openlit") or _sdk(span, attributes) == "openlit"):
        return None
    return reported


def _sdk(span: DecodedSpan, attributes: Attributes) -> str:
    return attributes.text("telemetry.sdk.name") or as_text(span.resource.get("telemetry.sdk.name"))


def _time_to_first_token_ns(attributes: Attributes) -> int | None:
    seconds = attributes.number(
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.server.time_to_first_token",
    )
    return duration_ns(seconds, 1_000_000_000)


def _tools(attributes: Attributes) -> JsonLike:
    offered = attributes.json("gen_ai.tool.definitions") or attributes.unflatten("llm.request.functions.")
    return to_tools(offered or attributes.mapping("model_request_parameters").get("function_tools"))


def _tool_content(attributes: Attributes) -> tuple[JsonLike, JsonLike]:
    given = attributes.json("gen_ai.tool.call.arguments", "tool_arguments", "gen_ai.tool.args")
    return given, attributes.json("gen_ai.tool.call.result", "tool_response", "gen_ai.tool.result")


def _retrieval_content(attributes: Attributes) -> tuple[JsonLike, JsonLike]:
    given = attributes.json("gen_ai.retrieval.query.text", "gen_ai.memory.query.text", "gen_ai.input.messages")
    return given, attributes.json("gen_ai.retrieval.documents", "gen_ai.memory.records", "gen_ai.output.messages")


def _memory_content(attributes: Attributes) -> tuple[JsonLike, JsonLike]:
    """Return what was written to or deleted from a memory."""
    return attributes.json("gen_ai.memory.records", "gen_ai.memory.query.text", "gen_ai.input.messages"), None


def _messages(span: DecodedSpan, attributes: Attributes) -> tuple[JsonLike, JsonLike]:
    """Return input and output messages: attributes first, then flattened ones, then events."""
    given = to_messages(attributes.json("gen_ai.input.messages", "pydantic_ai.all_messages"))
    answer = to_messages(attributes.json("gen_ai.output.messages")) or _final_result(attributes)
    given = given or _deprecated(attributes, ("gen_ai.prompt", "llm.prompts"), "user")
    answer = answer or _deprecated(attributes, ("gen_ai.completion", "llm.completions"), "assistant")
    if given is None or answer is None:
        listed = attributes.json("events", "all_messages_events")
        from_events = event_messages([*span_event_bodies(span.events), *listed_bodies(listed)])
        given, answer = given or from_events[0], answer or from_events[1]
    return with_instructions(attributes.raw("gen_ai.system_instructions"), given), answer


def _final_result(attributes: Attributes) -> JsonLike:
    result = attributes.json("final_result")
    return [text_message("assistant", result)] if isinstance(result, str) else result


def _deprecated(attributes: Attributes, names: tuple[str, ...], role: str) -> JsonLike:
    """Return the messages of ``gen_ai.prompt`` or ``gen_ai.completion``: flattened, JSON text or plain text."""
    for name in names:
        flattened = [_with_role(item, role) for item in attributes.unflatten(f"{name}.")]
        if found := as_messages(flattened or attributes.json(name), role):
            return found
    return None


def _with_role(item: JsonLike, role: str) -> JsonLike:
    if not isinstance(item, dict):
        return item
    return {"role": role, **item, "content": typed_parts(item.get("content"))}
