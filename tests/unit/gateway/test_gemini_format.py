import json
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from zirkel.core import JsonObject
from zirkel.gateway.formats.base import UpstreamFormat
from zirkel.gateway.formats.gemini import GeminiFormat
from zirkel.lib.sse import SseParser, encode_event

FORMAT: UpstreamFormat = GeminiFormat()


def answer(*parts: JsonObject, **members: object) -> JsonObject:
    candidate: JsonObject = {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "r1", **members}


def read(body: JsonObject) -> ChatCompletion:
    return ChatCompletion.model_validate(FORMAT.read_answer(body))


def chunks_of(bodies: Sequence[JsonObject]) -> list[JsonObject]:
    reader = FORMAT.stream_reader()
    events = SseParser().feed(b"".join(encode_event(json.dumps(body).encode()) for body in bodies))
    return [chunk for event in events for chunk in reader.feed(event)] + reader.finish()


def stream(*bodies: JsonObject) -> list[ChatCompletionChunk]:
    return [ChatCompletionChunk.model_validate(chunk) for chunk in chunks_of(bodies)]


def test_a_whole_answer_is_read() -> None:
    """Source: Gemini API reference, GenerateContentResponse."""
    found = FORMAT.read_answer(
        answer(
            {"text": "Hmm. ", "thought": True},
            {"text": "It is "},
            {"text": "sunny."},
            usageMetadata={
                "promptTokenCount": 8,
                "candidatesTokenCount": 4,
                "thoughtsTokenCount": 3,
                "totalTokenCount": 15,
            },
        )
    )

    assert ChatCompletion.model_validate(found)
    assert found == {
        "id": "r1",
        "object": "chat.completion",
        "created": 0,
        "model": "gemini-2.5-flash",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "It is sunny.",
                    "refusal": None,
                    "reasoning_content": "Hmm. ",
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 8,
            "completion_tokens": 7,
            "total_tokens": 15,
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    }


def test_calls_are_read_with_whole_arguments_and_their_seal() -> None:
    body = answer(
        {"functionCall": {"name": "get_weather", "args": {"city": "Köln"}, "id": "x1"}, "thoughtSignature": "c2VhbA=="},
        {"functionCall": {"name": "now"}},
    )

    found = read(body).choices[0]

    assert found.finish_reason == "tool_calls"
    assert found.message.content is None
    first, second = (call.model_dump() for call in found.message.tool_calls or [])
    assert first == {
        "id": "x1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Köln"}'},
        "extra_content": {"google": {"thought_signature": "c2VhbA=="}},
    }
    assert second["function"] == {"name": "now", "arguments": "{}"}


def test_a_call_without_an_id_always_gets_the_same_one_and_another_call_another() -> None:
    body = answer({"functionCall": {"name": "now"}}, {"functionCall": {"name": "now"}})

    def ids(read_body: JsonObject) -> list[str]:
        return [call.id for call in read(read_body).choices[0].message.tool_calls or []]

    assert ids(body) == ids(body)
    assert len({*ids(body), *ids({**body, "responseId": "r2"})}) == 4


@pytest.mark.parametrize(
    ("reason", "hub"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("SPII", "content_filter"),
        ("OTHER", "stop"),
        ("SOMETHING_NEW", "stop"),
    ],
)
def test_finish_reasons(reason: str, hub: str) -> None:
    candidate = {"content": {"parts": [{"text": "a"}]}, "finishReason": reason}

    assert read({"candidates": [candidate]}).choices[0].finish_reason == hub
    assert stream({"candidates": [candidate]})[-1].choices[0].finish_reason == hub


