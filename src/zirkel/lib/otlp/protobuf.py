"""Spans and log records in protobuf."""

import base64
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import Message  # type: ignore[import-untyped]
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from zirkel.lib.otlp.collect import Notes, context_of, id_problem, is_valid_id, root_if_zero
from zirkel.lib.otlp.errors import Malformed
from zirkel.lib.otlp.model import DecodedEvent, DecodedLink, DecodedLog, DecodedSpan, JsonLike, Origin
from zirkel.lib.otlp.wire import read_message, split_request

M = TypeVar("M", bound=Message)
Item = TypeVar("Item")


def spans_from_protobuf(body: bytes, notes: Notes) -> Iterator[DecodedSpan]:
    """Return the spans of an ``ExportTraceServiceRequest``, each read when it is taken; the body may be empty.

    Raises:
        Malformed: At once, if the body is not such a message down to its spans.
        TooLarge: At once, if it has too many of them.
    """
    return read_items(body, notes, Span, _spans, lambda _: 1)


def logs_from_protobuf(body: bytes, notes: Notes) -> Iterator[DecodedLog]:
    """Return the records of an ``ExportLogsServiceRequest``; as ``spans_from_protobuf``."""
    return read_items(body, notes, LogRecord, _logs, lambda _: 1)


def read_items(
    body: bytes,
    notes: Notes,
    kind: type[M],
    read: Callable[[M, Origin, Notes], Iterator[Item]],
    count: Callable[[bytes], int],
) -> Iterator[Item]:
    """Return what ``read`` makes of each item of a request; ``count`` says how much an unreadable one stands for.

    Raises:
        Malformed: At once, if the body is not a request down to its items, or a resource or scope cannot be read.
        TooLarge: At once, if it has too many of them.
    """
    scopes = split_request(body)
    resources = {data: _resource(data, notes) for data in {scope.resource for scope in scopes}}
    origins = [_origin(resources[scope.resource], scope.scope, notes) for scope in scopes]

    def items() -> Iterator[Item]:
        for origin, scope in zip(origins, scopes, strict=True):
            for start, end in scope.items:
                data = body[start:end]
                try:
                    message = read_message(kind, data, notes)
                except Malformed as error:
                    notes.reject(str(error), count(data))
                else:
                    yield from read(message, origin, notes)

    return items()


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, JsonLike]:
    """Return attributes as plain data; of a key that comes twice the later value."""
    found: dict[str, JsonLike] = {}
    for pair in pairs:
        value = pair.value
        # Most values are texts that are not empty, which need not be asked for their kind.
        found[pair.key] = value.string_value or _value(value)
    return found


def spell_double(value: float) -> float | str:
    """Return a double, or its name in the JSON mapping if it is not finite (JSON has no such numbers)."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _resource(data: bytes, notes: Notes) -> dict[str, JsonLike]:
    return attributes_of(read_message(Resource, data, notes).attributes)


def _origin(resource: dict[str, JsonLike], data: bytes, notes: Notes) -> Origin:
    scope = read_message(InstrumentationScope, data, notes)
    return Origin(resource, scope.name, scope.version)


def _spans(span: Span, origin: Origin, notes: Notes) -> Iterator[DecodedSpan]:
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    parent_span_id = root_if_zero(span.parent_span_id.hex())
    problem = id_problem(span.name, trace_id, span_id, parent_span_id)
    if problem:
        notes.reject(problem)
        return
    status = span.status
    yield DecodedSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_span_id,
        trace_state=span.trace_state,
        flags=span.flags,
        name=span.name,
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status_code=status.code,
        status_message=status.message,
        attributes=attributes_of(span.attributes),
        events=tuple(DecodedEvent(one.name, one.time_unix_nano, attributes_of(one.attributes)) for one in span.events),
        links=_links(span, notes),
        resource=origin.resource,
        scope_name=origin.scope_name,
        scope_version=origin.scope_version,
    )


def _links(span: Span, notes: Notes) -> tuple[DecodedLink, ...]:
    links = []
    for link in span.links:
        trace_id, span_id = link.trace_id.hex(), link.span_id.hex()
        if is_valid_id(trace_id, 32) and is_valid_id(span_id, 16):
            links.append(DecodedLink(trace_id, span_id, link.trace_state, attributes_of(link.attributes)))
        else:
            notes.warn(f"span {span.name[:80]!r}: a link with an invalid id was left out")
    return tuple(links)


def _logs(record: LogRecord, origin: Origin, notes: Notes) -> Iterator[DecodedLog]:
    trace_id, span_id = context_of(record.trace_id.hex(), record.span_id.hex(), notes)
    yield DecodedLog(
        origin=origin,
        trace_id=trace_id,
        span_id=span_id,
        time_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        severity=record.severity_number,
        severity_text=record.severity_text,
        event_name=record.event_name,
        body=_value(record.body),
        attributes=attributes_of(record.attributes),
    )


def _value(value: AnyValue) -> JsonLike:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "bool_value":
            return value.bool_value
        case "double_value":
            return spell_double(value.double_value)
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes_of(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode("ascii")
        case _:
            return None
