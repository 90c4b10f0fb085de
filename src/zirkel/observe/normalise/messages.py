"""Messages and tools of every dialect in the GenAI message schema: ``[{"role": …, "parts": […]}]``.

What does not look like messages is left as it is. Source: GenAI conventions, input and output message schemas.
"""

from zirkel.lib.otlp import JsonLike
from zirkel.observe.normalise.attributes import as_list, as_mapping, as_text, parse_json, plant
from zirkel.observe.normalise.parts import Part, first_of, is_tool_result, text_part, to_part, tool_call, tool_result
from zirkel.observe.normalise.vocabulary import normalise_finish_reason

Message = dict[str, JsonLike]

_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "developer": "system", "function": "tool"}
_LANGCHAIN_TYPES = frozenset({"human", "ai", "system", "tool", "function", "chat"})
"""What LangChain writes in place of a role, in ``type``."""
_ITEM_ROLES = {
    "function_call": "assistant",
    "reasoning": "assistant",
    "function_call_output": "tool",
}
"""Items of OpenAI's Responses API that are no messages, and whose they are."""


def text_message(role: str, text: str) -> Message:
    """Return a message of one text part."""
    return {"role": role, "parts": [text_part(text)]}


def to_messages(value: JsonLike) -> JsonLike:
    """Return a list of messages of any dialect in the schema; any other value unchanged.

    Understood are lists of messages (also in a batch of one, as LangChain has them), one message, and whole requests:
    ``messages``, ``prompt``, ``contents`` or ``input``, with a system text beside them.
    """
    value = parse_json(value)
    if isinstance(value, list):
        batch = value[0] if len(value) == 1 else None
        messages = [to_message(item) for item in (batch if isinstance(batch, list) else value)]
        return list(messages) if messages and all(message is not None for message in messages) else value
    if isinstance(value, dict):
        message = to_message(value)
        return _from_request(value) if message is None else [message]
    return value


def to_message(value: JsonLike) -> Message | None:
    """Return one message in the schema, or ``None`` if the value is no message."""
    if not isinstance(value, dict):
        return None
    value = _unwrapped(value)
    role = as_text(value.get("role"))
    if not role:
        return None
    if isinstance(value.get("parts"), list):
        return _with_clean_parts(value)
    message: Message = {"role": _ROLES.get(role, role), "parts": _parts(value)}
    if name := as_text(value.get("name")):
        message["name"] = name
    if reason := as_text(first_of(value, "finish_reason", "stop_reason")):
        message["finish_reason"] = normalise_finish_reason(reason)
    return message


def with_instructions(instructions: JsonLike, messages: JsonLike) -> JsonLike:
    """Return messages led by the system instructions, unless a system message already leads them (OpenLIT)."""
    parts = parse_json(instructions)
    if isinstance(parts, dict):
        parts = as_list(parts.get("parts")) or [parts]
    if isinstance(parts, str) and parts:
        parts = [text_part(parts)]
    if not isinstance(parts, list) or not parts:
        return messages
    listed = messages if isinstance(messages, list) else []
    if messages is not None and not isinstance(messages, list):
        return messages
    if listed and isinstance(listed[0], dict) and listed[0].get("role") == "system":
        return messages
    return [{"role": "system", "parts": [to_part(part) for part in parts]}, *listed]


def typed_parts(content: JsonLike) -> JsonLike:
    """Return what JSON text of a list of parts, each with its type, stands for; any other content unchanged."""
    parsed = as_list(content)
    return parsed if parsed and all(as_mapping(part).get("type") for part in parsed) else content


def finish_reason_of(messages: JsonLike) -> str:
    """Return the first finish reason that output messages carry, or an empty string."""
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict) and (reason := as_text(message.get("finish_reason"))):
            return reason
    return ""


def to_tools(value: JsonLike) -> JsonLike:
    """Return a list of tool definitions as ``{"type", "name", "description", "parameters"}``; else unchanged.

    Nothing on offer is ``None``; an object that names its tools by its keys counts as a list of them.
    """
    value = parse_json(value)
    if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
        value = [{"name": name, **as_mapping(item)} for name, item in value.items()]
    if not isinstance(value, list):
        return value
    return [_tool(as_mapping(item)) or item for item in value] or None


