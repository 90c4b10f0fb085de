"""What one call leaves behind, and spans that OpenTelemetry exporters send."""

import gzip
import json
import secrets
import time
from decimal import Decimal
from typing import cast

import httpx
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.flows.harness import Object, Stack, ask, ask_streamed
from tests.flows.service_files import REVIEW, ServiceFolder

pytestmark = pytest.mark.flow

UNAUTHENTICATED = 16
"""``google.rpc.Code``."""


def _endpoints(stack: Stack) -> list[str]:
    return [f"http://127.0.0.1:{port}/v1/traces" for port in (stack.core_port, stack.otlp_port)]


def _json_batch(trace_id: str, span_ids: list[str]) -> dict[str, object]:
    start_ns = time.time_ns()  # noqa: TID251 (as an exporter would)
    spans = [
        {
            "traceId": trace_id,
            "spanId": span_id,
            "name": "handle review",
            "kind": 1,
            "startTimeUnixNano": str(start_ns),
            "endTimeUnixNano": str(start_ns + 1_000_000),
            "attributes": [{"key": "shop", "value": {"stringValue": "kettles"}}],
        }
        for span_id in span_ids
    ]
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "flow"}, "spans": spans}]}]}


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_call_is_recorded_with_everything_that_is_asked_about_it_later(
    stack: Stack, live: ServiceFolder, is_streamed: bool
) -> None:
    with stack.client() as client:
        client.post(f"/api/v1/services/{live.name}/ship", {"weight": 0.25, "break_glass": "test"})
    with stack.sdk() as sdk:
        answer = ask_streamed(sdk, live.name, "unit-1")[0] if is_streamed else ask(sdk, live.name, "unit-1")
    call, attempt = stack.wait_for_spans(answer.trace_id, 2)

    assert (call["kind"], attempt["kind"]) == ("call", "chat")
    assert attempt["parent_span_id"] == call["span_id"]
    for span in (call, attempt):
        assert (span["release"], span["arm"], span["unit"]) == (answer.release, answer.arm, "unit-1")
        assert span["arm_probability"] == (0.75 if answer.arm == "stable" else 0.25)
        assert (span["prompt_name"], bool(span["prompt_version"])) == (live.name, True)
        assert span["status"] == "ok"
        assert REVIEW in str(span["input"])
        assert "positive" in str(span["output"])
        assert cast(int, span["end_ns"]) > cast(int, span["start_ns"])
        assert (span["time_to_first_token_ns"] is not None) == is_streamed
    usage = cast(Object, attempt["usage"])
    assert usage["output_tokens"] == 4
    cost = Decimal(cast(int, usage["input_tokens"])) / 10**6 + Decimal(4 * 2) / 10**6
    assert Decimal(str(attempt["cost_usd"])) == cost
    if is_streamed:
        assert 0 < cast(int, call["time_to_first_token_ns"]) <= cast(int, call["end_ns"]) - cast(int, call["start_ns"])
    else:
        assert Decimal(answer.headers["x-zirkel-cost-usd"]) == cost


def test_spans_of_the_official_exporter_and_the_gateway_are_one_trace(stack: Stack, live: ServiceFolder) -> None:
    key = stack.make_key("ingest")
    for endpoint in _endpoints(stack):
        headers = {"authorization": f"Bearer {key}"}
        exporter = OTLPSpanExporter(endpoint=endpoint, headers=headers, compression=Compression.Gzip)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("flow").start_as_current_span("handle review") as span, stack.sdk() as sdk:
            context = span.get_span_context()
            traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
            answer = ask(sdk, live.name, "unit-1", headers={"traceparent": traceparent})
        provider.shutdown()

        assert answer.trace_id == f"{context.trace_id:032x}"
        spans = stack.wait_for_spans(answer.trace_id, 3)
        own = next(found for found in spans if found["source"] == "otlp")
        call = next(found for found in spans if found.get("kind") == "call")
        assert (own["span_id"], call["parent_span_id"]) == (f"{context.span_id:016x}",) * 2


def test_json_spans_join_by_traceparent_and_a_batch_that_comes_twice_is_stored_once(
    stack: Stack, live: ServiceFolder
) -> None:
    headers = {"authorization": f"Bearer {stack.make_key('ingest')}", "content-type": "application/json"}
    with stack.sdk() as sdk:
        for endpoint in _endpoints(stack):
            trace_id, span_id, other = secrets.token_hex(16), secrets.token_hex(8), secrets.token_hex(8)
            ask(sdk, live.name, "unit-1", headers={"traceparent": f"00-{trace_id}-{span_id}-01"})
            body = json.dumps(_json_batch(trace_id, [span_id, other])).encode()
            plain = httpx.post(endpoint, content=body, headers=headers)
            zipped = httpx.post(endpoint, content=gzip.compress(body), headers={**headers, "content-encoding": "gzip"})
            assert (plain.status_code, plain.json()) == (200, {})
            assert (zipped.status_code, zipped.json()) == (200, {})

            # What is sent after them arrives after them, so the second batch is stored when this is.
            last = secrets.token_hex(16)
            httpx.post(endpoint, json=_json_batch(last, [span_id]), headers=headers).raise_for_status()
            stack.wait_for_spans(last, 1)
            spans = stack.wait_for_spans(trace_id, 4)
            assert len(spans) == 4
            assert {span["span_id"] for span in spans} >= {span_id, other}
            own = next(span for span in spans if span["span_id"] == span_id)
            assert own["attributes"] == {"shop": '"kettles"'}
            with stack.client() as client:
                listed = client.get("/api/v1/traces", {"limit": 1000})
            summary = next(trace for trace in cast("list[Object]", listed["traces"]) if trace["trace_id"] == trace_id)
            assert cast(Object, summary["totals"])["spans"] == 4


def test_a_bad_key_gets_401_with_a_status_in_the_encoding_of_the_request(stack: Stack) -> None:
    for endpoint in _endpoints(stack):
        for key in ("Bearer zk_wrong", "", f"Basic {stack.key}"):
            headers = {"authorization": key} if key else {}
            told = httpx.post(endpoint, content=b"", headers={**headers, "content-type": "application/x-protobuf"})
            status = Status()
            status.ParseFromString(told.content)
            assert (told.status_code, status.code) == (401, UNAUTHENTICATED)
            assert status.message
            assert told.headers["content-type"] == "application/x-protobuf"

            told = httpx.post(endpoint, content=b"{}", headers={**headers, "content-type": "application/json"})
            assert (told.status_code, told.json()["code"]) == (401, UNAUTHENTICATED)


def test_a_key_that_may_only_call_cannot_write_telemetry(stack: Stack) -> None:
    headers = {"authorization": f"Bearer {stack.make_key('call')}", "content-type": "application/json"}
    body = _json_batch(secrets.token_hex(16), [secrets.token_hex(8)])
    assert httpx.post(_endpoints(stack)[0], json=body, headers=headers).status_code == 403
