"""Answers to OTLP/HTTP requests, in the encoding of the request."""

import json
from typing import Literal

from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from zirkel.lib.otlp.body import Media

Signal = Literal["traces", "logs", "metrics"]

_REJECTED_FIELD = {"traces": "rejectedSpans", "logs": "rejectedLogRecords", "metrics": "rejectedDataPoints"}


def encode_success(media: Media, rejected: int = 0, message: str = "", signal: Signal = "traces") -> bytes:
    """Return the body of a 200: ``partial_success`` is unset when all was taken and there is nothing to say.

    Args:
        media: Encoding of the request, which the answer must use too.
        rejected: Spans, log records or data points that were not taken; exact.
        message: Why, or a warning if ``rejected`` is 0.
        signal: What was exported.

    Source: OTLP specification, "Full Success" and "Partial Success"; 64-bit integers are strings in JSON.
    """
    message = _well_formed(message)
    if media == "json":
        partial: dict[str, str] = {}
        if rejected:
            partial[_REJECTED_FIELD[signal]] = str(rejected)
        if message:
            partial["errorMessage"] = message
        return json.dumps({"partialSuccess": partial} if partial else {}, ensure_ascii=False).encode()
    if not rejected and not message:
        return b""
    return _protobuf_success(rejected, message, signal)


def encode_status(media: Media, code: int, message: str) -> bytes:
    """Return the body of a 4xx or 5xx: a ``google.rpc.Status``.

    Args:
        media: Encoding of the request; protobuf if that was not understood.
        code: ``google.rpc.Code``, e.g. 3 for INVALID_ARGUMENT, 14 for UNAVAILABLE.
        message: What was wrong, for the sender's developer.

    Source: OTLP specification, "Failures".
    """
    message = _well_formed(message)
    if media == "json":
        return json.dumps({"code": code, "message": message}, ensure_ascii=False).encode()
    return bytes(Status(code=code, message=message).SerializeToString())


def _protobuf_success(rejected: int, message: str, signal: Signal) -> bytes:
    response: ExportTraceServiceResponse | ExportLogsServiceResponse | ExportMetricsServiceResponse
    if signal == "traces":
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = rejected
    elif signal == "logs":
        response = ExportLogsServiceResponse()
        response.partial_success.rejected_log_records = rejected
    else:
        response = ExportMetricsServiceResponse()
        response.partial_success.rejected_data_points = rejected
    response.partial_success.error_message = message
    return bytes(response.SerializeToString())


def _well_formed(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
