"""Each dialect by its own names, on spans written by hand: what no capture here shows."""

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from zirkel.core import Span, SpanKind, Usage
from zirkel.lib.otlp import DecodedEvent, DecodedSpan, JsonLike
from zirkel.observe.normalise import normalise_span

START_NS = 1_700_000_000_000_000_000


def normalise(
    attributes: dict[str, JsonLike],
    *,
    resource: dict[str, JsonLike] | None = None,
    events: tuple[DecodedEvent, ...] = (),
    scope: str = "",
    status_code: int = 0,
) -> Span:
    decoded = DecodedSpan(
        trace_id="a" * 32,
        span_id="b" * 16,
        name="n",
        start_ns=START_NS,
        end_ns=START_NS + 10**9,
        attributes=attributes,
        resource=resource or {},
        events=events,
        scope_name=scope,
        status_code=status_code,
    )
    return normalise_span(decoded, project_id="p1")


def message(role: str, *parts: Mapping[str, object]) -> dict[str, object]:
    return {"role": role, "parts": list(parts)}


def text(content: str) -> dict[str, object]:
    return {"type": "text", "content": content}


def test_zirkel_attributes_fill_their_fields_and_service_name_does_not() -> None:
    span = normalise(
        {"zirkel.service": "support", "zirkel.arm": "candidate", "zirkel.unit": "u-1", "zirkel.release": "f" * 64},
        resource={"zirkel.environment": "staging", "zirkel.service": "other", "service.name": "web"},
    )
    assert (span.service, span.arm, span.unit, span.release) == ("support", "candidate", "u-1", "f" * 64)
    assert span.environment == "staging"
    assert normalise({}, resource={"service.name": "web"}).service == ""


def test_span_without_any_known_name_is_plain() -> None:
    span = normalise({"http.method": "GET"})
    assert (span.kind, span.dialect, span.operation, span.usage) == (SpanKind.SPAN, "", "", Usage())


@pytest.mark.parametrize(
    ("marker", "dialect"),
    [
        ("langfuse.observation.type", "langfuse"),
        ("openinference.span.kind", "openinference"),
        ("gen_ai.operation.name", "genai"),
        ("traceloop.span.kind", "openllmetry"),
        ("ai.operationId", "vercel"),
        ("mlflow.spanType", "mlflow"),
        ("tool.name", "openinference"),
        ("gen_ai.request.model", "genai"),
    ],
)
def test_dialect_is_the_first_marker_in_order_of_precedence(marker: str, dialect: str) -> None:
    later: dict[str, JsonLike] = {"tool.name": "t", "mlflow.spanType": "TOOL", marker: "x"}
    if marker in ("tool.name", "gen_ai.request.model"):
        later = {marker: "x"}
    assert normalise(later).dialect == dialect


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("chat", SpanKind.CHAT),
        ("generate_content", SpanKind.CHAT),
        ("text_completion", SpanKind.COMPLETION),
        ("embeddings", SpanKind.EMBEDDING),
        ("execute_tool", SpanKind.TOOL),
        ("invoke_agent", SpanKind.AGENT),
        ("agent_step", SpanKind.AGENT),
        ("invoke_workflow", SpanKind.WORKFLOW),
        ("retrieval", SpanKind.RETRIEVER),
        ("rerank", SpanKind.RERANKER),
        ("fetch_response", SpanKind.SPAN),
        ("my_own", SpanKind.SPAN),
    ],
)
def test_genai_operations_have_kinds(operation: str, kind: SpanKind) -> None:
    span = normalise({"gen_ai.operation.name": operation})
    assert (span.kind, span.operation) == (kind, operation)


