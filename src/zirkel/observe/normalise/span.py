"""One OTLP span of any dialect as one canonical span."""

from collections.abc import Callable
from dataclasses import replace

from zirkel.core import MODEL_KINDS, Span, SpanEvent, SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise import genai, langfuse, logfire, mlflow, openinference, openllmetry, own, vercel
from zirkel.observe.normalise.attributes import Attributes, as_text, json_text
from zirkel.observe.normalise.context import (
    environment_of,
    own_attribute,
    prompt_of,
    release_of,
    session_of,
    tags_of,
    user_of,
)
from zirkel.observe.normalise.reading import Counts, Reading, filled, usage_of
from zirkel.observe.normalise.timing import first_chunk_after_ns
from zirkel.observe.normalise.unmapped import unmapped_names
from zirkel.observe.normalise.vocabulary import (
    normalise_error_type,
    normalise_finish_reason,
    normalise_provider,
    operation_of_kind,
    provider_of_model,
)

_READERS: dict[str, Callable[[DecodedSpan, Attributes], Reading]] = {
    "langfuse": langfuse.read,
    "openinference": openinference.read,
    "genai": genai.read,
    "openllmetry": openllmetry.read,
    "vercel": vercel.read,
    "mlflow": mlflow.read,
    "zirkel": own.read,
}
_MARKERS = (
    ("zirkel.kind", "zirkel"),
    ("langfuse.observation.type", "langfuse"),
    ("openinference.span.kind", "openinference"),
    ("gen_ai.operation.name", "genai"),
    ("traceloop.span.kind", "openllmetry"),
    ("llm.request.type", "openllmetry"),
    ("ai.operationId", "vercel"),
    ("mlflow.spanType", "mlflow"),
    ("tool.name", "openinference"),
)
"""Attributes that name the dialect, in order of precedence."""
_ANY_MARKER = frozenset(key for key, _ in _MARKERS)
_FAMILIES = (
    ("langfuse", "langfuse"),
    ("gen_ai", "genai"),
    ("traceloop", "openllmetry"),
    ("ai", "vercel"),
    ("llm", "openinference"),
    ("embedding", "openinference"),
    ("retrieval", "openinference"),
    ("reranker", "openinference"),
    ("mlflow", "mlflow"),
    ("mcp", "genai"),
    ("request_data", "genai"),
    ("zirkel", "zirkel"),
)
"""First segments of attribute names that tell the dialect of a span without a marker."""
_ALSO = {
    "langfuse": "langfuse",
    "gen_ai": "genai",
    "openinference": "openinference",
    "llm": "openinference",
    "traceloop": "openllmetry",
    "ai": "vercel",
    "mlflow": "mlflow",
    "zirkel": "zirkel",
}
"""Families that are read in addition when another dialect named the span."""
_INCLUDED = {"openllmetry": "genai"}
"""What a dialect's reader reads anyway."""
_STATUS = {1: "ok", 2: "error"}
_MAX_NS = 2**63 - 1


def normalise_span(decoded_span: DecodedSpan, *, project_id: str) -> Span:
    """Return the canonical span; every attribute is kept as sent, and an odd value is kept only there.

    Usage is in disjoint buckets; ``cost_usd`` is what the sender reported. An end before the start becomes the
    start, and times beyond the year 2262 become its last moment, so that durations are never negative.
    """
    attributes, resource = Attributes(decoded_span.attributes), Attributes(decoded_span.resource)
    dialect = _dialect(attributes)
    reading = _read(dialect, decoded_span, attributes)
    kind = reading.kind or SpanKind.SPAN
    is_stream, first_token_ns = _streaming(decoded_span, reading)
    status, error_type, status_message = _outcome(decoded_span, attributes, reading)
    prompt_name, prompt_version = prompt_of(attributes)
    request_model, response_model = _models(reading, status)
    start_ns = min(decoded_span.start_ns, _MAX_NS)
    return Span(
        project_id=project_id,
        trace_id=decoded_span.trace_id,
        span_id=decoded_span.span_id,
        parent_span_id=decoded_span.parent_span_id,
        name=decoded_span.name,
        kind=kind,
        source="otlp",
        dialect=dialect,
        start_ns=start_ns,
        end_ns=max(start_ns, min(decoded_span.end_ns, _MAX_NS)),
        status=status,
        error_type=error_type,
        status_message=status_message,
        service=own_attribute("service", attributes, resource),
        environment=environment_of(attributes, resource),
        release=release_of(attributes, resource),
        arm=own_attribute("arm", attributes, resource),
        unit=own_attribute("unit", attributes, resource),
        prompt_name=prompt_name,
        prompt_version=prompt_version,
        session_id=session_of(attributes, resource),
        user_id=user_of(attributes, resource),
        tags=tags_of(attributes),
        operation=reading.operation or operation_of_kind(kind),
        provider=_provider(reading, kind),
        request_model=request_model,
        response_model=response_model,
        parameters=_json_texts(reading.parameters),
        finish_reason=normalise_finish_reason(reading.finish_reason),
        is_stream=is_stream,
        time_to_first_token_ns=first_token_ns,
        usage=usage_of(reading.counts, kind),
        cost_usd=reading.cost_usd,
        input=_content(reading.input),
        output=_content(reading.output),
        tools=_content(reading.tools),
        scope_name=decoded_span.scope_name,
        attributes=_json_texts(decoded_span.attributes),
        resource=_json_texts(decoded_span.resource),
        unmapped=unmapped_names(attributes),
        events=_events(decoded_span),
    )


