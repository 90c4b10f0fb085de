"""Whole answers, usage and errors of the Messages API."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import JsonObject
from zirkel.gateway.formats.base import CallerFormat, UpstreamFormat
from zirkel.gateway.formats.messages import MessagesFormat

FORMAT = MessagesFormat()
AS_UPSTREAM: UpstreamFormat = FORMAT
AS_CALLER: CallerFormat = FORMAT
REQUEST: JsonObject = {"model": "asked", "max_tokens": 5, "messages": [], "stop_sequences": ["END"]}
COUNTS = st.integers(0, 10**6)


def anthropic_answer(*blocks: JsonObject, **members: object) -> JsonObject:
    head: JsonObject = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x"}
    usage = {"input_tokens": 3, "output_tokens": 4}
    return {
        **head,
        "content": list(blocks),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
        **members,
    }


def hub_answer(message: JsonObject, *, finish_reason: str = "stop", **members: object) -> JsonObject:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return {"id": "chatcmpl-9", "object": "chat.completion", "model": "gpt", "choices": [choice], **members}


def only_choice(hub: JsonObject) -> JsonObject:
    choices = hub["choices"]
    assert isinstance(choices, list)
    assert len(choices) == 1
    choice: JsonObject = choices[0]
    return choice


def test_an_answers_blocks_become_one_message() -> None:
    hub = FORMAT.read_answer(
        anthropic_answer(
            {"type": "thinking", "thinking": "hmm", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": "a"},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "text", "text": "b"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}},
            stop_reason="tool_use",
        )
    )
    assert hub["id"] == "msg_1"
    assert hub["model"] == "claude-x"
    assert only_choice(hub) == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "ab",
            "refusal": None,
            "reasoning_content": "hmm",
            "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
        },
        "logprobs": None,
        "finish_reason": "tool_calls",
    }


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("brand_new", "stop"),
    ],
)
def test_reasons_to_stop_are_read(stop_reason: str, finish_reason: str) -> None:
    hub = FORMAT.read_answer(anthropic_answer({"type": "text", "text": "a"}, stop_reason=stop_reason))
    assert only_choice(hub)["finish_reason"] == finish_reason


@pytest.mark.parametrize(
    "body", [{}, {"type": "error", "error": {}}, {"type": "message"}, {"type": "message", "content": 1}]
)
def test_what_is_no_answer_is_a_value_error(body: JsonObject) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        FORMAT.read_answer(body)


def test_a_hub_answer_becomes_blocks_in_the_order_thought_text_calls() -> None:
    calls = [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"type": "function", "function": {"name": "h", "arguments": "not json"}},
    ]
    message: JsonObject = {"content": "hi", "reasoning_content": "hmm", "tool_calls": calls}
    written = FORMAT.write_answer(hub_answer(message, finish_reason="tool_calls"), REQUEST)
    assert written == {
        "id": "msg_9",
        "type": "message",
        "role": "assistant",
        "model": "gpt",
        "content": [
            {"type": "thinking", "thinking": "hmm", "signature": ""},
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "call_2", "name": "g", "input": {}},
            {"type": "tool_use", "id": "toolu_2", "name": "h", "input": {"arguments": "not json"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("tool_calls", "tool_use")],
)
def test_finish_reasons_are_written(finish_reason: str, stop_reason: str) -> None:
    written = FORMAT.write_answer(hub_answer({"content": "x"}, finish_reason=finish_reason), REQUEST)
    assert written["stop_reason"] == stop_reason


def test_calls_that_end_with_stop_are_still_calls() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    written = FORMAT.write_answer(hub_answer({"content": None, "tool_calls": calls}), REQUEST)
    assert written["stop_reason"] == "tool_use"


def test_the_stop_sequence_is_told_where_the_upstream_told_it() -> None:
    hub = FORMAT.read_answer(
        anthropic_answer({"type": "text", "text": "a"}, stop_reason="stop_sequence", stop_sequence="END")
    )
    written = FORMAT.write_answer(hub, REQUEST)
    assert (written["stop_reason"], written["stop_sequence"]) == ("stop_sequence", "END")
    assert FORMAT.write_answer(hub, {"model": "m"})["stop_reason"] == "end_turn"


def test_a_refusal_is_read_as_text() -> None:
    written = FORMAT.write_answer(hub_answer({"content": None, "refusal": "no"}), REQUEST)
    assert written["content"] == [{"type": "text", "text": "no"}]


def test_an_answer_of_another_form_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not a chat completion"):
        FORMAT.write_answer({"choices": 5}, REQUEST)


def test_anthropics_disjoint_counts_become_parts_of_a_whole() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
    }
    assert FORMAT.read_answer(anthropic_answer(usage=usage))["usage"] == {
        "prompt_tokens": 240,
        "completion_tokens": 50,
        "total_tokens": 290,
        "prompt_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 10, "cache_write_1h_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }


def test_counts_that_were_not_reported_are_absent() -> None:
    assert FORMAT.read_answer(anthropic_answer())["usage"] == {
        "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
    }  # fmt: skip
    assert "usage" not in FORMAT.read_answer(anthropic_answer(usage=None))


def test_parts_larger_than_their_whole_were_counted_apart() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 50}}
    written = FORMAT.write_answer(hub_answer({"content": "x"}, usage=usage), REQUEST)["usage"]
    assert isinstance(written, dict)
    assert (written["input_tokens"], written["cache_read_input_tokens"]) == (10, 50)


@given(fresh=COUNTS, read=COUNTS, short=COUNTS, long=COUNTS, out=COUNTS)
def test_usage_survives_the_way_through_the_hub(fresh: int, read: int, short: int, long: int, out: int) -> None:
    usage = {
        "input_tokens": fresh,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": short + long,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": out,
        "output_tokens_details": {"thinking_tokens": out // 2},
    }
    written = FORMAT.write_answer(FORMAT.read_answer(anthropic_answer(usage=usage)), REQUEST)["usage"]
    expected = usage if long else {name: value for name, value in usage.items() if name != "cache_creation"}
    assert written == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"), (401, "authentication_error"), (402, "billing_error"),
        (403, "permission_error"), (404, "not_found_error"), (409, "conflict_error"), (413, "request_too_large"),
        (415, "invalid_request_error"), (429, "rate_limit_error"), (500, "api_error"), (502, "api_error"),
        (503, "overloaded_error"), (504, "timeout_error"), (529, "overloaded_error"),
    ],
)  # fmt: skip
def test_errors_have_anthropics_types_and_our_code_and_field(status: int, kind: str) -> None:
    body = msgspec.json.decode(FORMAT.error_body("no", status=status, code="c", param="p"))
    assert body == {"type": "error", "error": {"type": kind, "message": "no", "code": "c", "param": "p"}}
