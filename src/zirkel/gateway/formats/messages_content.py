"""Content of hub messages as blocks of the Messages API."""

import re
from collections.abc import Sequence

import msgspec

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats import hub_request
from zirkel.gateway.formats import messages_hub as hub

_DATA_URL = re.compile(r"data:([\w.+/-]+);base64,(.*)", re.DOTALL | re.ASCII)
_PDF = "application/pdf"
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")


def content_blocks(content: str | Sequence[hub.Part] | None, *, path: str) -> list[JsonObject]:
    """Return a message's content as blocks; text that is empty, which Anthropic refuses, is left out.

    A part's ``cache_control``, which several gateways take beside OpenAI's own members, is kept.

    Raises:
        Invalid: If a part cannot be said; ``path`` is the content's.
    """
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    blocks = [_block(part, path=f"{path}[{position}]") for position, part in enumerate(content)]
    return [block for block in blocks if block.get("text") != ""]


def _block(part: hub.Part, *, path: str) -> JsonObject:
    match part:
        case hub_request.TextPart():
            block: JsonObject = {"type": "text", "text": part.text}
        case hub_request.RefusalPart():
            return {"type": "text", "text": part.refusal}
        case hub_request.ImagePart():
            block = {"type": "image", "source": _image_source(part.image_url.url, path=f"{path}.image_url.url")}
        case hub_request.FilePart():
            block = _document(part.file, path=f"{path}.file")
    return with_cache_control(block, part.cache_control)


def with_cache_control(block: JsonObject, cache_control: JsonObject | None) -> JsonObject:
    """Return a block, marked as the end of a cacheable prefix if there is a mark."""
    return block if cache_control is None else {**block, "cache_control": cache_control}


def _image_source(url: str, *, path: str) -> JsonObject:
    if found := _DATA_URL.fullmatch(url):
        return {"type": "base64", "media_type": found[1], "data": found[2]}
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    raise Invalid("an image's url must be http(s) or a base64 data: URL", path=path)


def _document(file: hub_request.File, *, path: str) -> JsonObject:
    found = _DATA_URL.fullmatch(file.file_data or "")
    if found is None or found[1] != _PDF:
        raise Invalid("a file must come as file_data, a base64 data: URL of type application/pdf", path=path)
    source: JsonObject = {"type": "base64", "media_type": _PDF, "data": found[2]}
    block: JsonObject = {"type": "document", "source": source}
    return {**block, "title": file.filename} if file.filename else block


def tool_use_block(call: hub.ToolCall, *, path: str) -> JsonObject:
    """Return a call of an earlier answer as a block.

    Raises:
        Invalid: If it is no function's call, or its arguments are not a JSON object.
    """
    if call.type not in (None, "function") or call.function is None or not call.function.name:
        raise Invalid("only calls of functions can be sent to this model", path=path)
    if not call.id:
        raise Invalid("a tool call needs an id", path=f"{path}.id")
    arguments = parsed_arguments(call.function.arguments or "")
    if arguments is None:
        raise Invalid("a tool call's arguments must be a JSON object", path=f"{path}.function.arguments")
    return {"type": "tool_use", "id": tool_use_id(call.id), "name": call.function.name, "input": arguments}


def tool_use_id(call_id: str) -> str:
    """Return a call's id with the characters that Anthropic's may have: others become underscores."""
    return _NOT_IN_IDS.sub("_", call_id)


def parsed_arguments(text: str) -> JsonObject | None:
    """Return the arguments of a call; empty text is no arguments; ``None`` if it is not a JSON object."""
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        return None
