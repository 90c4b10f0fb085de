"""Hub requests, written for Gemini.

Source: Gemini API reference, ``models.generateContent``, ``Content``, ``FunctionDeclaration`` and ``ToolConfig``.
"""

from collections.abc import Sequence
from mimetypes import guess_type
from urllib.parse import urlsplit

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats import gemini_hub as hub
from zirkel.gateway.formats import hub_request
from zirkel.gateway.formats.gemini_config import generation_config, needs_signatures

_NO_SIGNATURE = "skip_thought_signature_validator"
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_FILE_SCHEMES = ("https", "http", "gs")


def write_request(body: JsonObject) -> JsonObject:
    """Return the Gemini request of a hub request; see ``GeminiFormat.write_request``."""
    request = hub.read_request(body)
    system = [
        part
        for position, message in enumerate(request.messages)
        if message.role in ("system", "developer")
        for part in _content_parts(message, path=f"messages[{position}]")
    ]
    optional: JsonObject = {
        "systemInstruction": {"parts": system} if system else None,
        "tools": _tools(request.tools),
        "toolConfig": _tool_config(request),
        "generationConfig": generation_config(request),
    }
    return {"contents": _contents(request), **hub.compact(optional)}


def _contents(request: hub.Request) -> list[JsonObject]:
    """Return the turns. The results of calls that were made together are one turn, as Gemini wants them."""
    contents: list[JsonObject] = []
    names: dict[str, str] = {}
    results: list[JsonObject] = []
    for position, message in enumerate(request.messages):
        path = f"messages[{position}]"
        if message.role == "tool":
            if not results:
                contents.append({"role": "user", "parts": results})
            results.append(_result_part(message, names, path=path))
            continue
        results = []
        if message.role in ("system", "developer"):
            continue
        parts = _content_parts(message, path=path)
        if message.role == "assistant":
            parts += _call_parts(message.tool_calls or (), request.model, path=path)
            names |= {call.id: call.function.name for call in message.tool_calls or ()}
        if parts:
            contents.append({"role": "model" if message.role == "assistant" else "user", "parts": parts})
    return contents


def _content_parts(message: hub.Message, *, path: str) -> list[JsonObject]:
    parts = [_part(part, path=f"{path}.{place}") for place, part in hub.parts_of(message)]
    return [part for part in parts if part.get("text") != ""]


def _part(part: hub.Part, *, path: str) -> JsonObject:
    match part:
        case hub_request.TextPart():
            return {"text": part.text}
        case hub_request.RefusalPart():
            return {"text": part.refusal}
        case hub_request.ImagePart():
            return _image(part.image_url.url, path=f"{path}.image_url.url")
        case hub.AudioPart():
            audio = part.input_audio
            return {"inlineData": {"mimeType": f"audio/{audio.format}", "data": audio.data}}
        case hub_request.FilePart():
            media = hub.inline_media(part.file.file_data)
            if media is None:
                raise Invalid("a file must come as file_data, a base64 data: URL", path=f"{path}.file")
            return _inline(media)


def _image(url: str, *, path: str) -> JsonObject:
    media = hub.inline_media(url)
    if media is not None:
        return _inline(media)
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in _FILE_SCHEMES or not parts.netloc:
        raise Invalid("an image's url must be http(s), gs or a base64 data: URL", path=path)
    media_type, _ = guess_type(parts.path)
    return {"fileData": hub.compact({"mimeType": media_type, "fileUri": url})}


def _inline(media: hub.Media) -> JsonObject:
    return {"inlineData": {"mimeType": media.media_type, "data": media.base64}}


def _call_parts(calls: Sequence[hub.ToolCall], model: str, *, path: str) -> list[JsonObject]:
    """Return calls of an earlier answer, each with its seal if the caller kept it.

    The first call of a turn must have one from Gemini 3 on. A conversation that comes from another model, or from a
    client that drops what it does not know, has none; Gemini takes a word for that.

    Source: Gemini API docs, thought-signatures.
    """
    parts: list[JsonObject] = []
    for position, call in enumerate(calls):
        function: JsonObject = {"name": call.function.name}
        function["args"] = hub.called_arguments(call, path=f"{path}.tool_calls[{position}]")
        if call.id:
            function["id"] = call.id
        part: JsonObject = {"functionCall": function}
        signature = _signature(call) or (_NO_SIGNATURE if not position and needs_signatures(model) else "")
        parts.append({**part, "thoughtSignature": signature} if signature else part)
    return parts


def _signature(call: hub.ToolCall) -> str:
    google = (call.extra_content or {}).get("google")
    found = google.get("thought_signature") if isinstance(google, dict) else None
    return found if isinstance(found, str) else ""


def _result_part(message: hub.Message, names: dict[str, str], *, path: str) -> JsonObject:
    name = names.get(message.tool_call_id or "")
    if name is None:
        raise Invalid("a tool's message must name an earlier call by its id", path=f"{path}.tool_call_id")
    texts: list[str] = []
    media: list[JsonObject] = []
    for place, part in hub.parts_of(message):
        written = _part(part, path=f"{path}.{place}")
        text = written.get("text")
        if isinstance(text, str):
            texts.append(text)
        else:
            media.append(written)
    text = "".join(texts)
    found = hub.json_object(text)
    result: JsonObject = {"name": name, "response": {"output": text} if found is None else found}
    if message.tool_call_id:
        result["id"] = message.tool_call_id
    return {"functionResponse": {**result, "parts": media} if media else result}


def _tools(tools: Sequence[hub_request.Tool] | None) -> list[JsonObject]:
    declarations = [
        hub.compact(
            {
                "name": tool.function.name,
                "description": tool.function.description,
                "parametersJsonSchema": tool.function.parameters,
            }
        )
        for tool in tools or ()
    ]
    return [{"functionDeclarations": declarations}] if declarations else []


def _tool_config(request: hub.Request) -> JsonObject | None:
    choice = request.tool_choice
    if not request.tools or choice is None:
        return None
    if isinstance(choice, hub_request.NamedTool):
        config: JsonObject = {"mode": "ANY", "allowedFunctionNames": [choice.function.name]}
    else:
        config = {"mode": _MODES[choice]}
    return {"functionCallingConfig": config}
