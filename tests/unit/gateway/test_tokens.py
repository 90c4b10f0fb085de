"""Counting tokens: exact where the vocabulary is known, bounded in time, and never above the bound for reservations."""

import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.gateway import tokens
from zirkel.gateway.tokens import (
    EXACT_CHARACTERS,
    IMAGE_BOUND_TOKENS,
    IMAGE_TOKENS,
    count_request,
    count_tokens,
    encoding_name,
    upper_bound_tokens,
)

# The example of OpenAI's cookbook: its API counted 129 prompt tokens with gpt-4-0613, 124 with gpt-4o.
COOKBOOK = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain "
        "English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased "
        "leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]

JSON_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize(("model", "expected"), [("gpt-4-0613", 129), ("gpt-4o", 124)])
def test_the_published_example_counts_what_the_provider_counted(model: str, expected: int) -> None:
    assert count_request(msgspec.json.encode(COOKBOOK), b"", model) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("openai/gpt-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("ft:gpt-4:org:name:1", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-4.5-preview", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("claude-sonnet-4-5", "o200k_base"),
        ("local/smollm2-135m-instruct", "o200k_base"),
    ],
)
def test_each_model_has_its_vocabulary(model: str, expected: str) -> None:
    assert encoding_name(model) == expected


def test_the_vocabularies_differ() -> None:
    assert count_tokens("漢字仮名交じり文", "gpt-4o") < count_tokens("漢字仮名交じり文", "gpt-4")


def test_a_text_that_looks_like_a_special_token_is_plain_text() -> None:
    assert count_tokens("<|endoftext|>", "gpt-4o") > 1


def test_a_lone_surrogate_is_counted() -> None:
    assert count_tokens("a\ud800b", "gpt-4o") >= 2


def test_counting_does_not_import_the_package_with_its_tables() -> None:
    count_tokens("hello", "gpt-4o")
    assert "bpe_openai" not in sys.modules


@pytest.mark.parametrize(
    "paragraph", ["The quick brown fox jumps over the lazy dog. ", "漢字かな交じり文です。", "0123456789\n"]
)
def test_the_estimate_of_a_long_text_is_close_to_its_count(paragraph: str) -> None:
    text = paragraph * (4 * EXACT_CHARACTERS // len(paragraph))
    exact = tokens._tokenizer("o200k_base").count(text)
    assert abs(count_tokens(text, "gpt-4o") - exact) < 0.02 * exact


def test_many_short_messages_are_bounded_like_one_long_text() -> None:
    messages = [{"role": "user", "content": "word " * 2000}] * 200
    exact = 3 + 200 * (3 + 1 + 2001)
    assert abs(count_request(msgspec.json.encode(messages), b"", "gpt-4o") - exact) < 0.02 * exact


def test_images_tools_and_tool_calls_count() -> None:
    plain = [{"role": "user", "content": [{"type": "text", "text": "what is this?"}]}]
    image = [{"role": "user", "content": [*plain[0]["content"], {"type": "image_url", "image_url": {"url": "x"}}]}]
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}

    def count(messages: object, tools: bytes = b"") -> int:
        return count_request(msgspec.json.encode(messages), tools, "gpt-4o")

    assert count(image) == count(plain) + IMAGE_TOKENS
    assert count(plain, b'[{"type":"function"}]') > count(plain)
    assert count([*plain, call]) > count([*plain, {"role": "assistant", "content": None}])


def test_messages_that_are_none_are_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        count_request(b'{"role":"user"}', b"", "gpt-4o")


@settings(deadline=None)
@given(
    contents=st.lists(JSON_TEXT, min_size=1, max_size=5),
    tool=st.none() | JSON_TEXT,
    images=st.integers(0, 2),
    model=st.sampled_from(["gpt-4", "gpt-4o"]),
)
def test_the_bound_is_never_below_the_count(contents: list[str], tool: str | None, images: int, model: str) -> None:
    messages: list[dict[str, object]] = [{"role": "user", "content": text} for text in contents]
    parts = [{"type": "image_url", "image_url": {"url": "https://x.example/y.png"}}] * images
    messages.append({"role": "user", "content": parts})
    tools = b"" if tool is None else msgspec.json.encode([{"type": "function", "function": {"name": tool}}])
    body = b'{"model":"m","messages":' + msgspec.json.encode(messages) + (b',"tools":' + tools if tools else b"") + b"}"
    assert count_request(msgspec.json.encode(messages), tools, model) <= upper_bound_tokens(body, images)


def test_the_bound_knows_images() -> None:
    assert upper_bound_tokens(b"{}", 2) - upper_bound_tokens(b"{}", 0) == 2 * IMAGE_BOUND_TOKENS
