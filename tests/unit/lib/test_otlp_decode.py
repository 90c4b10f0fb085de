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

from zirkel.lib.otlp import DecodedSpan, DecodedTraces, JsonLike, Malformed, Media, TooLarge, decode_traces
from zirkel.lib.otlp.wire import MAX_ITEMS

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


def reason_for(span: dict[str, object]) -> str:
    """Return why a span is rejected; another one beside it is kept."""
    decoded = decode_json(request_of({"name": "good"}, {"name": "bad", **span}))
    assert ([one.name for one in decoded.spans], decoded.rejected) == (["good"], 1)
    (reason,) = decoded.rejected_reasons
    return reason


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


def test_text_that_is_not_utf8_costs_nothing_but_its_own_bytes_in_either_encoding() -> None:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="MARK").value.string_value = "MARK"
    scope_spans = group.scope_spans.add()
    scope_spans.scope.name = "MARK"
    for name in ("MARK", "sound"):
        span = scope_spans.spans.add(name=name, trace_id=bytes.fromhex(TRACE_ID), span_id=bytes.fromhex(SPAN_ID))
        span.attributes.add(key="k").value.kvlist_value.values.add(key="n").value.string_value = f"{name} é"
    as_json = {
        "resource": {"attributes": [{"key": "MARK", "value": {"stringValue": "MARK"}}]},
        "scopeSpans": [{"scope": {"name": "MARK"}, "spans": [
            {"traceId": TRACE_ID, "spanId": SPAN_ID, "name": name, "attributes": [
                {"key": "k", "value": {"kvlistValue": {"values": [
                    {"key": "n", "value": {"stringValue": f"{name} é"}}]}}}]}
            for name in ("MARK", "sound")
        ]}],
    }  # fmt: skip
    text = json.dumps({"resourceSpans": [as_json]}, ensure_ascii=False).encode()
    bad = b"\xff\xfe\xfd\xfc"
    from_protobuf = decode_traces(request.SerializeToString().replace(b"MARK", bad), "protobuf")
    from_json = decode_traces(text.replace(b"MARK", bad), "json")
    assert from_protobuf.spans == from_json.spans
    assert [span.name for span in from_json.spans] == ["\ufffd" * 4, "sound"]
    assert from_json.spans[0].resource == {"\ufffd" * 4: "\ufffd" * 4}
    assert from_json.spans[1].attributes == {"k": {"n": "sound é"}}
    assert "UTF-8" in from_protobuf.warnings[0]


def test_a_span_that_is_not_protobuf_is_rejected_and_the_rest_is_kept() -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for name in ("first", "MARK", "last"):
        spans.add(name=name, trace_id=bytes.fromhex(TRACE_ID), span_id=bytes.fromhex(SPAN_ID))
    # The field of the name now claims to be a group, which never ends.
    broken = request.SerializeToString().replace(b"\x2a\x04MARK", b"\x2b\x04MARK")
    decoded = decode_traces(broken, "protobuf")
    assert [span.name for span in decoded.spans] == ["first", "last"]
    assert (decoded.rejected, len(decoded.rejected_reasons)) == (1, 1)


def test_a_json_span_that_is_no_object_is_rejected_and_the_rest_is_kept() -> None:
    good = {"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "good"}
    decoded = decode_json({"resourceSpans": [{"scopeSpans": [{"spans": [good, 7, None, [good]]}]}]})
    assert [span.name for span in decoded.spans] == ["good"]
    assert decoded.rejected == 3


@pytest.mark.parametrize("media", get_args(Media))
def test_a_request_of_too_many_items_is_too_large(media: Media) -> None:
    wire = {"json": b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s{}]}]}]}' % (b"{}," * MAX_ITEMS)}
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend([trace_pb2.Span()] * (MAX_ITEMS + 1))
    wire["protobuf"] = request.SerializeToString()
    with pytest.raises(TooLarge, match="smaller batches"):
        decode_traces(wire[media], media)


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
def test_int_value_beyond_int64_or_no_integer_costs_its_span(value: object) -> None:
    assert "intValue" in reason_for({"attributes": [{"key": "k", "value": {"intValue": value}}]})


@pytest.mark.parametrize("value", [-1, 2**64, "-1"])
def test_time_outside_uint64_costs_its_span(value: object) -> None:
    assert "startTimeUnixNano" in reason_for({"startTimeUnixNano": value})


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
def test_value_of_the_wrong_type_costs_its_span(value: object) -> None:
    assert "must" in reason_for({"attributes": [{"key": "k", "value": value}]})


@pytest.mark.parametrize(
    "request_body",
    [
        {"resourceSpans": {}},
        {"resourceSpans": [7]},
        {"resourceSpans": [{"scopeSpans": "x"}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]},
        {"resourceSpans": [{"resource": 7, "scopeSpans": [{"spans": []}]}]},
        {"resourceSpans": [{"resource": {"attributes": [{"key": 7}]}, "scopeSpans": [{"spans": []}]}]},
        {"resourceSpans": [{"scopeSpans": [{"scope": [], "spans": []}]}]},
    ],
)
def test_a_structure_that_cannot_be_read_down_to_its_spans_is_malformed(request_body: object) -> None:
    with pytest.raises(Malformed):
        decode_json(request_body)


@pytest.mark.parametrize("depth", [40, 60, 200])
def test_a_value_nested_too_deeply_costs_its_span(depth: int) -> None:
    decoded = decode_traces(deep_request(depth), "json")
    assert (len(decoded.spans), decoded.rejected) == ((1, 0) if depth == 40 else (0, 1))


def test_a_body_nested_beyond_what_the_parser_bears_is_malformed() -> None:
    with pytest.raises(Malformed):
        decode_traces(deep_request(20_000), "json")


def deep_request(depth: int) -> bytes:
    """Return a request whose span has an attribute of arrays within arrays."""
    text = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
    return json.dumps(request_of({"attributes": [{"key": "k", "value": "DEEP"}]})).replace('"DEEP"', text).encode()


def test_protobuf_nested_too_deeply_costs_its_span() -> None:
    value = AnyValue(string_value="x")
    for _ in range(200):
        outer = AnyValue()
        outer.array_value.values.add().CopyFrom(value)
        value = outer
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.add(key="k").value.CopyFrom(value)
    decoded = decode_traces(request.SerializeToString(), "protobuf")
    assert (len(decoded.spans), decoded.rejected) == (0, 1)
    assert "nested" in decoded.rejected_reasons[0]


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