def test_new_names_win_over_deprecated_ones_in_the_same_span() -> None:
    span = normalise(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "old",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.usage.prompt_tokens": 1,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.completion_tokens": 1,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.usage.cache_creation.input_tokens": 1,
            "gen_ai.usage.cache_write.input_tokens": 20,
            "gen_ai.usage.cache_read_input_tokens": 1,
            "gen_ai.usage.cache_read.input_tokens": 30,
            "gen_ai.usage.reasoning_tokens": 1,
            "gen_ai.usage.reasoning.output_tokens": 10,
            "gen_ai.openai.request.seed": 1,
            "gen_ai.request.seed": 7,
            "gen_ai.prompt": "old",
            "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"new"}]}]',
        }
    )
    assert span.provider == "anthropic"
    assert span.usage == Usage(
        input_tokens=50, cache_read_tokens=30, cache_write_tokens=20, output_tokens=40, reasoning_tokens=10
    )
    assert span.parameters == {"seed": "7"}
    assert json.loads(span.input) == [message("user", text("new"))]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("gen_ai.usage.prompt_tokens", 9, Usage(input_tokens=9)),
        ("gen_ai.usage.completion_tokens", 9, Usage(output_tokens=9)),
        ("gen_ai.usage.cache_creation.input_tokens", 9, Usage(cache_write_tokens=9)),
        ("gen_ai.usage.cache_creation_input_tokens", 9, Usage(cache_write_tokens=9)),
        ("gen_ai.usage.cache_read_input_tokens", 9, Usage(cache_read_tokens=9)),
        ("gen_ai.usage.reasoning_tokens", 9, Usage(reasoning_tokens=9)),
        ("gen_ai.usage.details.reasoning_tokens", 9, Usage(reasoning_tokens=9)),
        ("gen_ai.usage.input_tokens", "9", Usage(input_tokens=9)),
        ("gen_ai.usage.input_tokens", 0, Usage(input_tokens=0)),
        ("gen_ai.usage.input_tokens", -1, Usage()),
        ("gen_ai.usage.input_tokens", 1.5, Usage()),
        ("gen_ai.usage.input_tokens", True, Usage()),
        ("gen_ai.usage.input_tokens", "many", Usage()),
        ("gen_ai.usage.input_tokens", [9], Usage()),
    ],
)
def test_each_usage_name_fills_its_bucket_and_odd_values_stay_unreported(
    name: str, value: JsonLike, expected: Usage
) -> None:
    span = normalise({"gen_ai.operation.name": "chat", name: value})
    assert span.usage == expected
    assert json.loads(span.attributes[name]) == value


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 20,
            "gen_ai.usage.audio.input_tokens": 40,
            "gen_ai.usage.audio.cache_read.input_tokens": 10,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.usage.audio.output_tokens": 45,
        },
        {
            "openinference.span.kind": "LLM",
            "llm.token_count.prompt": 100,
            "llm.token_count.prompt_details.cache_read": 20,
            "llm.token_count.prompt_details.audio": 30,
            "llm.token_count.completion": 50,
            "llm.token_count.completion_details.audio": 45,
        },
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": json.dumps(
                {
                    "prompt_tokens": 100,
                    "completion_tokens": 50,
                    "total_tokens": 150,
                    "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 30},
                    "completion_tokens_details": {"audio_tokens": 45},
                }
            ),
        },
    ],
)
def test_audio_has_buckets_of_its_own_in_every_dialect_that_reports_it(attributes: dict[str, JsonLike]) -> None:
    assert normalise(attributes).usage == Usage(
        input_tokens=50, cache_read_tokens=20, input_audio_tokens=30, output_tokens=5, output_audio_tokens=45
    )


def test_audio_that_was_cached_is_not_counted_twice() -> None:
    attributes: dict[str, JsonLike] = {
        "llm.token_count.prompt": 100,
        "llm.token_count.prompt_details.cache_read": 80,
        "llm.token_count.prompt_details.audio": 60,
    }
    assert normalise(attributes).usage == Usage(input_tokens=0, cache_read_tokens=80, input_audio_tokens=20)


