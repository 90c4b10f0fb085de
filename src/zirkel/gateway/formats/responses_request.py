"""A Responses request as a hub request.

Source: OpenAI API reference, responses/create; OpenAI, "Migrate to the Responses API".
"""

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats import responses_wire as wire

_SHARED = (
    "model", "stream", "temperature", "top_p", "parallel_tool_calls", "user", "safety_identifier", "metadata",
    "prompt_cache_key", "service_tier", "zirkel",
)  # fmt: skip
_UPSTREAM_STATE = ("previous_response_id", "conversation", "prompt")
_ROLES = ("system", "developer", "user", "assistant")


def read_request(body: JsonObject) -> JsonObject:
    """Return the hub request of a body; see ``ResponsesFormat.read_request``.

    Raises:
        Invalid: If it is malformed, or says what the hub form cannot, with the field's path.
    """
    request = wire.read_as(body, wire.Request, "")
    _refuse_what_cannot_be_said(body, request)
    hub: JsonObject = {name: body[name] for name in _SHARED if body.get(name) is not None}
    hub["messages"] = _messages(request)
    text = request.text or wire.Text()
    hub |= wire.given(
        max_completion_tokens=request.max_output_tokens,
        reasoning_effort=request.reasoning.effort if request.reasoning else None,
        verbosity=text.verbosity,
        response_format=_response_format(text.format) if text.format else None,
        tools=[_tool(tool, f"tools[{index}]") for index, tool in enumerate(request.tools or ())] or None,
        tool_choice=_tool_choice(request.tool_choice),
    )
    return hub


def _refuse_what_cannot_be_said(body: JsonObject, request: wire.Request) -> None:
    for name in _UPSTREAM_STATE:
        if body.get(name) is not None:
            raise Invalid(
                f"{name} refers to what an upstream keeps, and this model's upstream is spoken to in another format; "
                "send the whole input, or use a model whose upstream speaks the Responses API",
                path=name,
            )
    if request.background:
        raise Invalid("background: an answer can only be waited for here; leave it out", path="background")
    if request.truncation == "auto":
        raise Invalid("truncation: only 'disabled' can be said to this model's upstream", path="truncation")
    if request.top_logprobs or "message.output_text.logprobs" in (request.include or ()):
        raise Invalid("log probabilities are not translated; leave top_logprobs out", path="top_logprobs")


def _messages(request: wire.Request) -> list[JsonObject]:
    messages: list[JsonObject] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    if isinstance(request.input, str):
        return [*messages, {"role": "user", "content": request.input}]
    for index, item in enumerate(request.input):
        _add_item(messages, item, f"input[{index}]")
    if not messages:
        raise Invalid("input: there is nothing to answer", path="input")
    return messages


def _add_item(messages: list[JsonObject], item: JsonObject, path: str) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        _add_message(messages, wire.read_as(item, wire.InputMessage, path), path)
    elif kind == "function_call":
        call = wire.read_as(item, wire.InputCall, path)
        function = {"name": call.name, "arguments": call.arguments}
        _add_call(messages, {"id": call.call_id, "type": "function", "function": function})
    elif kind == "function_call_output":
        output = wire.read_as(item, wire.InputCallOutput, path)
        content = _content(output.output, f"{path}.output", _TEXT_PARTS)
        messages.append({"role": "tool", "tool_call_id": output.call_id, "content": content})
    elif kind != "reasoning":
        # What was thought in earlier turns is of no use to another model.
        raise Invalid(f"{path}.type: {kind!r} cannot be said to this model's upstream", path=f"{path}.type")


def _add_message(messages: list[JsonObject], message: wire.InputMessage, path: str) -> None:
    if message.role not in _ROLES:
        raise Invalid(f"{path}.role is one of {', '.join(_ROLES)}, not {message.role!r}", path=f"{path}.role")
    if message.role != "assistant":
        content = _content(message.content, f"{path}.content", _INPUT_PARTS)
        messages.append({"role": message.role, "content": content})
        return
    answer: JsonObject = {"role": "assistant", "content": _content(message.content, f"{path}.content", _OUTPUT_PARTS)}
    last = messages[-1] if messages else {}
    if last.get("role") == "assistant" and last.get("content") is None:
        last["content"] = answer["content"]
    else:
        messages.append(answer)


