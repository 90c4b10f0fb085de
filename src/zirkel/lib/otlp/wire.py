"""OTLP trace requests in protobuf."""

import base64
import math
from collections.abc import Iterable

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from zirkel.lib.otlp.collect import Collector, id_problem, is_valid_id, root_if_zero
from zirkel.lib.otlp.errors import Malformed
from zirkel.lib.otlp.model import DecodedEvent, DecodedLink, DecodedSpan, DecodedTraces, JsonLike


def traces_from_protobuf(body: bytes) -> DecodedTraces:
    """Return the spans of an ``ExportTraceServiceRequest``; the body may be empty.

    Raises:
        Malformed: If the body is not such a message, or holds text that is not UTF-8.
    """
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise Malformed(f"the body is not an ExportTraceServiceRequest in protobuf: {error}") from error
    collector = Collector()
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                _read_span(span, resource, scope_spans.scope, collector)
    return collector.traces()


def spell_double(value: float) -> float | str:
    """Return a double, or its name in the JSON mapping if it is not finite (JSON has no such numbers)."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _read_span(
    span: trace_pb2.Span, resource: dict[str, JsonLike], scope: InstrumentationScope, collector: Collector
) -> None:
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    parent_span_id = root_if_zero(span.parent_span_id.hex())
    problem = id_problem(span.name, trace_id, span_id, parent_span_id)
    if problem:
        collector.reject(problem)
        return
    decoded = DecodedSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_span_id,
        trace_state=span.trace_state,
        flags=span.flags,
        name=span.name,
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status_code=span.status.code,
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        events=tuple(DecodedEvent(one.name, one.time_unix_nano, _attributes(one.attributes)) for one in span.events),
        links=_links(span, collector),
        resource=resource,
        scope_name=scope.name,
        scope_version=scope.version,
    )
    collector.take(decoded)


def _links(span: trace_pb2.Span, collector: Collector) -> tuple[DecodedLink, ...]:
    links = []
    for link in span.links:
        trace_id, span_id = link.trace_id.hex(), link.span_id.hex()
        if is_valid_id(trace_id, 32) and is_valid_id(span_id, 16):
            links.append(DecodedLink(trace_id, span_id, link.trace_state, _attributes(link.attributes)))
        else:
            collector.warn(f"span {span.name[:80]!r}: a link with an invalid id was left out")
    return tuple(links)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, JsonLike]:
    return {pair.key: _value(pair.value) for pair in pairs}


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
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode("ascii")
        case _:
            return None