def test_details_beyond_their_total_were_counted_apart_from_it() -> None:
    usage = normalise({"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 2000}).usage
    assert usage == Usage(input_tokens=10, cache_read_tokens=2000)


@pytest.mark.parametrize(
    ("sent", "provider"),
    [
        ("OpenAI", "openai"),
        ("openai.chat", "openai"),
        ("openai.responses", "openai"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("gemini", "gcp.gemini"),
        ("az.ai.inference", "azure.ai.inference"),
        ("az.ai.openai", "azure.ai.openai"),
        ("mistralai", "mistral_ai"),
        ("xai", "x_ai"),
        ("amazon-bedrock", "aws.bedrock"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("azure.ai.openai", "azure.ai.openai"),
        ("my.own", "my.own"),
    ],
)
def test_providers_are_normalised(sent: str, provider: str) -> None:
    assert normalise({"gen_ai.system": sent}).provider == provider


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("tool_calls", "tool_call"),
        ("tool-calls", "tool_call"),
        ("function_call", "tool_call"),
        ("max_tokens", "length"),
        ("max_output_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("end_turn", "stop"),
        ("completed", "stop"),
        ("STOP", "stop"),
        ("content-filter", "content_filter"),
        ("odd", "odd"),
    ],
)
def test_finish_reasons_are_normalised(sent: str, reason: str) -> None:
    assert normalise({"gen_ai.response.finish_reasons": [sent, "other"]}).finish_reason == reason
    assert normalise({"gen_ai.response.finish_reasons": json.dumps([sent])}).finish_reason == reason


def test_content_as_json_text_equals_content_as_structure() -> None:
    messages: list[JsonLike] = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    assert (
        normalise({"gen_ai.input.messages": json.dumps(messages)}).input
        == normalise({"gen_ai.input.messages": messages}).input
        == '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'
    )


def test_system_instructions_lead_the_input_once() -> None:
    instructions = '[{"type":"text","content":"Be terse."}]'
    user = '{"role":"user","parts":[{"type":"text","content":"hi"}]}'
    once = normalise({"gen_ai.system_instructions": instructions, "gen_ai.input.messages": f"[{user}]"})
    system = '{"role":"system","parts":[{"type":"text","content":"Be terse."}]}'
    twice = normalise({"gen_ai.system_instructions": instructions, "gen_ai.input.messages": f"[{system},{user}]"})
    expected = [message("system", text("Be terse.")), message("user", text("hi"))]
    assert json.loads(once.input) == json.loads(twice.input) == expected


def test_pydantic_ai_arguments_are_parsed_and_agent_content_is_found() -> None:
    messages = [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": '{"a":1}'}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "c", "name": "f", "result": "ok"}]},
    ]
    span = normalise(
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.system": "openai",
            "pydantic_ai.all_messages": json.dumps(messages),
            "final_result": "done",
            "gen_ai.aggregated_usage.input_tokens": 84,
            "operation.cost": 0.00031,
            "logfire.tags": ["x"],
        }
    )
    assert span.kind is SpanKind.AGENT
    assert span.usage == Usage()
    assert (span.cost_usd, span.tags) == (Decimal("0.00031"), ["x"])
    assert json.loads(span.input)[0]["parts"][0]["arguments"] == {"a": 1}
    assert json.loads(span.input)[1]["parts"][0]["response"] == "ok"
    assert json.loads(span.output) == [message("assistant", text("done"))]


def test_pydantic_ai_events_attribute_is_read_as_messages() -> None:
    events = [
        {"event.name": "gen_ai.system.message", "content": "Be terse.", "role": "system"},
        {"event.name": "gen_ai.user.message", "content": "hi"},
        {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "ho"}},
    ]
    span = normalise({"gen_ai.operation.name": "chat", "events": json.dumps(events)})
    assert json.loads(span.input) == [message("system", text("Be terse.")), message("user", text("hi"))]
    assert json.loads(span.output) == [message("assistant", text("ho"))]


def test_old_content_span_events_are_read_as_messages() -> None:
    prompt = json.dumps([{"role": "user", "content": "hi"}])
    events = (
        DecodedEvent("gen_ai.content.prompt", START_NS, {"gen_ai.prompt": prompt}),
        DecodedEvent(
            "gen_ai.content.completion", START_NS, {"gen_ai.completion": '[{"role":"assistant","content":"ho"}]'}
        ),
    )
    span = normalise({"gen_ai.operation.name": "chat"}, events=events)
    assert json.loads(span.input) == [message("user", text("hi"))]
    assert json.loads(span.output) == [message("assistant", text("ho"))]


def test_flattened_openllmetry_span_of_an_old_version() -> None:
    span = normalise(
        {
            "llm.request.type": "chat",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "Weather?",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be terse.",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.finish_reason": "tool_calls",
            "gen_ai.completion.0.tool_calls.0.id": "c",
            "gen_ai.completion.0.tool_calls.0.name": "get_weather",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"city":"Paris"}',
            "llm.request.functions.0.name": "get_weather",
            "llm.request.functions.0.parameters": '{"type":"object"}',
            "gen_ai.usage.prompt_tokens": 42,
            "gen_ai.usage.completion_tokens": 17,
            "llm.usage.total_tokens": 59,
            "llm.is_streaming": True,
            "llm.user": "end-user",
            "traceloop.association.properties.session_id": "s-1",
            "traceloop.prompt.key": "greet",
            "traceloop.prompt.version": "3",
        }
    )
    assert (span.dialect, span.kind, span.provider, span.operation) == ("openllmetry", SpanKind.CHAT, "openai", "chat")
    assert json.loads(span.input) == [message("system", text("Be terse.")), message("user", text("Weather?"))]
    call = {"type": "tool_call", "id": "c", "name": "get_weather", "arguments": {"city": "Paris"}}
    assert json.loads(span.output) == [{**message("assistant", call), "finish_reason": "tool_call"}]
    assert json.loads(span.tools) == [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]
    assert span.usage == Usage(input_tokens=42, output_tokens=17)
    assert (span.finish_reason, span.is_stream) == ("tool_call", True)
    assert (span.session_id, span.user_id) == ("s-1", "end-user")
    assert (span.prompt_name, span.prompt_version) == ("greet", "3")


