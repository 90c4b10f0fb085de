import base64
import json
from pathlib import Path
from typing import get_args

import pytest
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1 import trace_pb2

from zirkel.lib.otlp import DecodedSpan, DecodedTraces, JsonLike, Malformed, Media, decode_traces

FIXTURES = Path(__file__).parents[2] / "fixtures" / "otlp"
TRACE_ID, SPAN_ID = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def decode_json(value: object) -> DecodedTraces:
    return decode_traces(json.dumps(value).encode(), "json")


def request_of(*spans: dict[str, object]) -> dict[str, object]:
    whole = [{"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "s", **span} for span in spans]
    return {"resourceSpans": [{"scopeSpans": [{"spans": whole}]}]}


def decode_span(**fields: object) -> DecodedSpan:
    (span,) = decode_json(request_of(fields)).spans
    return span


def decode_value(value: object) -> JsonLike:
    return decode_span(attributes=[{"key": "k", "value": value}]).attributes["k"]


@pytest.mark.parametrize(("body", "media"), [(b"", "protobuf"), (b"", "json"), (b"{}", "json")])
def test_empty_body_and_empty_message_are_empty_requests(body: bytes, media: Media) -> None:
    assert decode_traces(body, media) == DecodedTraces()


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b'"x"', b"{", b'{"a":NaN}', b"\xff\xfe", b"[" * 50_000, b"\xef\xbb\xbf{}"]
)
def test_what_is_not_a_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match=r".+"):
        decode_traces(body, "json")


def test_truncated_protobuf_is_malformed() -> None:
    whole = (FIXTURES / "openai_v2_latest-002-traces.pb").read_bytes()
    for length in (1, 10, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Malformed, match="protobuf"):
            decode_traces(whole[:length], "protobuf")


def test_invalid_utf8_in_protobuf_is_malformed() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="MARK")
    span.trace_id, span.span_id = bytes.fromhex(TRACE_ID), bytes.fromhex(SPAN_ID)
    with pytest.raises(Malformed):
        decode_traces(request.SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc"), "protobuf")


def test_hex_ids_are_equal_in_either_case() -> None:
    upper = decode_span(traceId=TRACE_ID.upper(), spanId=SPAN_ID.upper(), parentSpanId="ABCDEF0123456789")
    assert (upper.trace_id, upper.span_id, upper.parent_span_id) == (TRACE_ID, SPAN_ID, "abcdef0123456789")


@pytest.mark.parametrize(
    "ids",
    [
        {"traceId": TRACE_ID[:-2]},
        {"traceId": "0" * 32},
        {"traceId": ""},
        {"spanId": "0" * 16},
        {"spanId": SPAN_ID + "00"},
        {"spanId": "zz" + SPAN_ID[2:]},
        {"traceId": base64.b64encode(bytes.fromhex(TRACE_ID)).decode()},
        {"parentSpanId": "abcd"},
    ],
)
def test_span_with_an_invalid_id_is_rejected_and_the_rest_is_kept(ids: dict[str, object]) -> None:
    decoded = decode_json(request_of({"name": "good"}, {"name": "bad", **ids}))
    assert [span.name for span in decoded.spans] == ["good"]
    assert decoded.rejected == 1
    assert "'bad'" in decoded.rejected_reasons[0]


def test_protobuf_span_with_fifteen_byte_or_zero_ids_is_rejected() -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for trace_id, span_id in [(b"t" * 16, b"s" * 8), (b"t" * 15, b"s" * 8), (bytes(16), b"s" * 8), (b"t" * 16, b"")]:
        spans.add(trace_id=trace_id, span_id=span_id)
    decoded = decode_traces(request.SerializeToString(), "protobuf")
    assert (len(decoded.spans), decoded.rejected, len(decoded.rejected_reasons)) == (1, 3, 3)


def test_reasons_are_bounded_and_the_count_is_exact() -> None:
    zero: dict[str, object] = {"spanId": "0" * 16}
    decoded = decode_json(request_of(*[zero] * 500))
    assert (decoded.rejected, len(decoded.rejected_reasons)) == (500, 10)


def test_zero_parent_is_a_root() -> None:
    assert decode_span(parentSpanId="0" * 16).parent_span_id == ""


def test_snake_case_keys_are_unknown_fields() -> None:
    assert decode_json({"resource_spans": [{"scope_spans": [{"spans": [{}]}]}]}) == DecodedTraces()
    assert decode_span(start_time_unix_nano="5").start_ns == 0


def test_enum_names_are_read_as_unspecified_with_a_warning() -> None:
    decoded = decode_json(request_of({"kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_ERROR"}}))
    assert (decoded.spans[0].kind, decoded.spans[0].status_code) == (0, 0)
    assert decoded.rejected == 0
    assert len(decoded.warnings) == 2


