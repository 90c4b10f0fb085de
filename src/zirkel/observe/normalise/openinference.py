"""OpenInference (Phoenix and its instrumentations). Source: its semantic conventions, ``spec/``."""

from decimal import Decimal

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.attributes import Attributes, as_mapping, as_text, as_usd
from zirkel.observe.normalise.messages import text_message, to_messages, to_tools
from zirkel.observe.normalise.reading import Counts, Reading

_KINDS = {
    "LLM": SpanKind.CHAT,
    "EMBEDDING": SpanKind.EMBEDDING,
    "CHAIN": SpanKind.WORKFLOW,
    "RETRIEVER": SpanKind.RETRIEVER,
    "RERANKER": SpanKind.RERANKER,
    "TOOL": SpanKind.TOOL,
    "AGENT": SpanKind.AGENT,
    "GUARDRAIL": SpanKind.GUARDRAIL,
    "EVALUATOR": SpanKind.EVALUATOR,
    "PROMPT": SpanKind.SPAN,
}
_NOT_PARAMETERS = frozenset({"model", "model_name", "messages", "tools", "stream", "user", "_type", "input"})


def read(span: DecodedSpan, attributes: Attributes) -> Reading:  # noqa: ARG001 (every dialect has this signature)
    """Return what the OpenInference attributes of a span say.

    ``llm.model_name`` is the response's model in most instrumentations; the requested one is in the invocation
    parameters.
    """
    kind = _kind(attributes)
    sent = attributes.mapping("llm.invocation_parameters", "embedding.invocation_parameters")
    flag = sent.get("stream")
    return Reading(
        kind=kind,
        provider=attributes.text("llm.provider", "llm.system"),
        request_model=attributes.text("llm.request.model_name")
        or as_text(sent.get("model"))
        or as_text(sent.get("model_name")),
        response_model=attributes.text(
            "llm.response.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name"
        ),
        parameters={name: value for name, value in sent.items() if name not in _NOT_PARAMETERS and value is not None},
        finish_reason=attributes.text("llm.finish_reason"),
        is_stream=flag if isinstance(flag, bool) else None,
        counts=_counts(attributes),
        cost_usd=_cost(attributes),
        input=_input(kind, attributes),
        output=_output(kind, attributes),
        tools=to_tools(attributes.unflatten("llm.tools.")) or None,
    )


def _kind(attributes: Attributes) -> SpanKind | None:
    named = _KINDS.get(attributes.text("openinference.span.kind").upper())
    if named:
        return named
    if attributes.text("tool.name"):
        return SpanKind.TOOL
    if attributes.text("llm.model_name", "llm.request.model_name", "llm.response.model_name"):
        return SpanKind.CHAT
    return SpanKind.EMBEDDING if attributes.text("embedding.model_name") else None


def _counts(attributes: Attributes) -> Counts:
    return Counts(
        input_total=attributes.count("llm.token_count.prompt"),
        cache_read=attributes.count("llm.token_count.prompt_details.cache_read"),
        cache_write=attributes.count("llm.token_count.prompt_details.cache_write"),
        input_audio=attributes.count("llm.token_count.prompt_details.audio"),
        output_total=attributes.count("llm.token_count.completion"),
        reasoning=attributes.count("llm.token_count.completion_details.reasoning"),
        output_audio=attributes.count("llm.token_count.completion_details.audio"),
    )


def _cost(attributes: Attributes) -> Decimal | None:
    total = as_usd(attributes.raw("llm.cost.total"))
    if total is not None:
        return total
    parts = [as_usd(attributes.raw("llm.cost.prompt")), as_usd(attributes.raw("llm.cost.completion"))]
    known = [part for part in parts if part is not None]
    return sum(known, Decimal(0)) if known else None


def _input(kind: SpanKind | None, attributes: Attributes) -> JsonLike:
    if messages := _messages(attributes, "llm.input_messages."):
        return messages
    texts = [as_mapping(as_mapping(item).get("embedding")) for item in attributes.unflatten("embedding.embeddings.")]
    if any("text" in text for text in texts):
        return [text.get("text") for text in texts]
    return _value(kind, attributes, "input.value", "user")


def _output(kind: SpanKind | None, attributes: Attributes) -> JsonLike:
    if messages := _messages(attributes, "llm.output_messages."):
        return messages
    documents = attributes.unflatten("retrieval.documents.") or attributes.unflatten("reranker.output_documents.")
    if documents:
        return [as_mapping(item).get("document", item) for item in documents]
    # The output of an embedding is vectors: large, and of no use to a reader.
    return None if kind is SpanKind.EMBEDDING else _value(kind, attributes, "output.value", "assistant")


def _messages(attributes: Attributes, prefix: str) -> JsonLike:
    """Return flattened messages, or ``None`` if there are none or only their roles (LangGraph)."""
    items = [as_mapping(item).get("message") for item in attributes.unflatten(prefix)]
    return to_messages(items) if any(set(as_mapping(item)) - {"role"} for item in items) else None


def _value(kind: SpanKind | None, attributes: Attributes, key: str, role: str) -> JsonLike:
    value = attributes.json(key)
    if kind is not SpanKind.CHAT:
        return value
    return [text_message(role, value)] if isinstance(value, str) else to_messages(value)