def _dialect(attributes: Attributes) -> str:
    if attributes.has_any(_ANY_MARKER):
        for key, dialect in _MARKERS:
            if attributes.text(key):
                return dialect
    return next((dialect for family, dialect in _FAMILIES if family in attributes.families), "")


def _read(dialect: str, span: DecodedSpan, attributes: Attributes) -> Reading:
    """Return what the span's dialect says, completed by the other dialects it also uses."""
    reader = _READERS.get(dialect)
    if reader is None:
        return Reading()
    reading = reader(span, attributes)
    done = {dialect, _INCLUDED.get(dialect)}
    for family, other in _ALSO.items():
        if family in attributes.families and other not in done:
            done.add(other)
            reading = filled(reading, _READERS[other](span, attributes))
    if dialect == "genai" and mlflow.is_written_by(span):
        bare = mlflow.read(span, attributes)
        reading = replace(filled(reading, bare), request_model=bare.request_model or reading.request_model)
    return logfire.completed(reading, span, attributes)


def _models(reading: Reading, status: str) -> tuple[str, str]:
    """Return the requested and the answering model.

    A call that failed without an answer has no answering one: some SDKs repeat the requested one there.
    """
    is_unanswered = status == "error" and reading.output is None and reading.counts == Counts()
    if is_unanswered and reading.response_model in ("", reading.request_model):
        return reading.request_model, ""
    return reading.request_model, reading.response_model


def _provider(reading: Reading, kind: SpanKind) -> str:
    """Return who served a span; of a model call that does not say so, who makes the model."""
    if reading.provider or kind not in MODEL_KINDS:
        return normalise_provider(reading.provider)
    return provider_of_model(reading.response_model or reading.request_model)


def _streaming(span: DecodedSpan, reading: Reading) -> tuple[bool, int | None]:
    """Return whether the answer was streamed, and when its first piece came after the start, in ns.

    A chunk event proves a stream; without a stream a first-token time is only the answer's (OpenLIT).
    """
    seen_ns = first_chunk_after_ns(span, span.events)
    first_token_ns = reading.time_to_first_token_ns if reading.time_to_first_token_ns is not None else seen_ns
    if seen_ns is None and reading.is_stream is False:
        return False, None
    return bool(reading.is_stream) or first_token_ns is not None, first_token_ns


def _outcome(span: DecodedSpan, attributes: Attributes, reading: Reading) -> tuple[str, str, str]:
    """Return status, error type and message; an error type alone makes an error.

    Source: OpenTelemetry conventions, "Recording errors": ``error.type`` is there only if the operation failed.
    """
    exceptions = [event.attributes for event in span.events if event.name == "exception"]
    last = exceptions[-1] if exceptions else {}
    error_type = attributes.text("error.type")
    is_error = span.status_code == 2 or reading.is_error or bool(error_type)
    if not is_error:
        return _STATUS.get(span.status_code, "unset"), "", span.status_message or reading.status_message
    message = span.status_message or reading.status_message or as_text(last.get("exception.message"))
    return "error", normalise_error_type(error_type or as_text(last.get("exception.type"))), message


def _content(value: JsonLike) -> str:
    return "" if value is None else json_text(value)


def _json_texts(values: dict[str, JsonLike]) -> dict[str, str]:
    return {key: json_text(value) for key, value in values.items()}


def _events(span: DecodedSpan) -> list[SpanEvent]:
    return [
        SpanEvent(name=event.name, time_ns=min(event.time_ns, _MAX_NS), attributes=_json_texts(event.attributes))
        for event in span.events
    ]
