import json
from typing import get_args

import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from zirkel.lib.otlp import Signal, encode_status, encode_success

SIGNALS: tuple[Signal, ...] = get_args(Signal)


@pytest.mark.parametrize("signal", SIGNALS)
def test_full_success_leaves_partial_success_unset(signal: Signal) -> None:
    assert encode_success("protobuf", signal=signal) == b""
    assert json.loads(encode_success("json", signal=signal)) == {}


def test_partial_success_in_protobuf_has_the_exact_count_per_signal() -> None:
    traces = ExportTraceServiceResponse.FromString(encode_success("protobuf", 3, "bad id", "traces"))
    logs = ExportLogsServiceResponse.FromString(encode_success("protobuf", 4, "bad id", "logs"))
    metrics = ExportMetricsServiceResponse.FromString(encode_success("protobuf", 5, "bad id", "metrics"))
    assert (traces.partial_success.rejected_spans, traces.partial_success.error_message) == (3, "bad id")
    assert (logs.partial_success.rejected_log_records, logs.partial_success.error_message) == (4, "bad id")
    assert (metrics.partial_success.rejected_data_points, metrics.partial_success.error_message) == (5, "bad id")


@pytest.mark.parametrize(
    ("signal", "field"),
    [("traces", "rejectedSpans"), ("logs", "rejectedLogRecords"), ("metrics", "rejectedDataPoints")],
)
def test_partial_success_in_json_writes_the_count_as_a_string(signal: Signal, field: str) -> None:
    body = json.loads(encode_success("json", 3, "bad id", signal))
    assert body == {"partialSuccess": {field: "3", "errorMessage": "bad id"}}


def test_warning_without_rejections_is_a_partial_success_of_zero() -> None:
    traces = ExportTraceServiceResponse.FromString(encode_success("protobuf", 0, "enum names"))
    assert traces.HasField("partial_success")
    assert traces.partial_success.rejected_spans == 0
    assert json.loads(encode_success("json", 0, "enum names")) == {"partialSuccess": {"errorMessage": "enum names"}}


def test_status_is_a_google_rpc_status_in_either_encoding() -> None:
    message = "trace id is 15 bytes — \ud83d"
    status = Status.FromString(encode_status("protobuf", 3, message))
    assert (status.code, status.message) == (3, "trace id is 15 bytes — ?")
    assert json.loads(encode_status("json", 3, message)) == {"code": 3, "message": "trace id is 15 bytes — ?"}
