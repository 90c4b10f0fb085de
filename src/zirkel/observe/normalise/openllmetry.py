"""OpenLLMetry and Traceloop where they go beyond the GenAI conventions: ``traceloop.*`` and older ``llm.*`` names."""

from dataclasses import replace

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise import genai
from zirkel.observe.normalise.attributes import Attributes, parse_json
from zirkel.observe.normalise.reading import Reading

_REQUEST_KINDS = {
    "chat": SpanKind.CHAT,
    "completion": SpanKind.COMPLETION,
    "embedding": SpanKind.EMBEDDING,
    "rerank": SpanKind.RERANKER,
}
_ENTITY_KINDS = {
    "workflow": SpanKind.WORKFLOW,
    "task": SpanKind.SPAN,
    "agent": SpanKind.AGENT,
    "tool": SpanKind.TOOL,
}


def read(span: DecodedSpan, attributes: Attributes) -> Reading:
    """Return what the Traceloop names of a span say, on top of its ``gen_ai.*`` names."""
    base = genai.read(span, attributes)
    kind = _REQUEST_KINDS.get(attributes.text("llm.request.type").lower())
    kind = kind or _ENTITY_KINDS.get(attributes.text("traceloop.span.kind").lower()) or base.kind
    return replace(
        base,
        kind=kind,
        input=base.input if base.input is not None else _entity(attributes, "traceloop.entity.input"),
        output=base.output if base.output is not None else _entity(attributes, "traceloop.entity.output"),
    )


def _entity(attributes: Attributes, key: str) -> JsonLike:
    """Return an entity's content, which the SDK encodes as JSON once or twice."""
    value = parse_json(attributes.json(key))
    return None if value == "null" else value
