"""Spans that leave as OTLP say the same when they come back."""

import pathlib
from decimal import Decimal

import msgspec
import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from zirkel.core import Span, SpanKind, Usage
from zirkel.lib.otlp import decode_traces
from zirkel.observe import normalise_span
from zirkel.observe.otlp_export import trace_request_line

FIXTURES = pathlib.Path(__file__).parents[2] / "fixtures" / "otlp"
CAPTURES = sorted(FIXTURES.rglob("*traces.pb"))

ATTEMPT = Span(
    project_id="p",
    trace_id="1" * 32,
    span_id="2" * 16,
    parent_span_id="3" * 16,
    name="chat gpt",
    kind=SpanKind.CHAT,
    source="gateway",
    start_ns=1_790_000_000_000_000_001,
    end_ns=1_790_000_000_500_000_001,
    status="error",
    error_type="http_500",
    status_message="it broke",
    service="triage",
    environment="production",
    release="r" * 64,
    arm="stable",
    unit="u",
    session_id="s",
    user_id="alice",
    operation="chat",
    provider="openai",
    request_model="gpt",
    response_model="gpt-1",
    parameters={"temperature": "0.5", "seed": "7"},
    finish_reason="stop",
    is_stream=True,
    time_to_first_token_ns=250_000_000,
    usage=Usage(input_tokens=10, cache_read_tokens=3, output_tokens=5, reasoning_tokens=2),
    cost_usd=Decimal("0.00015"),
    input='[{"role":"user","content":"hello"}]',
    output='{"role":"assistant","content":"hi"}',
)


def again(spans: list[Span]) -> list[Span]:
    decoded = decode_traces(trace_request_line(spans), "json")
    assert decoded.rejected == 0
    return [normalise_span(span, project_id=spans[0].project_id) for span in decoded.spans]


def test_a_call_of_the_gateway_is_read_back_with_all_that_conventions_can_say() -> None:
    (back,) = again([ATTEMPT])
    for name in (
        "trace_id", "span_id", "parent_span_id", "name", "kind", "start_ns", "end_ns", "status", "error_type",
        "service", "environment", "release", "arm", "unit", "session_id", "user_id", "operation", "provider",
        "request_model", "response_model", "finish_reason", "is_stream", "time_to_first_token_ns", "usage",
        "status_message",
    ):  # fmt: skip
        assert getattr(back, name) == getattr(ATTEMPT, name), name
    assert back.parameters == {"temperature": "0.5", "seed": "7"}
    assert back.cost_usd == ATTEMPT.cost_usd
    assert msgspec.json.decode(back.input)[0]["role"] == "user"
    assert "hello" in back.input
    assert "hi" in back.output


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_what_real_instrumentations_sent_goes_out_as_it_came(path: pathlib.Path) -> None:
    decoded = decode_traces(path.read_bytes(), "protobuf")
    spans = [normalise_span(span, project_id="p") for span in decoded.spans]
    assert spans
    # The order of spans may change: they are put together by resource and scope.
    assert sorted(again(spans), key=lambda span: span.span_id) == sorted(spans, key=lambda span: span.span_id)


@given(st.dictionaries(st.text(max_size=8), st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8,
), max_size=4))  # fmt: skip
def test_attributes_of_every_kind_survive(values: dict[str, object]) -> None:
    attributes = {key: msgspec.json.encode(value).decode() for key, value in values.items()}
    plain = msgspec.structs.replace(ATTEMPT, source="otlp", input="", output="")
    span = msgspec.structs.replace(plain, attributes=attributes, resource={"service.name": '"x"'})
    (back,) = again([span])
    assert back.attributes == attributes


def test_a_line_is_a_request_that_protobuf_takes() -> None:
    line = msgspec.json.decode(trace_request_line([ATTEMPT]))
    for resource_spans in line["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                # Protobuf's own JSON wants base64 where OTLP wants hex.
                for name in ("traceId", "spanId", "parentSpanId"):
                    span.pop(name)
    parsed = json_format.ParseDict(line, ExportTraceServiceRequest())
    assert parsed.resource_spans[0].scope_spans[0].spans[0].name == "chat gpt"


def test_content_that_came_on_the_logs_signal_goes_out_with_its_span() -> None:
    decoded = decode_traces((FIXTURES / "openai_v2_latest-002-traces.pb").read_bytes(), "protobuf")
    bare = next(span for span in decoded.spans if "gen_ai.input.messages" not in span.attributes)
    span = normalise_span(bare, project_id="p")
    content = {"input": '[{"role":"user","parts":[{"type":"text","content":"where?"}]}]', "output": '"there"'}
    (back,) = again([msgspec.structs.replace(span, **content)])
    assert msgspec.json.decode(back.input) == msgspec.json.decode(content["input"])
    assert "there" in back.output
