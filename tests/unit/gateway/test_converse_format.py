import json
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from zirkel.core import JsonObject
from zirkel.gateway.formats.base import UpstreamFormat
from zirkel.gateway.formats.converse import ConverseFormat
from zirkel.lib.eventstream import EventStreamParser, encode_message

FORMAT: UpstreamFormat = ConverseFormat()
TOOL: JsonObject = {"type": "function", "function": {"name": "f"}}


def answer(*blocks: JsonObject, **members: object) -> JsonObject:
    return {
        "output": {"message": {"role": "assistant", "content": list(blocks)}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 30, "outputTokens": 10, "totalTokens": 40},
        "metrics": {"latencyMs": 500},
        **members,
    }


def read(body: JsonObject) -> ChatCompletion:
    return ChatCompletion.model_validate(FORMAT.read_answer(body))


def encode(name: str, payload: JsonObject, *, kind: str = "event") -> bytes:
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return encode_message(json.dumps(payload).encode(), headers)


def chunks_of(stream: bytes) -> list[JsonObject]:
    reader = FORMAT.stream_reader()
    return [chunk for event in EventStreamParser().feed(stream) for chunk in reader.feed(event)] + reader.finish()


def read_stream(*events: tuple[str, JsonObject]) -> list[ChatCompletionChunk]:
    stream = b"".join(encode(name, payload) for name, payload in events)
    return [ChatCompletionChunk.model_validate(chunk) for chunk in chunks_of(stream)]


def test_a_whole_answer_is_read() -> None:
    """Source: Amazon Bedrock API reference, Converse."""
    found = FORMAT.read_answer(
        answer(
            {"reasoningContent": {"reasoningText": {"text": "Hmm.", "signature": "s"}}},
            {"text": "It is "},
            {"citationsContent": {"content": [{"text": "sunny."}], "citations": []}},
        )
    )

    assert ChatCompletion.model_validate(found)
    assert found == {
        "id": "",
        "object": "chat.completion",
        "created": 0,
        "model": "",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "It is sunny.",
                    "refusal": None,
                    "reasoning_content": "Hmm.",
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 40},
    }


def test_calls_are_read_with_whole_arguments() -> None:
    tool: JsonObject = {"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"city": "Köln"}}}

    found = FORMAT.read_answer(answer(tool, stopReason="tool_use"))

    assert read(answer(tool, stopReason="tool_use")).choices[0].finish_reason == "tool_calls"
    match found:
        case {"choices": [{"message": message}]}:
            assert message["content"] is None
            assert message["tool_calls"] == [
                {"id": "t1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Köln"}'}}
            ]
        case _:
            pytest.fail(str(found))


@pytest.mark.parametrize(
    ("reason", "hub"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("content_filtered", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons(reason: str, hub: str) -> None:
    assert read(answer({"text": "a"}, stopReason=reason)).choices[0].finish_reason == hub
    assert read_stream(("messageStop", {"stopReason": reason}))[0].choices[0].finish_reason == hub


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_an_end_without_an_answer_is_an_error(reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        FORMAT.read_answer(answer(stopReason=reason))
    assert chunks_of(encode("messageStop", {"stopReason": reason})) == [
        {"error": {"message": f"the model ended with {reason}", "type": "upstream_error", "code": reason}}
    ]


@pytest.mark.parametrize("body", [{}, {"output": {}}, {"message": "no"}, {"output": {"message": {"content": "a"}}}])
def test_what_is_no_answer_is_refused(body: JsonObject) -> None:
    with pytest.raises(ValueError, match="not an answer of Converse"):
        FORMAT.read_answer(body)


def test_tokens_of_caches_are_parts_of_the_prompt() -> None:
    """Source: Amazon Bedrock API reference, TokenUsage and CacheDetail."""
    usage = {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 1215,
        "cacheReadInputTokens": 1000,
        "cacheWriteInputTokens": 200,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 150}, {"ttl": "5m", "inputTokens": 50}],
    }

    assert FORMAT.read_answer(answer({"text": "a"}, usage=usage))["usage"] == {
        "prompt_tokens": 1210,
        "completion_tokens": 5,
        "total_tokens": 1215,
        "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 50, "cache_write_1h_tokens": 150},
    }


def test_a_stream_is_read_and_ends_with_one_usage_chunk() -> None:
    """Source: Amazon Bedrock API reference, ConverseStream."""
    found = read_stream(
        ("initial-response", {}),
        ("messageStart", {"role": "assistant", "p": "abcd"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hmm."}}}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "s"}}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Let me look."}}),
        ("contentBlockStop", {"contentBlockIndex": 1}),
        ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "a"}}}),
        ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"b"'}}}),
        ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": ":1}"}}}),
        ("contentBlockStop", {"contentBlockIndex": 2}),
        ("contentBlockStart", {"contentBlockIndex": 3, "start": {"toolUse": {"toolUseId": "t2", "name": "c"}}}),
        ("contentBlockStop", {"contentBlockIndex": 3}),
        ("messageStop", {"stopReason": "tool_use"}),
        (
            "metadata",
            {
                "usage": {"inputTokens": 7, "outputTokens": 9, "totalTokens": 16, "cacheReadInputTokens": 2},
                "metrics": {"latencyMs": 99},
            },
        ),
    )

    deltas = [chunk.choices[0].delta.model_dump(exclude_unset=True) for chunk in found[:-1]]
    assert deltas == [
        {"role": "assistant"},
        {"reasoning_content": "Hmm."},
        {"content": "Let me look."},
        {"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "a", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"b"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "id": "t2", "type": "function", "function": {"name": "c", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert found[-2].choices[0].finish_reason == "tool_calls"
    assert found[-1].choices == []
    assert found[-1].usage is not None
    assert (found[-1].usage.prompt_tokens, found[-1].usage.completion_tokens) == (9, 9)


def test_a_stream_without_usage_has_no_usage_chunk() -> None:
    assert [chunk.usage for chunk in read_stream(("messageStop", {"stopReason": "end_turn"}))] == [None]


def test_an_exception_in_a_stream_is_a_chunk_with_an_error() -> None:
    stream = encode("throttlingException", {"message": "Too many requests"}, kind="exception")

    assert chunks_of(stream) == [
        {"error": {"message": "Too many requests", "type": "upstream_error", "code": "throttlingException"}}
    ]


def test_an_error_without_a_model_in_a_stream_is_a_chunk_with_an_error() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "broke"}

    assert chunks_of(encode_message(b"", headers)) == [
        {"error": {"message": "broke", "type": "upstream_error", "code": "InternalError"}}
    ]


event_names = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "new"]
)


