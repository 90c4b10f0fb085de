import base64
import json
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from zirkel.lib.otlp import DecodedLog, Malformed, Media, Notes, read_logs

CAPTURES = Path(__file__).parents[2] / "fixtures" / "otlp"
TRACE_ID, SPAN_ID = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def decode(body: bytes, media: Media) -> tuple[list[DecodedLog], Notes]:
    notes = Notes()
    return list(read_logs(body, media, notes)), notes


def decode_json(*records: object) -> tuple[list[DecodedLog], Notes]:
    scope = {"scope": {"name": "sc", "version": "1"}, "logRecords": list(records)}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return decode(json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}).encode(), "json")


def test_a_record_keeps_everything_that_was_sent() -> None:
    (record,), notes = decode_json(
        {
            "timeUnixNano": "1700000000123456789",
            "observedTimeUnixNano": 5,
            "severityNumber": 9,
            "severityText": "INFO",
            "eventName": "gen_ai.evaluation.result",
            "traceId": TRACE_ID.upper(),
            "spanId": SPAN_ID,
            "body": {
                "kvlistValue": {"values": [{"key": "a", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}}]}
            },
            "attributes": [{"key": "k", "value": {"boolValue": True}}],
            "unknown": [1],
        }
    )
    assert (record.trace_id, record.span_id) == (TRACE_ID, SPAN_ID)
    assert (record.time_ns, record.observed_ns) == (1700000000123456789, 5)
    assert (record.severity, record.severity_text, record.event_name) == (9, "INFO", "gen_ai.evaluation.result")
    assert (record.body, record.attributes) == ({"a": [1]}, {"k": True})
    assert (record.origin.resource, record.origin.scope_name, record.origin.scope_version) == (
        {"service.name": "shop"},
        "sc",
        "1",
    )
    assert notes.message == ""


@pytest.mark.parametrize(
    ("ids", "context", "warnings"),
    [
        ({}, ("", ""), 0),
        ({"traceId": "0" * 32, "spanId": "0" * 16}, ("", ""), 0),
        ({"traceId": TRACE_ID}, (TRACE_ID, ""), 0),
        ({"traceId": TRACE_ID[2:], "spanId": SPAN_ID}, ("", ""), 1),
        ({"traceId": TRACE_ID, "spanId": "xyz"}, (TRACE_ID, ""), 1),
    ],
)
def test_a_record_with_invalid_ids_is_kept_and_belongs_to_no_trace(
    ids: dict[str, str], context: tuple[str, str], warnings: int
) -> None:
    (record,), notes = decode_json(ids)
    assert (record.trace_id, record.span_id) == context
    assert (notes.rejected, len(notes.warnings)) == (0, warnings)


def test_a_bad_record_costs_only_itself() -> None:
    records, notes = decode_json({"eventName": "a"}, {"severityText": 7}, 8, {"eventName": "b"})
    assert [record.event_name for record in records] == ["a", "b"]
    assert notes.rejected == 2
    assert "severityText" in notes.reasons[0]


def test_a_severity_by_name_is_read_as_unspecified_with_a_warning() -> None:
    (record,), notes = decode_json({"severityNumber": "SEVERITY_NUMBER_INFO"})
    assert (record.severity, len(notes.warnings)) == (0, 1)


def test_a_request_of_another_signal_has_no_records() -> None:
    assert decode(b'{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}', "json")[0] == []


@pytest.mark.parametrize("body", [b"[]", b'{"resourceLogs": {}}', b'{"resourceLogs": [{"scopeLogs": 1}]}', b"{"])
def test_a_body_that_is_no_request_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_logs(body, "json", Notes())


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
UINT64 = st.integers(0, 2**64 - 1)
RECORDS = st.builds(
    LogRecord,
    trace_id=st.just(b"") | st.binary(min_size=16, max_size=16) | st.binary(max_size=17),
    span_id=st.just(b"") | st.binary(min_size=8, max_size=8),
    time_unix_nano=UINT64,
    observed_time_unix_nano=UINT64,
    severity_number=st.integers(0, 24),
    severity_text=TEXT,
    event_name=TEXT,
    body=st.none() | st.builds(AnyValue, string_value=TEXT) | st.builds(AnyValue, double_value=st.floats()),
)
INTEGERS = ("timeUnixNano", "observedTimeUnixNano")


@settings(max_examples=100)
@given(record=RECORDS, numbers_as_text=st.booleans())
def test_protobuf_and_json_of_the_same_record_decode_equally(record: LogRecord, numbers_as_text: bool) -> None:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.append(record)
    mapped = MessageToDict(request, use_integers_for_enums=True)
    sent = mapped["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    for field in ("traceId", "spanId"):
        if field in sent:
            sent[field] = base64.b64decode(sent[field]).hex()
    for field in INTEGERS:
        if field in sent and not numbers_as_text:
            sent[field] = int(sent[field])
    from_protobuf, notes = decode(request.SerializeToString(), "protobuf")
    assert decode(json.dumps(mapped).encode(), "json")[0] == from_protobuf
    assert (len(from_protobuf), notes.rejected) == (1, 0)
