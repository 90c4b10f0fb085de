"""The shapes of Anthropic's Messages API, as far as they are translated. Members that are not named here are ignored.

Source: Anthropic API reference, Messages (POST /v1/messages), versions 2023-06-01 and 2026-10-21.
"""

from collections.abc import Sequence
from typing import Literal, TypeVar

import msgspec

from zirkel.core import Invalid, JsonObject

_Shape = TypeVar("_Shape")


class Source(msgspec.Struct, frozen=True):
    """Where an image or a document comes from."""

    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""


class Citations(msgspec.Struct, frozen=True):
    """Whether a document is to be cited."""

    enabled: bool = False


class TextBlock(msgspec.Struct, frozen=True, tag="text"):
    """A piece of text."""

    text: str


class ImageBlock(msgspec.Struct, frozen=True, tag="image"):
    """An image."""

    source: Source


class DocumentBlock(msgspec.Struct, frozen=True, tag="document"):
    """A document."""

    source: Source
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class ThinkingBlock(msgspec.Struct, frozen=True, tag="thinking"):
    """What the model thought before it answered."""

    thinking: str = ""


class RedactedThinkingBlock(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    """What it thought, encrypted."""


class ToolUseBlock(msgspec.Struct, frozen=True, tag="tool_use"):
    """A call of a tool."""

    id: str
    name: str
    input: JsonObject


class ToolResultBlock(msgspec.Struct, frozen=True, tag="tool_result"):
    """What a call brought."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock] | None = None
    is_error: bool | None = None


Block = TextBlock | ImageBlock | DocumentBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock


class Message(msgspec.Struct, frozen=True):
    """One turn."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(msgspec.Struct, frozen=True):
    """A tool of the caller's."""

    name: str
    input_schema: JsonObject | None = None
    description: str | None = None
    strict: bool | None = None
    type: str | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """Which tools are to be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, frozen=True):
    """Whether and how much to think."""

    type: str
    budget_tokens: int | None = None


class OutputFormat(msgspec.Struct, frozen=True):
    """The form of the answer."""

    type: Literal["json_schema"]
    schema: JsonObject


class OutputConfig(msgspec.Struct, frozen=True):
    """The form of the answer, and how much effort goes into it."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class Metadata(msgspec.Struct, frozen=True):
    """Facts about the request."""

    user_id: str | None = None


class Request(msgspec.Struct, frozen=True):
    """A request."""

    model: str
    messages: list[Message]
    max_tokens: int
    system: str | list[TextBlock] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stream: bool | None = None
    metadata: Metadata | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    """Where ``output_config.format`` was while it was a beta."""


class CacheCreation(msgspec.Struct, frozen=True):
    """Tokens written to the cache, by how long they stay."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(msgspec.Struct, frozen=True):
    """Parts of the output."""

    thinking_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens. The three counts of input are disjoint."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class AnswerBlock(msgspec.Struct, frozen=True):
    """A block of an answer, of any kind: there are more than those that are read."""

    type: str
    text: str = ""
    thinking: str = ""
    id: str = ""
    name: str = ""
    input: JsonObject | None = None


class Answer(msgspec.Struct, frozen=True, tag="message"):
    """A whole answer; in a stream's ``message_start``, its beginning."""

    content: list[AnswerBlock]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage | None = None


def shaped(body: object, shape: type[_Shape], *, what: str) -> _Shape:
    """Return ``body`` checked against a shape.

    Raises:
        Invalid: If it does not have it; names ``what`` it is and the field's path.
    """
    try:
        return msgspec.convert(body, type=shape)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise Invalid(f"{what} cannot be read: {error}", path=_field_path(reason, path)) from None


def _field_path(reason: str, path: str) -> str | None:
    """Return the path that msgspec names, with the field that is missing there if that was the reason."""
    missing = reason.partition("missing required field `")[2].partition("`")[0]
    names: Sequence[str] = (path.rstrip("`").removeprefix("."), missing)
    return ".".join(name for name in names if name) or None
