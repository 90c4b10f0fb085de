"""The shapes of the hub form that the messages format reads; where it needs no shape, it reads the JSON as it is.

Source: OpenAI API reference, chat/create and chat/streaming.
"""

from typing import Literal

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats.hub_request import (
    Effort,
    FilePart,
    ImagePart,
    JsonObjectFormat,
    JsonSchemaFormat,
    NamedTool,
    RefusalPart,
    TextFormat,
    TextPart,
    Tool,
)

Part = TextPart | RefusalPart | ImagePart | FilePart


class CalledFunction(msgspec.Struct, frozen=True):
    """A function that the model called; arguments are JSON text. In a stream, a piece of it."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """A call; in a stream, a piece of one."""

    id: str | None = None
    type: str | None = None
    function: CalledFunction | None = None
    index: int | None = None


class Message(msgspec.Struct, frozen=True):
    """One message of a request."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: JsonObject | None = None


class Request(msgspec.Struct, frozen=True):
    """A request."""

    model: str
    messages: list[Message]
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    user: str | None = None
    safety_identifier: str | None = None
    reasoning_effort: Effort | None = None
    thinking: JsonObject | None = None
    stream: bool | None = None


class PromptDetails(msgspec.Struct, frozen=True):
    """Parts of the prompt."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None


class CompletionDetails(msgspec.Struct, frozen=True):
    """Parts of the completion."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class AnswerMessage(msgspec.Struct, frozen=True):
    """The message of an answer, or a piece of it in a stream."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct, frozen=True):
    """One of the answers; has ``message`` when whole, ``delta`` in a stream."""

    index: int = 0
    message: AnswerMessage = AnswerMessage()
    delta: AnswerMessage | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """The stop sequence that ended it, where a server says so."""


class Answer(msgspec.Struct, frozen=True):
    """A whole answer, or a chunk of one."""

    choices: list[Choice] = []
    id: str | None = None
    model: str | None = None
    usage: Usage | None = None


def shaped_answer(hub: JsonObject) -> Answer:
    """Return a hub answer or chunk, checked.

    Raises:
        ValueError: If it is none.
    """
    try:
        return msgspec.convert(hub, type=Answer)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a chat completion: {error}") from None
