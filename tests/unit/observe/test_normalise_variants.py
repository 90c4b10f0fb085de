"""Legal variants of the dialects beside the GenAI conventions, which no capture shows."""

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from zirkel.core import Span, SpanKind, Usage
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise import normalise_span


def normalise(
    attributes: Mapping[str, JsonLike], *, resource: Mapping[str, JsonLike] | None = None, status_code: int = 0
) -> Span:
    sent = DecodedSpan(
        trace_id="a" * 32,
        span_id="b" * 16,
        name="n",
        start_ns=0,
        end_ns=9,
        attributes=dict(attributes),
        resource=dict(resource or {}),
        status_code=status_code,
    )
    return normalise_span(sent, project_id="p1")


def message(role: str, content: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": content}]}


LLM: dict[str, JsonLike] = {"openinference.span.kind": "LLM"}


@pytest.mark.parametrize(
    "messages",
    [
        {"llm.input_messages": '[{"message.role": "user", "message.content": "hi"}]'},
        {"llm.input_messages": [{"message.role": "user", "message.content": "hi"}]},
        {"llm.input_messages": [{"message": {"role": "user", "content": "hi"}}]},
        {"llm.input_messages.4.message.role": "user", "llm.input_messages.4.message.content": "hi"},
        {
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.contents.3.message_content.type": "text",
            "llm.input_messages.0.message.contents.3.message_content.text": "hi",
        },
        {"input.value": '{"messages": [{"role": "user", "content": "hi"}]}'},
        {"input.value": '{"messages": [[{"type": "human", "data": {"content": "hi", "type": "human"}}]]}'},
        {
            "input.value": json.dumps(
                {"messages": [[{"lc": 1, "id": ["x", "HumanMessage"], "kwargs": {"content": "hi", "type": "human"}}]]}
            )
        },
        {"input.value": "hi"},
    ],
)
def test_openinference_input_of_every_shape_is_the_same_message(messages: dict[str, JsonLike]) -> None:
    assert json.loads(normalise({**LLM, **messages}).input) == [message("user", "hi")]


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"message": {"role": "assistant", "content": "ho"}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"content": "ho"}, "finish_reason": "stop"}]},
        {"choices": [{"text": "ho", "finish_reason": "stop"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "ho"}], "stop_reason": "end_turn"},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "ho"}]}, "finishReason": "STOP"}]},
        {"output": {"message": {"role": "assistant", "content": [{"text": "ho"}]}}, "stopReason": "end_turn"},
    ],
)
def test_answers_in_a_providers_own_format_become_messages(answer: dict[str, object]) -> None:
    expected = [{**message("assistant", "ho"), "finish_reason": "stop"}]
    span = normalise({**LLM, "output.value": json.dumps(answer)})
    assert (json.loads(span.output), span.finish_reason) == (expected, "stop")
    native = normalise({"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanOutputs": json.dumps(answer)})
    assert (json.loads(native.output), native.finish_reason) == (expected, "stop")


def test_openinference_messages_without_a_role_get_that_of_their_side() -> None:
    span = normalise(
        {**LLM, "llm.input_messages.0.message.content": "hi", "llm.output_messages.0.message.content": "ho"}
    )
    assert json.loads(span.input) == [message("user", "hi")]
    assert json.loads(span.output) == [message("assistant", "ho")]


def test_openinference_completions_have_prompts_and_choices() -> None:
    span = normalise({**LLM, "llm.prompts.0.prompt.text": "Once", "llm.choices.0.completion.text": " upon"})
    assert (span.kind, span.operation) == (SpanKind.COMPLETION, "text_completion")
    assert json.loads(span.input) == [message("user", "Once")]
    assert json.loads(span.output) == [message("assistant", " upon")]


