"""Hub requests, written for Amazon Bedrock's Converse.

Source: Amazon Bedrock API reference, ``Converse``, ``ContentBlock``, ``ToolConfiguration`` and ``OutputConfig``.
"""

import re
from collections.abc import Sequence

import msgspec

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats import gemini_hub as hub
from zirkel.gateway.formats import hub_request

_IMAGE_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "text/csv": "csv",
}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_LONGEST_NAME = 200
_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_CACHE_TTLS = ("5m", "1h")


def write_request(body: JsonObject) -> JsonObject:
    """Return the Converse request of a hub request; see ``ConverseFormat.write_request``."""
    request = hub.read_request(body)
    _refuse_what_cannot_be_said(request)
    system, messages = _conversation(request)
    optional: JsonObject = {
        "system": system,
        "inferenceConfig": _inference_config(request),
        "toolConfig": _tool_config(request),
        "outputConfig": _output_config(request),
        "additionalModelRequestFields": {"top_k": request.top_k} if request.top_k is not None else None,
    }
    return {"messages": messages, **hub.compact(optional)}


def _refuse_what_cannot_be_said(request: hub.Request) -> None:
    asked = {
        "n": request.n not in (None, 1),
        "logprobs": bool(request.logprobs),
        "top_logprobs": bool(request.top_logprobs),
        "response_format.type": isinstance(request.response_format, hub_request.JsonObjectFormat),
        "top_k": request.top_k is not None and not _is_of_anthropic(request.model),
    }
    for path, is_asked in asked.items():
        if is_asked:
            raise hub.cannot_say(path)


def _is_of_anthropic(model: str) -> bool:
    return "anthropic" in model


def _conversation(request: hub.Request) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return the system's blocks, wherever in the conversation they are, and the turns, which must alternate."""
    system: list[JsonObject] = []
    messages: list[JsonObject] = []
    blocks: list[JsonObject] = []
    last_role = ""
    for position, message in enumerate(request.messages):
        found = _message_blocks(message, request.model, path=f"messages[{position}]")
        if message.role in ("system", "developer"):
            system += found
        elif found:
            role = "assistant" if message.role == "assistant" else "user"
            if role != last_role:
                blocks = []
                messages.append({"role": role, "content": blocks})
                last_role = role
            blocks += found
    return system, messages


def _message_blocks(message: hub.Message, model: str, *, path: str) -> list[JsonObject]:
    blocks: list[JsonObject] = []
    for place, part in hub.parts_of(message):
        block = _block(part, path=f"{path}.{place}")
        if block.get("text") != "":
            blocks.append(block)
        if isinstance(part, hub_request.TextPart | hub_request.ImagePart | hub_request.FilePart):
            blocks += _cache_point(part.cache_control, model)
    if message.role == "tool":
        if not message.tool_call_id:
            raise Invalid("a tool's message needs the id of its call", path=f"{path}.tool_call_id")
        return [{"toolResult": {"toolUseId": _call_id(message.tool_call_id), "content": blocks}}]
    for position, call in enumerate(message.tool_calls or ()):
        blocks.append(_tool_use(call, path=f"{path}.tool_calls[{position}]"))
    return blocks


def _block(part: hub.Part, *, path: str) -> JsonObject:
    match part:
        case hub_request.TextPart():
            return {"text": part.text}
        case hub_request.RefusalPart():
            return {"text": part.refusal}
        case hub_request.ImagePart():
            media = hub.inline_media(part.image_url.url)
            kind = _IMAGE_FORMATS.get(media.media_type) if media else None
            if media is None or kind is None:
                text = "an image for this model must be a base64 data: URL of a PNG, JPEG, GIF or WebP"
                raise Invalid(text, path=f"{path}.image_url.url")
            return {"image": {"format": kind, "source": {"bytes": media.base64}}}
        case hub.AudioPart():
            audio = part.input_audio
            return {"audio": {"format": audio.format, "source": {"bytes": audio.data}}}
        case hub_request.FilePart():
            return _document(part.file, path=f"{path}.file")