@pytest.mark.parametrize(
    ("entity", "kind"),
    [("workflow", SpanKind.WORKFLOW), ("task", SpanKind.SPAN), ("agent", SpanKind.AGENT), ("tool", SpanKind.TOOL)],
)
def test_traceloop_entities_have_kinds_and_doubly_encoded_content(entity: str, kind: SpanKind) -> None:
    doubly = json.dumps(json.dumps({"temp_c": 21}))
    span = normalise(
        {"traceloop.span.kind": entity, "traceloop.entity.input": '{"a":1}', "traceloop.entity.output": doubly}
    )
    assert (span.dialect, span.kind) == ("openllmetry", kind)
    assert (json.loads(span.input), json.loads(span.output)) == ({"a": 1}, {"temp_c": 21})


def langfuse_generation(**extra: JsonLike) -> dict[str, JsonLike]:
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o-mini-2024-07-18",
        **{f"langfuse.observation.{key}": value for key, value in extra.items()},
    }


def test_langfuse_generation_is_read() -> None:
    given = {
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
    attributes = langfuse_generation(
        input=json.dumps(given),
        output='{"role":"assistant","content":"ho"}',
        cost_details='{"input":0.001,"output":0.002,"total":0.003}',
        level="ERROR",
        status_message="went wrong",
        completion_start_time='"2023-11-14T22:13:20.250000Z"',
    )
    attributes["langfuse.observation.model.parameters"] = '{"temperature":0.2,"max_tokens":"Infinity"}'
    attributes["langfuse.observation.prompt.name"] = "greet"
    attributes["langfuse.observation.prompt.version"] = 3
    attributes |= {"session.id": "s", "user.id": "u", "langfuse.trace.tags": ["t"], "langfuse.environment": "prod"}
    span = normalise(attributes)
    assert (span.dialect, span.kind, span.provider, span.operation) == ("langfuse", SpanKind.CHAT, "openai", "chat")
    assert json.loads(span.input) == [message("user", text("hi"))]
    assert json.loads(span.output) == [message("assistant", text("ho"))]
    assert json.loads(span.tools) == [{"type": "function", "name": "f"}]
    assert span.parameters == {"temperature": "0.2"}
    assert span.cost_usd == Decimal("0.003")
    assert (span.status, span.status_message) == ("error", "went wrong")
    assert (span.is_stream, span.time_to_first_token_ns) == (True, 250_000_000)
    assert (span.prompt_name, span.prompt_version) == ("greet", "3")
    assert (span.session_id, span.user_id, span.tags, span.environment) == ("s", "u", ["t"], "prod")


OPENAI_USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 17,
    "total_tokens": 59,
    "prompt_tokens_details": {"cached_tokens": 12, "audio_tokens": None},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


@pytest.mark.parametrize(
    "usage",
    [
        OPENAI_USAGE,
        {"input": 30, "input_cached_tokens": 12, "output": 12, "output_reasoning_tokens": 5, "total": 59},
        {"input": 30, "input_cached_tokens": 12, "output": 12, "output_reasoning_tokens": 5},
        {"input": 42, "input_cached_tokens": 12, "output": 17, "output_reasoning_tokens": 5, "total": 59},
        {
            "input_tokens": 42,
            "output_tokens": 17,
            "input_tokens_details": {"cached_tokens": 12},
            "output_tokens_details": {"reasoning_tokens": 5},
        },
    ],
)
def test_langfuse_usage_details_of_every_shape_end_in_the_same_buckets(usage: dict[str, object]) -> None:
    span = normalise(langfuse_generation(usage_details=json.dumps(usage)))
    assert span.usage == Usage(input_tokens=30, cache_read_tokens=12, output_tokens=12, reasoning_tokens=5)


@pytest.mark.parametrize(
    ("kind_name", "kind"),
    [
        ("span", SpanKind.SPAN),
        ("event", SpanKind.EVENT),
        ("embedding", SpanKind.EMBEDDING),
        ("tool", SpanKind.TOOL),
        ("evaluator", SpanKind.EVALUATOR),
    ],
)
def test_langfuse_observation_types_have_kinds(kind_name: str, kind: SpanKind) -> None:
    assert normalise({"langfuse.observation.type": kind_name}).kind is kind


def test_mlflow_native_span_with_every_value_json_encoded() -> None:
    inputs = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.2}
    outputs = {
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"message": {"role": "assistant", "content": "ho"}, "finish_reason": "stop"}],
    }
    usage = {"input_tokens": 42, "output_tokens": 17, "total_tokens": 59, "cache_read_input_tokens": 12}
    span = normalise(
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.spanInputs": json.dumps(inputs),
            "mlflow.spanOutputs": json.dumps(outputs),
            "mlflow.chat.tokenUsage": json.dumps(usage),
            "mlflow.llm.cost": '{"total_cost": 0.5}',
            "mlflow.llm.provider": '"openai"',
            "model": '"gpt-4o-mini"',
            "temperature": "0.2",
            "stream": "true",
        },
        events=(DecodedEvent("mlflow.chunk.item.0", START_NS + 7, {}),),
    )
    assert (span.dialect, span.kind, span.provider) == ("mlflow", SpanKind.CHAT, "openai")
    assert (span.request_model, span.response_model) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")
    assert span.usage == Usage(input_tokens=30, cache_read_tokens=12, output_tokens=17)
    assert (span.cost_usd, span.parameters, span.finish_reason) == (Decimal("0.5"), {"temperature": "0.2"}, "stop")
    assert (span.is_stream, span.time_to_first_token_ns) == (True, 7)
    assert json.loads(span.input) == [message("user", text("hi"))]
    assert json.loads(span.output) == [{**message("assistant", text("ho")), "finish_reason": "stop"}]


