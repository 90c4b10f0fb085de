import json

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from zirkel.core import JsonObject
from zirkel.gateway.formats.chat import ChatFormat
from zirkel.lib.sse import SseEvent, SseParser

FORMAT = ChatFormat()
CHUNK: JsonObject = {"id": "c", "choices": [{"index": 0, "delta": {"content": "hi"}}]}
USAGE_CHUNK: JsonObject = {"id": "c", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}


def sse(data: bytes | None) -> SseEvent:
    return SseEvent(raw=b"", data=data, event="message")


def test_requests_and_answers_are_the_hub_form_itself() -> None:
    body: JsonObject = {"model": "m", "messages": [], "unknown": {"kept": True}}
    answer: JsonObject = {"choices": [], "extension": 1}

    assert FORMAT.read_request(body) == FORMAT.write_request(body) == body
    assert FORMAT.read_answer(answer) == FORMAT.write_answer(answer, body) == answer


@pytest.mark.parametrize("body", [{}, {"choices": None}, {"choices": "many"}, {"error": {"message": "no"}}])
def test_an_answer_without_choices_is_none(body: JsonObject) -> None:
    with pytest.raises(ValueError, match="not a chat completion"):
        FORMAT.read_answer(body)


def test_a_stream_is_the_chunks_and_done() -> None:
    writer = FORMAT.stream_writer({"stream": True})
    stream = writer.write(CHUNK) + writer.end()

    assert stream == b"data: " + json.dumps(CHUNK, separators=(",", ":")).encode() + b"\n\ndata: [DONE]\n\n"


@pytest.mark.parametrize(
    ("options", "is_hidden"),
    [
        (None, True),
        ({}, True),
        ({"include_usage": False}, True),
        ({"include_usage": None}, True),
        ({"include_usage": True}, False),
    ],
)
def test_the_chunk_of_nothing_but_usage_is_for_those_who_asked(options: object, is_hidden: bool) -> None:
    writer = FORMAT.stream_writer({"stream_options": options})

    assert (writer.write(USAGE_CHUNK) == b"") is is_hidden
    assert writer.write(CHUNK | {"usage": {"prompt_tokens": 1}}) != b""


def test_what_is_written_reads_back_chunk_by_chunk() -> None:
    writer = FORMAT.stream_writer({"stream_options": {"include_usage": True}})
    stream = writer.write(CHUNK) + writer.write(USAGE_CHUNK) + writer.end()
    reader = FORMAT.stream_reader()

    assert [chunk for event in SseParser().feed(stream) for chunk in reader.feed(event)] == [CHUNK, USAGE_CHUNK]
    assert reader.finish() == []


@pytest.mark.parametrize("data", [None, b"", b"[DONE]", b" [DONE] ", b"7", b"[]", b"\xff", b'{"a":' * 5000])
def test_an_event_of_another_form_is_passed_over(data: bytes | None) -> None:
    assert FORMAT.stream_reader().feed(sse(data)) == []


def test_a_failure_amid_a_stream_is_an_error_for_openais_client() -> None:
    """Its client raises what has a member ``error``, and looks for a message in it."""
    failed = FORMAT.stream_writer({}).fail("the upstream failed", status=502, code="upstream_failed")
    (event,) = SseParser().feed(failed)

    assert json.loads(event.data or b"") == {
        "error": {
            "message": "the upstream failed", "type": "upstream_error", "code": "upstream_failed", "param": None,
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (502, "upstream_error"),
        (503, "server_error"),
    ],
)
def test_the_type_of_an_error_follows_from_its_status(status: int, kind: str) -> None:
    body = json.loads(FORMAT.error_body("no", status=status, code="x", param="model"))

    assert body == {"error": {"message": "no", "type": kind, "code": "x", "param": "model"}}
    assert openai.APIError("no", request=None, body=body["error"]).code == "x"  # type: ignore[arg-type]


def test_chunks_have_the_shape_that_openais_client_reads() -> None:
    chunk = {**CHUNK, "object": "chat.completion.chunk", "created": 1, "model": "m"}
    (event,) = SseParser().feed(FORMAT.stream_writer({}).write(chunk))

    assert ChatCompletionChunk.model_validate_json(event.data or b"").choices[0].delta.content == "hi"
