"""A hub request as a Responses request.

Source: OpenAI API reference, chat/create and responses/create.
"""

from collections.abc import Callable, Mapping

import msgspec

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats import responses_wire as wire

_SHARED = (
    "model", "stream", "temperature", "top_p", "parallel_tool_calls", "user", "safety_identifier", "metadata",
    "prompt_cache_key", "service_tier",
)  # fmt: skip
_NOT_SAID = ("stop", "logit_bias", "logprobs", "audio", "functions", "function_call", "web_search_options",
             "frequency_penalty", "presence_penalty")  # fmt: skip


class _Format(msgspec.Struct, frozen=True):
    type: str
    json_schema: JsonObject = {}


class _Request(msgspec.Struct, frozen=True):
    messages: list[JsonObject]
    n: int | None = None
    modalities: list[str] | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    response_format: _Format | None = None
    tools: list[JsonObject] | None = None
    tool_choice: str | JsonObject | None = None


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[JsonObject] | None = None
    refusal: str | None = None
    tool_calls: list[wire.ToolCall] | None = None
    tool_call_id: str | None = None


class _ImageUrl(msgspec.Struct, frozen=True):
    url: str
    detail: str | None = None


class _Part(msgspec.Struct, frozen=True):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _ImageUrl | None = None
    file: JsonObject | None = None
    input_audio: JsonObject | None = None


def write_request(hub: JsonObject) -> JsonObject:
    """Return the body for a hub request; see ``ResponsesFormat.write_request``.

    Raises:
        Invalid: If it is malformed, or asks for what this API cannot say, with the field's path.
    """
    request = wire.read_as(hub, _Request, "")
    _refuse_what_cannot_be_said(hub, request)
    body: JsonObject = {name: hub[name] for name in _SHARED if hub.get(name) is not None}
    body["input"] = [
        item for index, message in enumerate(request.messages) for item in _items(message, f"messages[{index}]")
    ]
    body["store"] = False
    text = wire.given(verbosity=request.verbosity, format=_format(request.response_format))
    return body | wire.given(
        max_output_tokens=request.max_completion_tokens or request.max_tokens,
        reasoning=None if request.reasoning_effort is None else {"effort": request.reasoning_effort},
        text=text or None,
        tools=[_tool(tool, f"tools[{index}]") for index, tool in enumerate(request.tools or ())] or None,
        tool_choice=_tool_choice(request.tool_choice),
    )


def _refuse_what_cannot_be_said(hub: JsonObject, request: _Request) -> None:
    for name in _NOT_SAID:
        if hub.get(name):
            raise Invalid(f"{name} cannot be said to this model's upstream; leave it out", path=name)
    if (request.n or 1) > 1:
        raise Invalid(f"n: this model's upstream gives one answer, not {request.n}", path="n")
    if set(request.modalities or ()) - {"text"}:
        raise Invalid("modalities: this model's upstream answers with text", path="modalities")


def _items(message: JsonObject, path: str) -> list[JsonObject]:
    said = wire.read_as(message, _Message, path)
    if said.role == "tool":
        output = _content(said.content, f"{path}.content", _INPUT_PARTS)
        return [{"type": "function_call_output", "call_id": said.tool_call_id or "", "output": output}]
    if said.role in ("system", "developer", "user"):
        content = _content(said.content, f"{path}.content", _INPUT_PARTS)
        return [{"type": "message", "role": said.role, "content": content}]
    if said.role != "assistant":
        raise Invalid(f"{path}.role: {said.role!r} cannot be said to this model's upstream", path=f"{path}.role")
    content = _content(said.content, f"{path}.content", _OUTPUT_PARTS)
    if said.refusal:
        if isinstance(content, str):
            content = [{"type": "output_text", "text": content}] if content else []
        content = [*content, {"type": "refusal", "refusal": said.refusal}]
    items: list[JsonObject] = [{"type": "message", "role": "assistant", "content": content}] if content else []
    return items + [_call(call) for call in said.tool_calls or ()]


def _call(call: wire.ToolCall) -> JsonObject:
    name, arguments = call.function.name or "", call.function.arguments or ""
    return {"type": "function_call", "call_id": call.id or "", "name": name, "arguments": arguments}


_Writer = Callable[[_Part], JsonObject | None]


def _content(
    content: str | list[JsonObject] | None, path: str, writers: Mapping[str, _Writer]
) -> str | list[JsonObject]:
    if content is None or isinstance(content, str):
        return content or ""
    parts: list[JsonObject] = []
    for index, given in enumerate(content):
        part = wire.read_as(given, _Part, f"{path}[{index}]")
        write = writers.get(part.type)
        found = None if write is None else write(part)
        if found is None:
            where = f"{path}[{index}].type"
            raise Invalid(f"{where}: {part.type!r} cannot be said to this model's upstream like this", path=where)
        parts.append(found)
    return parts


def _input_text(part: _Part) -> JsonObject | None:
    return None if part.text is None else {"type": "input_text", "text": part.text}


def _output_text(part: _Part) -> JsonObject | None:
    return None if part.text is None else {"type": "output_text", "text": part.text}


def _refusal(part: _Part) -> JsonObject | None:
    return None if part.refusal is None else {"type": "refusal", "refusal": part.refusal}


def _image(part: _Part) -> JsonObject | None:
    image = part.image_url
    return None if image is None else {"type": "input_image", "image_url": image.url, "detail": image.detail or "auto"}


def _file(part: _Part) -> JsonObject | None:
    return None if part.file is None else {"type": "input_file", **part.file}


def _audio(part: _Part) -> JsonObject | None:
    return None if part.input_audio is None else {"type": "input_audio", "input_audio": part.input_audio}


_INPUT_PARTS: Mapping[str, _Writer] = {
    "text": _input_text,
    "image_url": _image,
    "file": _file,
    "input_audio": _audio,
}
_OUTPUT_PARTS: Mapping[str, _Writer] = {"text": _output_text, "refusal": _refusal}


def _format(form: _Format | None) -> JsonObject | None:
    return None if form is None else {"type": form.type, **form.json_schema}


def _tool_choice(choice: str | JsonObject | None) -> str | JsonObject | None:
    if choice is None or isinstance(choice, str):
        return choice
    if choice.get("type") != "function":
        raise Invalid("tool_choice is auto, none, required or a function here", path="tool_choice")
    named = wire.read_as(choice.get("function"), wire.NamedFunction, "tool_choice.function")
    return {"type": "function", "name": named.name}


def _tool(tool: JsonObject, path: str) -> JsonObject:
    if tool.get("type") != "function":
        raise Invalid(f"{path}.type: {tool.get('type')!r} cannot be said to this model's upstream", path=f"{path}.type")
    found = wire.read_as(tool.get("function"), wire.FunctionTool, f"{path}.function")
    # This API takes schemas as strict unless told otherwise, Chat Completions does not.
    members = wire.given(name=found.name, description=found.description)
    return {"type": "function", **members, "parameters": found.parameters, "strict": bool(found.strict)}