def test_a_blocked_prompt_is_an_answer_that_was_filtered() -> None:
    blocked: JsonObject = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 9},
        "responseId": "r1",
    }

    whole = read(blocked)
    first, last = stream(blocked)

    assert (whole.choices[0].finish_reason, whole.choices[0].message.content) == ("content_filter", None)
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (9, 0)
    assert (first.choices[0].finish_reason, first.choices[0].delta.content) == ("content_filter", None)
    assert last.usage == whole.usage


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"])
def test_an_end_without_an_answer_is_an_error(reason: str) -> None:
    body: JsonObject = {"candidates": [{"finishReason": reason, "finishMessage": "bad call"}]}

    with pytest.raises(ValueError, match=f"{reason}: bad call"):
        FORMAT.read_answer(body)
    assert chunks_of([body]) == [
        {"error": {"message": f"the model ended with {reason}: bad call", "type": "upstream_error", "code": reason}}
    ]


@pytest.mark.parametrize("body", [{}, {"candidates": []}, {"candidates": [{"content": "a"}]}, {"error": {"code": 500}}])
def test_what_is_no_answer_is_refused(body: JsonObject) -> None:
    with pytest.raises(ValueError, match="not an answer of Gemini"):
        FORMAT.read_answer(body)


def test_log_probabilities_are_read() -> None:
    """Source: Gemini API reference, LogprobsResult."""
    result = {
        "chosenCandidates": [{"token": "ä", "tokenId": 5, "logProbability": -0.5}],
        "topCandidates": [
            {"candidates": [{"token": "ä", "logProbability": -0.5}, {"token": "b", "logProbability": -1.5}]}
        ],
    }
    body: JsonObject = {"candidates": [{"content": {"parts": [{"text": "ä"}]}, "logprobsResult": result}]}

    logprobs = read(body).choices[0].logprobs

    assert logprobs is not None
    assert [token.model_dump() for token in logprobs.content or []] == [
        {
            "token": "ä",
            "bytes": [195, 164],
            "logprob": -0.5,
            "top_logprobs": [
                {"token": "ä", "bytes": [195, 164], "logprob": -0.5},
                {"token": "b", "bytes": [98], "logprob": -1.5},
            ],
        }
    ]


def test_several_candidates_are_several_choices() -> None:
    candidates = [{"content": {"parts": [{"text": text}]}, "index": at} for at, text in enumerate("ab")]

    found = read({"candidates": candidates})

    assert [(choice.index, choice.message.content) for choice in found.choices] == [(0, "a"), (1, "b")]


def test_tokens_are_in_one_bucket_each() -> None:
    """Source: Gemini API reference, UsageMetadata and ModalityTokenCount."""
    usage = {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 600,
        "toolUsePromptTokenCount": 50,
        "candidatesTokenCount": 90,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 1170,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 500},
            {"modality": "AUDIO", "tokenCount": 300},
            {"modality": "IMAGE", "tokenCount": 200},
        ],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 400}, {"modality": "AUDIO", "tokenCount": 200}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 80}, {"modality": "AUDIO", "tokenCount": 10}],
    }

    assert FORMAT.read_answer(answer({"text": "a"}, usageMetadata=usage))["usage"] == {
        "prompt_tokens": 1050,
        "completion_tokens": 120,
        "total_tokens": 1170,
        "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 100, "image_tokens": 200},
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 10},
    }


def test_usage_that_was_not_reported_is_absent() -> None:
    assert "usage" not in FORMAT.read_answer(answer({"text": "a"}))
    assert [chunk.usage for chunk in stream(answer({"text": "a"}))] == [None]


