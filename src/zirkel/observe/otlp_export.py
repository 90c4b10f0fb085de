"""Canonical spans as OTLP, for other tools: what came as OTLP goes out as it came, gateway calls in GenAI conventions.

Content that came for a span on the logs signal stands in its attributes.

Source: OTLP specification 1.11, "JSON Protobuf Encoding" and "OTLP File Exporter" (one request per line); semantic
conventions for generative AI 1.41.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from zirkel.core import MODEL_KINDS, JsonObject, Span, SpanEvent, SpanKind, Usage
from zirkel.observe.refining import without_joined

_STATUS = {"unset": 0, "ok": 1, "error": 2}
_CLIENT, _SERVER, _INTERNAL = 3, 2, 1
_INPUT_BUCKETS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens",
    "input_image_tokens",
)  # fmt: skip
_OUTPUT_BUCKETS = ("output_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens")
_DETAILS = {
    "gen_ai.usage.cache_read.input_tokens": ("cache_read_tokens",),
    "gen_ai.usage.cache_write.input_tokens": ("cache_write_tokens", "cache_write_1h_tokens"),
    "gen_ai.usage.reasoning.output_tokens": ("reasoning_tokens",),
    "gen_ai.usage.audio.input_tokens": ("input_audio_tokens",),
    "gen_ai.usage.image.input_tokens": ("input_image_tokens",),
    "gen_ai.usage.audio.output_tokens": ("output_audio_tokens",),
    "gen_ai.usage.image.output_tokens": ("output_image_tokens",),
}
_PLAIN = {
    "service": "zirkel.service",
    "environment": "zirkel.environment",
    "release": "zirkel.release",
    "arm": "zirkel.arm",
    "unit": "zirkel.unit",
    "key_id": "zirkel.key.id",
    "experiment_id": "zirkel.experiment.id",
    "item_id": "zirkel.item.id",
    "cache": "zirkel.cache",
    "attempt_reason": "zirkel.attempt.reason",
    "settlement": "zirkel.settlement",
    "price_digest": "zirkel.price.digest",
    "session_id": "session.id",
    "user_id": "user.id",
    "prompt_name": "gen_ai.prompt.name",
    "prompt_version": "gen_ai.prompt.version",
    "operation": "gen_ai.operation.name",
    "provider": "gen_ai.provider.name",
    "request_model": "gen_ai.request.model",
    "response_model": "gen_ai.response.model",
    "error_type": "error.type",
}
_PARAMETERS = frozenset(
    {"temperature", "top_p", "top_k", "max_tokens", "frequency_penalty", "presence_penalty", "stop_sequences", "seed"}
)


def trace_request(spans: Sequence[Span]) -> JsonObject:
    """Return spans as one ``ExportTraceServiceRequest`` in OTLP's JSON form."""
    groups: dict[tuple[tuple[tuple[str, str], ...], str], list[Span]] = {}
    for span in spans:
        groups.setdefault((tuple(sorted(_resource(span).items())), _scope(span)), []).append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(dict(resource))},
                "scopeSpans": [{"scope": {"name": scope}, "spans": [_span(span) for span in found]}],
            }
            for (resource, scope), found in groups.items()
        ]
    }


def trace_request_line(spans: Sequence[Span]) -> bytes:
    """Return ``trace_request`` as one line of an OTLP file."""
    return msgspec.json.encode(trace_request(spans)) + b"\n"


def _resource(span: Span) -> Mapping[str, str]:
    return span.resource or {"service.name": f'"zirkel-{span.source}"'}


def _scope(span: Span) -> str:
    return span.scope_name or "zirkel"


def _span(span: Span) -> JsonObject:
    found: JsonObject = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _kind(span),
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(_as_it_came(span) if span.source == "otlp" else dict(_conventional(span))),
        "status": _status(span),
    }
    if span.parent_span_id:
        found["parentSpanId"] = span.parent_span_id
    if span.events:
        found["events"] = [_event(event) for event in span.events]
    return found


def _kind(span: Span) -> int:
    if span.kind is SpanKind.CALL:
        return _SERVER
    return _CLIENT if span.kind in MODEL_KINDS else _INTERNAL


def _status(span: Span) -> JsonObject:
    code = _STATUS.get(span.status, 0)
    return {"code": code, "message": span.status_message} if span.status_message else {"code": code}


def _event(event: SpanEvent) -> JsonObject:
    return {"name": event.name, "timeUnixNano": str(event.time_ns), "attributes": _attributes(event.attributes)}


