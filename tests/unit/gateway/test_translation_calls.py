"""Callers of each format at upstreams of each dialect: passed on as they are, or translated both ways."""

import json
from decimal import Decimal
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from aiohttp import web

from tests.unit.gateway import provider_stubs as stubs
from zirkel.core import Json, Usage
from zirkel.gateway import SnapshotLink, SnapshotModel, SnapshotTarget
from zirkel.gateway.completion import CompletionBuilder
from zirkel.lib.sse import SseParser

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Reply, Stage
    from tests.unit.gateway.provider_stubs import Asked

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
UPSTREAMS = ("chat-only", "anthropic", "gemini", "bedrock")
USAGE = Usage(input_tokens=30, cache_read_tokens=12, output_tokens=17)
SCHEMA: Json = {"type": "object", "properties": {"city": {"type": "string"}}}
SECRET = b"sk-upstream-secret"


def _body(format_name: str, model: str, *, stream: bool = False, has_tool: bool = False) -> dict[str, Json]:
    said: list[Json] = [{"role": "user", "content": "Hi"}]
    body: dict[str, Json] = {"model": model} | ({"stream": True} if stream else {})
    if format_name == "responses":
        tool: Json = {"type": "function", "name": "weather", "parameters": SCHEMA}
        body |= {"input": said, "max_output_tokens": 100}
    elif format_name == "messages":
        tool = {"name": "weather", "input_schema": SCHEMA}
        body |= {"messages": said, "max_tokens": 100}
    else:
        tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
        body |= {"messages": said, "max_tokens": 100}
    return body | ({"tools": [tool]} if has_tool else {})


def _ask(stage: "Stage", format_name: str, body: Json) -> "Reply":
    return stage.send("POST", PATHS[format_name], json.dumps(body).encode())


def _sent(stage: "Stage") -> "Asked":
    return stage.upstream.providers.asked[-1]


def _text(format_name: str, answer: dict[str, Json]) -> str:
    """Return what a whole answer says, read without the gateway's own code."""
    match format_name, answer:
        case "chat", {"choices": [{"message": {"content": str(text)}}]}:
            return text
        case "messages", {"type": "message", "content": [{"type": "text", "text": str(text)}]}:
            return text
        case "responses", {"object": "response", "output": [{"content": [{"type": "output_text", "text": str(text)}]}]}:
            return text
    raise AssertionError(f"no text in {answer}")


def _call(format_name: str, answer: dict[str, Json]) -> tuple[str, Json]:
    """Return the tool call of a whole answer: name and arguments."""
    match format_name, answer:
        case "chat", {"choices": [{"message": {"tool_calls": [{"function": {"name": name, "arguments": raw}}]}}]}:
            return str(name), json.loads(str(raw))
        case "messages", {
            "stop_reason": "tool_use",
            "content": [{"type": "tool_use", "name": str(name), "input": raw}],
        }:
            return name, raw
        case "responses", {"output": [{"type": "function_call", "name": str(name), "arguments": str(raw)}]}:
            return name, json.loads(raw)
    raise AssertionError(f"no tool call in {answer}")


def _streamed(format_name: str, body: bytes) -> dict[str, Json]:
    """Return what a stream says, put together as its format's own clients do."""
    events = [(event.event, event.data) for event in SseParser().feed(body) if event.data is not None]
    if format_name == "chat":
        assert events[-1][1] == b"[DONE]"
        builder = CompletionBuilder()
        for _, data in events[:-1]:
            builder.add(data)
        return cast(dict[str, Json], builder.answer())
    parsed = [json.loads(data) for _, data in events]
    if format_name == "responses":
        assert parsed[-1]["type"] == "response.completed"
        return cast(dict[str, Json], parsed[-1]["response"])
    assert parsed[-1]["type"] == "message_stop"
    message = cast(dict[str, Json], parsed[0]["message"])
    blocks: list[dict[str, Json]] = []
    for event in parsed:
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"] | {"partial": ""})
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            blocks[-1]["partial"] = cast(str, blocks[-1]["partial"]) + (delta.get("text") or delta["partial_json"])
        elif event["type"] == "message_delta":
            message |= event["delta"]
    for block in blocks:
        partial = cast(str, block.pop("partial"))
        block |= {"text": partial} if block["type"] == "text" else {"input": json.loads(partial)}
    return {**message, "content": cast(Json, blocks)}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("format_name", PATHS)
