import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import JsonObject
from zirkel.gateway.completion import CompletionBuilder, parse_completion
from zirkel.gateway.formats.responses import ResponsesFormat
from zirkel.lib.sse import SseEvent, SseParser

FORMAT = ResponsesFormat()
HUB_USAGE: JsonObject = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 10, "cache_write_1h_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 30},
}
RESPONSES_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 15},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 30},
    "total_tokens": 150,
}


def hub_answer(message: JsonObject, finish_reason: str = "stop", usage: JsonObject | None = None) -> JsonObject:
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 5,
        "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}],
        "usage": usage,
    }


def test_an_answer_becomes_a_response_object() -> None:
    found = FORMAT.write_answer(
        hub_answer({"content": "Hello."}, usage=HUB_USAGE), {"model": "service:x", "temperature": 0.5, "tools": []}
    )
    assert (found["id"], found["object"], found["created_at"], found["model"]) == ("resp_7", "response", 5, "m-1")
    assert (found["status"], found["incomplete_details"], found["error"]) == ("completed", None, None)
    assert found["usage"] == RESPONSES_USAGE
    assert found["temperature"] == 0.5
    assert found["output"] == [
        {
            "id": "msg_7_0",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": []}],
        }
    ]


@pytest.mark.parametrize(
    ("finish_reason", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_was_cut_off_is_incomplete(finish_reason: str, reason: str) -> None:
    found = FORMAT.write_answer(hub_answer({"content": "He"}, finish_reason), {})

    assert (found["status"], found["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert FORMAT.read_answer(found)["choices"][0]["finish_reason"] == finish_reason  # type: ignore[index]


def test_reasoning_beside_the_completion_is_within_the_output() -> None:
    """xAI: 20 + 7 + 3 = 30."""
    usage: JsonObject = {
        "prompt_tokens": 20,
        "completion_tokens": 7,
        "total_tokens": 30,
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    found = FORMAT.write_answer(hub_answer({"content": "x"}, usage=usage), {})["usage"]

    assert isinstance(found, dict)
    assert (found["input_tokens"], found["output_tokens"], found["total_tokens"]) == (20, 10, 30)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1}])
def test_usage_that_was_not_reported_is_null(usage: JsonObject | None) -> None:
    assert FORMAT.write_answer(hub_answer({"content": "x"}, usage=usage), {})["usage"] is None


@pytest.mark.parametrize("hub", [{}, {"choices": []}, {"choices": 7}, {"choices": [{"index": 0}]}])
def test_what_is_no_completion_is_no_response(hub: JsonObject) -> None:
    with pytest.raises(ValueError, match=r"response|hub form"):
        FORMAT.write_answer(hub, {})


@pytest.mark.parametrize(
    "body", [{}, {"id": "r", "output": 7}, {"id": "r", "output": [{}]}, {"error": {"message": "no"}}]
)
def test_what_is_no_response_is_refused(body: JsonObject) -> None:
    with pytest.raises(ValueError, match="not a response"):
        FORMAT.read_answer(body)


def test_a_response_that_failed_is_no_answer() -> None:
    body: JsonObject = {"id": "r", "output": [], "status": "failed", "error": {"code": "server_error", "message": "no"}}
    with pytest.raises(ValueError, match="the response failed: no"):
        FORMAT.read_answer(body)


def test_a_response_in_progress_is_read_without_a_finish_reason() -> None:
    found = FORMAT.read_answer({"id": "r", "output": [], "status": "in_progress"})

    assert parse_completion(json.dumps(found).encode()).finish_reason == ""


def test_built_in_tools_are_passed_over_and_their_answer_is_read() -> None:
    body: JsonObject = {
        "id": "resp_1",
        "object": "response",
        "created_at": 9,
        "status": "completed",
        "model": "gpt-5",
        "output": [
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search"}},
            {
                "type": "message",
                "id": "msg",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "It rains.", "annotations": []}],
            },
        ],
        "usage": RESPONSES_USAGE,
    }
    found = parse_completion(json.dumps(FORMAT.read_answer(body)).encode())

    assert (found.model, found.finish_reason, found.text) == ("gpt-5", "stop", '"It rains."')
    assert json.loads(found.message)["reasoning_content"] == "Hm."
    assert (found.usage.input_tokens, found.usage.cache_read_tokens, found.usage.cache_write_tokens) == (65, 20, 15)
    assert (found.usage.output_tokens, found.usage.reasoning_tokens) == (20, 30)