def test_openinference_reranker_shows_query_and_documents() -> None:
    span = normalise(
        {
            "openinference.span.kind": "RERANKER",
            "reranker.query": "where?",
            "reranker.model_name": "r-1",
            "reranker.input_documents.0.document.content": "a",
            "reranker.output_documents": '[{"document.content": "a", "document.score": 0.9}]',
        }
    )
    assert (span.kind, span.response_model) == (SpanKind.RERANKER, "r-1")
    assert json.loads(span.input) == {"query": "where?", "documents": [{"content": "a"}]}
    assert json.loads(span.output) == [{"content": "a", "score": 0.9}]


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({"llm.cost.total": 0.5, "llm.cost.prompt": 9}, Decimal("0.5")),
        ({"llm.cost.prompt": "0.01", "llm.cost.completion_details.output": 0.02}, Decimal("0.03")),
        ({"llm.cost.prompt_details.input": 0.01, "llm.cost.prompt_details.cache_read": 0.02}, Decimal("0.03")),
        ({"llm.cost.total": "unknown"}, None),
    ],
)
def test_openinference_costs_are_exact(costs: dict[str, JsonLike], expected: Decimal | None) -> None:
    assert normalise({**LLM, **costs}).cost_usd == expected


@pytest.mark.parametrize(
    "tools",
    [
        {"llm.tools.1.tool.json_schema": '{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}'},
        {"llm.tools.0.tool.json_schema": {"name": "f", "input_schema": {"type": "object"}}},
        {"llm.tools": '[{"tool": {"json_schema": {"name": "f", "inputSchema": {"type": "object"}}}}]'},
        {"gen_ai.tool.definitions": [{"name": "f", "parameters": '{"type":"object"}'}]},
    ],
)
def test_tools_of_every_shape_have_one(tools: dict[str, JsonLike]) -> None:
    expected = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
    assert json.loads(normalise({**LLM, **tools}).tools) == expected


CHAT_MODEL: dict[str, JsonLike] = {"mlflow.spanType": '"CHAT_MODEL"'}
CALL: dict[str, JsonLike] = {"ai.operationId": "ai.generateText.doGenerate"}
FULL = Usage(input_tokens=30, cache_read_tokens=12, output_tokens=12, reasoning_tokens=5)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "42", "completion_tokens": "17", "total_tokens": "59",
         "prompt_tokens_details": {"cached_tokens": 12}, "completion_tokens_details": {"reasoning_tokens": 5}},
        {"input_tokens": 42, "output_tokens": 17,
         "input_token_details": {"cache_read": 12}, "output_token_details": {"reasoning": 5}},
        {"promptTokenCount": 42, "candidatesTokenCount": 12, "thoughtsTokenCount": 5, "totalTokenCount": 59,
         "cachedContentTokenCount": 12},
        {"inputTokens": 42, "outputTokens": 17, "cachedInputTokens": 12, "reasoningTokens": 5},
        {"input": 30, "input_cache_read": 12, "output": 12, "output_reasoning": 5},
    ],
)  # fmt: skip
def test_usage_objects_of_every_provider_end_in_the_same_buckets(usage: dict[str, JsonLike]) -> None:
    for value in (usage, json.dumps(usage)):
        sent: dict[str, JsonLike] = {
            "langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": value,
        }
        assert normalise(sent).usage == FULL
        raw: dict[str, JsonLike] = {"gen_ai.operation.name": "chat", "request_data": '{"model":"m"}'}
        assert normalise({**raw, "gen_ai.usage.raw": value}).usage == FULL


def test_anthropic_usage_has_the_cache_apart_and_by_lifetime() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
    }
    sent = {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": json.dumps(usage)}
    assert normalise(sent).usage == Usage(
        input_tokens=10, cache_read_tokens=3, cache_write_tokens=3, cache_write_1h_tokens=4, output_tokens=5
    )


def test_langfuse_zero_costs_without_usage_say_nothing() -> None:
    zero: dict[str, JsonLike] = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.cost_details": '{"input":0,"output":0,"total":0}',
    }
    assert normalise(zero).cost_usd is None
    assert normalise({**zero, "langfuse.observation.usage_details": '{"input":1}'}).cost_usd == 0


