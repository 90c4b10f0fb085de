"""Contract: what real instrumentations sent (captured request bodies) becomes the same canonical spans."""

import json
from pathlib import Path

import pytest

from zirkel.core import MODEL_KINDS, Span, SpanKind, Usage, decode_batch, encode_spans
from zirkel.lib.otlp import decode_traces
from zirkel.observe.normalise import leaf_model_spans, normalise_span

FIXTURES = Path(__file__).parents[2] / "fixtures" / "otlp"
CAPTURES = sorted(path.name.removesuffix("-traces.pb") for path in FIXTURES.glob("*-traces.pb"))
ANSWERED, FAILED = "gpt-4o-mini-2024-07-18", "err-model"


def spans_of(capture: str) -> list[Span]:
    decoded = decode_traces((FIXTURES / f"{capture}-traces.pb").read_bytes(), "protobuf")
    assert decoded.rejected == 0
    return [normalise_span(span, project_id="p1") for span in decoded.spans]


def parts_of(text: str) -> list[dict[str, object]]:
    return [part for message in json.loads(text) for part in message["parts"]]


def total(usages: list[Usage], bucket: str) -> int:
    return sum(getattr(usage, bucket) or 0 for usage in usages)


def test_every_capture_is_covered() -> None:
    assert sorted(TOTALS) == CAPTURES


TOTALS = {
    # capture: dialect, model calls, then tokens per bucket: input, cache read, output, reasoning
    "langchain_openinference-001": ("openinference", 4, (120, 48, 48, 20)),
    "mlflow_genai_semconv-002": ("genai", 7, (210, 0, 85, 0)),
    "openai_v2_2_1b0_legacy_events-001": ("genai", 5, (168, 0, 68, 0)),
    "openai_v2_latest-002": ("genai", 6, (176, 0, 68, 0)),
    "openai_v2_legacy-001": ("genai", 6, (176, 0, 68, 0)),
    "openinference_openai-001": ("openinference", 7, (158, 60, 60, 25)),
    "openlit-002": ("genai", 7, (158, 60, 80, 5)),
    "openllmetry_openai-001": ("genai", 7, (158, 60, 65, 20)),
    "vercel_ai_v7_legacy-001": ("vercel", 6, (128, 48, 48, 20)),
}


@pytest.mark.parametrize("capture", CAPTURES)
def test_totals_count_every_model_call_once(capture: str) -> None:
    dialect, calls, tokens = TOTALS[capture]
    leaves = leaf_model_spans(spans_of(capture))
    usages = [span.usage for span in leaves]
    buckets = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
    assert {span.dialect for span in leaves} == {dialect}
    assert len(leaves) == calls
    assert tuple(total(usages, bucket) for bucket in buckets) == tokens


@pytest.mark.parametrize("capture", CAPTURES)
def test_model_calls_have_kind_operation_provider_and_models(capture: str) -> None:
    for span in leaf_model_spans(spans_of(capture)):
        assert span.operation == ("embeddings" if span.kind is SpanKind.EMBEDDING else "chat")
        if span.status == "error":
            assert (span.request_model, span.response_model) == (FAILED, "")
            assert span.error_type.endswith(("NotFoundError", "AI_APICallError"))
            assert "<" not in span.error_type
            continue
        assert span.provider == "openai"
        if span.kind is SpanKind.CHAT:
            assert span.request_model == "gpt-4o-mini"
            assert span.response_model in (ANSWERED, "gpt-4o-mini")
            assert span.finish_reason in ("stop", "tool_call", "")


@pytest.mark.parametrize("capture", CAPTURES)
def test_each_capture_has_exactly_one_failed_model_call(capture: str) -> None:
    failed = [span for span in leaf_model_spans(spans_of(capture)) if span.status == "error"]
    assert len(failed) == (0 if capture.startswith("langchain") else 1)
    assert all(span.usage == Usage() and span.cost_usd is None for span in failed)


@pytest.mark.parametrize(
    "capture", [name for name in CAPTURES if "legacy_events" not in name and "openai_v2_legacy" not in name]
)
def test_content_is_messages_with_tool_calls_and_their_results(capture: str) -> None:
    chats = [span for span in spans_of(capture) if span.kind is SpanKind.CHAT and span.status != "error"]
    given = [part for span in chats for part in parts_of(span.input)]
    answers = [part for span in chats for part in parts_of(span.output)]
    assert {"type": "text", "content": "You are a geography assistant."} in given
    assert {"type": "text", "content": "Paris is the capital of France."} in answers
    calls = [part for part in answers if part["type"] == "tool_call"]
    assert [(call["name"], call["arguments"]) for call in calls] == [("get_weather", {"city": "Paris"})]
    (result,) = [part for part in given if part["type"] == "tool_call_response"]
    assert (result["id"], "sunny" in str(result["response"])) == ("call_fake_1", True)