TEXTS = st.text(min_size=1, max_size=8)
CALLS = st.lists(
    st.fixed_dictionaries({"id": TEXTS, "name": TEXTS, "arguments": st.lists(TEXTS, max_size=3)}), max_size=3
)
MESSAGES = st.fixed_dictionaries(
    {"reasoning": st.lists(TEXTS, max_size=3), "content": st.lists(TEXTS, max_size=4), "calls": CALLS}
)


def whole_message(drawn: dict[str, list[object]]) -> JsonObject:
    """The hub message of a drawn one; members that say nothing are absent."""
    content = "".join(map(str, drawn["content"]))
    calls = [
        {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": "".join(c["arguments"])}}
        for c in drawn["calls"]
        if isinstance(c, dict)
    ]
    message: JsonObject = {"role": "assistant", "content": content if content or not calls else None}
    if drawn["reasoning"]:
        message["reasoning_content"] = "".join(map(str, drawn["reasoning"]))
    return message | ({"tool_calls": calls} if calls else {})


def chunks_of(drawn: dict[str, list[object]]) -> list[JsonObject]:
    deltas: list[JsonObject] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in drawn["reasoning"]]
    deltas += [{"content": piece} for piece in drawn["content"]]
    calls = [call for call in drawn["calls"] if isinstance(call, dict)]
    for index, call in enumerate(calls):
        function = {"name": call["name"], "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]})
    # Side by side: the first piece of each call, then the second of each, …
    for position in range(3):
        for index, call in enumerate(calls):
            if position < len(call["arguments"]):
                piece = {"arguments": call["arguments"][position]}
                deltas.append({"tool_calls": [{"index": index, "function": piece}]})
    return [chunk(delta) for delta in deltas]


def chunk(delta: JsonObject, finish_reason: str | None = None, **members: object) -> JsonObject:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-7", "created": 5, "model": "m-1", "choices": [choice], **members}


def events_of(stream: bytes) -> list[SseEvent]:
    return SseParser().feed(stream)


def built_of(chunks: list[JsonObject]) -> CompletionBuilder:
    builder = CompletionBuilder()
    for one in chunks:
        assert not builder.add(json.dumps(one).encode()).is_error
    return builder


@given(MESSAGES, st.sampled_from(["stop", "length"]))
def test_a_whole_answer_reads_back_as_it_was(drawn: dict[str, list[object]], finish_reason: str) -> None:
    message = whole_message(drawn)
    finish_reason = "tool_calls" if drawn["calls"] and finish_reason == "stop" else finish_reason
    found = FORMAT.read_answer(FORMAT.write_answer(hub_answer(message, finish_reason, HUB_USAGE), {}))

    assert found["choices"] == [{"index": 0, "message": message, "finish_reason": finish_reason}]


@given(MESSAGES, st.sampled_from(["stop", "length"]))
def test_a_stream_reads_back_as_it_was(drawn: dict[str, list[object]], finish_reason: str) -> None:
    finish_reason = "tool_calls" if drawn["calls"] and finish_reason == "stop" else finish_reason
    sent = [*chunks_of(drawn), chunk({}, finish_reason), chunk({}, usage=HUB_USAGE) | {"choices": []}]
    writer, reader = FORMAT.stream_writer({}), FORMAT.stream_reader()
    stream = b"".join(map(writer.write, sent)) + writer.end()
    read = [one for event in events_of(stream) for one in reader.feed(event)] + reader.finish()

    found, expected = built_of(read).result(), built_of(sent).result()
    assert json.loads(found.message) == json.loads(expected.message) == whole_message(drawn)
    assert (found.finish_reason, found.model) == (finish_reason, "m-1")
    assert found.usage.output_tokens == expected.usage.output_tokens


@given(MESSAGES)
def test_events_are_numbered_and_each_item_is_opened_filled_and_closed(drawn: dict[str, list[object]]) -> None:
    writer = FORMAT.stream_writer({})
    stream = b"".join(map(writer.write, [*chunks_of(drawn), chunk({}, "stop")])) + writer.end()
    events = [(event.event, json.loads(event.data or b"")) for event in events_of(stream)]

    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert all(kind == data["type"] for kind, data in events)
    assert [kind for kind, _ in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1][0] == "response.completed"
    opened = [data["output_index"] for kind, data in events if kind == "response.output_item.added"]
    closed = [data for kind, data in events if kind == "response.output_item.done"]
    assert opened == list(range(len(opened)))
    assert sorted(data["output_index"] for data in closed) == opened
    in_order = sorted(closed, key=lambda data: int(data["output_index"]))
    assert [data["item"] for data in in_order] == events[-1][1]["response"]["output"]


def test_a_call_without_pieces_is_read_from_its_finished_item() -> None:
    item = {"type": "function_call", "id": "fc", "call_id": "c", "name": "clock", "arguments": '{"a":1}'}
    reader = FORMAT.stream_reader()
    chunks = []
    for kind in ("response.output_item.added", "response.output_item.done"):
        sent = item | ({"arguments": ""} if kind.endswith("added") else {})
        data = json.dumps({"type": kind, "output_index": 3, "item": sent}).encode()
        chunks += reader.feed(SseEvent(raw=b"", data=data, event=kind))

    call = json.loads(built_of(chunks).result().message)["tool_calls"][0]
    assert (call["id"], call["function"]) == ("c", {"name": "clock", "arguments": '{"a":1}'})


def test_a_last_event_may_leave_out_what_was_told_before() -> None:
    reader = FORMAT.stream_reader()
    events: list[JsonObject] = [
        {"type": "response.created", "response": {"id": "resp_1", "created_at": 3, "model": "m-1", "output": []}},
        {"type": "response.output_item.added", "item": {"type": "function_call", "call_id": "c", "name": "clock"}},
        {"type": "response.completed", "response": {"usage": {"input_tokens": 2, "output_tokens": 1}}},
    ]
    chunks = [
        one for data in events for one in reader.feed(SseEvent(raw=b"", data=json.dumps(data).encode(), event=""))
    ]
    found = built_of(chunks).result()

    assert chunks[-1]["id"] == "resp_1"
    assert (found.finish_reason, found.model, found.usage.input_tokens) == ("tool_calls", "m-1", 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"type": "error", "code": "server_error", "message": "broken", "param": None}, "broken"),
        ({"type": "error", "error": {"type": "too_many", "message": "broken"}}, "broken"),
        ({"type": "response.failed", "response": {"id": "r", "error": {"code": "x", "message": "broken"}}}, "broken"),
        ({"type": "response.failed", "response": {}}, "the response failed"),
    ],
)
def test_an_error_event_becomes_an_error_chunk(data: JsonObject, message: str) -> None:
    found = FORMAT.stream_reader().feed(SseEvent(raw=b"", data=json.dumps(data).encode(), event="error"))

    assert [one["error"]["message"] for one in found] == [message]  # type: ignore[index]
    assert CompletionBuilder().add(json.dumps(found[0]).encode()).is_error


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"[DONE]",
        b"7",
        b"\xff",
        b"[" * 5000,
        b'{"type": "response.output_text.delta", "delta": {"a": 1}}',
        b'{"type": "response.web_search_call.searching"}',
        b'{"type": "response.completed", "response": {"output": 7}}',
        b'{"type": "response.function_call_arguments.delta", "delta": "x"}',
    ],
)
def test_an_event_of_another_form_is_passed_over(data: bytes | None) -> None:
    assert FORMAT.stream_reader().feed(SseEvent(raw=b"", data=data, event="message")) == []


