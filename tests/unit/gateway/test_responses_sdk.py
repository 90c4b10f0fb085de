"""The Responses API as OpenAI's own client reads it, and writes it."""

import json
from collections.abc import Sequence

import httpx2
import openai
import pytest
from pydantic import BaseModel

from zirkel.core import JsonObject
from zirkel.gateway.formats.responses import ResponsesFormat

FORMAT = ResponsesFormat()
USAGE: JsonObject = {
    "prompt_tokens": 12,
    "completion_tokens": 8,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
TOOL: JsonObject = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


class Weather(BaseModel):
    city: str
    degrees: int


def chunk(delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "created": 5, "model": "m", "choices": [choice]}


TEXT_CHUNKS: list[JsonObject] = [
    chunk({"role": "assistant"}),
    chunk({"reasoning_content": "Hm."}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo."}),
    chunk({}, "stop"),
    {"choices": [], "usage": USAGE},
]
CALL_CHUNKS: list[JsonObject] = [
    chunk({"content": "Let me see."}),
    chunk({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "weather", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
    chunk({"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "weather", "arguments": "{}"}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Bonn"}'}}]}),
    chunk({}, "tool_calls"),
]


class Server:
    """Reads each request with the format and answers with what it is given, whole or as a stream."""

    def __init__(self, message: JsonObject, chunks: Sequence[JsonObject], finish_reason: str = "stop") -> None:
        self.hub: JsonObject = {}
        self._message, self._chunks, self._finish_reason = message, chunks, finish_reason

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(
            api_key="k",
            base_url="http://gateway/v1",
            max_retries=0,
            http_client=httpx2.Client(transport=httpx2.MockTransport(self._answer)),
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        self.hub = FORMAT.read_request(body)
        if body.get("stream"):
            writer = FORMAT.stream_writer(body)
            stream = b"".join(map(writer.write, self._chunks)) + writer.end()
            return httpx2.Response(200, content=stream, headers={"content-type": "text/event-stream"})
        choice = {"index": 0, "message": self._message, "finish_reason": self._finish_reason}
        hub: JsonObject = {"id": "chatcmpl-1", "created": 5, "model": "m", "choices": [choice], "usage": USAGE}
        return httpx2.Response(200, json=FORMAT.write_answer(hub, body))


def test_a_whole_answer_is_read_by_the_client() -> None:
    server = Server({"content": "Hello.", "reasoning_content": "Hm."}, [])
    with server.client() as client:
        found = client.responses.create(model="m", input="hi", instructions="be brief", max_output_tokens=9)

    assert found.output_text == "Hello."
    assert [item.type for item in found.output] == ["reasoning", "message"]
    assert found.status == "completed"
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.input_tokens_details.cached_tokens) == (12, 4)
    assert (found.usage.output_tokens, found.usage.output_tokens_details.reasoning_tokens) == (8, 2)
    assert server.hub["max_completion_tokens"] == 9


def test_a_whole_answer_that_calls_a_function_goes_back_as_input() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bonn"}'}}
    server = Server({"content": None, "tool_calls": [call]}, [], "tool_calls")
    with server.client() as client:
        first = client.responses.create(model="m", input="hi", tools=[TOOL])  # type: ignore[list-item]
        (asked,) = first.output
        assert asked.type == "function_call"
        output = {"type": "function_call_output", "call_id": asked.call_id, "output": "rain"}
        again = [{"role": "user", "content": "hi"}, *first.output, output]
        client.responses.create(model="m", input=again, tools=[TOOL])  # type: ignore[arg-type, list-item]

    assert server.hub["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]


def test_a_stream_of_text_is_read_by_the_client() -> None:
    with (
        Server({}, TEXT_CHUNKS).client() as client,
        client.responses.create(model="m", input="hi", stream=True) as stream,
    ):
        events = list(stream)

    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Hello."
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "Hello."
    assert last.response.usage is not None
    assert last.response.usage.total_tokens == 20


def test_the_clients_stream_helper_puts_text_together() -> None:
    with Server({}, TEXT_CHUNKS).client() as client, client.responses.stream(model="m", input="hi") as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        found = stream.get_final_response()

    assert snapshots == ["Hel", "Hello."]
    assert found.output_text == "Hello."


def test_the_clients_stream_helper_puts_calls_together_that_grow_side_by_side() -> None:
    server = Server({}, CALL_CHUNKS)
    with (
        server.client() as client,
        client.responses.stream(
            model="m",
            input="hi",
            tools=[TOOL],  # type: ignore[list-item]
        ) as stream,
    ):
        for _ in stream:
            pass
        found = stream.get_final_response()

    assert found.output_text == "Let me see."
    calls = [item for item in found.output if item.type == "function_call"]
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [
        ("c1", "weather", '{"city":"Bonn"}'),
        ("c2", "weather", "{}"),
    ]


@pytest.mark.parametrize("is_stream", [False, True])
def test_the_clients_parsed_answers_work(is_stream: bool) -> None:
    text = '{"city":"Bonn","degrees":7}'
    server = Server({"content": text}, [chunk({"content": text}), chunk({}, "stop")])
    with server.client() as client:
        if is_stream:
            with client.responses.stream(model="m", input="hi", text_format=Weather) as stream:
                parsed = stream.get_final_response().output_parsed
        else:
            parsed = client.responses.parse(model="m", input="hi", text_format=Weather).output_parsed

    assert parsed == Weather(city="Bonn", degrees=7)
    form = server.hub["response_format"]
    assert isinstance(form, dict)
    assert form["json_schema"]["name"] == "Weather"


def test_a_stream_that_was_cut_off_is_incomplete_for_the_client() -> None:
    with (
        Server({}, [chunk({"content": "Hel"}), chunk({}, "length")]).client() as client,
        client.responses.create(model="m", input="hi", stream=True) as stream,
    ):
        last = list(stream)[-1]

    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output_text == "Hel"