def assistant_message(
    text: str, tool_calls: JsonLike = None, structured: JsonLike = None, reasoning: str = "", finish_reason: str = ""
) -> list[JsonLike]:
    """Return the one output message of an answer given in pieces, or an empty list if there is no piece."""
    parts: list[JsonLike] = []
    if reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    if text:
        parts.append(text_part(text))
    if structured is not None:
        parts.append({"type": "generic", "object": structured})
    parts.extend(tool_call(as_mapping(call)) for call in as_list(tool_calls))
    if not parts:
        return []
    message: Message = {"role": "assistant", "parts": parts}
    if finish_reason:
        message["finish_reason"] = normalise_finish_reason(finish_reason)
    return [message]


def _unwrapped(value: Message) -> Message:
    """Return a message without what is around it, with a role where its sender says so in other words."""
    if any("." in key for key in value):
        nested: Message = {}
        for key, inner in value.items():
            plant(nested, key.split("."), inner)
        value = nested
    value = as_mapping(value.get("message")) if set(value) == {"message"} else value
    kind = as_text(value.get("type"))
    if "role" in value:
        return value
    if kind in _ITEM_ROLES:
        return {"role": _ITEM_ROLES[kind], "parts": [value]}
    inner = as_mapping(value.get("data")) or as_mapping(value.get("kwargs"))
    kind = as_text(inner.get("type")) or kind
    inner = inner or value
    if kind.removesuffix("MessageChunk").lower() in _LANGCHAIN_TYPES and "content" in inner:
        return {**inner, "role": kind.removesuffix("MessageChunk").lower()}
    return value


def _from_request(request: Message) -> JsonLike:
    """Return the messages of a whole request, or the request if it has none."""
    messages = first_of(request, "messages", "prompt", "contents", "input")
    if isinstance(messages, str):
        messages = [text_message("user", messages)]
    found = to_messages(messages) if isinstance(messages, list) else None
    if found is None or found == messages == [] or not _are_messages(found):
        return request
    return with_instructions(first_of(request, "system", "instructions", "system_instruction"), found)


def _are_messages(value: JsonLike) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) and "parts" in item for item in value)


def _with_clean_parts(message: Message) -> Message:
    role, parts = as_text(message.get("role")), message["parts"]
    cleaned = {**message, "role": _ROLES.get(role, role)}
    cleaned["parts"] = [to_part(part) for part in parts] if isinstance(parts, list) else parts
    if reason := as_text(message.get("finish_reason")):
        cleaned["finish_reason"] = normalise_finish_reason(reason)
    return cleaned


def _parts(message: Message) -> list[JsonLike]:
    """Return the parts of a message in the style of OpenAI, Anthropic or Vercel."""
    content = first_of(message, "content", "contents")
    call_id = as_text(message.get("tool_call_id"))
    if call_id or message.get("role") == "tool":
        if isinstance(content, list) and any(is_tool_result(part) for part in content):
            return [to_part(part) for part in content]
        return [tool_result({"id": call_id, "response": content})]
    parts: list[JsonLike] = []
    if reasoning := as_text(first_of(message, "reasoning_content", "reasoning")):
        parts.append({"type": "reasoning", "content": reasoning})
    if isinstance(content, list):
        parts.extend(to_part(part) for part in content)
    elif isinstance(content, str):
        if content:
            parts.append(text_part(content))
    elif content is not None:
        parts.append({"type": "generic", "content": content})
    parts.extend(tool_call(as_mapping(call)) for call in as_list(message.get("tool_calls")))
    if function_call := _function_call(message):
        parts.append(tool_call(function_call))
    return parts


def _function_call(message: Message) -> Part:
    """Return the call of a function, as it was before tools: of OpenAI, or of OpenInference's own names."""
    name = message.get("function_call_name")
    if name is not None:
        return {"name": name, "arguments": message.get("function_call_arguments_json")}
    return as_mapping(message.get("function_call"))


def _tool(tool: Part) -> JsonLike:
    tool = as_mapping(tool.get("tool")) or tool
    tool = as_mapping(tool.get("json_schema")) or tool
    function = as_mapping(tool.get("function")) or tool
    name = as_text(function.get("name"))
    if not name:
        return None
    definition: Message = {"type": as_text(tool.get("type")) or "function", "name": name}
    if description := as_text(function.get("description")):
        definition["description"] = description
    parameters = first_of(function, "parameters", "inputSchema", "input_schema", "parameters_json_schema")
    if parameters is not None:
        definition["parameters"] = parse_json(parameters)
    return definition
