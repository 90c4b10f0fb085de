"""Requests of callers that speak the Messages API, as hub requests."""

from collections.abc import Sequence

import msgspec

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats import messages_wire as wire
from zirkel.gateway.formats.messages_effort import effort_of

_TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_ANSWER_SCHEMA_NAME = "answer"
_IMAGES_FOLLOW = "(see the images in the next message)"


def read_request(body: JsonObject) -> JsonObject:
    """Return the hub request of a Messages request; see ``MessagesFormat.read_request``."""
    request = wire.shaped(body, wire.Request, what="the messages request")
    messages: list[JsonObject] = []
    if request.system:
        messages.append({"role": "system", "content": _texts(request.system)})
    for position, message in enumerate(request.messages):
        messages += _hub_messages(message, path=f"messages[{position}]")
    config = request.output_config
    hub: JsonObject = {"model": request.model, "messages": messages, "max_completion_tokens": request.max_tokens}
    hub |= {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    hub |= {"stop": request.stop_sequences, "user": request.metadata and request.metadata.user_id}
    hub |= {"reasoning_effort": effort_of(request.thinking, config)}
    hub |= {"response_format": _response_format(config.format if config else None, request.output_format)}
    hub |= {"tools": _tools(request.tools), **_tool_choice(request)}
    if request.stream:
        hub |= {"stream": True, "stream_options": {"include_usage": True}}
    return {name: value for name, value in hub.items() if value not in (None, [])}


def _texts(content: str | Sequence[wire.TextBlock]) -> str | list[JsonObject]:
    return content if isinstance(content, str) else _parts_or_text([_text(block.text) for block in content])


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _parts_or_text(parts: list[JsonObject]) -> str | list[JsonObject]:
    """Return a single text as a string: many servers know no other form of it."""
    match parts:
        case []:
            return ""
        case [{"type": "text", "text": str(text)}]:
            return text
    return parts


def _hub_messages(message: wire.Message, *, path: str) -> list[JsonObject]:
    blocks: Sequence[wire.Block] = (
        [wire.TextBlock(message.content)] if isinstance(message.content, str) else message.content
    )
    if message.role == "user":
        return _user_messages(blocks, path=f"{path}.content")
    if message.role == "assistant":
        return [_assistant_message(blocks, path=f"{path}.content")]
    parts = [_part(block, path=f"{path}.content[{at}]") for at, block in enumerate(blocks)]
    return [{"role": "system", "content": _parts_or_text(parts)}]


def _user_messages(blocks: Sequence[wire.Block], *, path: str) -> list[JsonObject]:
    """Return a tool's message for each result, in order, then the user's own with everything else."""
    messages: list[JsonObject] = []
    images: list[JsonObject] = []
    own: list[JsonObject] = []
    for position, block in enumerate(blocks):
        at = f"{path}[{position}]"
        if isinstance(block, wire.ToolResultBlock):
            message, its_images = _tool_message(block, path=at)
            messages.append(message)
            images += its_images
        else:
            own.append(_part(block, path=at))
    if images or own or not messages:
        messages.append({"role": "user", "content": _parts_or_text(images + own)})
    return messages


def _tool_message(block: wire.ToolResultBlock, *, path: str) -> tuple[JsonObject, list[JsonObject]]:
    """Return the message of a result, and what OpenAI takes from users only: its images and files."""
    inner = [wire.TextBlock(block.content)] if isinstance(block.content, str) else block.content or []
    parts = [_part(item, path=f"{path}.content[{at}]") for at, item in enumerate(inner)]
    texts = [part for part in parts if part["type"] == "text"]
    others = [part for part in parts if part["type"] != "text"]
    if others:
        texts.append(_text(_IMAGES_FOLLOW))
    content = _parts_or_text(texts)
    if block.is_error:
        content = f"Error: {content}" if isinstance(content, str) else [_text("Error:"), *content]
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": content}, others


def _assistant_message(blocks: Sequence[wire.Block], *, path: str) -> JsonObject:
    """Return an earlier answer. What was thought is left out: only the model that signed it can read it again."""
    parts: list[JsonObject] = []
    calls: list[JsonObject] = []
    for position, block in enumerate(blocks):
        match block:
            case wire.ThinkingBlock() | wire.RedactedThinkingBlock():
                continue
            case wire.ToolUseBlock():
                calls.append(_tool_call(block))
            case wire.TextBlock():
                parts.append(_text(block.text))
            case _:
                raise Invalid("an assistant's message has text and tool calls only", path=f"{path}[{position}]")
    message: JsonObject = {"role": "assistant", "content": _parts_or_text(parts) if parts or not calls else None}
    return {**message, "tool_calls": calls} if calls else message


def _tool_call(block: wire.ToolUseBlock) -> JsonObject:
    arguments = msgspec.json.encode(block.input).decode()
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def _part(block: wire.Block, *, path: str) -> JsonObject:
    match block:
        case wire.TextBlock():
            return _text(block.text)
        case wire.ImageBlock():
            return {"type": "image_url", "image_url": {"url": _image_url(block.source, path=f"{path}.source")}}
        case wire.DocumentBlock():
            return _document(block, path=path)
    raise Invalid("such a block cannot be here", path=path)


def _image_url(source: wire.Source, *, path: str) -> str:
    match source.type:
        case "base64":
            return f"data:{source.media_type};base64,{source.data}"
        case "url":
            return source.url
    raise Invalid(f"an image's source must be base64 or url here, not {source.type!r}", path=f"{path}.type")


def _document(block: wire.DocumentBlock, *, path: str) -> JsonObject:
    if block.citations is not None and block.citations.enabled:
        raise Invalid("the model that serves this cannot cite documents", path=f"{path}.citations")
    source = block.source
    if source.type == "text":
        return _text("\n\n".join(text for text in (block.title, block.context, source.data) if text))
    if source.type == "base64" and source.media_type == "application/pdf" and not block.context:
        data = f"data:application/pdf;base64,{source.data}"
        return {"type": "file", "file": {"filename": block.title or "document.pdf", "file_data": data}}
    raise Invalid("a document must be plain text, or a base64 PDF without a context", path=f"{path}.source")


def _tools(tools: Sequence[wire.Tool] | None) -> list[JsonObject]:
    return [_tool(tool, path=f"tools[{position}]") for position, tool in enumerate(tools or ())]


def _tool(tool: wire.Tool, *, path: str) -> JsonObject:
    if tool.type not in (None, "custom"):
        message = f"the tool {tool.type!r} runs at Anthropic, and another model serves this; only own tools work"
        raise Invalid(message, path=f"{path}.type")
    if tool.input_schema is None:
        raise Invalid("a tool needs an input_schema", path=f"{path}.input_schema")
    function: JsonObject = {"name": tool.name}
    function |= {"description": tool.description} if tool.description else {}
    function |= {"parameters": tool.input_schema}
    function |= {"strict": True} if tool.strict else {}
    return {"type": "function", "function": function}


def _tool_choice(request: wire.Request) -> JsonObject:
    """Return ``tool_choice`` and ``parallel_tool_calls``, which OpenAI refuses where there are no tools."""
    choice = request.tool_choice
    if choice is None or not request.tools:
        return {}
    parallel: JsonObject = {"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {}
    if choice.type != "tool":
        return {"tool_choice": _TOOL_CHOICES[choice.type], **parallel}
    if not choice.name:
        raise Invalid("the tool to use needs a name", path="tool_choice.name")
    return {"tool_choice": {"type": "function", "function": {"name": choice.name}}, **parallel}


def _response_format(*formats: wire.OutputFormat | None) -> JsonObject | None:
    for found in formats:
        if found is not None:
            schema: JsonObject = {"name": _ANSWER_SCHEMA_NAME, "schema": found.schema, "strict": True}
            return {"type": "json_schema", "json_schema": schema}
    return None