def test_mlflow_responses_api_content_becomes_messages() -> None:
    inputs = {"model": "m", "input": "hi", "instructions": "Be terse."}
    outputs = {
        "object": "response",
        "status": "completed",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ho"}]}],
    }
    span = normalise(
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.spanInputs": json.dumps(inputs),
            "mlflow.spanOutputs": json.dumps(outputs),
        }
    )
    assert json.loads(span.input) == [message("system", text("Be terse.")), message("user", text("hi"))]
    assert json.loads(span.output) == [message("assistant", text("ho"))]
    assert span.finish_reason == "stop"


def test_vercel_v4_names_metadata_and_anthropic_cache() -> None:
    span = normalise(
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude-3-5-sonnet",
            "ai.usage.promptTokens": 10,
            "ai.usage.completionTokens": 5,
            "ai.response.providerMetadata": '{"anthropic":{"cacheReadInputTokens":4,"cacheCreationInputTokens":2}}',
            "ai.settings.maxTokens": 64,
            "ai.settings.maxRetries": 2,
            "ai.prompt": '{"system":"Be terse.","prompt":"hi"}',
            "ai.response.object": '{"answer":42}',
            "ai.telemetry.metadata.userId": "u",
            "ai.telemetry.metadata.sessionId": "s",
            "ai.telemetry.metadata.tags": ["a", "b"],
            "ai.telemetry.metadata.langfusePrompt": '{"name":"greet","version":2}',
        },
        scope="ai",
    )
    assert (span.dialect, span.kind, span.provider) == ("vercel", SpanKind.CHAT, "anthropic")
    assert span.usage == Usage(input_tokens=10, cache_read_tokens=4, cache_write_tokens=2, output_tokens=5)
    assert span.parameters == {"max_tokens": "64"}
    assert json.loads(span.input) == [message("system", text("Be terse.")), message("user", text("hi"))]
    assert json.loads(span.output) == [message("assistant", {"type": "generic", "object": {"answer": 42}})]
    assert (span.user_id, span.session_id, span.tags) == ("u", "s", ["a", "b"])
    assert (span.prompt_name, span.prompt_version) == ("greet", "2")


def test_vercel_v7_tool_definitions_get_parameters() -> None:
    tools = [{"type": "function", "name": "f", "inputSchema": {"type": "object"}}]
    span = normalise({"gen_ai.operation.name": "chat", "gen_ai.tool.definitions": json.dumps(tools)})
    assert json.loads(span.tools) == [{"type": "function", "name": "f", "parameters": {"type": "object"}}]


