"""OTLP/gRPC as exporters see it, over an intake whose disk is a list."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from zirkel.api.otlp_grpc import OtlpGrpcServer
from zirkel.core import Batch, Held, Overloaded, Principal, Role, Unauthenticated, decode_batch
from zirkel.observe import MAX_BODY_BYTES, Intake

SERVICE = "/opentelemetry.proto.collector."
TRACES = f"{SERVICE}trace.v1.TraceService/Export"
LOGS = f"{SERVICE}logs.v1.LogsService/Export"
METRICS = f"{SERVICE}metrics.v1.MetricsService/Export"
KEYS = {
    "zk_ingest": Principal("p", "k1", "app", frozenset({Role.INGEST})),
    "zk_read": Principal("p", "k2", "reader", frozenset({Role.READ})),
}
GOOD = (("authorization", "Bearer zk_ingest"),)
TIMEOUT_S = 60


@dataclass
class World:
    """What is behind the server."""

    batches: list[Batch] = field(default_factory=list)
    error: Exception | None = None
    gate: threading.Event | None = None
    is_reached: threading.Event = field(default_factory=threading.Event)

    def append_durable(self, payload: bytes) -> None:
        self.is_reached.set()
        if self.gate is not None:
            assert self.gate.wait(TIMEOUT_S)
        if self.error is not None:
            raise self.error
        self.batches.append(decode_batch(payload))

    def authenticate(self, key: str) -> Principal:
        if key not in KEYS:
            raise Unauthenticated("this key is not known")
        return KEYS[key]


@dataclass
class Refusal:
    """How a call failed."""

    code: grpc.StatusCode
    message: str
    details: bytes
    """A serialised ``google.rpc.Status``; empty if there is none."""


@dataclass
class Stage:
    """A running server and a channel to it."""

    world: World
    port: int
    channel: grpc.Channel

    def export(
        self,
        method: str,
        body: bytes,
        metadata: tuple[tuple[str, str], ...] = GOOD,
        compression: grpc.Compression | None = None,
    ) -> bytes:
        return self.call(method)(body, timeout=TIMEOUT_S, metadata=metadata, compression=compression)

    def call(self, method: str) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
        return self.channel.unary_unary(method, _unchanged, _unchanged)

    def refusal(
        self,
        method: str,
        body: bytes,
        metadata: tuple[tuple[str, str], ...] = GOOD,
        compression: grpc.Compression | None = None,
    ) -> Refusal:
        call = self.call(method).future(body, timeout=TIMEOUT_S, metadata=metadata, compression=compression)
        with pytest.raises(grpc.RpcError):
            call.result()
        details = dict(call.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        assert isinstance(details, bytes)
        return Refusal(call.code(), call.details() or "", details)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def stage(world: World) -> Iterator[Stage]:
    server = OtlpGrpcServer(Intake(world), world.authenticate, "127.0.0.1:0")
    port = server.start()
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield Stage(world, port, channel)
    server.stop(grace_s=1)


def _unchanged(message: bytes) -> bytes:
    return message


def traces(*names: str) -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, name in enumerate(names):
        spans.add(trace_id=b"t" * 16, span_id=(number + 1).to_bytes(8), name=name)
    return bytes(request.SerializeToString())


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_each_service_takes_its_signal(stage: Stage, compression: grpc.Compression) -> None:
    logs, metrics = ExportLogsServiceRequest(), ExportMetricsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1, event_name="e" * 1000)
    point = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m" * 1000).gauge.data_points.add()
    point.as_int = 7
    bodies = {TRACES: traces("s" * 1000), LOGS: logs.SerializeToString(), METRICS: metrics.SerializeToString()}
    for method, body in bodies.items():
        assert stage.export(method, body, compression=compression) == b""
    first, second, third = stage.world.batches
    assert [span.project_id for span in first.spans] == ["p"]
    assert [record.event_name for record in second.logs] == ["e" * 1000]
    assert [one.value for one in third.points] == [7.0]


@pytest.mark.parametrize("method", [TRACES, LOGS, METRICS])
def test_an_empty_request_is_a_success(stage: Stage, method: str) -> None:
    assert stage.export(method, b"") == b""
    assert stage.world.batches == []


def test_partial_success_counts_what_was_left_out_and_text_that_is_not_utf8_costs_nothing(stage: Stage) -> None:
    request = ExportTraceServiceRequest.FromString(traces("MARK", "sound", "zero"))
    request.resource_spans[0].scope_spans[0].spans[2].span_id = bytes(8)
    answer = stage.export(TRACES, request.SerializeToString().replace(b"MARK", b"\xff\xff\xff\xff"))
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert partial.rejected_spans == 1
    assert "UTF-8" in partial.error_message
    assert [span.name for span in stage.world.batches[0].spans] == ["\ufffd" * 4, "sound"]


def test_a_message_of_20_mib_is_taken_and_one_over_the_limit_is_not_to_be_sent_again(stage: Stage) -> None:
    assert stage.export(TRACES, traces("x" * (20 * 2**20))) == b""
    assert len(stage.world.batches) == 1
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        refusal = stage.refusal(TRACES, bytes(MAX_BODY_BYTES + 1), compression=compression)
        assert (refusal.code, refusal.details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, b"")


def test_a_message_that_is_none_is_an_invalid_argument(stage: Stage) -> None:
    refusal = stage.refusal(TRACES, b"\x0a\x7f")
    assert (refusal.code, bool(refusal.message)) == (grpc.StatusCode.INVALID_ARGUMENT, True)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Bearer zk_unknown"),), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Bearer zk_read"),), grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_a_key_that_may_not_write_is_refused(
    stage: Stage, metadata: tuple[tuple[str, str], ...], code: grpc.StatusCode
) -> None:
    assert stage.refusal(TRACES, traces("s"), metadata).code is code
    assert stage.world.batches == []


def test_the_key_may_come_in_a_header_of_its_own(stage: Stage) -> None:
    assert stage.export(TRACES, traces("s"), (("x-zirkel-key", "zk_ingest"),)) == b""


@pytest.mark.parametrize("error", [Overloaded("full"), OSError(5, "Input/output error"), ZeroDivisionError()])
def test_what_is_no_fault_of_the_sender_is_unavailable_and_says_when_to_come_again(
    stage: Stage, error: Exception
) -> None:
    stage.world.error = error
    refusal = stage.refusal(TRACES, traces("s"))
    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    status, retry = Status.FromString(refusal.details), RetryInfo()
    assert (status.code, status.details[0].Unpack(retry)) == (14, True)
    assert 1 <= retry.retry_delay.seconds <= 3


def test_another_method_is_unimplemented(stage: Stage) -> None:
    refusal = stage.refusal("/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", b"")
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED


def test_more_calls_than_are_worked_on_at_once_wait_their_turn(stage: Stage) -> None:
    stage.world.gate = threading.Event()
    call = stage.call(TRACES)
    waiting = [call.future(traces(f"s{number}"), timeout=TIMEOUT_S, metadata=GOOD) for number in range(30)]
    stage.world.gate.set()
    assert [future.result() for future in waiting] == [b""] * 30
    assert len(stage.world.batches) == 30


def test_stopping_lets_a_running_call_end(world: World) -> None:
    world.gate = threading.Event()
    server = OtlpGrpcServer(Intake(world), world.authenticate, "127.0.0.1:0")
    port = server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        running = Stage(world, port, channel).call(TRACES).future(traces("s"), timeout=TIMEOUT_S, metadata=GOOD)
        assert world.is_reached.wait(TIMEOUT_S)
        stopping = threading.Thread(target=server.stop, args=(30,))
        stopping.start()
        world.gate.set()
        assert running.result() == b""
        stopping.join(TIMEOUT_S)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_a_port_that_is_taken_is_held() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Held, match=address):
            OtlpGrpcServer(Intake(World()), World().authenticate, address).start()


def test_a_server_that_was_never_started_can_be_stopped() -> None:
    OtlpGrpcServer(Intake(World()), World().authenticate, "127.0.0.1:0").stop(grace_s=1)
