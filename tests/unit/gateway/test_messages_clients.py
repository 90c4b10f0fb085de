"""What is written is read by the real clients: Anthropic's for the Messages API, OpenAI's types for the hub form."""

from collections.abc import Sequence

import anthropic
import httpx2
import msgspec
import pytest
from anthropic.types import Message, MessageParam, TextBlock, ThinkingBlock, ToolParam, ToolUseBlock
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from pydantic import TypeAdapter

from zirkel.core import JsonObject
from zirkel.gateway.formats.messages import MessagesFormat
from zirkel.lib.sse import SseParser

FORMAT = MessagesFormat()
MESSAGES: list[MessageParam] = [{"role": "user", "content": "how warm is it?"}]
TOOLS: list[ToolParam] = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
USAGE: JsonObject = {
    "prompt_tokens": 30,
    "completion_tokens": 9,
    "total_tokens": 39,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 4, "cache_write_1h_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}},
    {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Jena"}'}},
]
HUB_ANSWER: JsonObject = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-x",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Let me see.", "reasoning_content": "hm", "tool_calls": CALLS},
            "finish_reason": "tool_calls",
        }
    ],
    "usage": USAGE,
}


def hub_deltas() -> list[JsonObject]:
    """Return ``HUB_ANSWER`` in pieces; those of the two calls are mixed."""
    deltas: list[JsonObject] = [
        {"role": "assistant", "content": ""}, {"reasoning_content": "h"}, {"reasoning_content": "m"},
        {"content": "Let me"}, {"content": " see."},
    ]  # fmt: skip
    for index, call in enumerate(CALLS):
        function = {"name": "weather", "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": function}]})
    pieces = [(0, '{"city"'), (1, '{"city":"J'), (0, ':"Ulm"}'), (1, 'ena"}')]
    return deltas + [{"tool_calls": [{"index": at, "function": {"arguments": text}}]} for at, text in pieces]


def hub_chunks() -> list[JsonObject]:
    head: JsonObject = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
    chunks: list[JsonObject] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in hub_deltas()
    ]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return [*chunks, {**head, "choices": [], "usage": USAGE}]


class Served:
    """An Anthropic client, and the gateway's side of it: notes each request's hub form, answers with fixed bytes."""

    def __init__(self, body: bytes, *, media_type: str = "application/json", status: int = 200) -> None:
        self.hub_requests: list[JsonObject] = []
        self._answer = httpx2.Response(status, content=body, headers={"content-type": media_type})
        self.client = anthropic.Anthropic(
            api_key="sk-zk-1",
            base_url="http://gateway.test",
            max_retries=0,
            http_client=httpx2.Client(transport=httpx2.MockTransport(self._handle)),
        )

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.hub_requests.append(FORMAT.read_request(msgspec.json.decode(request.content)))
        return self._answer


def check_message(message: Message) -> None:
    thinking, text, first, second = message.content
    assert isinstance(thinking, ThinkingBlock)
    assert thinking.thinking == "hm"
    assert isinstance(text, TextBlock)
    assert text.text == "Let me see."
    assert isinstance(first, ToolUseBlock)
    assert isinstance(second, ToolUseBlock)
    assert (first.id, first.name, first.input) == ("call_1", "weather", {"city": "Ulm"})
    assert (second.id, second.name, second.input) == ("call_2", "weather", {"city": "Jena"})
    assert (message.model, message.stop_reason) == ("gpt-x", "tool_use")
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (5, 20, 5)
    assert usage.output_tokens == 9


def test_anthropics_client_reads_a_written_answer() -> None:
    served = Served(msgspec.json.encode(FORMAT.write_answer(HUB_ANSWER, {"model": "m"})))
    message = served.client.messages.create(model="m", max_tokens=50, messages=MESSAGES, tools=TOOLS)
    check_message(message)
    assert message.usage.cache_creation is not None
    assert message.usage.cache_creation.ephemeral_1h_input_tokens == 1


def test_anthropics_client_puts_a_written_stream_together() -> None:
    writer = FORMAT.stream_writer({"model": "m"})
    body = b"".join(writer.write(chunk) for chunk in hub_chunks()) + writer.end()
    served = Served(body, media_type="text/event-stream")
    with served.client.messages.stream(model="m", max_tokens=50, messages=MESSAGES, tools=TOOLS) as stream:
        finished = [event.content_block for event in stream if event.type == "content_block_stop"]
        message = stream.get_final_message()
    check_message(message)
    assert [block.type for block in finished] == ["thinking", "text", "tool_use", "tool_use"]
    assert served.hub_requests[0]["stream"] is True


