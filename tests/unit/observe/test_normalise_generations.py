"""OpenTelemetry's GenAI conventions from 1.27 to their current direction: names that the captures do not have."""

import json
from collections.abc import Mapping

import pytest

from zirkel.core import Span, SpanKind, Usage
from zirkel.lib.otlp import DecodedEvent, DecodedSpan, JsonLike
from zirkel.observe.normalise import normalise_span


def normalise(attributes: Mapping[str, JsonLike], *, events: tuple[DecodedEvent, ...] = ()) -> Span:
    sent = DecodedSpan(
        trace_id="a" * 32, span_id="b" * 16, name="n", start_ns=0, end_ns=9, attributes=dict(attributes), events=events
    )
    return normalise_span(sent, project_id="p1")


def chat(**usage: JsonLike) -> Usage:
    names = {f"gen_ai.usage.{name.replace('__', '.')}": value for name, value in usage.items()}
    return normalise({"gen_ai.operation.name": "chat", **names}).usage


def test_usage_by_modality_and_cache_is_disjoint() -> None:
    usage = chat(
        input_tokens=1000,
        text__input_tokens=400,
        image__input_tokens=500,
        audio__input_tokens=100,
        cache_read__input_tokens=200,
        image__cache_read__input_tokens=150,
        text__cache_read__input_tokens=50,
        cache_write__input_tokens=100,
        output_tokens=300,
        reasoning__output_tokens=100,
        image__output_tokens=80,
        audio__output_tokens=20,
    )
    assert usage == Usage(
        input_tokens=250,
        cache_read_tokens=200,
        cache_write_tokens=100,
        input_audio_tokens=100,
        input_image_tokens=350,
        output_tokens=100,
        reasoning_tokens=100,
        output_audio_tokens=20,
        output_image_tokens=80,
    )


def test_usage_by_modality_alone_sums_to_the_total_if_text_is_among_it() -> None:
    usage = chat(text__input_tokens=400, image__input_tokens=500, text__cache_read__input_tokens=50)
    assert usage == Usage(input_tokens=350, cache_read_tokens=50, input_image_tokens=500)
    assert chat(image__input_tokens=500) == Usage(input_image_tokens=500)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 30, "total_tokens": 42}, Usage(input_tokens=30, output_tokens=12)),
        ({"output_tokens": 12, "total_tokens": 42}, Usage(input_tokens=30, output_tokens=12)),
        ({"input_tokens": 30, "total_tokens": 29}, Usage(input_tokens=30)),
        ({"total_tokens": 42}, Usage()),
        ({"input_tokens": "30", "output_tokens": 12.0}, Usage(input_tokens=30, output_tokens=12)),
    ],
)
def test_a_total_tells_the_side_that_is_missing(usage: dict[str, JsonLike], expected: Usage) -> None:
    assert chat(**usage) == expected


def test_the_total_of_an_embedding_is_its_input() -> None:
    span = normalise({"gen_ai.operation.name": "embeddings", "gen_ai.usage.total_tokens": 8})
    assert span.usage == Usage(input_tokens=8)


@pytest.mark.parametrize("operation", ["search_memory", "retrieval"])
def test_retrieval_and_memory_searches_show_query_and_findings(operation: str) -> None:
    family = "memory" if "memory" in operation else "retrieval"
    found: JsonLike = [{"id": "d1", "score": 0.5}]
    key = "records" if family == "memory" else "documents"
    for value in (found, json.dumps(found)):
        span = normalise(
            {
                "gen_ai.operation.name": operation,
                f"gen_ai.{family}.query.text": "where?",
                f"gen_ai.{family}.{key}": value,
                "gen_ai.retrieval.top_k": 3,
            }
        )
        assert (span.kind, span.operation, json.loads(span.input)) == (SpanKind.RETRIEVER, operation, "where?")
        assert (json.loads(span.output), span.parameters) == (found, {"top_k": "3"})


@pytest.mark.parametrize("operation", ["create_memory", "update_memory", "upsert_memory", "delete_memory"])
def test_changes_of_a_memory_show_what_was_written(operation: str) -> None:
    span = normalise({"gen_ai.operation.name": operation, "gen_ai.memory.records": [{"content": "likes tea"}]})
    assert (span.kind, span.operation) == (SpanKind.SPAN, operation)
    assert json.loads(span.input) == [{"content": "likes tea"}]


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("plan", SpanKind.AGENT),
        ("create_agent", SpanKind.AGENT),
        ("invoke_workflow", SpanKind.WORKFLOW),
        ("create_memory_store", SpanKind.SPAN),
        ("CHAT", SpanKind.CHAT),
    ],
)
def test_further_operations_have_kinds(operation: str, kind: SpanKind) -> None:
    assert normalise({"gen_ai.operation.name": operation}).kind is kind


