"""SIGKILL in the middle of traffic: what was answered is stored, once."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tests.flows.harness import Object, Stack, Upstream, is_alive, objects, wait_for
from tests.flows.service_files import ServiceFolder
from tests.flows.traffic import Traffic

pytestmark = pytest.mark.flow

ENOUGH = 30
"""Answers on each side of a kill."""
SPANS_PER_BATCH = 5


class Exports:
    """A thread that sends batches with the unmodified OpenTelemetry exporter, until it is stopped."""

    def __init__(self, endpoint: str, key: str) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self._exporter: SpanExporter = OTLPSpanExporter(
            endpoint=endpoint, headers=headers, compression=Compression.Gzip, timeout=60
        )
        self._provider = TracerProvider(shutdown_on_exit=False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.trace_ids: list[str] = []
        """Of each batch that the server said it took."""
        self.refused = 0

    @contextmanager
    def running(self) -> Iterator["Exports"]:
        """Send batches within the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._thread.join()
            self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            spans = self._make_batch()
            if self._exporter.export(spans) is SpanExportResult.SUCCESS:
                context = spans[0].get_span_context()
                assert context is not None
                self.trace_ids.append(f"{context.trace_id:032x}")
            else:
                self.refused += 1

    def _make_batch(self) -> Sequence[ReadableSpan]:
        tracer = self._provider.get_tracer("flow")
        spans = []
        with tracer.start_as_current_span("work") as root:
            for number in range(SPANS_PER_BATCH - 1):
                with tracer.start_as_current_span(f"part {number}") as part:
                    spans.append(part)
            spans.append(root)
        return [span for span in spans if isinstance(span, ReadableSpan)]


def _requests(status: Object) -> int:
    return sum(int(str(line["requests"])) for line in objects(status["cost"]))


def test_a_kill_of_the_core_amid_traffic_costs_no_answer_and_no_record(
    own_stack: Stack, own_upstream: Upstream, service: ServiceFolder
) -> None:
    own_stack.adopt(service)
    own_upstream.control(delay_s=0.05, stream_pause_s=0.01)
    ingest_key = own_stack.make_key("ingest")
    exports = Exports(f"http://127.0.0.1:{own_stack.otlp_port}/v1/traces", ingest_key)
    with Traffic(own_stack, service.name) as traffic, exports.running():
        wait_for(lambda: traffic.has_answers_beyond(ENOUGH) and len(exports.trace_ids) > 5, "traffic flows")
        killed = own_stack.kill("core")
        wait_for(lambda: not is_alive(killed), "the core is gone")
        at_kill = len(traffic.answers)
        wait_for(lambda: traffic.has_answers_beyond(at_kill + ENOUGH), "the gateway answers without the core")
        own_stack.wait_for_core()
        exported = len(exports.trace_ids)
        wait_for(lambda: len(exports.trace_ids) > exported + 5, "batches are taken again")

    assert traffic.failures == []
    assert exports.refused == 0
    own_stack.wait_for_traces(traffic.trace_ids, spans=2)
    own_stack.wait_for_traces(exports.trace_ids, spans=SPANS_PER_BATCH)
    assert own_stack.get("/api/v1/traces?total=true")["total"] == len(traffic.answers) + len(exports.trace_ids)
    assert _requests(own_stack.get(f"/api/v1/services/{service.name}/status")) == len(traffic.answers)
    assert own_stack.get("/api/v1/health")["records_set_aside"] == 0


def test_a_kill_of_a_gateway_worker_loses_no_record_of_an_answer_that_a_client_received(
    own_stack: Stack, own_upstream: Upstream, service: ServiceFolder
) -> None:
    own_stack.adopt(service)
    own_upstream.control(delay_s=0.05, stream_pause_s=0.01)
    with Traffic(own_stack, service.name, threads=4, max_retries=2) as traffic:
        wait_for(lambda: traffic.has_answers_beyond(ENOUGH), "traffic flows")
        killed = own_stack.kill("gateway-0")
        at_kill = len(traffic.answers)
        with own_stack.worker_connections():
            assert own_stack.pid_of("gateway-0") != killed
        wait_for(lambda: traffic.has_answers_beyond(at_kill + ENOUGH), "traffic goes on")

    # A stream that is cut off cannot be retried by the SDK; each of the four callers may have had one.
    assert len(traffic.failures) <= 4
    own_stack.wait_for_traces(traffic.trace_ids, spans=2)


def test_what_was_recorded_before_everything_was_killed_is_stored_after_the_next_start(
    own_stack: Stack, own_upstream: Upstream, service: ServiceFolder
) -> None:
    own_stack.adopt(service)
    with Traffic(own_stack, service.name) as traffic:
        wait_for(lambda: traffic.has_answers_beyond(ENOUGH), "traffic flows")
        own_stack.kill_all()

    again = Stack.start(own_stack.folder)
    try:
        again.wait_for_traces(traffic.trace_ids, spans=2)
    finally:
        again.stop()