def test_openinference_cost_contents_and_retrieved_documents() -> None:
    prefix = "llm.input_messages.0.message"
    chat = normalise(
        {
            "openinference.span.kind": "LLM",
            "llm.cost.prompt": 0.01,
            "llm.cost.completion": 0.02,
            f"{prefix}.role": "user",
            f"{prefix}.contents.0.message_content.type": "text",
            f"{prefix}.contents.0.message_content.text": "see",
            f"{prefix}.contents.1.message_content.type": "image",
            f"{prefix}.contents.1.message_content.image.image.url": "http://x/y.png",
        }
    )
    image = {"type": "uri", "modality": "image", "uri": "http://x/y.png"}
    assert chat.cost_usd == Decimal("0.03")
    assert json.loads(chat.input) == [message("user", text("see"), image)]
    found = normalise(
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "where?",
            "retrieval.documents.0.document.id": "d0",
            "retrieval.documents.0.document.score": 0.5,
        }
    )
    assert (found.kind, json.loads(found.input)) == (SpanKind.RETRIEVER, "where?")
    assert json.loads(found.output) == [{"id": "d0", "score": 0.5}]


@pytest.mark.parametrize(
    ("attributes", "scope", "cost"),
    [
        ({"gen_ai.usage.cost": 0}, "openlit.instrumentation.openai", None),
        ({"gen_ai.usage.cost": 0, "telemetry.sdk.name": "openlit"}, "", None),
        ({"gen_ai.usage.cost": 0.25}, "openlit.instrumentation.openai", Decimal("0.25")),
        ({"gen_ai.usage.cost": 0}, "openrouter", Decimal(0)),
        ({"gen_ai.usage.cost": "NaN"}, "", None),
        ({"gen_ai.usage.cost": -1}, "", None),
        ({"gen_ai.usage.cost": "1e999"}, "", None),
    ],
)
def test_reported_cost_is_exact_or_unknown(attributes: dict[str, JsonLike], scope: str, cost: Decimal | None) -> None:
    assert normalise({"gen_ai.operation.name": "chat", **attributes}, scope=scope).cost_usd == cost


def test_error_type_comes_from_the_attribute_then_from_the_exception() -> None:
    exception = DecodedEvent("exception", START_NS, {"exception.type": "x.Y", "exception.message": "boom"})
    assert normalise({"error.type": "<class 'a.B'>"}, status_code=2).error_type == "a.B"
    from_event = normalise({}, events=(exception,), status_code=2)
    assert (from_event.status, from_event.error_type, from_event.status_message) == ("error", "x.Y", "boom")
    assert normalise({"error.type": "timeout"}).status == "error"
    assert normalise({}, events=(exception,), status_code=1).error_type == ""


def test_first_token_time_of_an_answer_that_was_not_streamed_is_dropped() -> None:
    seconds: dict[str, JsonLike] = {"gen_ai.operation.name": "chat", "gen_ai.server.time_to_first_token": 0.5}
    assert normalise(seconds).time_to_first_token_ns == 500_000_000
    assert normalise({**seconds, "gen_ai.request.stream": False}).time_to_first_token_ns is None


@pytest.mark.parametrize(("start", "end"), [(5, 3), (5, 0), (2**64 - 1, 2**64 - 1), (3, 2**64 - 1)])
def test_odd_times_never_give_a_negative_duration_or_overflow(start: int, end: int) -> None:
    span = normalise_span(
        DecodedSpan(trace_id="a" * 32, span_id="b" * 16, name="n", start_ns=start, end_ns=end), project_id="p"
    )
    assert 0 <= span.start_ns <= span.end_ns <= 2**63 - 1


def test_half_surrogates_inside_json_text_do_not_lose_the_messages() -> None:
    cut = '[{"role":"user","parts":[{"type":"text","content":"cut \\ud83d"}]}]'
    assert json.loads(normalise({"gen_ai.input.messages": cut}).input) == [message("user", text("cut \ufffd"))]


def test_custom_operation_that_calls_a_model_counts() -> None:
    span = normalise({"gen_ai.operation.name": "transcribe", "gen_ai.request.model": "whisper-1"})
    assert (span.kind, span.operation) == (SpanKind.COMPLETION, "transcribe")


def test_mcp_tool_call_is_a_tool() -> None:
    span = normalise(
        {"mcp.method.name": "tools/call", "gen_ai.tool.name": "f", "gen_ai.tool.call.arguments": '{"a":1}'}
    )
    assert (span.dialect, span.kind, json.loads(span.input)) == ("genai", SpanKind.TOOL, {"a": 1})
