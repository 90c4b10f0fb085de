"""MLflow's own span attributes, every one of which is JSON text (a string is sent with its quotes)."""

import math
from decimal import Decimal

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.answers import answer_finish_reason, answer_messages
from zirkel.observe.normalise.attributes import Attributes, as_mapping, as_text, as_usd, parse_json
from zirkel.observe.normalise.messages import to_messages, to_tools
from zirkel.observe.normalise.reading import Counts, Reading
from zirkel.observe.normalise.usages import counts_of
from zirkel.observe.normalise.vocabulary import provider_of_model

_KINDS = {
    "CHAT_MODEL": SpanKind.CHAT,
    "LLM": SpanKind.CHAT,
    "EMBEDDING": SpanKind.EMBEDDING,
    "TOOL": SpanKind.TOOL,
    "AGENT": SpanKind.AGENT,
    "CHAIN": SpanKind.WORKFLOW,
    "WORKFLOW": SpanKind.WORKFLOW,
    "RETRIEVER": SpanKind.RETRIEVER,
    "RERANKER": SpanKind.RERANKER,
    "GUARDRAIL": SpanKind.GUARDRAIL,
    "EVALUATOR": SpanKind.EVALUATOR,
    "MEMORY": SpanKind.RETRIEVER,
}
_PARAMETERS = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "seed",
    "n",
)


def is_written_by(span: DecodedSpan) -> bool:
    """Return whether MLflow exported the span: its bare names (``model``, ``stream``) mean what they say then."""
    return span.scope_name.startswith("mlflow") or as_text(span.resource.get("telemetry.sdk.name")) == "mlflow"


def read(span: DecodedSpan, attributes: Attributes) -> Reading:  # noqa: ARG001 (every dialect has this signature)
    """Return what the ``mlflow.*`` and bare request attributes of a span say.

    In GenAI mode MLflow writes the answering model as the requested one; the bare ``model`` is the request's.
    """
    kind = _KINDS.get(attributes.text("mlflow.spanType").upper())
    inputs, outputs = _json(attributes, "mlflow.spanInputs"), _json(attributes, "mlflow.spanOutputs")
    answer = as_mapping(outputs)
    given, said = _content(kind, inputs, outputs)
    request_model = attributes.text("model") or as_text(as_mapping(inputs).get("model"))
    told = attributes.text("mlflow.llm.model")
    response_model = as_text(answer.get("model")) or told
    return Reading(
        kind=kind,
        provider=attributes.text("mlflow.llm.provider")
        or provider_of_model(response_model or request_model)
        or attributes.text("mlflow.message.format"),
        request_model=request_model,
        response_model=response_model,
        parameters={name: _parse_number(value) for name in _PARAMETERS if (value := attributes.raw(name)) is not None},
        finish_reason=answer_finish_reason(outputs),
        is_stream=attributes.flag("stream"),
        counts=_counts(attributes.mapping("mlflow.chat.tokenUsage"), answer),
        cost_usd=_cost(attributes.mapping("mlflow.llm.cost")),
        input=given,
        output=said,
        tools=to_tools(attributes.json("mlflow.chat.tools", "tools")),
    )


def _parse_number(value: JsonLike) -> JsonLike:
    # MLflow writes 0.2 as the text "0.2".
    if isinstance(value, str):
        number = _number(value)
        return parse_json(value) if number is None else number
    return value


def _number(text: str) -> int | float | None:
    try:
        number = int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _counts(usage: dict[str, JsonLike], answer: dict[str, JsonLike]) -> Counts:
    """Return the counts MLflow made, else those in the answer: it makes none for embeddings."""
    return counts_of(usage or as_mapping(answer.get("usage")))


def _cost(cost: dict[str, JsonLike]) -> Decimal | None:
    total = as_usd(cost.get("total_cost"))
    if total is not None:
        return total
    parts = [part for key in ("input_cost", "output_cost") if (part := as_usd(cost.get(key))) is not None]
    return sum(parts, Decimal(0)) if parts else None


def _content(kind: SpanKind | None, inputs: JsonLike, outputs: JsonLike) -> tuple[JsonLike, JsonLike]:
    """Return input and output; an embedding's vectors are large, and of no use to a reader."""
    if kind is SpanKind.CHAT:
        return to_messages(inputs), answer_messages(outputs)
    if kind is SpanKind.EMBEDDING:
        return as_mapping(inputs).get("input", inputs), None
    return inputs, outputs


def _json(attributes: Attributes, key: str) -> JsonLike:
    value = attributes.json(key)
    return None if value == "null" else value