def test_every_format_is_answered_by_every_dialect(
    stage: "Stage", format_name: str, upstream: str, stream: bool
) -> None:
    reply = _ask(stage, format_name, _body(format_name, f"{upstream}/good", stream=stream))

    assert reply.status == 200, reply.body
    answer = _streamed(format_name, reply.body) if stream else json.loads(reply.body)
    assert _text(format_name, answer) == "Hello wörld"
    _, attempt = stage.only_call()
    assert attempt.settlement == "reported"
    total = (attempt.usage.output_tokens or 0) + (attempt.usage.reasoning_tokens or 0)
    assert (attempt.usage.input_tokens, attempt.usage.cache_read_tokens, total) == (30, 12, 17)
    assert attempt.cost_usd is not None
    assert attempt.reserved_usd is not None
    assert attempt.reserved_usd >= attempt.cost_usd


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream", ["anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize("format_name", PATHS)
def test_tools_are_translated_both_ways(stage: "Stage", format_name: str, upstream: str, stream: bool) -> None:
    reply = _ask(stage, format_name, _body(format_name, f"{upstream}/good", stream=stream, has_tool=True))

    assert reply.status == 200, reply.body
    answer = _streamed(format_name, reply.body) if stream else json.loads(reply.body)
    assert _call(format_name, answer) == ("weather", {"city": "Ulm"})
    declared = {
        "anthropic": ("tools", 0, "name"),
        "gemini": ("tools", 0, "functionDeclarations", 0, "name"),
        "bedrock": ("toolConfig", "tools", 0, "toolSpec", "name"),
    }[upstream]
    found: object = _sent(stage).json
    for step in declared:
        found = cast(dict[object, object], found)[step]
    assert found == "weather"


@pytest.mark.parametrize("format_name", ["messages", "responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_tools_of_a_chat_upstream_reach_callers_of_other_formats(
    stage: "Stage", format_name: str, stream: bool
) -> None:
    async def call(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
        function: Json = {"name": "weather", "arguments": '{"city": "Ulm"}'}
        message: dict[str, Json] = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}],
        }
        choice: Json = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        if not body.get("stream"):
            return web.json_response({"model": "m", "choices": [choice]})
        chunk: Json = {"choices": [{"index": 0, "delta": message, "finish_reason": "tool_calls"}]}
        return await stubs.stream(request, [stubs.sse(chunk), b"data: [DONE]\n\n"])

    stage.upstream.handlers["caller"] = call
    reply = _ask(stage, format_name, _body(format_name, "chat-only/caller", stream=stream, has_tool=True))

    answer = _streamed(format_name, reply.body) if stream else json.loads(reply.body)
    assert _call(format_name, answer) == ("weather", {"city": "Ulm"})


def test_a_responses_stream_asks_a_chat_upstream_for_usage(stage: "Stage") -> None:
    _ask(stage, "responses", _body("responses", "chat-only/good", stream=True))

    assert stage.upstream.requests[0]["stream_options"] == {"include_usage": True}


_MESSAGES = b'"messages":[ {"role":"user","content":"\\u00fc"} ],"x":1.0e0}'
NATIVE = [
    ("/v1/messages", b'{"model":"anthropic/good","max_tokens":100,' + _MESSAGES),
    ("/v1/responses", b'{"model":"stub/good","input":[ {"role":"user","content":"\\u00fc"} ],"x":1.0e0}'),
    ("/v1/embeddings", b'{"model":"stub/good","input":[ "\\u00fc" ],"x":1.0e0}'),
    ("/v1/completions", b'{"model":"stub/good","prompt":[ "\\u00fc" ],"x":1.0e0}'),
]
_ANSWER = b'{ "object":"response" , "status":"completed","output":[], "model":"m","id":"r","created_at":1 }'
_COMPLETION = b'{ "choices":[ {"text":"x","index":0,"finish_reason":"stop","odd" :1.0e0} ] , "model":"m" }'
_END = stubs.sse({"type": "response.completed", "response": json.loads(_ANSWER)}, "response.completed")
NATIVE_ANSWERS = [
    (*NATIVE[0], json.dumps(stubs.anthropic_answer(), indent=3).encode()),
    (*NATIVE[1], _ANSWER),
    (*NATIVE[2], stubs.EMBEDDINGS),
    (*NATIVE[3], _COMPLETION),
]
NATIVE_STREAMS = [
    (*NATIVE[0], b": hello\n\n" + b"".join(stubs.anthropic_events())),
    (*NATIVE[1], b": hello\r\n\r\n" + _END),
    (*NATIVE[3], b"data:" + _COMPLETION + b"\r\n\r\ndata: [DONE]\n\n"),
]