@pytest.mark.parametrize(
    "capture",
    ["langchain_openinference-001", "openinference_openai-001", "vercel_ai_v7_legacy-001", "openllmetry_openai-001"],
)
def test_tools_on_offer_have_one_shape(capture: str) -> None:
    offered = [json.loads(span.tools)[0] for span in spans_of(capture) if span.tools]
    assert len(offered) >= 2
    for tool in offered:
        assert (tool["type"], tool["name"]) == ("function", "get_weather")
        assert tool["parameters"]["properties"] == {"city": {"type": "string"}}


@pytest.mark.parametrize("capture", CAPTURES)
def test_streams_that_say_so_have_a_time_to_first_token(capture: str) -> None:
    streamed = [span for span in spans_of(capture) if span.is_stream and span.kind in MODEL_KINDS]
    silent = ("langchain", "openai_v2")
    assert len(streamed) == (0 if capture.startswith(silent) else 1)
    for span in streamed:
        assert span.time_to_first_token_ns is not None
        assert 0 < span.time_to_first_token_ns <= span.end_ns - span.start_ns


@pytest.mark.parametrize("capture", CAPTURES)
def test_attributes_and_resource_are_kept_as_sent(capture: str) -> None:
    decoded = decode_traces((FIXTURES / f"{capture}-traces.pb").read_bytes(), "protobuf")
    for sent in decoded.spans:
        span = normalise_span(sent, project_id="p1")
        assert {key: json.loads(value) for key, value in span.attributes.items()} == sent.attributes
        assert {key: json.loads(value) for key, value in span.resource.items()} == sent.resource
        assert (span.trace_id, span.span_id, span.parent_span_id) == (sent.trace_id, sent.span_id, sent.parent_span_id)
        assert (span.project_id, span.source, span.service) == ("p1", "otlp", "")


@pytest.mark.parametrize("capture", CAPTURES)
def test_canonical_spans_survive_the_spool(capture: str) -> None:
    spans = spans_of(capture)
    assert decode_batch(encode_spans(spans)).spans == spans


def test_vercel_wrapper_spans_are_no_model_calls() -> None:
    spans = {span.name: span for span in spans_of("vercel_ai_v7_legacy-001")}
    kinds = {name: str(span.kind) for name, span in spans.items()}
    assert kinds == {
        "ai.generateText": "agent",
        "ai.generateText.doGenerate": "chat",
        "ai.streamText": "agent",
        "ai.streamText.doStream": "chat",
        "ai.toolCall": "tool",
        "ai.embed": "workflow",
        "ai.embed.doEmbed": "embedding",
    }
    assert json.loads(spans["ai.toolCall"].output) == {"temp_c": 21, "sky": "sunny"}


def test_openlit_zero_cost_is_unknown_and_its_http_spans_are_plain() -> None:
    spans = spans_of("openlit-002")
    assert all(span.cost_usd is None for span in spans)
    assert {(span.kind, span.dialect) for span in spans if span.name == "POST"} == {(SpanKind.SPAN, "")}
    assert {span.environment for span in spans} == {"test"}


def test_openinference_context_and_prompt_are_found() -> None:
    span = next(span for span in spans_of("openinference_openai-001") if span.name == "ChatCompletion")
    assert (span.session_id, span.user_id, span.tags) == ("sess-1", "user-1", ["a", "b"])
    assert span.prompt_version == "v3"
    assert span.parameters == {"max_tokens": "100", "seed": "7", "temperature": "0.2", "top_p": "0.9"}


def test_openinference_embeddings_show_their_texts() -> None:
    span = next(span for span in spans_of("openinference_openai-001") if span.kind is SpanKind.EMBEDDING)
    assert json.loads(span.input) == ["hello world", "second text"]
    assert span.output == ""


def test_mlflow_genai_mode_keeps_the_requested_model() -> None:
    chats = [span for span in spans_of("mlflow_genai_semconv-002") if span.kind is SpanKind.CHAT]
    assert {span.request_model for span in chats} == {"gpt-4o-mini", FAILED}
