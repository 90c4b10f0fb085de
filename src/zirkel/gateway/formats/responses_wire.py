"""The shapes of the Responses API and of the hub form that the format ``responses`` reads, and how it reads them.

Source: OpenAI API reference, responses/create, responses/object and chat/object.
"""

from typing import TypeVar

import msgspec

from zirkel.core import Invalid, JsonObject

_Shape = TypeVar("_Shape")


class Reasoning(msgspec.Struct, frozen=True):
    """How hard to think."""

    effort: str | None = None


class TextFormat(msgspec.Struct, frozen=True):
    """The form of the answer's text: ``text``, ``json_object``, or ``json_schema`` with the rest."""

    type: str
    name: str | None = None
    schema: JsonObject | None = None
    description: str | None = None
    strict: bool | None = None


class Text(msgspec.Struct, frozen=True):
    """What the answer's text is to be like."""

    format: TextFormat | None = None
    verbosity: str | None = None


class Request(msgspec.Struct, frozen=True):
    """A request: the members that are read; the others are shared with the hub form, or hints."""

    model: str
    input: str | list[JsonObject]
    instructions: str | None = None
    background: bool | None = None
    truncation: str | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    max_output_tokens: int | None = None
    reasoning: Reasoning | None = None
    text: Text | None = None
    tools: list[JsonObject] | None = None
    tool_choice: str | JsonObject | None = None


class NamedFunction(msgspec.Struct, frozen=True):
    """The one function to call, as ``tool_choice`` names it."""

    name: str


class FunctionTool(msgspec.Struct, frozen=True):
    """A function that the model may call, without the ``type`` beside it."""

    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class TextPart(msgspec.Struct, frozen=True):
    """``input_text`` and ``output_text``."""

    text: str


class RefusalPart(msgspec.Struct, frozen=True):
    """``refusal``."""

    refusal: str


class ImagePart(msgspec.Struct, frozen=True):
    """``input_image``."""

    image_url: str | None = None
    detail: str | None = None


class FilePart(msgspec.Struct, frozen=True):
    """``input_file``, and the hub form's ``file``."""

    file_data: str | None = None
    filename: str | None = None


class InputMessage(msgspec.Struct, frozen=True):
    """An item of the input with a role; ``type`` may be absent."""

    role: str
    content: str | list[JsonObject]


class InputCall(msgspec.Struct, frozen=True):
    """``function_call``."""

    call_id: str
    name: str
    arguments: str


class InputCallOutput(msgspec.Struct, frozen=True):
    """``function_call_output``."""

    call_id: str
    output: str | list[JsonObject]


class Function(msgspec.Struct, frozen=True):
    """A called function in hub form, or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """A call in hub form, or a piece of it."""

    index: int | None = None
    id: str | None = None
    function: Function = Function()


class Delta(msgspec.Struct, frozen=True):
    """A message of the hub form that came from a model, or a piece of it."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct, frozen=True):
    """A choice of a hub answer or chunk."""

    index: int = 0
    message: Delta | None = None
    delta: Delta | None = None
    finish_reason: str | None = None


class ErrorText(msgspec.Struct, frozen=True):
    """What there is to say of an error."""

    message: str | None = None
    code: str | int | None = None
    type: str | None = None


class HubAnswer(msgspec.Struct, frozen=True):
    """A whole hub answer, or a chunk."""

    id: str | None = None
    created: float = 0
    model: str | None = None
    choices: list[Choice] = []
    usage: JsonObject | None = None
    error: ErrorText | None = None


class OutputItem(msgspec.Struct, frozen=True):
    """An item of a response's output; each type uses some of the members."""

    type: str
    content: list[JsonObject] | None = None
    summary: list[JsonObject] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class IncompleteDetails(msgspec.Struct, frozen=True):
    """Why an answer is not whole."""

    reason: str | None = None


class Response(msgspec.Struct, frozen=True):
    """The object that is a whole answer."""

    id: str
    output: list[OutputItem]
    status: str | None = None
    created_at: float = 0
    model: str | None = None
    incomplete_details: IncompleteDetails | None = None
    error: ErrorText | None = None
    usage: JsonObject | None = None


class StreamedResponse(Response, frozen=True):
    """The object in an event; some servers leave out what the events before it have told."""

    id: str = ""
    output: list[OutputItem] = []


def given(**members: object) -> JsonObject:
    """Return an object of the members that are not ``None``."""
    return {name: value for name, value in members.items() if value is not None}


def read_as(value: object, shape: type[_Shape], path: str) -> _Shape:
    """Return ``value`` as ``shape``; members that the shape does not have are passed over.

    Raises:
        Invalid: If it has another form; the path is ``path`` and what is below it.
    """
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        message, _, below = str(error).partition(" - at `$")
        where = (path + below.rstrip("`")).lstrip(".")
        raise Invalid(f"{where}: {message}", path=where) from None