def test_unknown_fields_are_ignored_at_every_level() -> None:
    unknown: dict[str, object] = {"future": {"a": [1, None]}, "x": 1}
    value = {"stringValue": "v", **unknown}
    pair = {"key": "k", "value": value, **unknown}
    span = {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "attributes": [pair],
        "events": [{"name": "e", "attributes": [pair], **unknown}],
        "links": [{"traceId": TRACE_ID, "spanId": SPAN_ID, **unknown}],
        "status": {"code": 1, **unknown},
        **unknown,
    }
    scope_spans = {"scope": {"name": "sc", **unknown}, "spans": [span], **unknown}
    resource = {"attributes": [pair], **unknown}
    decoded = decode_json(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [scope_spans], **unknown}], **unknown}
    )
    assert (
        decoded.spans[0].attributes == decoded.spans[0].resource == decoded.spans[0].events[0].attributes == {"k": "v"}
    )
    assert (decoded.spans[0].scope_name, decoded.spans[0].status_code, len(decoded.spans[0].links)) == ("sc", 1, 1)


def test_null_means_default_everywhere() -> None:
    span = decode_span(
        name=None, kind=None, startTimeUnixNano=None, attributes=None, events=None, links=None, status=None, flags=None
    )
    assert (span.name, span.kind, span.start_ns, span.attributes, span.events, span.links) == ("", 0, 0, {}, (), ())
    assert decode_json({"resourceSpans": None}) == DecodedTraces()
    assert decode_json({"resourceSpans": [{"resource": None, "scopeSpans": None}]}) == DecodedTraces()


@pytest.mark.parametrize("value", [1_700_000_000_123_456_789, "1700000000123456789"])
def test_nanoseconds_beyond_2_to_53_survive_as_number_and_as_string(value: object) -> None:
    assert decode_span(startTimeUnixNano=value).start_ns == 1_700_000_000_123_456_789


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1, 0, -1, 2**53 + 1])
def test_int_value_covers_int64_as_number_and_as_string(number: int) -> None:
    assert decode_value({"intValue": number}) == number
    assert decode_value({"intValue": str(number)}) == number


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, "9223372036854775808", "1.5", 1.5, "1_0", " 1", "x", True, [], "9" * 5000]
)
def test_int_value_beyond_int64_or_no_integer_is_malformed(value: object) -> None:
    with pytest.raises(Malformed, match="intValue"):
        decode_value({"intValue": value})


@pytest.mark.parametrize("value", [-1, 2**64, "-1"])
def test_time_outside_uint64_is_malformed(value: object) -> None:
    with pytest.raises(Malformed, match="startTimeUnixNano"):
        decode_span(startTimeUnixNano=value)


