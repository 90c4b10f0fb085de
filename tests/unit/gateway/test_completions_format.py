import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Invalid, JsonObject, Usage
from zirkel.gateway.completion import CompletionBuilder, parse_completion
from zirkel.gateway.formats.completions import CompletionsFormat
from zirkel.lib.sse import SseEvent

FORMAT = CompletionsFormat()


def sse(data: bytes | None) -> SseEvent:
    return SseEvent(raw=b"", data=data, event="message")


def test_the_texts_of_an_answer_are_messages_in_hub_form() -> None:
    body: JsonObject = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 5,
        "model": "m",
        "choices": [
            {"text": "one", "index": 0, "logprobs": None, "finish_reason": "stop"},
            {"text": "two", "index": 1, "logprobs": None, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }
    hub = FORMAT.read_answer(body)
    found = parse_completion(json.dumps(hub).encode())

    assert (hub["id"], hub["object"], hub["created"]) == ("cmpl-1", "chat.completion", 5)
    assert [message["content"] for message in json.loads(found.message)] == ["one", "two"]
    assert (found.model, found.finish_reason, found.usage) == ("m", "stop", Usage(input_tokens=3, output_tokens=4))


@pytest.mark.parametrize(
    "body", [{}, {"choices": 7}, {"choices": [{"message": {}}]}, {"choices": [{"text": 1}]}, {"error": {"message": ""}}]
)
def test_what_is_no_completion_is_refused(body: JsonObject) -> None:
    with pytest.raises(ValueError, match="not a completion"):
        FORMAT.read_answer(body)


@given(st.lists(st.text(min_size=1, max_size=5), max_size=5))
def test_a_stream_is_put_together(pieces: list[str]) -> None:
    choices: list[list[JsonObject]] = [[{"text": piece, "index": 0, "finish_reason": None}] for piece in pieces]
    choices += [[{"text": "", "index": 0, "finish_reason": "stop"}], []]
    reader, builder = FORMAT.stream_reader(), CompletionBuilder()
    for index, some in enumerate(choices):
        usage = {"prompt_tokens": 1, "completion_tokens": 2} if index == len(choices) - 1 else None
        data = json.dumps({"id": "cmpl-1", "model": "m", "choices": some, "usage": usage}).encode()
        for chunk in reader.feed(sse(data)):
            facts = builder.add(json.dumps(chunk).encode())
            assert facts.has_output is (index < len(pieces))
            assert facts.is_usage_only is (usage is not None)
    assert reader.finish() == []

    found = builder.result()
    assert json.loads(found.text) == "".join(pieces)
    assert (found.model, found.finish_reason, found.usage) == ("m", "stop", Usage(input_tokens=1, output_tokens=2))


def test_an_error_amid_a_stream_becomes_an_error_chunk() -> None:
    found = FORMAT.stream_reader().feed(sse(b'{"error": {"message": "broken"}}'))

    assert found == [{"error": {"message": "broken"}}]


@pytest.mark.parametrize("data", [None, b"", b"[DONE]", b"[]", b'{"choices": [{"delta": {}}]}', b"\xff", b"[" * 5000])
def test_an_event_of_another_form_is_passed_over(data: bytes | None) -> None:
    assert FORMAT.stream_reader().feed(sse(data)) == []


def test_a_chat_is_not_said_as_a_completion() -> None:
    with pytest.raises(Invalid, match="legacy completion"):
        FORMAT.write_request({"messages": []})