def test_what_anthropics_client_sends_is_read() -> None:
    served = Served(msgspec.json.encode(FORMAT.write_answer(HUB_ANSWER, {"model": "m"})))
    answer = served.client.messages.create(model="m", max_tokens=50, messages=MESSAGES, tools=TOOLS)
    results: MessageParam = {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": block.id, "content": "20 C"}
            for block in answer.content
            if isinstance(block, ToolUseBlock)
        ],
    }
    served.client.messages.create(
        model="m", max_tokens=50, tools=TOOLS, messages=[*MESSAGES, answer.to_param(), results], system="be brief"
    )
    messages = served.hub_requests[1]["messages"]
    assert isinstance(messages, list)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "tool"]
    assert [call["id"] for call in messages[2]["tool_calls"]] == ["call_1", "call_2"]


def test_anthropics_client_raises_the_error_of_a_written_stream() -> None:
    writer = FORMAT.stream_writer({"model": "m"})
    body = writer.write(hub_chunks()[3]) + writer.fail("too much going on", status=503, code="overloaded")
    client = Served(body, media_type="text/event-stream").client
    with (
        pytest.raises(anthropic.APIStatusError, match="too much going on"),
        client.messages.stream(model="m", max_tokens=50, messages=MESSAGES) as stream,
    ):
        stream.get_final_message()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (502, anthropic.InternalServerError),
    ],
)
def test_anthropics_client_raises_the_kind_of_a_written_error(
    status: int, kind: type[anthropic.APIStatusError]
) -> None:
    served = Served(FORMAT.error_body("not so", status=status, code="invalid", param="messages"), status=status)
    with pytest.raises(kind, match="not so"):
        served.client.messages.create(model="m", max_tokens=50, messages=MESSAGES)


def reader_chunks() -> Sequence[JsonObject]:
    writer = FORMAT.stream_writer({"model": "m"})
    stream = b"".join(writer.write(chunk) for chunk in hub_chunks()) + writer.end()
    reader = FORMAT.stream_reader()
    return [chunk for event in SseParser().feed(stream) for chunk in reader.feed(event)]


def test_read_answers_have_the_types_of_openais_client() -> None:
    hub = FORMAT.read_answer(FORMAT.write_answer(HUB_ANSWER, {"model": "m"}))
    completion = ChatCompletion.model_validate(hub, strict=True)
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert [call.id for call in calls] == ["call_1", "call_2"]
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 30


def test_read_streams_have_the_types_of_openais_client() -> None:
    chunks = [ChatCompletionChunk.model_validate(chunk, strict=True) for chunk in reader_chunks()]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Let me see."
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 9


FULL_HUB_REQUEST: JsonObject = {
    "model": "claude-haiku-4-5",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
        {"role": "assistant", "content": "Let me see.", "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "call_1", "content": "20 C"},
        {"role": "tool", "tool_call_id": "call_2", "content": "21 C"},
        {"role": "user", "content": "and now?"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "reasoning_effort": "low",
    "stop": "END",
    "user": "u",
}


def test_written_requests_have_the_types_of_anthropics_client() -> None:
    written = FORMAT.write_request(FULL_HUB_REQUEST)
    assert TypeAdapter(MessageCreateParamsNonStreaming).validate_python(written)["max_tokens"] == 5120
    streamed = FORMAT.write_request({**FULL_HUB_REQUEST, "stream": True})
    assert TypeAdapter(MessageCreateParamsStreaming).validate_python(streamed)["stream"] is True
    declared = MessageCreateParamsStreaming.__required_keys__ | MessageCreateParamsStreaming.__optional_keys__
    assert streamed.keys() <= declared


def test_read_requests_have_the_types_of_openais_client() -> None:
    hub = FORMAT.read_request(FORMAT.write_request(FULL_HUB_REQUEST))
    assert TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(hub)["model"] == "claude-haiku-4-5"
    streamed = FORMAT.read_request(FORMAT.write_request({**FULL_HUB_REQUEST, "stream": True}))
    assert TypeAdapter(CompletionCreateParamsStreaming).validate_python(streamed)["stream"] is True
    declared = CompletionCreateParamsStreaming.__required_keys__ | CompletionCreateParamsStreaming.__optional_keys__
    assert streamed.keys() <= declared