@given(st.lists(st.tuples(event_names, st.binary(max_size=30) | st.just(b'{"delta":{"toolUse":{"input":"x"}}}'))))
def test_an_event_of_another_form_brings_nothing_and_breaks_nothing(events: list[tuple[str, bytes]]) -> None:
    stream = b"".join(encode_message(payload, {":event-type": name}) for name, payload in events)

    assert all("error" not in chunk for chunk in chunks_of(stream))


names = st.from_regex(r"[a-zA-Z0-9_]{1,8}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=5,
)
tool_calls = st.lists(
    st.tuples(names, names, st.dictionaries(names, json_values, max_size=3)), max_size=3, unique_by=lambda call: call[0]
)
texts = st.text(min_size=1, max_size=20)


def calls_of(said: Sequence[JsonObject]) -> list[tuple[object, object, object]]:
    found: list[tuple[object, object, object]] = []
    for call in said:
        function = cast(dict[str, str], call["function"])
        found.append((call["id"], function["name"], json.loads(function["arguments"])))
    return found


@given(st.none() | texts, tool_calls)
def test_what_a_model_said_is_the_same_when_it_goes_back_and_is_read_again(
    text: str | None, called: list[tuple[str, str, JsonObject]]
) -> None:
    sent = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for call_id, name, arguments in called
    ]
    message: JsonObject = {"role": "assistant", "content": text, "tool_calls": sent}
    written = cast(
        list[JsonObject],
        FORMAT.write_request({"messages": [{"role": "user", "content": "?"}, message], "tools": [TOOL]})["messages"],
    )

    blocks = [
        block for turn in written if turn["role"] == "assistant" for block in cast(list[JsonObject], turn["content"])
    ]
    found = read(answer(*blocks)).choices[0].message.model_dump()

    assert found["content"] == text
    assert calls_of(found["tool_calls"] or []) == called


@given(texts, tool_calls, st.data())
def test_a_stream_says_what_the_whole_answer_says(
    text: str, called: list[tuple[str, str, JsonObject]], data: st.DataObject
) -> None:
    def pieces(whole: str) -> list[str]:
        cut = data.draw(st.integers(0, len(whole)))
        return [whole[:cut], whole[cut:]]

    events: list[tuple[str, JsonObject]] = [("messageStart", {"role": "assistant"})]
    events += [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}}) for piece in pieces(text)]
    blocks: list[JsonObject] = [{"text": text}]
    for index, (call_id, name, arguments) in enumerate(called, 1):
        use = {"toolUseId": call_id, "name": name}
        blocks.append({"toolUse": {**use, "input": arguments}})
        events.append(("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": use}}))
        for piece in pieces(json.dumps(arguments)) if arguments else []:
            more = {"toolUse": {"input": piece}}
            events.append(("contentBlockDelta", {"contentBlockIndex": index, "delta": more}))
        events.append(("contentBlockStop", {"contentBlockIndex": index}))

    found = read_stream(*events, ("messageStop", {"stopReason": "end_turn"}))
    message = read(answer(*blocks)).choices[0].message.model_dump()

    deltas = [chunk.choices[0].delta.model_dump() for chunk in found]
    assert "".join(delta["content"] or "" for delta in deltas) == message["content"]
    streamed: dict[int, JsonObject] = {}
    for delta in deltas:
        for call in delta["tool_calls"] or []:
            known = streamed.setdefault(call["index"], {**call, "function": {"name": "", "arguments": ""}})
            function = cast(dict[str, str], known["function"])
            function["name"] += call["function"]["name"] or ""
            function["arguments"] += call["function"]["arguments"]
    assert calls_of([streamed[index] for index in sorted(streamed)]) == calls_of(message["tool_calls"] or [])