@pytest.mark.parametrize(
    ("start", "end"), [(5, 3), (5, 0), (0, 0), (2**64 - 1, 2**64 - 1)], ids=["end<start", "end=0", "zero", "max"]
)
def test_odd_times_are_kept_as_sent(start: int, end: int) -> None:
    span = decode_span(startTimeUnixNano=start, endTimeUnixNano=str(end))
    assert (span.start_ns, span.end_ns) == (start, end)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"stringValue": "a\x00b"}, "a\x00b"),
        ({"boolValue": False}, False),
        ({"intValue": "7"}, 7),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": "2.5"}, 2.5),
        ({"doubleValue": "NaN"}, "NaN"),
        ({"doubleValue": "-Infinity"}, "-Infinity"),
        ({"bytesValue": "_-8"}, "/+8="),
        ({}, None),
        ({"stringValue": None}, None),
        ({"stringValue": ""}, ""),
        ({"arrayValue": {}}, []),
        ({"kvlistValue": {}}, {}),
        (
            {"arrayValue": {"values": [{"intValue": 1}, {}, {"arrayValue": {"values": [{"boolValue": True}]}}]}},
            [1, None, [True]],
        ),
        (
            {"kvlistValue": {"values": [{"key": "a", "value": {"doubleValue": 0.5}}, {"key": "b"}]}},
            {"a": 0.5, "b": None},
        ),
    ],
)
def test_all_seven_kinds_of_value_and_empty_ones(value: object, expected: JsonLike) -> None:
    assert decode_value(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"stringValue": 1},
        {"boolValue": "true"},
        {"doubleValue": "a lot"},
        {"doubleValue": True},
        {"bytesValue": "%%"},
        {"bytesValue": "a"},
        {"arrayValue": []},
        {"kvlistValue": {"values": {}}},
        "bare",
    ],
)
def test_value_of_the_wrong_type_is_malformed(value: object) -> None:
    with pytest.raises(Malformed, match="must"):
        decode_value(value)


@pytest.mark.parametrize("depth", [40, 200, 2000])
def test_deep_nesting_never_crashes(depth: int) -> None:
    text = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
    body = json.dumps(request_of({"attributes": [{"key": "k", "value": "DEEP"}]})).replace('"DEEP"', text).encode()
    if depth == 40:
        assert decode_traces(body, "json").spans
    else:
        with pytest.raises(Malformed):
            decode_traces(body, "json")


def test_protobuf_nested_too_deeply_is_malformed() -> None:
    value = AnyValue(string_value="x")
    for _ in range(200):
        outer = AnyValue()
        outer.array_value.values.add().CopyFrom(value)
        value = outer
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.add(key="k").value.CopyFrom(value)
    with pytest.raises(Malformed):
        decode_traces(request.SerializeToString(), "protobuf")


def test_lone_surrogates_become_replacement_characters() -> None:
    span = decode_span(name="cut \ud83d", attributes=[{"key": "a\udc00", "value": {"stringValue": "\ud83d\ude00 ok"}}])
    assert span.name == "cut \ufffd"
    assert span.attributes == {"a\ufffd": "\U0001f600 ok"}


def test_later_duplicate_key_wins_in_both_encodings() -> None:
    pairs = [{"key": "a", "value": {"intValue": 1}}, {"key": "b"}, {"key": "a", "value": {"intValue": 2}}]
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.add(key="a").value.int_value = 1
    span.attributes.add(key="b")
    span.attributes.add(key="a").value.int_value = 2
    (from_protobuf,) = decode_traces(request.SerializeToString(), "protobuf").spans
    assert list(decode_span(attributes=pairs).attributes.items()) == [("a", 2), ("b", None)]
    assert list(from_protobuf.attributes.items()) == [("a", 2), ("b", None)]


def test_link_with_an_invalid_id_is_left_out_with_a_warning() -> None:
    decoded = decode_json(request_of({"links": [{"traceId": TRACE_ID, "spanId": SPAN_ID}, {"traceId": "00"}]}))
    assert len(decoded.spans[0].links) == 1
    assert len(decoded.warnings) == 1


