"""OTLP/HTTP as exporters see it, over an intake whose disk is a list."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import get_args

import pytest
from fastapi import FastAPI
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.testclient import TestClient

from zirkel.api.errors import install_error_handlers
from zirkel.api.otlp import otlp_router
from zirkel.core import Batch, Overloaded, Principal, Role, Unauthenticated, decode_batch
from zirkel.lib.otlp import Media, Signal
from zirkel.observe import MAX_BODY_BYTES, Intake

KEYS = {
    "zk_ingest": Principal("p", "k1", "app", frozenset({Role.INGEST})),
    "zk_read": Principal("p", "k2", "reader", frozenset({Role.READ})),
}
SIGNALS: tuple[Signal, ...] = get_args(Signal)
TYPES: dict[Media, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}
Response = ExportTraceServiceResponse | ExportLogsServiceResponse | ExportMetricsServiceResponse
RESPONSES: dict[Signal, type[Response]] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}
REJECTED = {"traces": "rejected_spans", "logs": "rejected_log_records", "metrics": "rejected_data_points"}


@dataclass
class World:
    """The routes and what is behind them."""

    batches: list[Batch] = field(default_factory=list)
    error: Exception | None = None
    key_error: Exception | None = None

    def append_durable(self, payload: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.batches.append(decode_batch(payload))

    def authenticate(self, key: str) -> Principal:
        if self.key_error is not None:
            raise self.key_error
        if key not in KEYS:
            raise Unauthenticated("this key is not known")
        return KEYS[key]

    def stored(self) -> int:
        return sum(len(batch.spans) + len(batch.logs) + len(batch.points) for batch in self.batches)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    app = FastAPI(redirect_slashes=False)
    install_error_handlers(app)
    app.include_router(otlp_router(Intake(world, max_in_flight_bytes=4 * MAX_BODY_BYTES), world.authenticate))
    headers = {"authorization": "Bearer zk_ingest"}
    with TestClient(app, headers=headers, follow_redirects=False, raise_server_exceptions=False) as opened:
        yield opened


def request_of(signal: Signal, media: Media, good: int = 1, bad: int = 0) -> bytes:
    """Return a request with so many items that can be taken and that cannot."""
    if media == "json":
        return json.dumps(_json_request(signal, good, bad)).encode()
    if signal == "traces":
        traces = ExportTraceServiceRequest()
        spans = traces.resource_spans.add().scope_spans.add().spans
        for number in range(good):
            spans.add(trace_id=b"t" * 16, span_id=(number + 1).to_bytes(8), name="s")
        for _ in range(bad):
            spans.add(trace_id=b"t" * 15, span_id=b"s" * 8)
        return bytes(traces.SerializeToString())
    if signal == "logs":
        logs = ExportLogsServiceRequest()
        records = logs.resource_logs.add().scope_logs.add().log_records
        for number in range(good):
            records.add(time_unix_nano=number + 1, event_name="MARK")
        for _ in range(bad):
            records.add(event_name="BROKEN")
        # The event's name claims to be a group that never ends.
        return bytes(logs.SerializeToString()).replace(b"\x62\x06BROKEN", b"\x63\x06BROKEN")
    metrics = ExportMetricsServiceRequest()
    scope = metrics.resource_metrics.add().scope_metrics.add()
    for number in range(good):
        scope.metrics.add(name="m").gauge.data_points.add(as_int=1, time_unix_nano=number)
    for _ in range(bad):
        scope.metrics.add(name="m").histogram.data_points.add(explicit_bounds=[1.0], bucket_counts=[1])
    return bytes(metrics.SerializeToString())


def _json_request(signal: Signal, good: int, bad: int) -> object:
    if signal == "traces":
        spans = [{"traceId": "ab" * 16, "spanId": f"{number + 1:016x}", "name": "s"} for number in range(good)]
        return {"resourceSpans": [{"scopeSpans": [{"spans": spans + [{"traceId": "ab"}] * bad}]}]}
    if signal == "logs":
        records = [{"timeUnixNano": str(number + 1)} for number in range(good)]
        return {"resourceLogs": [{"scopeLogs": [{"logRecords": [*records, *[{"severityText": 7}] * bad]}]}]}
    points = [{"asInt": 1, "timeUnixNano": number} for number in range(good)]
    metric = {"name": "m", "gauge": {"dataPoints": [*points, *[{"asInt": "x"}] * bad]}}
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}


def said(content: bytes, media: Media) -> tuple[int, str]:
    """Return code and message of a status."""
    if media == "json":
        status = json.loads(content)
        return status["code"], status["message"]
    message = Status.FromString(content)
    return message.code, message.message


def compressed(body: bytes, encoding: str) -> bytes:
    return {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}.get(encoding, body)


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
@pytest.mark.parametrize("media", get_args(Media))
@pytest.mark.parametrize("signal", SIGNALS)
def test_full_success_is_an_empty_response_in_the_requests_encoding(
    client: TestClient, world: World, signal: Signal, media: Media, encoding: str
) -> None:
    headers = {"content-type": TYPES[media], "content-encoding": encoding}
    answer = client.post(f"/v1/{signal}", content=compressed(request_of(signal, media, 3), encoding), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES[media])
    assert answer.content == (b"{}" if media == "json" else b"")
    assert world.stored() == 3


@pytest.mark.parametrize("media", get_args(Media))
@pytest.mark.parametrize("signal", SIGNALS)
def test_partial_success_counts_exactly_what_was_left_out(
    client: TestClient, world: World, signal: Signal, media: Media
) -> None:
    body = request_of(signal, media, good=2, bad=3)
    answer = client.post(f"/v1/{signal}", content=body, headers={"content-type": TYPES[media]})
    assert answer.status_code == 200
    if media == "json":
        partial = answer.json()["partialSuccess"]
        camel = "".join(word.capitalize() for word in REJECTED[signal].split("_"))
        assert partial[camel[0].lower() + camel[1:]] == "3"
        assert partial["errorMessage"]
    else:
        found = RESPONSES[signal].FromString(answer.content).partial_success
        assert getattr(found, REJECTED[signal]) == 3
        assert found.error_message
    assert world.stored() == 2


@pytest.mark.parametrize("path", [f"/v1/{signal}{slash}" for signal in SIGNALS for slash in ("", "/")])
@pytest.mark.parametrize(("media", "body"), [("protobuf", b""), ("json", b""), ("json", b"{}")])
def test_an_empty_request_is_a_success_and_a_trailing_slash_is_no_redirect(
    client: TestClient, path: str, media: Media, body: bytes
) -> None:
    answer = client.post(path, content=body, headers={"content-type": TYPES[media]})
    assert (answer.status_code, answer.content) == (200, b"{}" if media == "json" else b"")


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(
    ("media", "body", "encoding", "status"),
    [
        ("protobuf", b"\x0a\x7f", "identity", 400),
        ("protobuf", gzip.compress(b"x" * 100, mtime=0)[:-4], "gzip", 400),
        ("json", b"{", "identity", 400),
        ("json", b"[]", "identity", 400),
        ("json", b"\xff\xfe{\x00}\x00", "identity", 400),
        ("protobuf", b"", "zstd", 415),
        ("json", b"{}", "br", 415),
        ("json", gzip.compress(bytes(MAX_BODY_BYTES + 1), 1, mtime=0), "gzip", 413),
    ],
)
def test_what_cannot_be_read_is_told_in_the_requests_encoding(
    client: TestClient, world: World, signal: Signal, media: Media, body: bytes, encoding: str, status: int
) -> None:
    headers = {"content-type": TYPES[media], "content-encoding": encoding}
    answer = client.post(f"/v1/{signal}", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, TYPES[media])
    code, message = said(answer.content, media)
    assert code == {400: 3, 413: 8, 415: 3}[status]
    assert message
    assert world.batches == []


@pytest.mark.parametrize("media", get_args(Media))
def test_a_body_over_the_limit_is_refused_with_and_without_a_declared_length(client: TestClient, media: Media) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 2**20 + 1):
            yield bytes(2**20)

    for content in (bytes(MAX_BODY_BYTES + 1), endless()):
        answer = client.post("/v1/traces", content=content, headers={"content-type": TYPES[media]})
        assert (answer.status_code, said(answer.content, media)[0]) == (413, 8)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs/", "/v1/metrics"])
def test_another_method_is_405_with_what_is_allowed(client: TestClient, method: str, path: str) -> None:
    for media in get_args(Media):
        answer = client.request(method, path, headers={"content-type": TYPES[media]})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.headers["content-type"] == TYPES[media]
        assert said(answer.content, media)[0] == 12
    assert client.head(path).status_code == 405


@pytest.mark.parametrize("path", ["/v1/profiles", "/v1/", "/v1/traces/x", "/v1development/profiles", "/v1/Traces"])
def test_another_path_is_404_with_a_status(client: TestClient, path: str) -> None:
    for media in get_args(Media):
        answer = client.post(path, content=b"", headers={"content-type": TYPES[media]})
        assert (answer.status_code, answer.headers["content-type"]) == (404, TYPES[media])
        code, message = said(answer.content, media)
        assert code == 5
        assert "/v1/traces" in message


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer zk_ingest"},
        {"authorization": "bearer  zk_ingest "},
        {"authorization": "Basic " + base64.b64encode(b"pk-name:zk_ingest").decode()},
        {"authorization": "", "x-zirkel-key": "zk_ingest"},
        {"authorization": "", "api-key": "zk_ingest"},
        {"authorization": "Bearer zk_ingest", "api-key": "zk_unknown"},
    ],
)
def test_the_key_may_come_in_any_of_the_usual_headers(client: TestClient, headers: dict[str, str]) -> None:
    sent = {"content-type": TYPES["json"], **headers}
    assert client.post("/v1/traces", content=b"{}", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": "Bearer zk_unknown", "api-key": "zk_ingest"},
        {"authorization": "Basic zk_ingest"},
        {"authorization": "Basic " + base64.b64encode(b"zk_ingest").decode()},
        {"authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"authorization": "Digest zk_ingest"},
        {"authorization": "", "x-zirkel-key": ""},
    ],
)
def test_without_a_known_key_it_is_401_with_a_status(client: TestClient, world: World, headers: dict[str, str]) -> None:
    for media in get_args(Media):
        sent = {"content-type": TYPES[media], **headers}
        answer = client.post("/v1/traces", content=request_of("traces", media), headers=sent)
        assert (answer.status_code, said(answer.content, media)[0]) == (401, 16)
        assert answer.headers["www-authenticate"]
    assert world.batches == []


def test_a_key_that_may_not_write_telemetry_is_403(client: TestClient) -> None:
    headers = {"content-type": TYPES["json"], "authorization": "Bearer zk_read"}
    answer = client.post("/v1/metrics", content=b"{}", headers=headers)
    assert (answer.status_code, said(answer.content, "json")[0]) == (403, 7)


@pytest.mark.parametrize("where", ["disk", "keys"])
@pytest.mark.parametrize("error", [Overloaded("full"), OSError(5, "Input/output error"), ZeroDivisionError()])
@pytest.mark.parametrize("media", get_args(Media))
def test_what_is_no_fault_of_the_sender_is_503_and_soon_to_be_tried_again(
    client: TestClient, world: World, where: str, error: Exception, media: Media
) -> None:
    if where == "disk":
        world.error = error
    else:
        world.key_error = error
    answer = client.post("/v1/logs", content=request_of("logs", media), headers={"content-type": TYPES[media]})
    assert (answer.status_code, said(answer.content, media)[0]) == (503, 14)
    assert 1 <= int(answer.headers["retry-after"]) <= 3


def test_a_wrong_media_type_is_415_and_a_parameter_is_no_matter(client: TestClient) -> None:
    for wrong in ("text/plain", "", "application/jsonp"):
        answer = client.post("/v1/traces", content=b"{}", headers={"content-type": wrong})
        assert (answer.status_code, answer.headers["content-type"]) == (415, TYPES["protobuf"])
        assert said(answer.content, "protobuf")[0] == 3
    answer = client.post("/v1/traces", content=b"{}", headers={"content-type": "application/json; charset=utf-8"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES["json"])