@pytest.mark.parametrize(("path", "body"), NATIVE)
def test_the_same_dialect_gets_each_member_as_it_was_sent_and_only_the_model_is_another(
    stage: "Stage", path: str, body: bytes
) -> None:
    assert stage.send("POST", path, body).status == 200

    sent = msgspec.json.decode(_sent(stage).body, type=dict[str, msgspec.Raw])
    was = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    assert {name: bytes(raw) for name, raw in sent.items() if name != "model"} == {
        name: bytes(raw) for name, raw in was.items() if name != "model"
    }
    assert bytes(sent["model"]) == b'"good"'


@pytest.mark.parametrize(("path", "body", "answer"), NATIVE_ANSWERS)
def test_the_same_dialects_answer_is_passed_on_byte_for_byte(
    stage: "Stage", path: str, body: bytes, answer: bytes
) -> None:
    async def own(request: web.Request, asked: "Asked") -> web.StreamResponse:
        return web.Response(body=answer, content_type="application/json")

    stage.upstream.providers.own[path] = own
    reply = stage.send("POST", path, body)

    assert (reply.status, reply.body) == (200, answer)


@pytest.mark.parametrize(("path", "body", "answer"), NATIVE_STREAMS)
def test_the_same_dialects_stream_is_passed_on_byte_for_byte(
    stage: "Stage", path: str, body: bytes, answer: bytes
) -> None:
    async def own(request: web.Request, asked: "Asked") -> web.StreamResponse:
        return await stubs.stream(request, [answer[:20], answer[20:]])

    stage.upstream.providers.own[path] = own
    reply = stage.send("POST", path, body[:-1] + b',"stream":true}')

    assert (reply.status, reply.body) == (200, answer)


def test_embeddings_are_priced_though_their_table_has_no_price_for_output(stage: "Stage") -> None:
    price = msgspec.structs.replace(stage.source.snapshot.prices["p1/stub/good"][0], output=[], reasoning=[])
    stage.configure(prices={"p1/stub/e": [price]})
    reply = stage.send("POST", "/v1/embeddings", b'{"model": "stub/e", "input": "x"}')

    _, attempt = stage.only_call()
    assert (reply.status, reply.body) == (200, stubs.EMBEDDINGS)
    assert (attempt.operation, attempt.name, attempt.kind) == ("embeddings", "embeddings e", "embedding")
    assert attempt.cost_usd == Decimal("0.000105")
    assert attempt.reserved_usd is not None
    assert attempt.reserved_usd >= (attempt.cost_usd or 0)


def test_a_completion_is_a_text_completion_and_its_stream_is_asked_for_usage(stage: "Stage") -> None:
    reply = stage.send("POST", "/v1/completions", b'{"model": "stub/good", "prompt": "x", "stream": true}')

    _, attempt = stage.only_call()
    assert reply.status == 200
    assert (attempt.operation, attempt.kind, attempt.settlement) == ("text_completion", "completion", "reported")
    assert _sent(stage).json["stream_options"] == {"include_usage": True}
    assert b'"choices": [], "usage"' not in reply.body


@pytest.mark.parametrize(
    ("header", "value"),
    [("authorization", "Bearer call-key"), ("x-api-key", "call-key"), ("api-key", "call-key"),
     ("x-goog-api-key", "call-key"), ("authorization", "bearer call-key")],
)  # fmt: skip
def test_a_key_may_come_in_any_dialects_header(stage: "Stage", header: str, value: str) -> None:
    body = json.dumps(_body("messages", "anthropic/good")).encode()
    reply = stage.send("POST", "/v1/messages", body, key="", **{header.replace("-", "_"): value})

    assert reply.status == 200
    assert b"call-key" not in json.dumps(_sent(stage).headers).encode()
    assert _sent(stage).headers["x-api-key"] == "sk-upstream-secret-0123456789"


