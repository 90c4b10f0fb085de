"""One part of a message, of any dialect, in the GenAI message schema. What is not understood stays as it is.

Source: GenAI conventions, input and output message schemas; the request formats of the providers named.
"""

from zirkel.lib.otlp import JsonLike
from zirkel.observe.normalise.attributes import as_mapping, as_text, parse_json

Part = dict[str, JsonLike]

_TEXT = ("text", "input_text", "output_text")
_REASONING = ("reasoning", "thinking")
_CALLS = ("tool_call", "tool-call", "tool_use", "function_call")
_RESULTS = ("tool_call_response", "tool-result", "tool_result", "function_call_output")
_IMAGES = ("image_url", "image", "input_image")
_MODALITIES = ("image", "audio", "video")


def text_part(text: str) -> Part:
    """Return a part of text."""
    return {"type": "text", "content": text}


def to_part(part: JsonLike) -> JsonLike:
    """Return one part in the schema; of an unknown type, unchanged."""
    if isinstance(part, str):
        return text_part(part)
    if not isinstance(part, dict):
        return part
    part = as_mapping(part.get("message_content")) or part
    kind = part.get("type")
    if kind in _TEXT:
        return text_part(as_text(part.get("content", part.get("text"))))
    if kind in _REASONING:
        return {"type": "reasoning", "content": first_of(part, "content", "text", "thinking", "summary")}
    if kind in _CALLS:
        return tool_call(part)
    if kind in _RESULTS:
        return tool_result(part)
    if kind in _IMAGES:
        return _image(part)
    if kind in ("input_audio", "audio"):
        return _audio(part)
    if kind == "file" and "data" in part:
        return _media(part["data"], as_text(first_of(part, "mediaType", "mimeType"))) or part
    return part if kind is not None else _without_type(part)


def is_tool_result(part: JsonLike) -> bool:
    """Return whether a part is the result of a tool."""
    return isinstance(part, dict) and part.get("type") in _RESULTS


def tool_result(part: Part) -> Part:
    """Return the result of a tool; a value that is labelled with its type (Vercel) loses the label."""
    response = first_of(part, "response", "result", "output", "content")
    if isinstance(response, dict) and set(response) == {"type", "value"}:
        response = response["value"]
    return {"type": "tool_call_response", "id": _call_id(part), "response": response}


def tool_call(call: Part) -> Part:
    """Return a tool call; its arguments are parsed where they are JSON text (OpenAI, Pydantic AI)."""
    call = as_mapping(call.get("tool_call")) or call
    function = as_mapping(call.get("function")) or call
    arguments = parse_json(first_of(function, "arguments", "input", "args"))
    name = as_text(first_of(function, "name", "toolName"))
    return {"type": "tool_call", "id": _call_id(call), "name": name, "arguments": arguments}


def first_of(values: Part, *keys: str) -> JsonLike:
    """Return the first value that is not null."""
    return next((values[key] for key in keys if values.get(key) is not None), None)


def _call_id(value: Part) -> str:
    return as_text(first_of(value, "call_id", "id", "toolCallId", "tool_call_id", "tool_use_id", "toolUseId"))


def _image(part: Part) -> JsonLike:
    source = as_mapping(part.get("source"))
    if source.get("data") is not None:
        return _media(source["data"], as_text(source.get("media_type")) or "image/*") or part
    found: JsonLike = source or first_of(part, "image_url", "image")
    while isinstance(found, dict):
        found = first_of(found, "url", "image")
    return _media(found, as_text(first_of(part, "mediaType", "mimeType")) or "image/*") or part


def _audio(part: Part) -> JsonLike:
    inner = as_mapping(part.get("input_audio")) or as_mapping(part.get("audio"))
    inner = as_mapping(inner.get("audio")) or inner
    mime_type = as_text(first_of(inner, "mime_type", "format")) or "*"
    return _media(first_of(inner, "data", "url"), f"audio/{mime_type.removeprefix('audio/')}") or part


def _media(source: JsonLike, mime_type: str) -> Part | None:
    """Return an address or base64 text as a part; ``data:`` addresses become what they hold."""
    if not isinstance(source, str) or not source:
        return None
    if source.startswith("data:"):
        head, _, source = source[5:].partition(",")
        mime_type = head.partition(";")[0] or mime_type
    modality = mime_type.partition("/")[0]
    modality = modality if modality in _MODALITIES else "document"
    if "://" in source[:12]:
        return {"type": "uri", "modality": modality, "uri": source}
    return {"type": "blob", "modality": modality, "mime_type": mime_type, "content": source}


def _without_type(part: Part) -> JsonLike:
    """Return a part of Gemini or Bedrock, which is named by its one key."""
    if isinstance(part.get("text"), str):
        kind = "reasoning" if part.get("thought") is True else "text"
        return {"type": kind, "content": part["text"]}
    if call := as_mapping(first_of(part, "function_call", "functionCall", "toolUse")):
        return tool_call(call)
    if result := as_mapping(first_of(part, "function_response", "functionResponse", "toolResult")):
        return tool_result(result)
    if data := as_mapping(first_of(part, "inline_data", "inlineData")):
        return _media(data.get("data"), as_text(first_of(data, "mime_type", "mimeType"))) or part
    return part