def test_a_stream_is_read_and_ends_with_one_usage_chunk() -> None:
    """Source: Gemini API reference, models.streamGenerateContent."""

    def piece(parts: list[JsonObject], count: int, **candidate: object) -> JsonObject:
        return {
            "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, **candidate}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": count},
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r1",
        }

    found = stream(
        piece([{"text": "Let me see", "thought": True}], 0),
        piece([{"text": "It is"}], 2),
        piece([{"text": " sunny"}, {"functionCall": {"name": "a", "args": {"b": 1}}}], 9),
        piece([{"functionCall": {"name": "c"}}], 12, finishReason="STOP"),
    )

    deltas = [chunk.choices[0].delta.model_dump(exclude_unset=True) for chunk in found[:-1]]
    calls = [call for delta in deltas for call in delta.pop("tool_calls", [])]
    assert deltas == [
        {"role": "assistant", "reasoning_content": "Let me see"},
        {"content": "It is"},
        {"content": " sunny"},
        {},
    ]
    assert [(call["index"], call["function"]) for call in calls] == [
        (0, {"name": "a", "arguments": '{"b":1}'}),
        (1, {"name": "c", "arguments": "{}"}),
    ]
    assert [chunk.choices[0].finish_reason for chunk in found[:-1]] == [None, None, None, "tool_calls"]
    assert {(chunk.id, chunk.model) for chunk in found} == {("r1", "gemini-2.5-flash")}
    assert [chunk.usage is not None for chunk in found] == [False, False, False, False, True]
    assert found[-1].choices == []
    assert found[-1].usage is not None
    assert found[-1].usage.completion_tokens == 12


def test_an_error_in_a_stream_is_a_chunk_with_an_error() -> None:
    error = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}

    assert chunks_of([{"error": error}]) == [
        {"error": {"message": "The model is overloaded.", "type": "UNAVAILABLE", "code": "503"}}
    ]


@given(st.binary())
def test_an_event_of_another_form_brings_nothing_and_breaks_nothing(data: bytes) -> None:
    reader = FORMAT.stream_reader()

    for event in SseParser().feed(encode_event(data.replace(b"\r", b""))):
        assert isinstance(reader.feed(event), list)


names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=5,
)
calls = st.lists(
    st.tuples(names, names, st.dictionaries(names, json_values, max_size=3)), max_size=3, unique_by=lambda call: call[0]
)
texts = st.text(min_size=1, max_size=20)


@given(st.none() | texts, calls)
def test_what_a_model_said_is_the_same_when_it_goes_back_and_is_read_again(
    text: str | None, called: list[tuple[str, str, JsonObject]]
) -> None:
    tool_calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for call_id, name, arguments in called
    ]
    message: JsonObject = {"role": "assistant", "content": text, "tool_calls": tool_calls}
    hub: JsonObject = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "?"}, message]}
    written = cast(list[JsonObject], FORMAT.write_request(hub)["contents"])

    said = [part for turn in written if turn["role"] == "model" for part in cast(list[JsonObject], turn["parts"])]
    found = read(answer(*said)).choices[0].message.model_dump()

    assert found["content"] == text
    assert [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in found["tool_calls"] or []
    ] == called


parts = st.lists(
    st.one_of(
        texts.map(lambda text: {"text": text}),
        texts.map(lambda text: {"text": text, "thought": True}),
        st.tuples(names, st.dictionaries(names, json_values, max_size=2)).map(
            lambda call: {"functionCall": {"name": call[0], "args": call[1]}}
        ),
    ),
    min_size=1,
    max_size=6,
)


@given(parts)
def test_a_stream_says_what_the_whole_answer_says(said: list[JsonObject]) -> None:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4}
    whole = read(answer(*said, usageMetadata=usage))

    pieces: list[JsonObject] = [
        {"candidates": [{"content": {"parts": [part]}}], "responseId": "r1", "usageMetadata": usage} for part in said
    ]
    found = stream(*pieces, {"candidates": [{"finishReason": "STOP"}], "responseId": "r1", "usageMetadata": usage})

    message = whole.choices[0].message.model_dump()
    deltas = [chunk.choices[0].delta.model_dump() for chunk in found[:-1]]
    for member in ("content", "reasoning_content"):
        assert "".join(delta.get(member) or "" for delta in deltas) == (message.get(member) or "")
    streamed = [call for delta in deltas for call in delta["tool_calls"] or []]
    assert [{key: call[key] for key in ("id", "type", "function")} for call in streamed] == (
        message["tool_calls"] or []
    )
    assert found[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert found[-1].usage == whole.usage
