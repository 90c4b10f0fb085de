"""Streams of the Messages API, read into hub chunks and written from them."""

import msgspec
import pytest

from zirkel.core import JsonObject
from zirkel.gateway.formats.messages import MessagesFormat
from zirkel.lib.sse import SseParser, encode_event

FORMAT = MessagesFormat()
REQUEST: JsonObject = {"model": "asked", "max_tokens": 5, "messages": [], "stop_sequences": ["END"]}


def read_events(*events: JsonObject) -> list[JsonObject]:
    """Return the hub chunks of a stream of events."""
    reader = FORMAT.stream_reader()
    parser = SseParser()
    chunks: list[JsonObject] = []
    for event in events:
        for block in parser.feed(encode_event(msgspec.json.encode(event), event=str(event["type"]))):
            chunks += reader.feed(block)
    return chunks + reader.finish()


def events_of(stream: bytes) -> list[JsonObject]:
    """Return the events of a stream, each checked to be named as its data says."""
    events: list[JsonObject] = []
    for block in SseParser().feed(stream):
        event = msgspec.json.decode(block.data or b"", type=dict[str, object])
        assert event["type"] == block.event
        events.append(event)
    return events


def write_chunks(*chunks: JsonObject) -> list[JsonObject]:
    writer = FORMAT.stream_writer(REQUEST)
    return events_of(b"".join(writer.write(chunk) for chunk in chunks) + writer.end())


def chunk(delta: JsonObject | None = None, *, finish_reason: str | None = None, **members: object) -> JsonObject:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason, **members}]
    return {"id": "chatcmpl-9", "object": "chat.completion.chunk", "model": "gpt", "choices": choices}


def call_piece(index: int, arguments: str, *, name: str | None = None) -> JsonObject:
    function: JsonObject = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    begun: JsonObject = {} if name is None else {"id": f"call_{index}", "type": "function"}
    return chunk({"tool_calls": [{"index": index, **begun, "function": function}]})


def outline(events: list[JsonObject]) -> list[object]:
    """Return the events of blocks, shortened; checks that blocks follow each other and are numbered through."""
    lines: list[object] = []
    index = 0
    for event in events:
        match event:
            case {"type": "content_block_start", "content_block": {"type": kind, **rest}}:
                lines.append(rest.get("name", kind))
            case {"type": "content_block_delta", "delta": {"type": _, **rest}}:
                lines.append(next(iter(rest.values())))
            case {"type": "content_block_stop"}:
                assert event["index"] == index
                index += 1
                continue
            case _:
                continue
        assert event["index"] == index
    return lines


def deltas(chunks: list[JsonObject]) -> list[object]:
    return [choice["delta"] for piece in chunks for choice in choices_of(piece)]


def choices_of(piece: JsonObject) -> list[JsonObject]:
    choices = piece.get("choices", [])
    assert isinstance(choices, list)
    return choices


START: JsonObject = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
            "output_tokens": 1,
        },
    },
}
STOP: JsonObject = {"type": "message_stop"}


def block_start(index: int, **block: object) -> JsonObject:
    return {"type": "content_block_start", "index": index, "content_block": block}


def block_delta(index: int, **delta: object) -> JsonObject:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def block_stop(index: int) -> JsonObject:
    return {"type": "content_block_stop", "index": index}


def message_delta(stop_reason: str = "end_turn", **usage: int) -> JsonObject:
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7, **usage}}


def test_text_and_thoughts_are_read_as_they_come() -> None:
    chunks = read_events(
        START,
        {"type": "ping"},
        block_start(0, type="thinking", thinking="", signature=""),
        block_delta(0, type="thinking_delta", thinking="hm"),
        block_delta(0, type="signature_delta", signature="s"),
        block_stop(0),
        block_start(1, type="text", text=""),
        block_delta(1, type="text_delta", text="a"),
        block_delta(1, type="citations_delta", citation={"type": "char_location"}),
        block_delta(1, type="text_delta", text="b"),
        block_stop(1),
        {"type": "brand_new", "x": 1},
        message_delta(),
        STOP,
    )
    assert deltas(chunks) == [
        {"role": "assistant", "content": ""}, {"reasoning_content": "hm"}, {"content": "a"}, {"content": "b"}, {},
    ]  # fmt: skip
    assert {(piece["id"], piece["model"]) for piece in chunks} == {("msg_1", "claude-x")}
    assert choices_of(chunks[-2])[0]["finish_reason"] == "stop"


def test_usage_comes_once_and_last_and_adds_up_what_both_events_said() -> None:
    chunks = read_events(START, message_delta(cache_read_input_tokens=6), STOP)
    assert [piece for piece in chunks if "usage" in piece] == chunks[-1:]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 19,
        "completion_tokens": 7,
        "total_tokens": 26,
        "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 1, "cache_write_1h_tokens": 2},
    }


def test_a_stream_that_breaks_off_has_no_finish_reason_and_no_usage() -> None:
    chunks = read_events(START, block_start(0, type="text", text="a"))
    assert deltas(chunks)[-1] == {"content": "a"}
    assert all("usage" not in piece for piece in chunks)
    assert all(choice["finish_reason"] is None for piece in chunks for choice in choices_of(piece))


def test_usage_is_not_lost_if_the_last_event_is_missing() -> None:
    assert "usage" in read_events(START, message_delta())[-1]


