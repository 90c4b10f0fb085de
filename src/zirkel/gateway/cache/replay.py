"""A whole answer as the chunks of a stream. Pure."""

from collections.abc import Iterator, Mapping
from typing import cast

from zirkel.core import JsonObject

_SHARED = ("id", "created", "model", "system_fingerprint", "service_tier")
_FIRST = ("reasoning_content", "content")
_NOT_REST = frozenset({"role", "tool_calls", *_FIRST})


def hub_chunks(answer: JsonObject) -> list[JsonObject]:
    """Return the hub chunks that make up a hub answer.

    For each choice the role, the reasoning, the content, whatever else the message has, each tool call whole, and the
    finish reason; at the end a chunk with the usage and no choices, if the answer has usage.

    Source: OpenAI API reference, chat/streaming.
    """
    shared = {name: answer[name] for name in _SHARED if name in answer} | {"object": "chat.completion.chunk"}
    choices = cast(list[JsonObject], answer.get("choices") or [])
    chunks: list[JsonObject] = [
        shared | {"choices": [chunk_choice]} for choice in choices for chunk_choice in _chunk_choices(choice)
    ]
    usage = answer.get("usage")
    if usage is not None:
        chunks.append(shared | {"choices": [], "usage": usage})
    return chunks


def _chunk_choices(choice: Mapping[str, object]) -> Iterator[JsonObject]:
    index = choice.get("index", 0)
    message = cast(JsonObject, choice.get("message") or {})
    logprobs = choice.get("logprobs")
    for number, delta in enumerate(_deltas(message)):
        found: JsonObject = {"index": index, "delta": delta, "finish_reason": None}
        if number == 0 and logprobs is not None:
            found["logprobs"] = logprobs
        yield found
    yield {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")}


def _deltas(message: JsonObject) -> Iterator[JsonObject]:
    yield {"role": message.get("role", "assistant"), "content": ""}
    for name in _FIRST:
        if message.get(name):
            yield {name: message[name]}
    rest = {name: value for name, value in message.items() if name not in _NOT_REST and value is not None}
    if rest:
        yield rest
    calls = cast(list[JsonObject], message.get("tool_calls") or [])
    for number, call in enumerate(calls):
        yield {"tool_calls": [{"index": number} | call]}
