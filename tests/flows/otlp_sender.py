"""Batches of spans over OTLP/HTTP."""

from dataclasses import dataclass
from random import Random

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from zirkel.core import SystemClock

SPANS_PER_BATCH = 25


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """Spans of one trace, as they are sent."""

    trace_id: str
    span_ids: frozenset[str]
    body: bytes


class OtlpSender:
    """Sends batches, and remembers the traces of those that were acknowledged. One thread at a time."""

    def __init__(self, url: str, key: str, seed: int, *, timeout_s: float = 30) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=timeout_s
        )
        self._random = Random(seed)
        self.acknowledged: list[str] = []

    def send(self) -> httpx.Response:
        """Send a new batch once and return the answer."""
        return self.post(self.make())

    def make(self, trace_id: str = "") -> SpanBatch:
        """Return a batch of a trace, of a new one if it is not said of which."""
        trace_id = trace_id or self._random.randbytes(16).hex()
        span_ids = [self._random.randbytes(8) for _ in range(SPANS_PER_BATCH)]
        start_ns = SystemClock().now_ns()
        spans = [
            Span(
                trace_id=bytes.fromhex(trace_id),
                span_id=span_id,
                name=f"work {number}",
                start_time_unix_nano=start_ns + number,
                end_time_unix_nano=start_ns + 10_000_000,
            )
            for number, span_id in enumerate(span_ids)
        ]
        group = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
        body = bytes(ExportTraceServiceRequest(resource_spans=[group]).SerializeToString())
        return SpanBatch(trace_id, frozenset(map(bytes.hex, span_ids)), body)

    def post(self, batch: SpanBatch) -> httpx.Response:
        """Send a batch, perhaps again, and return the answer."""
        headers = {"content-type": "application/x-protobuf"}
        answer = self._client.post("/v1/traces", content=batch.body, headers=headers)
        if answer.status_code == 200:
            self.acknowledged.append(batch.trace_id)
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
