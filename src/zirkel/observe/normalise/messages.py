"""Messages and tools of every dialect in the GenAI message schema: ``[{"role": …, "parts": […]}]``.

What does not look like messages is left as it is. Source: GenAI conventions, input and output message schemas.
"""

from zirkel.lib.otlp import JsonLike
from zirkel.observe.normalise.attributes import as_mapping, as_text, parse_json
from zirkel.observe.normalise.vocabulary import normalise_finish_reason

Message = dict[str, JsonLike]

_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "developer": "system", "function": "tool"}


def text_message(role: str, text: str) -> Message:
    """Return a message of one text part."""
    return {"role": role, "parts": [_text_part(text)]}


def to_messages(value: JsonLike) -> JsonLike:
    """Return a list of messages of any dialect in the schema; any other value unchanged.

    Understood are lists of messages, one message, and ``{"system"?, "messages" or "prompt"}`` (Vercel, MLflow).
    """
    value = parse_json(value)
    if isinstance(value, list):
        messages = [to_message(item) for item in value]
        return list(messages) if messages and all(message is not None for message in messages) else value
    if isinstance(value, dict):
        if "messages" in value or ("prompt" in value and "role" not in value):
            return _from_request(value)
        message = to_message(value)
        return value if message is None else [message]
    return value


def to_message(value: JsonLike) -> Message | None:
    """Return one message in the schema, or ``None`` if the value is no message."""
    if not isinstance(value, dict):
        return None
    role = as_text(value.get("role"))
    if not role:
        return None
    if isinstance(value.get("parts"), list):
        return _with_clean_parts(value)
    message: Message = {"role": _ROLES.get(role, role), "parts": _parts(value)}
    if name := as_text(value.get("name")):
        message["name"] = name
    if reason := as_text(value.get("finish_reason")):
        message["finish_reason"] = normalise_finish_reason(reason)
    return message


def with_instructions(instructions: JsonLike, messages: JsonLike) -> JsonLike:
    """Return messages led by the system instructions, unless a system message already leads them (OpenLIT)."""
    parts = parse_json(instructions)
    if isinstance(parts, str) and parts:
        parts = [_text_part(parts)]
    if not isinstance(parts, list) or not parts:
        return messages
    listed = messages if isinstance(messages, list) else []
    if messages is not None and not isinstance(messages, list):
        return messages
    if listed and isinstance(listed[0], dict) and listed[0].get("role") == "system":
        return messages
    return [{"role": "system", "parts": [_part(part) for part in parts]}, *listed]


def finish_reason_of(messages: JsonLike) -> str:
    """Return the first finish reason that output messages carry, or an empty string."""
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict) and (reason := as_text(message.get("finish_reason"))):
            return reason
    return ""


def to_tools(value: JsonLike) -> JsonLike:
    """Return a list of tool definitions as ``{"type", "name", "description", "parameters"}``; else unchanged."""
    value = parse_json(value)
    if not isinstance(value, list):
        return value
    return [_tool(as_mapping(item)) or item for item in value]


def assistant_message(
    text: str, tool_calls: JsonLike = None, structured: JsonLike = None, reasoning: str = "", finish_reason: str = ""
) -> list[JsonLike]:
    """Return the one output message of an answer given in pieces, or an empty list if there is no piece."""
    parts: list[JsonLike] = []
    if reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    if text:
        parts.append(_text_part(text))
    if structured is not None:
        parts.append({"type": "generic", "object": structured})
    calls = parse_json(tool_calls)
    parts.extend(_tool_call(as_mapping(call)) for call in (calls if isinstance(calls, list) else []))
    if not parts:
        return []
    message: Message = {"role": "assistant", "parts": parts}
    if finish_reason:
        message["finish_reason"] = normalise_finish_reason(finish_reason)
    return [message]


def _from_request(request: dict[str, JsonLike]) -> JsonLike:
    """Return the messages of a whole request: a system text, and messages or a prompt."""
    messages = request.get("messages")
    if messages is None:
        prompt = request.get("prompt")
        messages = [text_message("user", prompt)] if isinstance(prompt, str) else prompt
    found = to_messages(messages) if isinstance(messages, list) else None
    if found is None or found == messages == []:
        return request
    return with_instructions(request.get("system"), found)


def _with_clean_parts(message: Message) -> Message:
    parts = message["parts"]
    cleaned = {**message, "parts": [_part(part) for part in parts] if isinstance(parts, list) else parts}
    if reason := as_text(message.get("finish_reason")):
        cleaned["finish_reason"] = normalise_finish_reason(reason)
    return cleaned