@pytest.mark.parametrize("capture", sorted(FIXTURES.glob("*-traces.json")), ids=lambda path: path.stem)
def test_captured_request_says_the_same_in_both_encodings(capture: Path) -> None:
    from_json = decode_traces(capture.read_bytes(), "json")
    from_protobuf = decode_traces(capture.with_suffix(".pb").read_bytes(), "protobuf")
    assert from_json.spans
    assert from_json == from_protobuf


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.one_of(
    st.just(AnyValue()),
    st.builds(AnyValue, string_value=TEXT),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, double_value=st.floats()),
    st.builds(AnyValue, bytes_value=st.binary(max_size=6)),
)


def pairs_of(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[list[KeyValue]]:
    return st.lists(st.builds(KeyValue, key=TEXT, value=values), max_size=3)


VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(AnyValue, array_value=st.builds(ArrayValue, values=st.lists(inner, max_size=3)))
        | st.builds(AnyValue, kvlist_value=st.builds(KeyValueList, values=pairs_of(inner)))
    ),
    max_leaves=6,
)
UINT64 = st.integers(0, 2**64 - 1)
TRACE_IDS = st.binary(min_size=16, max_size=16) | st.binary(max_size=17)
SPAN_IDS = st.binary(min_size=8, max_size=8) | st.binary(max_size=9)
SPANS = st.builds(
    trace_pb2.Span,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=st.just(b"") | SPAN_IDS,
    trace_state=TEXT,
    flags=st.integers(0, 2**32 - 1),
    name=TEXT,
    kind=st.integers(0, 5),
    start_time_unix_nano=UINT64,
    end_time_unix_nano=UINT64,
    attributes=pairs_of(VALUES),
    events=st.lists(
        st.builds(trace_pb2.Span.Event, name=TEXT, time_unix_nano=UINT64, attributes=pairs_of(LEAVES)), max_size=2
    ),
    links=st.lists(st.builds(trace_pb2.Span.Link, trace_id=TRACE_IDS, span_id=SPAN_IDS), max_size=2),
    status=st.builds(trace_pb2.Status, code=st.integers(0, 2), message=TEXT),
)


def to_otlp_json(value: object, numbers_as_text: bool) -> object:
    """Turn protobuf's own JSON mapping into OTLP's: ids in hex; 64-bit integers as text or as numbers."""
    if isinstance(value, list):
        return [to_otlp_json(item, numbers_as_text) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: to_otlp_json(item, numbers_as_text) for key, item in value.items()}
    for key, item in changed.items():
        if key in ("traceId", "spanId", "parentSpanId"):
            changed[key] = base64.b64decode(str(item)).hex()
        elif key in ("intValue", "startTimeUnixNano", "endTimeUnixNano", "timeUnixNano") and not numbers_as_text:
            changed[key] = int(str(item))
    return changed


@settings(max_examples=150)
@given(span=SPANS, resource=pairs_of(VALUES), numbers_as_text=st.booleans())
def test_protobuf_and_json_of_the_same_span_decode_equally(
    span: trace_pb2.Span, resource: list[KeyValue], numbers_as_text: bool
) -> None:
    request = ExportTraceServiceRequest()
    holder = request.resource_spans.add()
    holder.resource.attributes.extend(resource)
    holder.scope_spans.add().spans.append(span)
    mapped = to_otlp_json(MessageToDict(request, use_integers_for_enums=True), numbers_as_text)
    from_protobuf = decode_traces(request.SerializeToString(), "protobuf")
    assert decode_json(mapped) == from_protobuf
    assert len(from_protobuf.spans) + from_protobuf.rejected == 1


FIELDS = ["resourceSpans", "resource", "scopeSpans", "scope", "spans", "attributes", "key", "value", "traceId", "kind"]
JSON_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON_ANYTHING | st.binary(max_size=60), media=st.sampled_from(get_args(Media)))
def test_any_body_is_decoded_or_malformed(value: object, media: Media) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    problem = ""
    try:
        decode_traces(body, media)
    except Malformed as error:
        problem = str(error)
    assert problem or body == b"" or media == "protobuf" or body.startswith(b"{")
