"""Contract: captured requests of the SDKs and frameworks that ``test_normalise_captures`` does not have."""

import json
from pathlib import Path

import pytest

from zirkel.core import Span, SpanKind, Usage
from zirkel.lib.otlp import Media, decode_traces
from zirkel.observe.normalise import leaf_model_spans, normalise_span

FIXTURES = Path(__file__).parents[2] / "fixtures" / "instrumentations"
ANSWERED, FAILED, EMBEDDER = "gpt-4o-mini-2024-07-18", "err-model", "text-embedding-3-small"
CHAT = Usage(input_tokens=30, cache_read_tokens=12, output_tokens=12, reasoning_tokens=5)
CHAT_WITHOUT_REASONING = Usage(input_tokens=30, cache_read_tokens=12, output_tokens=17)


def spans_of(name: str) -> list[Span]:
    path = next(FIXTURES.glob(f"{name}.*"))
    media: Media = "json" if path.suffix == ".json" else "protobuf"
    decoded = decode_traces(path.read_bytes(), media)
    assert decoded.rejected == 0
    return [normalise_span(span, project_id="p1") for span in decoded.spans]


def text_buckets(usage: Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


CAPTURES = {
    # capture: dialect, calls that the chat model answered, their usage, kinds of the spans that are no model calls
    "langfuse_sdk": ("langfuse", 5, CHAT, ["agent", "retriever", "tool"]),
    "mlflow_native": ("mlflow", 5, CHAT_WITHOUT_REASONING, ["agent", "retriever", "tool"]),
    "pydantic_ai_logfire": ("genai", 7, CHAT, ["agent", "agent", "tool"]),
    "traceloop_sdk": ("genai", 5, CHAT, ["tool", "workflow"]),
    "vercel_ai_v7_otel": ("genai", 5, CHAT_WITHOUT_REASONING, ["agent"] * 11 + ["tool"]),
}


def answered_chats(capture: str) -> list[Span]:
    leaves = leaf_model_spans(spans_of(capture))
    chats = [span for span in leaves if span.kind is SpanKind.CHAT and span.status != "error"]
    # Logfire tells what was streamed in a span of its own, beside the one of the call.
    return [span for span in chats if span.usage != Usage() and span.provider == "openai"]


@pytest.mark.parametrize("capture", sorted(CAPTURES))
def test_every_call_has_its_models_provider_and_usage_in_disjoint_buckets(capture: str) -> None:
    dialect, count, usage, _ = CAPTURES[capture]
    chats = answered_chats(capture)
    assert len(chats) == count
    for span in chats:
        assert (span.dialect, span.operation, span.provider) == (dialect, "chat", "openai")
        assert span.request_model in ("gpt-4o-mini", ANSWERED)
        assert span.response_model in ("gpt-4o-mini", ANSWERED)
        is_bare = capture == "traceloop_sdk" and span.is_stream
        assert text_buckets(span.usage) == (CHAT_WITHOUT_REASONING if is_bare else usage)


@pytest.mark.parametrize("capture", sorted(CAPTURES))
def test_spans_that_are_no_model_calls_have_kinds_and_do_not_count(capture: str) -> None:
    others = [span for span in spans_of(capture) if span.kind not in (SpanKind.CHAT, SpanKind.EMBEDDING)]
    assert sorted(span.kind.value for span in others) == CAPTURES[capture][3]
    assert not {id(span) for span in others} & {id(span) for span in leaf_model_spans(others)}


@pytest.mark.parametrize("capture", sorted(CAPTURES))
def test_a_failed_call_has_neither_usage_nor_cost_nor_an_answering_model(capture: str) -> None:
    failed = [span for span in leaf_model_spans(spans_of(capture)) if span.status == "error"]
    assert failed
    for span in failed:
        assert (span.request_model, span.response_model) == (FAILED, "")
        assert (span.usage, span.cost_usd, span.output) == (Usage(), None, "")
        assert FAILED in span.status_message


@pytest.mark.parametrize("capture", sorted(CAPTURES))
def test_content_is_messages_with_tool_calls_results_and_tools_on_offer(capture: str) -> None:
    chats = [span for span in spans_of(capture) if span.kind is SpanKind.CHAT and span.status != "error"]
    given = [part for span in chats if span.input for one in json.loads(span.input) for part in one["parts"]]
    answers = [part for span in chats if span.output for one in json.loads(span.output) for part in one["parts"]]
    assert {"type": "text", "content": "You are a geography assistant."} in given
    assert {"type": "text", "content": "Paris is the capital of France."} in answers
    calls = [part for part in answers if part["type"] == "tool_call"]
    assert {(call["name"], json.dumps(call["arguments"])) for call in calls} == {("get_weather", '{"city": "Paris"}')}
    results = [part for part in given if part["type"] == "tool_call_response"]
    assert results
    assert all(result["id"] == "call_fake_1" and "temp_c" in str(result["response"]) for result in results)
    offered = [json.loads(span.tools)[0] for span in chats if span.tools]
    assert len(offered) >= 2
    for tool in offered:
        assert (tool["type"], tool["name"]) == ("function", "get_weather")
        assert tool["parameters"]["properties"] == {"city": {"type": "string"}}


@pytest.mark.parametrize("capture", sorted(CAPTURES))
def test_embeddings_count_once_and_show_no_vectors(capture: str) -> None:
    (embedding,) = [span for span in leaf_model_spans(spans_of(capture)) if span.kind is SpanKind.EMBEDDING]
    assert (embedding.request_model, embedding.usage.input_tokens) == (EMBEDDER, 8)
    assert "0.1" not in embedding.output


@pytest.mark.parametrize("capture", sorted(CAPTURES))
def test_nothing_these_send_is_unmapped_and_everything_is_kept(capture: str) -> None:
    path = next(FIXTURES.glob(f"{capture}.*"))
    media: Media = "json" if path.suffix == ".json" else "protobuf"
    for sent in decode_traces(path.read_bytes(), media).spans:
        span = normalise_span(sent, project_id="p1")
        assert span.unmapped == []
        assert {key: json.loads(value) for key, value in span.attributes.items()} == sent.attributes


@pytest.mark.parametrize("capture", ["langfuse_sdk", "traceloop_sdk"])
def test_session_and_user_reach_every_model_call(capture: str) -> None:
    calls = leaf_model_spans(spans_of(capture))
    assert {(span.session_id, span.user_id) for span in calls} == {("sess-1", "user-1")}


@pytest.mark.parametrize("capture", ["langfuse_sdk", "mlflow_native", "traceloop_sdk", "vercel_ai_v7_otel"])
def test_a_streamed_call_has_a_time_to_first_token(capture: str) -> None:
    (streamed,) = [span for span in leaf_model_spans(spans_of(capture)) if span.is_stream]
    assert streamed.time_to_first_token_ns is not None
    assert 0 < streamed.time_to_first_token_ns <= streamed.end_ns - streamed.start_ns


def test_costs_and_releases_that_were_sent_are_kept() -> None:
    priced = [span for span in spans_of("pydantic_ai_logfire") if span.cost_usd is not None]
    assert len(priced) == 8
    assert {span.release for span in priced} == {"1.2.3"}
    assert {span.environment for span in priced} == {"prod"}
    langfuse = {span.name: span.cost_usd for span in spans_of("langfuse_sdk") if span.cost_usd is not None}
    assert [str(cost) for cost in langfuse.values()] == ["0.3"]


def test_langfuse_tags_and_its_manual_generation_are_read() -> None:
    manual = next(span for span in spans_of("langfuse_sdk") if span.name == "manual")
    assert (manual.tags, manual.provider, manual.request_model) == (["a", "b"], "anthropic", "claude-3-5-sonnet")
    assert manual.usage == Usage(input_tokens=30, cache_read_tokens=12, output_tokens=12)
