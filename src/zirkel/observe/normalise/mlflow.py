"""MLflow's own span attributes, every one of which is JSON text (a string is sent with its quotes)."""

import math

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.attributes import Attributes, as_count, as_mapping, as_text, as_usd, parse_json
from zirkel.observe.normalise.messages import text_message, to_message, to_messages, to_tools
from zirkel.observe.normalise.reading import Counts, Reading
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
    inputs, outputs = attributes.json("mlflow.spanInputs"), attributes.json("mlflow.spanOutputs")
    answer = as_mapping(outputs)
    is_model = kind is SpanKind.CHAT
    request_model = attributes.text("model") or as_text(as_mapping(inputs).get("model"))
    response_model = as_text(answer.get("model")) or attributes.text("mlflow.llm.model")
    return Reading(
        kind=kind,
        provider=attributes.text("mlflow.llm.provider") or provider_of_model(response_model or request_model),
        request_model=request_model,
        response_model=response_model,
        parameters={name: _parse_number(value) for name in _PARAMETERS if (value := attributes.raw(name)) is not None},
        finish_reason=_finish_reason(answer),
        is_stream=attributes.flag("stream"),
        counts=_counts(attributes.mapping("mlflow.chat.tokenUsage")),
        cost_usd=as_usd(attributes.mapping("mlflow.llm.cost").get("total_cost")),
        input=_input(inputs) if is_model else inputs,
        output=_output(outputs) if is_model else _without_vectors(kind, outputs),
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


def _counts(usage: dict[str, JsonLike]) -> Counts:
    return Counts(
        input_total=as_count(usage.get("input_tokens")),
        cache_read=as_count(usage.get("cache_read_input_tokens")),
        cache_write=as_count(usage.get("cache_creation_input_tokens")),
        output_total=as_count(usage.get("output_tokens")),
    )


def _input(inputs: JsonLike) -> JsonLike:
    """Return the messages of a provider-native request: chat, responses or completion."""
    request = as_mapping(inputs)
    asked = request.get("input")
    if asked is None:
        return to_messages(inputs)
    system = {"system": request.get("instructions")}
    return to_messages(
        {**system, "messages": [{"role": "user", "content": asked}] if isinstance(asked, str) else asked}
    )


def _output(outputs: JsonLike) -> JsonLike:
    """Return the messages of a provider-native answer: choices, the responses API's output, or text."""
    if isinstance(outputs, str):
        return [text_message("assistant", outputs)]
    answer = as_mapping(outputs)
    found: list[JsonLike] = []
    for choice in map(as_mapping, _listed(answer.get("choices"))):
        message = to_message({**as_mapping(choice.get("message")), "finish_reason": choice.get("finish_reason")})
        if message is not None:
            found.append(message)
    found.extend(message for message in map(to_message, _listed(answer.get("output"))) if message is not None)
    return found or to_messages(outputs)


def _finish_reason(answer: dict[str, JsonLike]) -> str:
    for choice in map(as_mapping, _listed(answer.get("choices"))):
        if reason := as_text(choice.get("finish_reason")):
            return reason
    return as_text(answer.get("status")) if answer.get("object") == "response" else ""


def _without_vectors(kind: SpanKind | None, outputs: JsonLike) -> JsonLike:
    return None if kind is SpanKind.EMBEDDING else outputs


def _listed(value: JsonLike) -> list[JsonLike]:
    return value if isinstance(value, list) else []
