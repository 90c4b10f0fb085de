import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Usage
from zirkel.gateway.completion import Completion, CompletionBuilder, parse_completion

CALLED = st.fixed_dictionaries({}, optional={"name": st.text(), "arguments": st.text(), "input": st.text()})
SAID = st.fixed_dictionaries(
    {},
    optional={
        "content": st.none() | st.text() | st.lists(st.fixed_dictionaries({"text": st.text()})) | st.integers(),
        "refusal": st.none() | st.text(),
        "reasoning_content": st.none() | st.text(),
        "tool_calls": st.lists(st.fixed_dictionaries({}, optional={"function": CALLED, "custom": CALLED})),
        "function_call": CALLED,
    },
)


def answer(usage: object) -> Usage:
    return parse_completion(json.dumps({"choices": [], "usage": usage}).encode()).usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, Usage()),
        ({}, Usage()),
        ("many", Usage()),
        ({"prompt_tokens": -1, "completion_tokens": 1}, Usage()),
        ({"prompt_tokens": 5, "completion_tokens": 3}, Usage(input_tokens=5, output_tokens=3)),
        (
            {"prompt_tokens": 42, "completion_tokens": 17, "prompt_tokens_details": {"cached_tokens": 12},
             "completion_tokens_details": {"reasoning_tokens": 5}},
            Usage(input_tokens=30, cache_read_tokens=12, output_tokens=12, reasoning_tokens=5),
        ),
        (
            {"prompt_tokens": 42, "completion_tokens": 1,
             "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 20}},
            Usage(input_tokens=12, cache_read_tokens=10, cache_write_tokens=20, output_tokens=1),
        ),
        (
            {"prompt_tokens": 1, "completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 300}},
            Usage(input_tokens=1, output_tokens=10, reasoning_tokens=300),
        ),
    ],
)  # fmt: skip
def test_usage_is_put_into_disjoint_buckets(usage: object, expected: Usage) -> None:
    assert answer(usage) == expected


def test_several_choices_are_recorded_as_an_array() -> None:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": str(i)}, "finish_reason": "stop"} for i in (0, 1)
    ]
    found = parse_completion(json.dumps({"choices": choices}).encode())

    assert [message["content"] for message in json.loads(found.message)] == ["0", "1"]
    assert found.text == found.message


def test_the_text_of_a_tool_call_is_its_message() -> None:
    message = {"role": "assistant", "content": "Let me see", "tool_calls": [{"id": "1"}]}
    found = parse_completion(json.dumps({"choices": [{"message": message}]}).encode())

    assert json.loads(found.text) == message


def test_a_tool_call_is_put_together_from_its_pieces() -> None:
    builder = CompletionBuilder()
    pieces: list[dict[str, object]] = [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city":'}},
        {"index": 1, "id": "call_2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": '"Bonn"}'}},
    ]
    for piece in pieces:
        facts = builder.add(json.dumps({"choices": [{"delta": {"tool_calls": [piece]}}]}).encode())
        assert facts.has_output
    builder.add(b'{"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}')

    found = builder.result()
    assert found.finish_reason == "tool_calls"
    message = json.loads(found.message)
    assert message["content"] is None
    assert [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]
    ] == [
        ("call_1", "weather", '{"city":"Bonn"}'),
        ("call_2", "clock", "{}"),
    ]


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b'{"choices": 3}', b"[" * 5000, b"\xff"])
def test_an_event_of_another_form_is_passed_over(data: bytes) -> None:
    builder = CompletionBuilder()

    assert builder.add(data) == CompletionBuilder().add(b"{}")
    assert builder.result().message == ""


@given(SAID | st.lists(SAID), st.booleans())
def test_what_a_message_says_is_never_longer_than_its_json(said: Mapping[str, object], is_ascii: bool) -> None:
    message = json.dumps(said, ensure_ascii=is_ascii, separators=(",", ":"))
    assert sum(map(len, Completion(message=message).texts())) <= len(message)