def _parts(message: dict[str, JsonLike]) -> list[JsonLike]:
    """Return the parts of a message in the style of OpenAI, Anthropic or Vercel."""
    content = message.get("content", message.get("contents"))
    if content is None:
        content = message.get("contents")
    call_id = as_text(message.get("tool_call_id"))
    if call_id or message.get("role") == "tool":
        if isinstance(content, list) and any(_is_tool_result(part) for part in content):
            return [_part(part) for part in content]
        return [{"type": "tool_call_response", "id": call_id, "response": content}]
    parts: list[JsonLike] = []
    if reasoning := as_text(message.get("reasoning_content")):
        parts.append({"type": "reasoning", "content": reasoning})
    if isinstance(content, list):
        parts.extend(_part(part) for part in content)
    elif isinstance(content, str):
        if content:
            parts.append(_text_part(content))
    elif content is not None:
        parts.append({"type": "generic", "content": content})
    calls = message.get("tool_calls")
    parts.extend(_tool_call(as_mapping(call)) for call in (calls if isinstance(calls, list) else []))
    if function_call := as_mapping(message.get("function_call")):
        parts.append(_tool_call(function_call))
    return parts


def _part(part: JsonLike) -> JsonLike:
    """Return one part in the schema; of an unknown type, unchanged."""
    if isinstance(part, str):
        return _text_part(part)
    if not isinstance(part, dict):
        return part
    inner = part.get("message_content")
    if isinstance(inner, dict):
        part = inner
    kind = part.get("type")
    if kind in ("text", "input_text", "output_text"):
        return _text_part(as_text(part.get("content", part.get("text"))))
    if kind in ("reasoning", "thinking"):
        return {"type": "reasoning", "content": part.get("content", part.get("text", part.get("thinking")))}
    if kind in ("tool_call", "tool-call", "tool_use"):
        return _tool_call(part)
    if kind in ("tool_call_response", "tool-result", "tool_result"):
        return _tool_result(part)
    if kind in ("image_url", "image"):
        return _image(part)
    return part


def _image(part: dict[str, JsonLike]) -> JsonLike:
    source = part.get("image_url", part.get("image"))
    while isinstance(source, dict):
        source = source.get("url", source.get("image"))
    if not isinstance(source, str):
        return part
    return {"type": "uri", "modality": "image", "uri": source}


def _is_tool_result(part: JsonLike) -> bool:
    return isinstance(part, dict) and part.get("type") in ("tool_call_response", "tool-result", "tool_result")


def _tool_result(part: dict[str, JsonLike]) -> JsonLike:
    response = _first(part, "response", "result", "output", "content")
    if isinstance(response, dict) and set(response) == {"type", "value"}:
        response = response["value"]
    return {"type": "tool_call_response", "id": _call_id(part), "response": response}


def _tool_call(call: dict[str, JsonLike]) -> JsonLike:
    """Return a tool call; its arguments are parsed where they are JSON text (OpenAI, Pydantic AI)."""
    call = as_mapping(call.get("tool_call")) or call
    function = as_mapping(call.get("function")) or call
    arguments = parse_json(_first(function, "arguments", "input", "args"))
    name = as_text(_first(function, "name", "toolName"))
    return {"type": "tool_call", "id": _call_id(call), "name": name, "arguments": arguments}


def _call_id(value: dict[str, JsonLike]) -> str:
    return as_text(_first(value, "id", "toolCallId", "tool_call_id", "tool_use_id"))


def _tool(tool: dict[str, JsonLike]) -> JsonLike:
    schema = as_mapping(tool.get("tool")).get("json_schema", tool.get("json_schema"))
    tool = as_mapping(schema) or tool
    function = as_mapping(tool.get("function")) or tool
    name = as_text(function.get("name"))
    if not name:
        return None
    definition: Message = {"type": as_text(tool.get("type")) or "function", "name": name}
    if description := as_text(function.get("description")):
        definition["description"] = description
    parameters = _first(function, "parameters", "inputSchema", "input_schema", "parameters_json_schema")
    if parameters is not None:
        definition["parameters"] = parse_json(parameters)
    return definition


def _text_part(text: str) -> JsonLike:
    return {"type": "text", "content": text}


def _first(values: dict[str, JsonLike], *keys: str) -> JsonLike:
    return next((values[key] for key in keys if values.get(key) is not None), None)
