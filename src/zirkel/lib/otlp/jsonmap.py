"""OTLP trace requests in JSON: protobuf's JSON mapping with the exceptions that OTLP makes to it.

Ids are hex in either case, enums are numbers only, keys are lowerCamelCase only, and unknown fields are ignored.
Source: OTLP specification, "JSON Protobuf Encoding".
"""

import base64
import binascii
import re

from zirkel.lib.otlp.collect import Collector, id_problem, is_valid_id, root_if_zero
from zirkel.lib.otlp.errors import Malformed
from zirkel.lib.otlp.jsontext import parse_json_object
from zirkel.lib.otlp.model import DecodedEvent, DecodedLink, DecodedSpan, DecodedTraces, JsonLike
from zirkel.lib.otlp.wire import spell_double

_MAX_VALUE_DEPTH = 47
"""As deep as protobuf's own limit of 100 nested messages lets an attribute be."""

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_INT64 = (-(2**63), 2**63 - 1)
_UINT64 = (0, 2**64 - 1)
_UINT32 = (0, 2**32 - 1)
_INT32 = (-(2**31), 2**31 - 1)


def traces_from_json(body: bytes) -> DecodedTraces:
    """Return the spans of an ``ExportTraceServiceRequest`` in JSON; the body may be empty.

    Raises:
        Malformed: If the body is not a JSON object, or a known field has a value of the wrong type or range.
    """
    collector = Collector()
    request = parse_json_object(body) if body else {}
    for resource_spans in _objects(request, "resourceSpans"):
        resource = _attributes(_object(resource_spans, "resource"))
        for scope_spans in _objects(resource_spans, "scopeSpans"):
            scope = _object(scope_spans, "scope")
            for span in _objects(scope_spans, "spans"):
                _read_span(span, resource, scope, collector)
    return collector.traces()


def _read_span(
    span: dict[str, object], resource: dict[str, JsonLike], scope: dict[str, object], collector: Collector
) -> None:
    name = _string(span, "name")
    trace_id, span_id = _hex(span, "traceId"), _hex(span, "spanId")
    parent_span_id = root_if_zero(_hex(span, "parentSpanId"))
    problem = id_problem(name, trace_id, span_id, parent_span_id)
    if problem:
        collector.reject(problem)
        return
    status = _object(span, "status")
    decoded = DecodedSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_span_id,
        trace_state=_string(span, "traceState"),
        flags=_integer(span, "flags", _UINT32),
        name=name,
        kind=_enum(span, "kind", collector),
        start_ns=_integer(span, "startTimeUnixNano", _UINT64),
        end_ns=_integer(span, "endTimeUnixNano", _UINT64),
        status_code=_enum(status, "code", collector),
        status_message=_string(status, "message"),
        attributes=_attributes(span),
        events=tuple(_event(event) for event in _objects(span, "events")),
        links=_links(span, collector),
        resource=resource,
        scope_name=_string(scope, "name"),
        scope_version=_string(scope, "version"),
    )
    collector.take(decoded)


def _event(event: dict[str, object]) -> DecodedEvent:
    return DecodedEvent(_string(event, "name"), _integer(event, "timeUnixNano", _UINT64), _attributes(event))


def _links(span: dict[str, object], collector: Collector) -> tuple[DecodedLink, ...]:
    links = []
    for link in _objects(span, "links"):
        trace_id, span_id = _hex(link, "traceId"), _hex(link, "spanId")
        if is_valid_id(trace_id, 32) and is_valid_id(span_id, 16):
            links.append(DecodedLink(trace_id, span_id, _string(link, "traceState"), _attributes(link)))
        else:
            collector.warn(f"span {_string(span, 'name')[:80]!r}: a link with an invalid id was left out")
    return tuple(links)


def _attributes(owner: dict[str, object]) -> dict[str, JsonLike]:
    return _pairs(owner, "attributes", 0)


def _pairs(owner: dict[str, object], field: str, depth: int) -> dict[str, JsonLike]:
    return {_string(pair, "key"): _value(_object(pair, "value"), depth) for pair in _objects(owner, field)}


def _value(value: dict[str, object], depth: int) -> JsonLike:
    """Return an AnyValue: of a sender's several kinds, which the mapping forbids, the first of this order."""
    if depth > _MAX_VALUE_DEPTH:
        raise Malformed(f"an attribute is nested more than {_MAX_VALUE_DEPTH} deep")
    if value.get("stringValue") is not None:
        return _string(value, "stringValue")
    if value.get("boolValue") is not None:
        return _boolean(value, "boolValue")
    if value.get("intValue") is not None:
        return _integer(value, "intValue", _INT64)
    if value.get("doubleValue") is not None:
        return _double(value, "doubleValue")
    if value.get("arrayValue") is not None:
        return [_value(item, depth + 1) for item in _objects(_object(value, "arrayValue"), "values")]
    if value.get("kvlistValue") is not None:
        return _pairs(_object(value, "kvlistValue"), "values", depth + 1)
    if value.get("bytesValue") is not None:
        return _bytes(value, "bytesValue")
    return None


def _object(owner: dict[str, object], field: str) -> dict[str, object]:
    value = owner.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{field} must be an object, not {_shown(value)}")
    return value


def _objects(owner: dict[str, object], field: str) -> list[dict[str, object]]:
    value = owner.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{field} must be an array, not {_shown(value)}")
    for item in value:
        if not isinstance(item, dict):
            raise Malformed(f"{field} must hold objects, not {_shown(item)}")
    return value


def _string(owner: dict[str, object], field: str) -> str:
    value = owner.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{field} must be a string, not {_shown(value)}")
    return value


def _boolean(owner: dict[str, object], field: str) -> bool:
    value = owner.get(field)
    if not isinstance(value, bool):
        raise Malformed(f"{field} must be true or false, not {_shown(value)}")
    return value


def _integer(owner: dict[str, object], field: str, bounds: tuple[int, int]) -> int:
    value = owner.get(field)
    if value is None:
        return 0
    number = _whole_number(value)
    if number is None:
        raise Malformed(f"{field} must be a whole number, not {_shown(value)}")
    if not bounds[0] <= number <= bounds[1]:
        raise Malformed(f"{field} must be from {bounds[0]} to {bounds[1]}, not {_shown(value)}")
    return number


def _whole_number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    return None


def _enum(owner: dict[str, object], field: str, collector: Collector) -> int:
    value = owner.get(field)
    if isinstance(value, str):
        collector.warn(f"{field} {value[:40]!r} was read as 0: OTLP/JSON wants the enum's number, not its name")
        return 0
    return _integer(owner, field, _INT32)


def _double(owner: dict[str, object], field: str) -> float | str:
    value = owner.get(field)
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        try:
            return spell_double(float(value))
        except (ValueError, OverflowError):
            pass
    raise Malformed(f"{field} must be a number, NaN, Infinity or -Infinity, not {_shown(value)}")


def _bytes(owner: dict[str, object], field: str) -> str:
    text = _string(owner, field)
    # The mapping allows the URL-safe alphabet and missing padding.
    plain = text.translate({45: 43, 95: 47}).rstrip("=")
    try:
        return base64.b64encode(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{field} must be base64, not {_shown(text)}") from error


def _hex(owner: dict[str, object], field: str) -> str:
    return _string(owner, field).lower()


def _shown(value: object) -> str:
    return repr(value)[:60]