def _as_it_came(span: Span) -> Mapping[str, str]:
    """Return the attributes of a span that came as OTLP, and the content that came apart from it as log records."""
    own = without_joined(span)
    if own == span:
        return span.attributes
    joined = msgspec.structs.replace(
        span,
        input="" if own.input else span.input,
        output="" if own.output else span.output,
        tools="" if own.tools else span.tools,
    )
    return {**span.attributes, **dict(_content(joined))}


def _conventional(span: Span) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a span that had none of its own, values as JSON text."""
    yield from span.attributes.items()
    for field, name in _PLAIN.items():
        value = getattr(span, field)
        if value:
            yield name, _text(value)
    for name, value in span.parameters.items():
        yield (f"gen_ai.request.{name}" if name in _PARAMETERS else f"zirkel.parameter.{name}"), value
    yield from _usage(span.usage)
    if span.finish_reason:
        yield "gen_ai.response.finish_reasons", msgspec.json.encode([span.finish_reason]).decode()
    if span.is_stream:
        yield "gen_ai.request.stream", "true"
    if span.time_to_first_token_ns is not None:
        yield "gen_ai.response.time_to_first_chunk", repr(span.time_to_first_token_ns / 1e9)
    if span.cost_usd is not None:
        # No convention has a name for it; this is what most tools read.
        yield "gen_ai.usage.cost", repr(float(span.cost_usd))
        yield "zirkel.cost_usd", _text(f"{span.cost_usd:f}")
    if span.tags:
        yield "zirkel.tags", msgspec.json.encode(span.tags).decode()
    yield from _content(span)


def _usage(usage: Usage) -> Iterator[tuple[str, str]]:
    for name, buckets in (("input", _INPUT_BUCKETS), ("output", _OUTPUT_BUCKETS)):
        total = _sum(usage, buckets)
        if total is not None:
            yield f"gen_ai.usage.{name}_tokens", str(total)
    for name, parts in _DETAILS.items():
        part = _sum(usage, parts)
        if part is not None:
            yield name, str(part)


def _sum(usage: Usage, buckets: Sequence[str]) -> int | None:
    reported = [count for bucket in buckets if (count := getattr(usage, bucket)) is not None]
    return sum(reported) if reported else None


def _content(span: Span) -> Iterator[tuple[str, str]]:
    for text, name in ((span.input, "input"), (span.output, "output")):
        if not text:
            continue
        messages = _messages(text) if span.kind in MODEL_KINDS else None
        if messages is None:
            yield f"zirkel.{name}", _text(text)
        else:
            yield f"gen_ai.{name}.messages", _text(msgspec.json.encode(messages).decode())
    if span.tools:
        yield "gen_ai.tool.definitions", _text(span.tools)


def _messages(text: str) -> list[JsonObject] | None:
    """Return messages in the conventions' form; ``None`` if these are no messages."""
    try:
        found: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    items = found if isinstance(found, list) else [found]
    if not items or not all(isinstance(item, dict) and isinstance(item.get("role"), str) for item in items):
        return None
    return [_message(item) for item in items if isinstance(item, dict)]


def _message(message: JsonObject) -> JsonObject:
    role, content = message["role"], message.get("content")
    if role == "tool":
        answer: JsonObject = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}
        return {"role": role, "parts": [answer]}
    parts: list[object] = []
    if isinstance(message.get("parts"), list):
        return message
    if isinstance(content, str):
        parts.append({"type": "text", "content": content})
    elif isinstance(content, list):
        parts += [_part(part) for part in content]
    calls = message.get("tool_calls")
    parts += [_tool_call(call) for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return {"role": role, "parts": parts}


def _part(part: object) -> object:
    if isinstance(part, dict) and part.get("type") == "text":
        return {"type": "text", "content": part.get("text")}
    return part


def _tool_call(call: JsonObject) -> JsonObject:
    function = call.get("function")
    named = function if isinstance(function, dict) else {}
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": named.get("name"),
        "arguments": named.get("arguments"),
    }


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _attributes(values: Mapping[str, str]) -> list[JsonObject]:
    return [{"key": key, "value": _any_value(text)} for key, text in values.items()]


def _any_value(text: str) -> JsonObject:
    """Return an attribute's JSON text as an AnyValue; what is none is a string as it stands."""
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {"stringValue": text}
    return _wrapped(value)


def _wrapped(value: object) -> JsonObject:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        fits = -(1 << 63) <= value < 1 << 63
        return {"intValue": str(value)} if fits else {"doubleValue": float(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_wrapped(item) for item in value]}}
    pairs = value.items() if isinstance(value, dict) else ()
    return {"kvlistValue": {"values": [{"key": key, "value": _wrapped(item)} for key, item in pairs]}}
