"""Spans and log records in JSON. Unknown fields are ignored. Source: as ``jsonfields``."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from zirkel.lib.otlp.collect import Notes, context_of, id_problem, is_valid_id, root_if_zero
from zirkel.lib.otlp.errors import Malformed
from zirkel.lib.otlp.jsonfields import (
    UINT32,
    UINT64,
    JsonObject,
    read_attributes,
    read_enum,
    read_hex,
    read_integer,
    read_object,
    read_objects,
    read_string,
    read_value,
)
from zirkel.lib.otlp.jsontext import JsonScope, parse_object, split_json
from zirkel.lib.otlp.model import DecodedEvent, DecodedLink, DecodedLog, DecodedSpan, JsonLike, Origin

Item = TypeVar("Item")


def spans_from_json(body: bytes, notes: Notes) -> Iterator[DecodedSpan]:
    """Return the spans of an ``ExportTraceServiceRequest``, each read when it is taken; the body may be empty.

    Raises:
        Malformed: At once, if the body is not a JSON object with arrays of objects down to its spans.
        TooLarge: At once, if it has too many of them.
    """
    return read_json_items(split_json(body, "resourceSpans", "scopeSpans", "spans"), notes, "span", _spans)


def logs_from_json(body: bytes, notes: Notes) -> Iterator[DecodedLog]:
    """Return the records of an ``ExportLogsServiceRequest``; as ``spans_from_json``."""
    return read_json_items(split_json(body, "resourceLogs", "scopeLogs", "logRecords"), notes, "log record", _logs)


def read_json_items(
    scopes: list[JsonScope], notes: Notes, what: str, read: Callable[[JsonObject, Origin, Notes], Iterator[Item]]
) -> Iterator[Item]:
    """Return what ``read`` makes of each item of a request; an item that is ``Malformed`` is counted and left out.

    Raises:
        Malformed: At once, if a resource or scope cannot be read.
    """
    resources = {text: _resource(text) for text in {scope.resource for scope in scopes}}
    origins = [_origin(resources[scope.resource], scope.scope) for scope in scopes]

    def items() -> Iterator[Item]:
        for origin, scope in zip(origins, scopes, strict=True):
            for text in scope.items:
                item: JsonObject = {}
                try:
                    item = parse_object(bytes(text))
                    yield from read(item, origin, notes)
                except Malformed as error:
                    notes.reject(f"{what} {str(item.get('name', ''))[:80]!r}: {error}")

    return items()


def _resource(text: bytes) -> dict[str, JsonLike]:
    return read_attributes(_object_or_empty(text))


def _origin(resource: dict[str, JsonLike], text: bytes) -> Origin:
    scope = _object_or_empty(text)
    return Origin(resource, read_string(scope, "name"), read_string(scope, "version"))


def _object_or_empty(text: bytes) -> JsonObject:
    return {} if text == b"null" else parse_object(text)


def _spans(span: JsonObject, origin: Origin, notes: Notes) -> Iterator[DecodedSpan]:
    name = read_string(span, "name")
    trace_id, span_id = read_hex(span, "traceId"), read_hex(span, "spanId")
    parent_span_id = root_if_zero(read_hex(span, "parentSpanId"))
    problem = id_problem(name, trace_id, span_id, parent_span_id)
    if problem:
        notes.reject(problem)
        return
    status = read_object(span, "status")
    yield DecodedSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_span_id,
        trace_state=read_string(span, "traceState"),
        flags=read_integer(span, "flags", UINT32),
        name=name,
        kind=read_enum(span, "kind", notes),
        start_ns=read_integer(span, "startTimeUnixNano", UINT64),
        end_ns=read_integer(span, "endTimeUnixNano", UINT64),
        status_code=read_enum(status, "code", notes),
        status_message=read_string(status, "message"),
        attributes=read_attributes(span),
        events=tuple(_event(event) for event in read_objects(span, "events")),
        links=_links(span, notes),
        resource=origin.resource,
        scope_name=origin.scope_name,
        scope_version=origin.scope_version,
    )


def _event(event: JsonObject) -> DecodedEvent:
    time_ns = read_integer(event, "timeUnixNano", UINT64)
    return DecodedEvent(read_string(event, "name"), time_ns, read_attributes(event))


def _links(span: JsonObject, notes: Notes) -> tuple[DecodedLink, ...]:
    links = []
    for link in read_objects(span, "links"):
        trace_id, span_id = read_hex(link, "traceId"), read_hex(link, "spanId")
        if is_valid_id(trace_id, 32) and is_valid_id(span_id, 16):
            links.append(DecodedLink(trace_id, span_id, read_string(link, "traceState"), read_attributes(link)))
        else:
            notes.warn(f"span {read_string(span, 'name')[:80]!r}: a link with an invalid id was left out")
    return tuple(links)


def _logs(record: JsonObject, origin: Origin, notes: Notes) -> Iterator[DecodedLog]:
    trace_id, span_id = context_of(read_hex(record, "traceId"), read_hex(record, "spanId"), notes)
    yield DecodedLog(
        origin=origin,
        trace_id=trace_id,
        span_id=span_id,
        time_ns=read_integer(record, "timeUnixNano", UINT64),
        observed_ns=read_integer(record, "observedTimeUnixNano", UINT64),
        severity=read_enum(record, "severityNumber", notes),
        severity_text=read_string(record, "severityText"),
        event_name=read_string(record, "eventName"),
        body=read_value(read_object(record, "body")),
        attributes=read_attributes(record),
    )
