"""OpenInference (Phoenix and its instrumentations). Source: its semantic conventions, ``spec/``."""

from decimal import Decimal

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.answers import answer_messages
from zirkel.observe.normalise.attributes import Attributes, as_list, as_mapping, as_text, as_usd, plant
from zirkel.observe.normalise.messages import finish_reason_of, text_message, to_messages, to_tools
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
    given, answer = _input(kind, attributes), _output(kind, attributes)
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
        finish_reason=attributes.text("llm.finish_reason") or finish_reason_of(answer),
        is_stream=flag if isinstance(flag, bool) else None,
        counts=_counts(attributes),
        cost_usd=_cost(attributes),
        input=given,
        output=answer,
        tools=to_tools(_items(attributes, "llm.tools")),
    )


def _kind(attributes: Attributes) -> SpanKind | None:
    named = _KINDS.get(attributes.text("openinference.span.kind").upper())
    if named is SpanKind.CHAT and (_items(attributes, "llm.prompts") or _items(attributes, "llm.choices")):
        return SpanKind.COMPLETION
    if named:
        return named
    if attributes.text("tool.name"):
        return SpanKind.TOOL
    if attributes.text("llm.model_name", "llm.request.model_name", "llm.response.model_name"):
        return SpanKind.CHAT
    return SpanKind.EMBEDDING if attributes.text("embedding.model_name") else None


def _counts(attributes: Attributes) -> Counts:
    count = attributes.count
    prompt, completion = "llm.token_count.prompt_details", "llm.token_count.completion_details"
    return Counts(
        input_total=count("llm.token_count.prompt"),
        cache_read=count(f"{prompt}.cache_read", f"{prompt}.cache_input"),
        cache_write=count(f"{prompt}.cache_write"),
        input_audio=count(f"{prompt}.audio"),
        input_image=count(f"{prompt}.image"),
        output_total=count("llm.token_count.completion"),
        reasoning=count(f"{completion}.reasoning"),
        output_audio=count(f"{completion}.audio"),
        output_image=count(f"{completion}.image"),
        total=count("llm.token_count.total"),
    )


def _cost(attributes: Attributes) -> Decimal | None:
    """Return the total, else the sum of input and output, each of which may come in its details only."""
    total = attributes.usd("llm.cost.total")
    parts = [_part_cost(attributes, side) for side in ("prompt", "completion")]
    known = [part for part in parts if part is not None]
    return total if total is not None or not known else sum(known, Decimal(0))


def _part_cost(attributes: Attributes, side: str) -> Decimal | None:
    whole = attributes.usd(f"llm.cost.{side}")
    details = [as_usd(value) for _, value in attributes.starting_with(f"llm.cost.{side}_details.")]
    known = [part for part in details if part is not None]
    return whole if whole is not None or not known else sum(known, Decimal(0))


def _input(kind: SpanKind | None, attributes: Attributes) -> JsonLike:
    if messages := _messages(attributes, "llm.input_messages", "user"):
        return messages
    if prompts := [_inner(item, "prompt").get("text") for item in _items(attributes, "llm.prompts")]:
        return [text_message("user", as_text(prompt)) for prompt in prompts]
    texts = [_inner(item, "embedding") for item in _items(attributes, "embedding.embeddings")]
    if any("text" in text for text in texts):
        return [text.get("text") for text in texts]
    value = _value(kind, attributes, "input.value")
    if kind is SpanKind.RERANKER and value is None:
        documents = [_inner(item, "document") for item in _items(attributes, "reranker.input_documents")]
        return {"query": attributes.text("reranker.query"), "documents": list(documents)}
    if kind is SpanKind.TOOL and value is None:
        return attributes.json("tool_call.function.arguments", "tool.parameters")
    return value


def _output(kind: SpanKind | None, attributes: Attributes) -> JsonLike:
    if messages := _messages(attributes, "llm.output_messages", "assistant"):
        return messages
    if choices := [_inner(item, "completion").get("text") for item in _items(attributes, "llm.choices")]:
        return [text_message("assistant", as_text(choice)) for choice in choices]
    documents = _items(attributes, "retrieval.documents") or _items(attributes, "reranker.output_documents")
    if documents:
        return [_inner(item, "document") or item for item in documents]
    # The output of an embedding is vectors: large, and of no use to a reader.
    return None if kind is SpanKind.EMBEDDING else _value(kind, attributes, "output.value")


def _items(attributes: Attributes, name: str) -> list[JsonLike]:
    """Return the items of a list that was flattened, or came as a list or its JSON text."""
    return attributes.unflatten(f"{name}.") or as_list(attributes.json(name))


def _inner(item: JsonLike, name: str) -> dict[str, JsonLike]:
    """Return what an item holds under its name; in lists that were not flattened the names have dots."""
    nested: dict[str, JsonLike] = {}
    for key, value in as_mapping(item).items():
        plant(nested, key.split("."), value)
    return as_mapping(nested.get(name))


def _messages(attributes: Attributes, name: str, role: str) -> JsonLike:
    """Return the messages, or ``None`` if there are none or only their roles (LangGraph).

    One without a role gets ``role``: not every upstream repeats it in what it streams.
    """
    items = [_inner(item, "message") or as_mapping(item) for item in _items(attributes, name)]
    if not any(set(item) - {"role"} for item in items):
        return None
    return to_messages([{"role": role, **item} for item in items])


def _value(kind: SpanKind | None, attributes: Attributes, key: str) -> JsonLike:
    value = attributes.json(key)
    if kind not in (SpanKind.CHAT, SpanKind.COMPLETION) or value is None:
        return value
    if key == "output.value":
        return answer_messages(value)
    return [text_message("user", value)] if isinstance(value, str) else to_messages(value)