def test_mlflow_embeddings_have_the_usage_of_the_answer_and_no_vectors() -> None:
    span = normalise(
        {
            "mlflow.spanType": '"EMBEDDING"',
            "mlflow.spanInputs": '{"model":"text-embedding-3-small","input":["a","b"]}',
            "mlflow.spanOutputs": '{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}',
        }
    )
    assert (span.usage, json.loads(span.input), span.output) == (Usage(input_tokens=8), ["a", "b"], "")


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ('{"input_cost":0.1,"output_cost":0.2,"total_cost":0.3}', Decimal("0.3")),
        ('{"input_cost":0.1,"output_cost":0.2}', Decimal("0.3")),
    ],
)
def test_mlflow_costs_are_summed_where_the_total_is_missing(cost: str, expected: Decimal) -> None:
    assert normalise({**CHAT_MODEL, "mlflow.llm.cost": cost}).cost_usd == expected


def test_nothing_that_was_written_as_json_null_is_nothing() -> None:
    assert normalise({"mlflow.spanType": '"AGENT"', "mlflow.spanOutputs": "null"}).output == ""
    assert normalise({"traceloop.span.kind": "workflow", "traceloop.entity.output": "null"}).output == ""


def test_vercel_version_5_reasoning_tool_choice_and_files_are_read() -> None:
    files = [{"type": "file", "mediaType": "image/png", "data": "aGk="}, {"type": "text", "text": "see"}]
    span = normalise(
        {
            **CALL,
            "ai.prompt.messages": json.dumps([{"role": "user", "content": files}]),
            "ai.prompt.toolChoice": '{"type":"auto"}',
            "ai.response.text": "ho",
            "ai.response.reasoning": '[{"type":"reasoning","text":"hm"}]',
            "ai.usage.inputTokens": 42,
            "ai.usage.totalTokens": 59,
            "ai.usage.cachedInputTokens": 12,
            "ai.usage.reasoningTokens": 5,
        }
    )
    assert span.usage == FULL
    assert json.loads(span.parameters["tool_choice"]) == {"type": "auto"}
    blob = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGk="}
    assert json.loads(span.input)[0]["parts"] == [blob, {"type": "text", "content": "see"}]
    assert json.loads(span.output)[0]["parts"][0] == {"type": "reasoning", "content": "hm"}


def test_a_second_dialect_on_the_span_fills_what_the_first_leaves_open() -> None:
    span = normalise(
        {
            "gen_ai.operation.name": "execute_tool",
            "traceloop.span.kind": "tool",
            "traceloop.entity.input": '{"city":"Paris"}',
            "traceloop.entity.output": '{"temp_c":21}',
        }
    )
    assert (span.dialect, span.kind) == ("genai", SpanKind.TOOL)
    assert (json.loads(span.input), json.loads(span.output)) == ({"city": "Paris"}, {"temp_c": 21})


@pytest.mark.parametrize(
    ("attributes", "session", "user"),
    [
        ({"openinference.span.kind": "LLM", "metadata": '{"thread_id":"s","user_id":"u"}'}, "s", "u"),
        (
            {
                "traceloop.association.properties.chat_id": "s",
                "traceloop.association.properties.user": "u",
                "gen_ai.operation.name": "chat",
            },
            "s",
            "u",
        ),
        ({**CALL, "ai.telemetry.metadata.threadId": "s", "ai.telemetry.metadata.user_id": "u"}, "s", "u"),
        ({"gen_ai.conversation.id": "s2", "session.id": "s", "enduser.id": "u"}, "s", "u"),
    ],
)
def test_sessions_and_users_are_found_under_every_name(
    attributes: dict[str, JsonLike], session: str, user: str
) -> None:
    span = normalise(attributes)
    assert (span.session_id, span.user_id) == (session, user)


@pytest.mark.parametrize(
    ("attributes", "resource", "release"),
    [
        ({"zirkel.release": "z"}, {"langfuse.release": "l"}, "z"),
        ({"langfuse.release": "l"}, {"service.version": "1.0"}, "l"),
        ({}, {"langfuse.release": "l", "service.version": "1.0"}, "l"),
        ({}, {"service.version": "1.0"}, "1.0"),
    ],
)
def test_a_release_is_what_the_sender_calls_it(
    attributes: dict[str, JsonLike], resource: dict[str, JsonLike], release: str
) -> None:
    assert normalise(attributes, resource=resource).release == release