def _error_of(format_name: str, body: bytes) -> dict[str, str]:
    found = json.loads(body)
    if format_name == "messages":
        assert found["type"] == "error"
    return cast(dict[str, str], found["error"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream", ["stub", "anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize("format_name", PATHS)
def test_a_refusal_keeps_status_and_message_in_the_callers_shape_and_no_credential(
    stage: "Stage", format_name: str, upstream: str, stream: bool
) -> None:
    reply = _ask(stage, format_name, _body(format_name, f"{upstream}/http-422", stream=stream))

    error = _error_of(format_name, reply.body)
    assert reply.status == 422
    assert "no [credential]" in error["message"]
    assert SECRET not in reply.body + stage.sink.payloads[0]
    call, attempt = stage.only_call()
    assert (call.error_type, attempt.error_type, attempt.settlement) == ("http_422", "http_422", "free")
    assert attempt.cost_usd == 0


@pytest.mark.parametrize(
    ("model", "status", "kind"),
    [("service:none", 404, "not_found_error"), ("stub/http-500", 502, "api_error")],
)
def test_the_gateways_own_errors_are_in_the_callers_shape(stage: "Stage", model: str, status: int, kind: str) -> None:
    messages = _ask(stage, "messages", _body("messages", model))
    chat = _ask(stage, "chat", _body("chat", model))

    assert (messages.status, chat.status) == (status, status)
    assert _error_of("messages", messages.body)["type"] == kind
    assert set(_error_of("chat", chat.body)) == {"message", "type", "code", "param"}


def test_an_unknown_key_is_told_in_the_callers_shape(stage: "Stage") -> None:
    reply = stage.send("POST", "/v1/messages", b"{}", key="nobody")

    assert (reply.status, _error_of("messages", reply.body)["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("format_name", PATHS)
def test_a_stream_that_breaks_ends_in_the_callers_shape(stage: "Stage", format_name: str) -> None:
    reply = _ask(stage, format_name, _body(format_name, "chat-only/breaks-midway", stream=True))

    last = [event for event in SseParser().feed(reply.body) if event.data is not None][-1]
    assert last.data is not None
    found = json.loads(last.data)
    if format_name == "messages":
        assert (last.event, found["error"]["type"]) == ("error", "api_error")
    elif format_name == "responses":
        assert found["type"] in ("error", "response.failed")
    else:
        assert found["error"]["code"] == "upstream_failed"
    assert stage.only_call()[1].settlement == "counted"


@pytest.mark.parametrize("format_name", PATHS)
@pytest.mark.parametrize("upstream", ["stub", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_service_answers_every_chat_format(stage: "Stage", format_name: str, upstream: str, stream: bool) -> None:
    stage.configure(SnapshotTarget(upstream, "good"))
    body = _body(format_name, "service:triage", stream=stream) | {"zirkel": {"variables": {"ticket": "T1"}}}
    reply = _ask(stage, format_name, body)

    answer = _streamed(format_name, reply.body) if stream else json.loads(reply.body)
    assert _text(format_name, answer) == "Hello wörld"
    call, attempt = stage.only_call()
    assert (call.service, call.release) == ("triage", "a" * 64)
    assert json.loads(attempt.input)[-1] == {"role": "user", "content": "Sort this: T1"}


@pytest.mark.parametrize("format_name", PATHS)
def test_a_services_prompt_needs_no_messages_of_the_callers(stage: "Stage", format_name: str) -> None:
    body = _body(format_name, "service:triage") | {"zirkel": {"variables": {"ticket": "T1"}}}
    body.pop("messages", None)
    body.pop("input", None)
    assert _ask(stage, format_name, body).status == 200


@pytest.mark.parametrize("format_name", ["messages", "responses"])
def test_a_releases_own_bound_of_the_answer_replaces_the_callers_under_whichever_name(
    stage: "Stage", format_name: str
) -> None:
    stage.configure(SnapshotTarget("stub", "good", msgspec.Raw(b'{"max_tokens": 7}')))
    _ask(stage, format_name, _body(format_name, "service:triage") | {"zirkel": {"variables": {"ticket": "T1"}}})

    sent = stage.upstream.requests[0]
    assert sent["max_tokens"] == 7
    assert "max_completion_tokens" not in sent


@pytest.mark.parametrize(
    ("format_name", "system"),
    [("messages", {"system": "Be brief."}), ("responses", {"instructions": "Be brief."})],
)
def test_a_system_prompt_beside_the_messages_is_part_of_the_recorded_input(
    stage: "Stage", format_name: str, system: dict[str, Json]
) -> None:
    upstream = "anthropic" if format_name == "messages" else "stub"
    _ask(stage, format_name, _body(format_name, f"{upstream}/good") | system)

    call, attempt = stage.only_call()
    said: Json = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert json.loads(call.input) == json.loads(attempt.input) == said


def test_an_alias_may_span_dialects_and_the_second_answers_in_the_callers_format(stage: "Stage") -> None:
    places = ("http-500", "stub"), ("good", "gemini")
    chain = [SnapshotLink([SnapshotTarget(upstream, model)]) for model, upstream in places]
    stage.configure(models={"p1/best": SnapshotModel("best", chain)})
    reply = _ask(stage, "messages", _body("messages", "best"))

    assert _text("messages", json.loads(reply.body)) == "Hello wörld"
    assert reply.headers["x-zirkel-fallback"] == "1"
    assert [span.name for span in stage.only_call()] == ["chat best", "chat http-500", "chat good"]
