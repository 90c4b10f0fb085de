"""The hub request as the gemini and converse formats read it: checked shapes, and what both read alike.

Source: OpenAI API reference, chat/create.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from zirkel.core import Invalid, JsonObject
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

_DATA_URL = re.compile(r"data:([\w.+/-]+)(?:;[\w=.+-]+)*;base64,([A-Za-z0-9+/=_\s-]*)", re.ASCII)
_FIELD = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_NEVER_SAID = ("logit_bias", "functions", "function_call", "audio", "web_search_options")


class InputAudio(msgspec.Struct, frozen=True):
    """A recording in base64."""

    data: str
    format: Literal["wav", "mp3"]


class AudioPart(msgspec.Struct, frozen=True, tag="input_audio"):
    """A recording."""

    input_audio: InputAudio


Part = TextPart | RefusalPart | ImagePart | AudioPart | FilePart


class CalledFunction(msgspec.Struct, frozen=True):
    """A function that the model called; arguments are JSON text."""

    name: str
    arguments: str = ""


class ToolCall(msgspec.Struct, frozen=True):
    """A call of an earlier answer."""

    function: CalledFunction
    id: str = ""
    type: Literal["function"] = "function"
    extra_content: JsonObject | None = None
    """What the model's maker wants back with the call."""


class Message(msgspec.Struct, frozen=True):
    """One message."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: JsonObject | None = None
    audio: JsonObject | None = None


class Request(msgspec.Struct, frozen=True):
    """A request."""

    messages: list[Message]
    model: str = ""
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
    n: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: Effort | None = None
    modalities: list[str] | None = None

    @property
    def limit(self) -> int | None:
        """The most tokens of the answer."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def stop_sequences(self) -> list[str]:
        """What ends the answer."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())


@dataclass(frozen=True, slots=True)
class Media:
    """Bytes of a type."""

    media_type: str
    base64: str


def read_request(body: JsonObject) -> Request:
    """Return a hub request whose shape is right, without what neither format can say.

    Hints (``store``, ``service_tier``, ``prediction``, ``verbosity``, an image's ``detail``, …) are left out.

    Raises:
        Invalid: If it is malformed or asks for what would change the answer and cannot be said; names the field.
    """
    for name in _NEVER_SAID:
        if body.get(name):
            raise cannot_say(name)
    try:
        request = msgspec.convert(body, type=Request)
    except msgspec.ValidationError as error:
        raise Invalid(f"the request cannot be read: {error}", path=_field_path(str(error))) from None
    if request.modalities not in (None, ["text"]):
        raise cannot_say("modalities")
    if request.parallel_tool_calls is False and request.tools:
        raise cannot_say("parallel_tool_calls")
    for position, message in enumerate(request.messages):
        for name, value in (("function_call", message.function_call), ("audio", message.audio)):
            if value is not None:
                raise cannot_say(f"messages[{position}].{name}")
    return request


def cannot_say(path: str) -> Invalid:
    """Return the error for a member that the upstream's format has nothing for."""
    return Invalid(f"{path} cannot be asked of this model, whose API has nothing like it", path=path)


def called_arguments(call: ToolCall, *, path: str) -> JsonObject:
    """Return a call's arguments; empty text is no arguments.

    Raises:
        Invalid: If they are not a JSON object; ``path`` is the call's.
    """
    found = json_object(call.function.arguments) if call.function.arguments.strip() else {}
    if found is None:
        raise Invalid("a tool call's arguments must be a JSON object", path=f"{path}.function.arguments")
    return found


def json_object(text: str) -> JsonObject | None:
    """Return the JSON object that ``text`` is, or ``None``."""
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def inline_media(url: str | None) -> Media | None:
    """Return what a base64 ``data:`` URL holds, ``None`` if it is none."""
    found = _DATA_URL.fullmatch(url or "")
    return None if found is None else Media(found[1].lower(), found[2])


def parts_of(message: Message) -> Sequence[tuple[str, Part]]:
    """Return a message's content as parts, each with its path below the message; a plain string is one part."""
    content, refusal = message.content, message.refusal
    if content is None or isinstance(content, str):
        parts: list[tuple[str, Part]] = [("content", TextPart(content))] if content else []
    else:
        parts = [(f"content[{position}]", part) for position, part in enumerate(content)]
    return [*parts, ("refusal", RefusalPart(refusal))] if refusal else parts


def compact(members: Mapping[str, object]) -> JsonObject:
    """Return the members that say something: neither ``None`` nor an empty array or object."""
    return {name: value for name, value in members.items() if value is not None and value not in ([], {})}


def derived_id(*seeds: str) -> str:
    """Return a tool call's id of 45 letters, digits and ``_``; the same ``seeds`` always give the same one."""
    return "call_" + hashlib.sha256("\x00".join(seeds).encode()).hexdigest()[:40]


def _field_path(error: str) -> str | None:
    """Return the field that msgspec names, with the one that is missing there if that was the reason."""
    found, missing = _FIELD.search(error), _MISSING.search(error)
    names = (found[1] if found else "", missing[1] if missing else "")
    return ".".join(name for name in names if name) or None