def test_a_stream_that_breaks_is_told_to_have_failed_with_what_came() -> None:
    writer = FORMAT.stream_writer({})
    writer.write(chunk({"content": "Hel"}))
    events = events_of(writer.fail("the upstream failed", status=502, code="upstream_failed"))
    last = json.loads(events[-1].data or b"")

    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "the upstream failed"}
    assert last["response"]["output"][0]["content"][0]["text"] == "Hel"


def test_a_stream_that_never_began_ends_with_an_error_event() -> None:
    (event,) = events_of(FORMAT.stream_writer({}).fail("no", status=503, code="overloaded"))

    assert event.event == "error"
    assert json.loads(event.data or b"") == {
        "type": "error", "sequence_number": 0, "code": "overloaded", "message": "no", "param": None,
        "error": {"type": "server_error", "code": "overloaded", "message": "no", "param": None},
    }  # fmt: skip


def test_an_error_chunk_ends_the_stream_with_its_message() -> None:
    events = events_of(FORMAT.stream_writer({}).write({"error": {"message": "broken"}}))

    assert json.loads(events[-1].data or b"")["message"] == "broken"


def test_only_the_first_choice_is_written() -> None:
    writer = FORMAT.stream_writer({})
    choices = [{"index": index, "delta": {"content": str(index)}} for index in (1, 0)]
    stream = writer.write({"id": "a", "choices": choices}) + writer.end()
    last = json.loads(events_of(stream)[-1].data or b"")

    assert last["response"]["output"][0]["content"][0]["text"] == "0"


def test_an_error_has_openais_shape() -> None:
    body = json.loads(FORMAT.error_body("no", status=429, code="rate_limited", param="model"))

    assert body == {"error": {"message": "no", "type": "rate_limit_error", "code": "rate_limited", "param": "model"}}