@pytest.mark.parametrize(
    ("attributes", "prompt"),
    [
        ({"prompt.id": "greet", "prompt.version": "2"}, ("greet", "2")),
        ({"zirkel.prompt.name": "greet", "zirkel.prompt.version": 3}, ("greet", "3")),
        ({"mlflow.linkedPrompts": '[{"name":"greet","version":"4"}]'}, ("greet", "4")),
    ],
)
def test_prompts_are_found_under_every_name(attributes: dict[str, JsonLike], prompt: tuple[str, str]) -> None:
    span = normalise(attributes)
    assert (span.prompt_name, span.prompt_version) == prompt


def test_who_serves_a_model_is_told_by_its_name_where_nothing_else_does() -> None:
    assert normalise({"gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-x"}).provider == "anthropic"
    assert normalise({"gen_ai.operation.name": "chat", "gen_ai.request.model": "my-own"}).provider == ""


def test_a_failed_call_keeps_the_model_that_answered_some_of_it() -> None:
    failed: dict[str, JsonLike] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m",
    }
    assert normalise(failed, status_code=2).response_model == ""
    assert normalise({**failed, "gen_ai.usage.output_tokens": 3}, status_code=2).response_model == "m"


def test_logfire_requests_and_answers_become_messages() -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.2, "stream": True}
    span = normalise(
        {
            "gen_ai.system": "openai",
            "gen_ai.request.model": "m",
            "request_data": json.dumps(request),
            "response_data": '{"combined_chunk_content": "ho", "chunk_count": 2}',
        }
    )
    assert (span.kind, span.is_stream, span.parameters) == (SpanKind.CHAT, True, {"temperature": "0.2"})
    assert json.loads(span.input) == [message("user", "hi")]
    assert json.loads(span.output) == [message("assistant", "ho")]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"text": "a"}, {"type": "text", "content": "a"}),
        ({"text": "a", "thought": True}, {"type": "reasoning", "content": "a"}),
        (
            {"functionCall": {"name": "f", "args": {"a": 1}}},
            {"type": "tool_call", "id": "", "name": "f", "arguments": {"a": 1}},
        ),
        (
            {"toolUse": {"toolUseId": "c", "name": "f", "input": {"a": 1}}},
            {"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}},
        ),
        (
            {"toolResult": {"toolUseId": "c", "content": "x"}},
            {"type": "tool_call_response", "id": "c", "response": "x"},
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGk="},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGk="},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "aGk="},
        ),
        (
            {"type": "tool-result", "toolCallId": "c", "output": {"type": "json", "value": {"a": 1}}},
            {"type": "tool_call_response", "id": "c", "response": {"a": 1}},
        ),
        ({"type": "compaction", "id": "x"}, {"type": "compaction", "id": "x"}),
    ],
)
def test_parts_of_every_provider_have_one_shape(part: dict[str, object], expected: dict[str, object]) -> None:
    sent = json.dumps([{"role": "user", "content": [part]}])
    span = normalise({"gen_ai.operation.name": "chat", "gen_ai.input.messages": sent})
    assert json.loads(span.input) == [{"role": "user", "parts": [expected]}]


def test_items_of_the_responses_api_become_messages() -> None:
    items = [
        {"role": "user", "content": "weather?"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "c", "output": "sunny"},
    ]
    span = normalise({**CHAT_MODEL, "mlflow.spanInputs": json.dumps({"input": items, "instructions": "Be terse."})})
    assert json.loads(span.input) == [
        message("system", "Be terse."),
        message("user", "weather?"),
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "sunny"}]},
    ]


def test_content_under_zirkels_own_names_completes_other_dialects() -> None:
    span = normalise({"gen_ai.operation.name": "execute_tool", "zirkel.input": '{"a":1}', "zirkel.output": '"done"'})
    assert (span.dialect, span.kind) == ("genai", SpanKind.TOOL)
    assert (json.loads(span.input), json.loads(span.output)) == ({"a": 1}, "done")