def test_calls_are_numbered_among_themselves_and_keep_their_ids() -> None:
    chunks = read_events(
        START,
        block_start(0, type="text", text=""),
        block_stop(0),
        block_start(1, type="tool_use", id="toolu_a", name="f", input={}),
        block_delta(1, type="input_json_delta", partial_json=""),
        block_delta(1, type="input_json_delta", partial_json='{"x"'),
        block_delta(1, type="input_json_delta", partial_json=":1}"),
        block_stop(1),
        block_start(2, type="tool_use", id="toolu_b", name="g", input={}),
        block_stop(2),
        message_delta("tool_use"),
        STOP,
    )
    assert deltas(chunks)[1:-1] == [
        {"tool_calls": [{"index": 0, "id": "toolu_a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "id": "toolu_b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]


def test_a_call_whose_input_came_whole_at_its_start_keeps_it() -> None:
    chunks = read_events(START, block_start(0, type="tool_use", id="t", name="f", input={"x": 1}), block_stop(0))
    assert deltas(chunks)[-1] == {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":1}'}}]}


def test_blocks_of_tools_that_ran_at_anthropic_are_passed_over() -> None:
    chunks = read_events(
        START,
        block_start(0, type="server_tool_use", id="s", name="web_search", input={}),
        block_delta(0, type="input_json_delta", partial_json='{"q":1}'),
        block_stop(0),
    )
    assert len(chunks) == 1


def test_an_error_becomes_a_chunk_with_an_error() -> None:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    assert read_events(START, {"type": "error", "error": error})[-1] == {
        "error": {"message": "Overloaded", "type": "overloaded_error", "code": "overloaded_error"}
    }


def test_what_is_not_json_brings_nothing() -> None:
    reader = FORMAT.stream_reader()
    for block in SseParser().feed(b": comment\n\nevent: message_start\ndata: {\n\ndata: [DONE]\n\n"):
        assert reader.feed(block) == []
    assert reader.finish() == []


def test_text_is_written_piece_by_piece_between_the_events_of_its_block() -> None:
    usage: JsonObject = {**chunk(), "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    events = write_chunks(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "a"}),
        chunk({"content": "b"}),
        chunk({}, finish_reason="length"),
        usage,
    )
    no_tokens = {
        "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0,
    }  # fmt: skip
    assert events == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_9",
                "type": "message",
                "role": "assistant",
                "model": "gpt",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": no_tokens,
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {**no_tokens, "input_tokens": 5, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]


def test_each_piece_is_passed_on_at_once() -> None:
    writer = FORMAT.stream_writer(REQUEST)
    assert b"text_delta" in writer.write(chunk({"content": "a"}))
    assert b"tool_use" in writer.write(call_piece(0, "", name="f"))
    assert b"input_json_delta" in writer.write(call_piece(0, '{"x"'))


def test_thoughts_text_and_calls_get_blocks_of_their_own() -> None:
    events = write_chunks(
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "a"}),
        call_piece(0, "", name="f"),
        call_piece(0, '{"x":1}'),
        chunk({"content": "b"}),
        chunk({}, finish_reason="tool_calls"),
    )
    assert outline(events) == ["thinking", "hm", "text", "a", "f", '{"x":1}', "text", "b"]


def test_mixed_pieces_of_parallel_calls_are_sorted_out() -> None:
    events = write_chunks(
        call_piece(0, "", name="f"),
        call_piece(1, "", name="g"),
        call_piece(1, '{"y"'),
        call_piece(0, '{"x"'),
        call_piece(1, ":2}"),
        call_piece(0, ":1}"),
        chunk({}, finish_reason="tool_calls"),
    )
    assert outline(events) == ["f", '{"x"', ":1}", "g", '{"y":2}']


def test_a_call_is_not_announced_before_its_name_is_known() -> None:
    nameless: JsonObject = chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": ""}}]})
    events = write_chunks(nameless, call_piece(0, "{}", name="f"), chunk({}, finish_reason="tool_calls"))
    assert outline(events) == ["f", "{}"]


def test_a_call_without_arguments_is_a_block_without_pieces() -> None:
    events = write_chunks(call_piece(0, "", name="f"), call_piece(1, "{}", name="g"), chunk({}, finish_reason="stop"))
    assert outline(events) == ["f", "g", "{}"]
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


def test_other_choices_are_left_out() -> None:
    other: JsonObject = {"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "length"}]}
    events = write_chunks(chunk({"content": "a"}), other, chunk({}, finish_reason="stop"))
    assert outline(events) == ["text", "a"]
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


def test_the_stop_sequence_is_told_where_the_upstream_told_it() -> None:
    events = write_chunks(chunk({"content": "a"}), chunk({}, finish_reason="stop", stop_reason="END"))
    assert events[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_an_empty_stream_is_still_a_whole_message() -> None:
    assert [event["type"] for event in write_chunks()] == ["message_start", "message_delta", "message_stop"]


@pytest.mark.parametrize("is_begun", [True, False])
def test_a_failure_is_an_error_event(is_begun: bool) -> None:
    writer = FORMAT.stream_writer(REQUEST)
    if is_begun:
        writer.write(chunk({"content": "a"}))
    assert events_of(writer.fail("gone", status=503, code="overloaded")) == [
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "gone", "code": "overloaded", "param": None},
        }
    ]


def test_a_chunk_of_another_form_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not a chat completion"):
        FORMAT.stream_writer(REQUEST).write({"choices": [{"delta": {"content": 5}}]})