def _document(file: hub_request.File, *, path: str) -> JsonObject:
    media = hub.inline_media(file.file_data)
    kind = _DOCUMENT_FORMATS.get(media.media_type) if media else None
    if media is None or kind is None:
        known = ", ".join(_DOCUMENT_FORMATS)
        raise Invalid(f"a file must come as file_data, a base64 data: URL of one of the types {known}", path=path)
    name = _NOT_IN_NAMES.sub(" ", file.filename or "").strip()[:_LONGEST_NAME]
    return {"document": {"format": kind, "name": name or "file", "source": {"bytes": media.base64}}}


def _cache_point(cache_control: JsonObject | None, model: str) -> list[JsonObject]:
    """Return the mark of a cacheable prefix's end, for models that know it; it changes the price and nothing else."""
    if cache_control is None or (not _is_of_anthropic(model) and "amazon.nova" not in model):
        return []
    ttl = cache_control.get("ttl")
    point: JsonObject = {"type": "default"}
    return [{"cachePoint": {**point, "ttl": ttl} if ttl in _CACHE_TTLS else point}]


def _tool_use(call: hub.ToolCall, *, path: str) -> JsonObject:
    if not call.id:
        raise Invalid("a tool call needs an id", path=f"{path}.id")
    arguments = hub.called_arguments(call, path=path)
    return {"toolUse": {"toolUseId": _call_id(call.id), "name": call.function.name, "input": arguments}}


def _call_id(call_id: str) -> str:
    """Return a call's id; one of another provider that Converse would refuse is replaced, always by the same one."""
    return call_id if _CALL_ID.fullmatch(call_id) else hub.derived_id(call_id)


def _inference_config(request: hub.Request) -> JsonObject:
    return hub.compact(
        {
            "maxTokens": request.limit,
            # Converse's scale ends at 1.
            "temperature": None if request.temperature is None else min(request.temperature, 1.0),
            "topP": request.top_p,
            "stopSequences": request.stop_sequences,
        }
    )


def _tool_config(request: hub.Request) -> JsonObject | None:
    """Return the tools and the choice among them.

    Converse has no word for *none*. A conversation without calls says it by naming no tools; one with calls must name
    them.
    """
    has_calls = any(message.tool_calls or message.role == "tool" for message in request.messages)
    if has_calls and not request.tools:
        raise Invalid("a conversation with tool calls needs the tools for this model", path="tools")
    if request.tool_choice == "none":
        if has_calls:
            raise hub.cannot_say("tool_choice")
        return None
    if not request.tools:
        return None
    return hub.compact({"tools": _tools(request.tools, request.model), "toolChoice": _tool_choice(request)})


def _tools(tools: Sequence[hub_request.Tool], model: str) -> list[JsonObject]:
    written: list[JsonObject] = []
    for tool in tools:
        function = tool.function
        schema: JsonObject = {"type": "object", **(function.parameters or {"properties": {}})}
        spec: JsonObject = {"name": function.name, "inputSchema": {"json": schema}}
        if function.description:
            spec["description"] = function.description
        if function.strict:
            spec["strict"] = True
        written.append({"toolSpec": spec})
        written += _cache_point(tool.cache_control, model)
    return written


def _tool_choice(request: hub.Request) -> JsonObject | None:
    match request.tool_choice:
        case hub_request.NamedTool(function=function):
            return {"tool": {"name": function.name}}
        case "required":
            return {"any": {}}
        case "auto":
            return {"auto": {}}
    return None


def _output_config(request: hub.Request) -> JsonObject | None:
    asked = request.response_format
    if not isinstance(asked, hub_request.JsonSchemaFormat):
        return None
    schema = asked.json_schema
    definition = hub.compact(
        {
            "schema": msgspec.json.encode(schema.schema).decode(),
            "name": schema.name,
            "description": schema.description or None,
        }
    )
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}