def _add_call(messages: list[JsonObject], call: JsonObject) -> None:
    """Add a call to the assistant's message; in hub form those of one turn are members of one message."""
    if not messages or messages[-1].get("role") != "assistant":
        messages.append({"role": "assistant", "content": None})
    calls = messages[-1].setdefault("tool_calls", [])
    if isinstance(calls, list):
        calls.append(call)


def _content(content: str | list[JsonObject], path: str, allowed: tuple[str, ...]) -> str | list[JsonObject]:
    """Return content in hub form; a single text as text, which upstreams of every kind understand."""
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{path}[{index}]", allowed) for index, part in enumerate(content)]
    text = parts[0].get("text") if len(parts) == 1 else None
    return text if isinstance(text, str) else parts


_TEXT_PARTS = ("input_text", "output_text")
_OUTPUT_PARTS = ("output_text", "input_text", "refusal")
_INPUT_PARTS = ("input_text", "output_text", "input_image", "input_file", "input_audio")


def _part(part: JsonObject, path: str, allowed: tuple[str, ...]) -> JsonObject:
    kind = part.get("type")
    if kind not in allowed:
        raise Invalid(f"{path}.type: {kind!r} cannot be said here; there are {', '.join(allowed)}", path=f"{path}.type")
    if kind == "refusal":
        return {"type": "refusal", "refusal": wire.read_as(part, wire.RefusalPart, path).refusal}
    if kind == "input_image":
        return _image(wire.read_as(part, wire.ImagePart, path), path)
    if kind == "input_file":
        return _file(wire.read_as(part, wire.FilePart, path), path)
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    return {"type": "text", "text": wire.read_as(part, wire.TextPart, path).text}


def _image(image: wire.ImagePart, path: str) -> JsonObject:
    if image.image_url is None:
        raise Invalid(f"{path}: an image is given by image_url; a file is kept by one upstream alone", path=path)
    return {"type": "image_url", "image_url": wire.given(url=image.image_url, detail=image.detail)}


def _file(file: wire.FilePart, path: str) -> JsonObject:
    if file.file_data is None:
        raise Invalid(f"{path}: a file is given by file_data; other places are known to one upstream alone", path=path)
    return {"type": "file", "file": wire.given(file_data=file.file_data, filename=file.filename)}


def _response_format(form: wire.TextFormat) -> JsonObject | None:
    if form.type == "text":
        return None
    if form.type == "json_object":
        return {"type": "json_object"}
    if form.type != "json_schema":
        path = "text.format.type"
        raise Invalid(f"{path} is text, json_object or json_schema, not {form.type!r}", path=path)
    if form.name is None:
        raise Invalid("text.format.name: a schema has a name", path="text.format.name")
    schema = wire.given(name=form.name, description=form.description, schema=form.schema, strict=form.strict)
    return {"type": "json_schema", "json_schema": schema}


def _tool_choice(choice: str | JsonObject | None) -> str | JsonObject | None:
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    if isinstance(choice, str) or choice.get("type") != "function":
        raise Invalid(f"tool_choice is auto, none, required or a function here, not {choice!r}", path="tool_choice")
    name = wire.read_as(choice, wire.NamedFunction, "tool_choice").name
    return {"type": "function", "function": {"name": name}}


def _tool(tool: JsonObject, path: str) -> JsonObject:
    kind = tool.get("type")
    if kind != "function":
        raise Invalid(
            f"{path}.type: {kind!r} runs at one provider; only functions can be said to this model's upstream",
            path=f"{path}.type",
        )
    found = wire.read_as(tool, wire.FunctionTool, path)
    function = wire.given(
        name=found.name, description=found.description, parameters=found.parameters, strict=found.strict
    )
    return {"type": "function", "function": function}
