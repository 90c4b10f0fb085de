"""The OTLP specification's rules for servers, on the wire of real processes, and with the official exporters."""

import base64
import gzip
import http.client
import json
import re
import secrets
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import grpc
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import LogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.flows.harness import Object, Stack, wait_for
from zirkel.api.errors import install_error_handlers
from zirkel.api.otlp import otlp_router
from zirkel.api.otlp_grpc import OtlpGrpcServer
from zirkel.core import Batch, Overloaded, Principal, Role, decode_batch
from zirkel.observe import Intake
from zirkel.store.spool import SpoolReader, SpoolWriter

pytestmark = pytest.mark.flow

Media = Literal["protobuf", "json"]
TYPES: dict[Media, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}
MEDIA: tuple[Media, ...] = ("protobuf", "json")
PATHS = ("/v1/traces", "/v1/logs", "/v1/metrics")
MIB = 2**20
LIMIT_BYTES = 64 * MIB
BOUNDED_GROWTH_BYTES = 300 * MIB
"""A request of 64 MiB and what the core makes of it; a bomb that went off would be 1 GiB."""
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends to a running stack with a key that may write telemetry."""

    stack: Stack
    key: str

    def post(
        self, path: str, body: bytes | Iterator[bytes], media: Media = "json", *, encoding: str = "", key: str = ""
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {key or self.key}", "content-type": TYPES[media]}
        if encoding:
            headers["content-encoding"] = encoding
        url = f"http://127.0.0.1:{self.stack.otlp_port}{path}"
        return httpx.post(url, content=body, headers=headers, timeout=60, follow_redirects=False)

    def spans(self, *spans: Object) -> httpx.Response:
        return self.post("/v1/traces", json.dumps(request_of(*spans)).encode())

    def trace(self, trace_id: str, count: int) -> list[Object]:
        """Return a trace once it has ``count`` spans, and what was accepted before is stored."""
        marker = secrets.token_hex(16)
        assert self.spans(span_of(marker)).status_code == 200
        self.stack.wait_for_spans(marker, 1)
        return self.stack.wait_for_spans(trace_id, count)


@pytest.fixture(scope="module")
def sender(stack: Stack) -> Sender:
    return Sender(stack, stack.make_key("ingest"))


def span_of(trace_id: str, **fields: object) -> Object:
    now_ns = time.time_ns()  # noqa: TID251 (as an exporter would)
    span: dict[str, object] = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": "step",
        "kind": 1,
        "startTimeUnixNano": str(now_ns),
        "endTimeUnixNano": str(now_ns + 1000),
        **fields,
    }
    return json.loads(json.dumps(span))  # type: ignore[no-any-return]


def request_of(*spans: Object) -> dict[str, object]:
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "conformance"}, "spans": list(spans)}]}]}


def protobuf_span(trace_id: str, name: str) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name=name, span_id=secrets.token_bytes(8))
    span.trace_id = bytes.fromhex(trace_id)
    span.start_time_unix_nano = time.time_ns()  # noqa: TID251 (as an exporter would)
    span.end_time_unix_nano = span.start_time_unix_nano + 1000
    return request


def status_of(answer: httpx.Response, media: Media) -> tuple[int, str]:
    """Return code and message of a status, in the encoding that was sent."""
    assert answer.headers["content-type"] == TYPES[media]
    if media == "json":
        return answer.json()["code"], answer.json()["message"]
    status = Status.FromString(answer.content)
    return status.code, status.message


def compressed(body: bytes, encoding: str) -> bytes:
    return {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}.get(encoding, body)


def memory_bytes(stack: Stack) -> int:
    """Return the most memory that the core has had so far."""
    text = Path(f"/proc/{stack.pid_of('core')}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    assert found
    return int(found.group(1)) * 1024


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("path", PATHS)
def test_every_path_takes_every_encoding_and_an_empty_request(
    sender: Sender, path: str, media: Media, encoding: str
) -> None:
    bodies = {
        "/v1/traces": protobuf_span(secrets.token_hex(16), "s").SerializeToString(),
        "/v1/logs": _logs().SerializeToString(),
        "/v1/metrics": _metrics().SerializeToString(),
    }
    as_json = {
        "/v1/traces": request_of(span_of(secrets.token_hex(16))),
        "/v1/logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]},
        "/v1/metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m"}]}]}]},
    }
    full = bodies[path] if media == "protobuf" else json.dumps(as_json[path]).encode()
    for body in (full, b"", b"" if media == "protobuf" else b"{}"):
        answer = sender.post(path, compressed(body, encoding), media, encoding=encoding)
        assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES[media])
        assert answer.content == (b"" if media == "protobuf" else b"{}")


def _logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(event_name="e", time_unix_nano=1)
    return request


def _metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points.add(as_int=1)
    return request


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("path", PATHS)
def test_what_cannot_be_read_is_told_in_the_requests_encoding(sender: Sender, path: str, media: Media) -> None:
    broken = {"protobuf": [b"\x0a\x7f", b"\xff" * 12], "json": [b"{", b"[]", b"\xff\xfe", b"[" * 100_000]}[media]
    cases = [(body, "", 400) for body in broken]
    cases += [(gzip.compress(b"x" * 1000, mtime=0)[:-5], "gzip", 400), (b"no gzip", "gzip", 400)]
    cases += [(b"", "zstd", 415), (b"x", "br", 415)]
    for body, encoding, expected in cases:
        answer = sender.post(path, body, media, encoding=encoding)
        code, message = status_of(answer, media)
        assert (answer.status_code, code, bool(message)) == (expected, 3, True)


def test_media_types_methods_paths_and_trailing_slashes(sender: Sender) -> None:
    url = f"http://127.0.0.1:{sender.stack.otlp_port}"
    headers = {"authorization": f"Bearer {sender.key}"}
    for wrong in ("text/plain", ""):
        answer = httpx.post(f"{url}/v1/traces", content=b"{}", headers={**headers, "content-type": wrong})
        assert (answer.status_code, status_of(answer, "protobuf")[0]) == (415, 3)
    parameter = {**headers, "content-type": "application/json; charset=utf-8"}
    assert httpx.post(f"{url}/v1/logs", content=b"{}", headers=parameter).status_code == 200
    for path in PATHS:
        got = httpx.get(f"{url}{path}", headers={"content-type": TYPES["json"]})
        assert (got.status_code, got.headers["allow"], status_of(got, "json")[0]) == (405, "POST", 12)
        assert sender.post(f"{path}/", b"{}").status_code == 200
    missing = sender.post("/v1/profiles", b"{}")
    assert (missing.status_code, status_of(missing, "json")[0]) == (404, 5)


def test_a_body_over_the_limit_is_refused_and_a_bomb_takes_bounded_memory(sender: Sender) -> None:
    def chunks(size_bytes: int) -> Iterator[bytes]:
        for _ in range(size_bytes // MIB):
            yield bytes(MIB)

    # A billion of zeros in a million bytes, made without having them.
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([squeezer.compress(part) for part in chunks(1024 * MIB)]) + squeezer.flush()
    assert len(bomb) < 2 * MIB
    before = memory_bytes(sender.stack)
    for media in MEDIA:
        for body, encoding in ((bytes(LIMIT_BYTES + 1), ""), (chunks(LIMIT_BYTES + MIB), ""), (bomb, "gzip")):
            answer = sender.post("/v1/traces", body, media, encoding=encoding)
            assert (answer.status_code, status_of(answer, media)[0]) == (413, 8)
    assert memory_bytes(sender.stack) - before < BOUNDED_GROWTH_BYTES


def test_a_declared_length_over_the_limit_is_refused_before_the_body_comes(sender: Sender) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sender.stack.otlp_port, timeout=30)
    connection.putrequest("POST", "/v1/traces")
    for name, value in (("authorization", f"Bearer {sender.key}"), ("content-type", TYPES["json"])):
        connection.putheader(name, value)
    connection.putheader("content-length", str(10**15))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_json_is_read_as_otlp_maps_it_and_in_no_other_way(sender: Sender) -> None:
    trace_id = secrets.token_hex(16)
    parent = span_of(trace_id, traceId=trace_id.upper(), spanId="ABCDEF0123456789", unknown={"a": [1]})
    child = span_of(
        trace_id,
        parentSpanId="abcdef0123456789",
        kind="SPAN_KIND_CLIENT",
        start_time_unix_nano="5",
        startTimeUnixNano=1_700_000_000_123_456_789,
        endTimeUnixNano="1700000000123456790",
    )
    coded = span_of(base64.b64encode(bytes.fromhex(trace_id)).decode())
    answer = sender.spans(parent, child, coded)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "SPAN_KIND_CLIENT" in partial["errorMessage"]
    found = {span["span_id"]: span for span in sender.trace(trace_id, 2)}
    assert set(found) == {"abcdef0123456789", child["spanId"]}
    stored = found[child["spanId"]]
    assert (stored["start_ns"], stored["end_ns"]) == (1_700_000_000_123_456_789, 1_700_000_000_123_456_790)
    assert stored["parent_span_id"] == "abcdef0123456789"


VALUES: dict[str, tuple[object, object]] = {
    "text": ({"stringValue": "a\x00é😀"}, "a\x00é😀"),
    "truth": ({"boolValue": False}, False),
    "least": ({"intValue": str(-(2**63))}, -(2**63)),
    "most": ({"intValue": 2**63 - 1}, 2**63 - 1),
    "double": ({"doubleValue": 0.1}, 0.1),
    "nan": ({"doubleValue": "NaN"}, "NaN"),
    "infinite": ({"doubleValue": "-Infinity"}, "-Infinity"),
    "bytes": ({"bytesValue": "AAH/"}, "AAH/"),
    "empty": ({}, None),
    "list": ({"arrayValue": {"values": [{"intValue": "1"}, {"arrayValue": {}}, {}]}}, [1, [], None]),
    "object": ({"kvlistValue": {"values": [{"key": "k", "value": {"kvlistValue": {}}}]}}, {"k": {}}),
}


def test_attributes_of_every_kind_come_back_as_they_were_sent(sender: Sender) -> None:
    trace_id = secrets.token_hex(16)
    pairs = [{"key": key, "value": sent} for key, (sent, _) in VALUES.items()]
    twice = [{"key": "twice", "value": {"intValue": number}} for number in (1, 2)]
    assert sender.spans(span_of(trace_id, attributes=[*pairs, *twice])).json() == {}
    (stored,) = sender.trace(trace_id, 1)
    attributes = stored["attributes"]
    assert isinstance(attributes, dict)
    read = {key: json.loads(str(text)) for key, text in attributes.items()}
    assert read == {**{key: kept for key, (_, kept) in VALUES.items()}, "twice": 2}


def test_one_bad_span_never_costs_its_batch_in_either_encoding(sender: Sender) -> None:
    trace_id = secrets.token_hex(16)
    request = protobuf_span(trace_id, "protobuf")
    spans = request.resource_spans[0].scope_spans[0].spans
    spans.add(trace_id=b"t" * 15, span_id=b"s" * 8)
    spans.add(trace_id=bytes(16), span_id=b"s" * 8)
    answer = sender.post("/v1/traces", request.SerializeToString(), "protobuf")
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans, bool(partial.error_message)) == (200, 2, True)
    bad = [{"traceId": trace_id[2:]}, {"spanId": "0" * 16}, {"startTimeUnixNano": "soon"}]
    answer = sender.spans(span_of(trace_id, name="json"), *(span_of(trace_id, **fields) for fields in bad))
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "3"
    assert {span["name"] for span in sender.trace(trace_id, 2)} == {"protobuf", "json"}


def test_text_that_is_no_unicode_is_kept_with_replacements(sender: Sender) -> None:
    trace_id = secrets.token_hex(16)
    body = protobuf_span(trace_id, "MARK").SerializeToString().replace(b"MARK", b"a\xff\xfe\x00")
    assert sender.post("/v1/traces", body, "protobuf").status_code == 200
    half = json.dumps(request_of(span_of(trace_id, name="cut \ud83d"))).encode()
    bad = json.dumps(request_of(span_of(trace_id, name="MARK"))).encode().replace(b"MARK", b"b\xff")
    for text in (half, bad):
        assert sender.post("/v1/traces", text).status_code == 200
    assert {span["name"] for span in sender.trace(trace_id, 3)} == {"a\ufffd\ufffd\x00", "cut \ufffd", "b\ufffd"}


def test_odd_times_are_taken_or_said_to_be_beyond_all_calendars(sender: Sender) -> None:
    now_ns = time.time_ns()  # noqa: TID251 (as an exporter would)
    times = [(now_ns, now_ns - 5), (now_ns, 0), (now_ns + DAY_NS, now_ns + DAY_NS), (now_ns, 2**64 - 1), (0, 0)]
    for start_ns, end_ns in times:
        trace_id = secrets.token_hex(16)
        fields = {"startTimeUnixNano": str(start_ns), "endTimeUnixNano": str(end_ns)}
        assert sender.spans(span_of(trace_id, **fields)).status_code == 200
        (stored,) = sender.trace(trace_id, 1)
        assert int(str(stored["end_ns"])) >= int(str(stored["start_ns"]))
    beyond = sender.spans(span_of(secrets.token_hex(16), startTimeUnixNano=str(2**64 - 1)))
    assert (beyond.status_code, beyond.json()["partialSuccess"]["rejectedSpans"]) == (200, "1")


def test_a_batch_sent_again_is_stored_once_and_parents_may_come_later_or_never(sender: Sender) -> None:
    trace_id, parent_id = secrets.token_hex(16), secrets.token_hex(8)
    child = span_of(trace_id, parentSpanId=parent_id, name="child")
    orphan = span_of(trace_id, parentSpanId=secrets.token_hex(8), name="orphan")
    for _ in range(3):
        assert sender.spans(child, orphan).json() == {}
    assert sender.spans(span_of(trace_id, spanId=parent_id, name="parent")).json() == {}
    assert sorted(str(span["name"]) for span in sender.trace(trace_id, 3)) == ["child", "orphan", "parent"]


def test_keys_are_taken_as_exporters_send_them_and_write_to_their_own_project_only(sender: Sender) -> None:
    url = f"http://127.0.0.1:{sender.stack.otlp_port}/v1/traces"
    basic = base64.b64encode(f"pk:{sender.key}".encode()).decode()
    good = ({"authorization": f"Basic {basic}"}, {"x-zirkel-key": sender.key}, {"api-key": sender.key})
    for headers in good:
        answer = httpx.post(url, content=b"{}", headers={"content-type": TYPES["json"], **headers})
        assert answer.status_code == 200, headers
    for key, expected, code in (("zk_wrong", 401, 16), (sender.stack.make_key("read"), 403, 7)):
        for media in MEDIA:
            answer = sender.post("/v1/traces", b"", media, key=key)
            assert (answer.status_code, status_of(answer, media)[0]) == (expected, code)


class Disk:
    """A spool on disk that is full for the first appends."""

    def __init__(self, folder: Path, refusals: int) -> None:
        self._folder = folder
        self._writer = SpoolWriter(folder, "core")
        self._refusals = refusals
        self._lock = threading.Lock()
        self.refused = 0

    def append_durable(self, payload: bytes) -> None:
        with self._lock:
            if self.refused < self._refusals:
                self.refused += 1
                raise Overloaded("the spool is full")
        self._writer.append_durable(payload)

    def batches(self) -> list[Batch]:
        """Return what is on disk."""
        self._writer.close()
        reader = SpoolReader(self._folder)
        found: list[Batch] = []
        while (records := reader.next_batch(100, MIB)) is not None:
            found += map(decode_batch, records.records)
            reader.commit(records)
        reader.close()
        return found


def _authenticate(key: str) -> Principal:
    assert key == "zk_test"
    return Principal("p", "k", "exporter", frozenset({Role.INGEST}))


@contextmanager
def served(intake: Intake) -> Iterator[str]:
    """Serve OTLP/HTTP in this process; give its address."""
    app = FastAPI(redirect_slashes=False)
    install_error_handlers(app)
    app.include_router(otlp_router(intake, _authenticate))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        wait_for(lambda: server.started, "the server listens")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def _finished_spans(count: int) -> list[ReadableSpan]:
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    for number in range(count):
        provider.get_tracer("flow").start_span(f"span {number}").end()
    provider.shutdown()
    return list(memory.get_finished_spans())


@contextmanager
def served_by(protocol: str, intake: Intake) -> Iterator[str]:
    """Serve OTLP in this process; give the endpoint of exporters."""
    if protocol == "http":
        with served(intake) as url:
            yield url
    else:
        server = OtlpGrpcServer(intake, _authenticate, "127.0.0.1:0")
        yield f"127.0.0.1:{server.start()}"
        server.stop(grace_s=5)


def _span_exporter(protocol: str, endpoint: str) -> SpanExporter:
    headers = {"authorization": "Bearer zk_test"}
    if protocol == "http":
        return HttpSpanExporter(endpoint=f"{endpoint}/v1/traces", headers=headers, compression=Compression.Gzip)
    return GrpcSpanExporter(endpoint=endpoint, insecure=True, headers=headers, compression=grpc.Compression.Gzip)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_official_exporter_delivers_exactly_once_when_the_server_was_overloaded(
    tmp_path: Path, protocol: str
) -> None:
    disk = Disk(tmp_path, refusals=2)
    with served_by(protocol, Intake(disk)) as endpoint:
        exporter = _span_exporter(protocol, endpoint)
        result = exporter.export(_finished_spans(20))
        exporter.shutdown()
    assert result is SpanExportResult.SUCCESS
    assert disk.refused == 2
    (batch,) = disk.batches()
    assert sorted(span.name for span in batch.spans) == sorted(f"span {number}" for number in range(20))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_official_exporters_of_logs_and_metrics_are_understood(tmp_path: Path, protocol: str) -> None:
    disk = Disk(tmp_path, refusals=0)
    headers = {"authorization": "Bearer zk_test"}
    with served_by(protocol, Intake(disk)) as endpoint:
        if protocol == "http":
            logs: LogRecordExporter = HttpLogExporter(endpoint=f"{endpoint}/v1/logs", headers=headers)
            metrics: MetricExporter = HttpMetricExporter(endpoint=f"{endpoint}/v1/metrics", headers=headers)
        else:
            logs = GrpcLogExporter(endpoint=endpoint, insecure=True, headers=headers)
            metrics = GrpcMetricExporter(endpoint=endpoint, insecure=True, headers=headers)
        logger = LoggerProvider(shutdown_on_exit=False)
        logger.add_log_record_processor(SimpleLogRecordProcessor(logs))
        attributes: dict[str, str | float] = {
            "gen_ai.evaluation.name": "tone",
            "gen_ai.evaluation.score.value": 0.5,
        }
        event = LogRecord(event_name="gen_ai.evaluation.result", body={"a": [1]}, attributes=attributes, timestamp=5)
        logger.get_logger("flow").emit(event)
        logger.shutdown()
        meter = MeterProvider([PeriodicExportingMetricReader(metrics)], shutdown_on_exit=False)
        meter.get_meter("flow").create_histogram("latency", "s").record(0.5)
        meter.shutdown()
    batches = disk.batches()
    (record,) = [record for batch in batches for record in batch.logs]
    (score,) = [score for batch in batches for score in batch.scores]
    (point,) = [point for batch in batches for point in batch.points if point.name == "latency"]
    assert (record.event_name, record.body, record.time_ns) == ("gen_ai.evaluation.result", '{"a":[1]}', 5)
    assert (score.name, score.value) == ("tone", 0.5)
    assert (point.kind, point.temporality, point.count, point.sum) == ("histogram", "cumulative", 1, 0.5)