def test_an_agent_with_usage_is_no_model_call() -> None:
    span = normalise(
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 9}
    )
    assert (span.kind, span.request_model) == (SpanKind.AGENT, "m")


def test_a_named_prompt_has_name_and_version() -> None:
    span = normalise(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.prompt.name": "greet",
            "gen_ai.prompt.version": "7",
            "gen_ai.prompt.variable.city": "Paris",
        }
    )
    assert (span.prompt_name, span.prompt_version, span.input, span.unmapped) == ("greet", "7", "", [])


@pytest.mark.parametrize(
    ("method", "kind", "operation"),
    [
        ("tools/call", SpanKind.TOOL, "execute_tool"),
        ("tools/list", SpanKind.SPAN, "tools/list"),
        ("prompts/get", SpanKind.SPAN, "prompts/get"),
    ],
)
def test_mcp_methods_are_operations(method: str, kind: SpanKind, operation: str) -> None:
    span = normalise({"mcp.method.name": method, "mcp.session.id": "s", "gen_ai.prompt.name": "greet"})
    assert (span.dialect, span.kind, span.operation) == ("genai", kind, operation)
    assert (span.prompt_name, span.session_id, span.unmapped) == ("greet", "", [])


def test_parameters_of_every_generation_keep_a_name() -> None:
    span = normalise(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "gen_ai.request.stream": True,
            "gen_ai.request.reasoning.level": "high",
            "gen_ai.request.reasoning_effort": "low",
            "gen_ai.request.previous_response.id": "r1",
            "gen_ai.request.choice.count": 2,
            "gen_ai.request.top_k": 40.0,
            "gen_ai.request.logprobs": True,
            "gen_ai.openai.request.response_format": "json",
        }
    )
    assert {name: json.loads(value) for name, value in span.parameters.items()} == {
        "reasoning_level": "high",
        "previous_response_id": "r1",
        "choice_count": 2,
        "top_k": 40.0,
        "logprobs": True,
        "output_type": "json",
    }
    assert span.is_stream


def test_flattened_messages_with_gaps_and_parts_as_json_text_are_read_in_order() -> None:
    span = normalise(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.prompt.7.content": '[{"type":"text","text":"two"}]',
            "gen_ai.prompt.2.role": "system",
            "gen_ai.prompt.2.content": "one",
            "gen_ai.prompt.10.role": "tool",
            "gen_ai.prompt.10.tool_call_id": "c",
            "gen_ai.prompt.10.content": "[1, 2]",
            "gen_ai.completion.3.content": "three",
            "gen_ai.completion.3.finish_reason": "max_tokens",
        }
    )
    assert json.loads(span.input) == [
        {"role": "system", "parts": [{"type": "text", "content": "one"}]},
        {"role": "user", "parts": [{"type": "text", "content": "two"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "[1, 2]"}]},
    ]
    three = {"type": "text", "content": "three"}
    assert json.loads(span.output) == [{"role": "assistant", "parts": [three], "finish_reason": "length"}]
    assert span.finish_reason == "length"


def test_a_text_that_happens_to_be_json_stays_text() -> None:
    span = normalise({"gen_ai.operation.name": "chat", "gen_ai.prompt.0.content": '{"a": 1}'})
    assert json.loads(span.input) == [{"role": "user", "parts": [{"type": "text", "content": '{"a": 1}'}]}]


def test_one_message_events_on_the_span_are_read_choices_by_index() -> None:
    events = (
        DecodedEvent("gen_ai.user.message", 0, {"content": "hi"}),
        DecodedEvent("gen_ai.choice", 1, {"index": 1, "message": {"content": "b"}, "finish_reason": "length"}),
        DecodedEvent("gen_ai.choice", 2, {"index": 0, "message": '{"content": "a"}', "finish_reason": "stop"}),
    )
    span = normalise({"gen_ai.operation.name": "chat"}, events=events)
    assert [one["parts"][0]["content"] for one in json.loads(span.output)] == ["a", "b"]
    assert (json.loads(span.input)[0]["role"], span.finish_reason) == ("user", "stop")


def test_tool_results_may_be_named_result_and_arguments_may_be_text() -> None:
    messages: JsonLike = [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": '{"a":1}'}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "result": {"b": 2}}]},
    ]
    for value in (messages, json.dumps(messages)):
        span = normalise({"gen_ai.operation.name": "chat", "gen_ai.input.messages": value})
        call, result = (one["parts"][0] for one in json.loads(span.input))
        assert (call["arguments"], result["response"]) == ({"a": 1}, {"b": 2})


def test_no_tools_on_offer_are_none() -> None:
    assert normalise({"gen_ai.operation.name": "chat", "gen_ai.tool.definitions": "[]"}).tools == ""
