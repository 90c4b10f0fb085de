"""Anthropic's Messages API as the provider speaks it.

Source: Anthropic API reference, Messages, streaming messages and errors.
"""

import json
from collections.abc import Iterator
from typing import cast

import msgspec
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParams

from tests.flows import provider_script as script
from tests.flows.provider_checks import check_shape, decoded
from tests.flows.provider_script import Asked, Json, NotValidError, Received, Reply, Said, whole

_REQUEST_ID = "req_011"
_SAMPLING = frozenset({"temperature", "top_p", "top_k"})


class _Message(msgspec.Struct):
    role: str
    content: str | list[Json]

    @property
    def blocks(self) -> list[Json]:
        """The content as blocks."""
        return [{"type": "text", "text": self.content}] if isinstance(self.content, str) else self.content


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    max_tokens: int = 0
    stream: bool | None = None
    tools: list[Json] = []
    tool_choice: Json | None = None
    thinking: Json | None = None
    temperature: float | None = None
    output_config: Json | None = None


def answer(request: Received) -> Reply:
    """Return what Anthropic answers."""
    if request.headers.get("x-api-key") != script.KEYS["anthropic"]:
        return _error(401, "authentication_error", "invalid x-api-key")
    if "anthropic-version" not in request.headers:
        return _error(400, "invalid_request_error", "anthropic-version: header is required")
    body = json.loads(request.body)
    try:
        if request.path == "/v1/messages/count_tokens":
            check_shape(body, MessageCountTokensParams)
            return whole({"input_tokens": counted_tokens(body)})
        if request.path != "/v1/messages":
            return _error(404, "not_found_error", "Not found")
        return _message(body, request.headers["anthropic-version"])
    except NotValidError as error:
        return _error(400, "invalid_request_error", str(error))


def counted_tokens(body: Json) -> int:
    """Return how many tokens a request is said to have."""
    return 1000 + len(cast("list[Json]", body["messages"])) + len(cast("list[Json]", body.get("tools") or []))


def _error(status: int, kind: str, message: str, retry_after_s: int = 0) -> Reply:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": _REQUEST_ID}
    headers = {"request-id": _REQUEST_ID}
    return whole(body, status, {**headers, "retry-after": str(retry_after_s)} if retry_after_s else headers)


def _message(body: Json, version: str) -> Reply:
    # The package is of a version that no longer has them.
    older = _SAMPLING if version == "2023-06-01" else frozenset()
    check_shape({name: member for name, member in body.items() if name not in older}, MessageCreateParams)
    request = msgspec.convert(body, _Request)
    _check_rules(request)
    asked = _read(request)
    match asked.fault:
        case "context":
            return _error(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")
        case "rate":
            return _error(429, "rate_limit_error", "You have exceeded your rate limit.", script.RETRY_AFTER_S)
        case "overloaded":
            return _error(529, "overloaded_error", "Overloaded")
        case "midway" if not asked.is_stream:
            return _error(529, "overloaded_error", "Overloaded")
    said = script.say(asked)
    if asked.is_stream:
        return script.server_sent(list(_events(request, asked, said)), asked)
    content = [{**block, **last} for block, _, last in _blocks(asked, said)]
    message = {**_head(request), "content": content, "stop_reason": _stop_reason(said), "stop_sequence": None}
    # A member that nobody knows yet: what is passed on unchanged keeps it.
    return whole({**message, "usage": _usage(said), "novelty": {"kind": "unknown"}}, headers={"request-id": "req_1"})


def _check_rules(request: _Request) -> None:
    """Return if a request keeps the rules that types cannot say.

    Raises:
        NotValidError: With the rule that is broken.
    """
    if request.temperature is not None and not 0 <= request.temperature <= 1:
        raise NotValidError("temperature: range: 0..1")
    thinking = request.thinking or {}
    if thinking.get("type") == "enabled":
        if not 1024 <= cast(int, thinking["budget_tokens"]) < request.max_tokens:
            raise NotValidError("max_tokens must be greater than thinking.budget_tokens")
        if request.temperature not in (None, 1):
            raise NotValidError("temperature may only be set to 1 when thinking is enabled")
    used: set[str] = set()
    for message in request.messages:
        answered = {str(block["tool_use_id"]) for block in message.blocks if block["type"] == "tool_result"}
        if answered != used:
            raise NotValidError(f"tool_use ids {sorted(used)} need their tool_result blocks in the next message")
        used = {str(block["id"]) for block in message.blocks if block["type"] == "tool_use"}


def _read(request: _Request) -> Asked:
    last = request.messages[-1].blocks
    images = [
        _image(cast(Json, block["source"]))
        for message in request.messages
        for block in message.blocks
        if block["type"] == "image"
    ]
    form = cast(Json, (request.output_config or {}).get("format") or {})
    choice = (request.tool_choice or {}).get("type")
    return Asked(
        model=request.model,
        is_stream=bool(request.stream),
        tools=() if choice == "none" else tuple(str(tool["name"]) for tool in request.tools),
        results=tuple(_result(block) for block in last if block["type"] == "tool_result"),
        images=tuple(images),
        schema=cast("Json | None", form.get("schema")),
        thinks=(request.thinking or {}).get("type") in ("enabled", "adaptive"),
    )


def _image(source: Json) -> str:
    return script.image_seen(str(source["media_type"]), decoded(str(source["data"])))


def _result(block: Json) -> str:
    content = block.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in cast("list[Json]", content))


def _head(request: _Request) -> Json:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": request.model}


def _stop_reason(said: Said) -> str:
    return "tool_use" if said.calls else "end_turn"


def _usage(said: Said) -> Json:
    return {
        "input_tokens": script.INPUT_TOKENS - script.CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": script.CACHED_TOKENS,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": script.OUTPUT_TOKENS,
        "output_tokens_details": {"thinking_tokens": said.thought_tokens},
        "service_tier": "standard",
    }


def _blocks(asked: Asked, said: Said) -> Iterator[tuple[Json, list[Json], Json]]:
    """Yield each block as it begins, the deltas that follow, and what is different about it when it is whole."""
    if said.thought:
        deltas: list[Json] = [{"type": "thinking_delta", "thinking": p} for p in script.pieces(said.thought, asked)]
        deltas.append({"type": "signature_delta", "signature": "c2ln"})
        whole_block: Json = {"thinking": said.thought, "signature": "c2ln"}
        yield {"type": "thinking", "thinking": "", "signature": ""}, deltas, whole_block
    texts: list[Json] = [{"type": "text_delta", "text": piece} for piece in script.pieces(said.text, asked)]
    yield {"type": "text", "text": ""}, texts, {"text": said.text}
    for call in said.calls:
        parts: list[Json] = [
            {"type": "input_json_delta", "partial_json": piece} for piece in ["", *script.pieces(call.text, asked)]
        ]
        head: Json = {"type": "tool_use", "id": f"toolu_{call.call_id}", "name": call.name, "input": {}}
        yield head, parts, {"input": call.arguments}


def _events(request: _Request, asked: Asked, said: Said) -> Iterator[bytes]:
    used = _usage(said)
    empty: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": {**used, "output_tokens": 1}}
    yield _event("message_start", message={**_head(request), **empty})
    yield _event("ping")
    for index, (block, deltas, _) in enumerate(_blocks(asked, said)):
        yield _event("content_block_start", index=index, content_block=block)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
            if asked.fault == "midway":
                yield _event("error", error={"type": "overloaded_error", "message": "Overloaded"})
                return
        yield _event("content_block_stop", index=index)
    yield _event("message_delta", delta={"stop_reason": _stop_reason(said), "stop_sequence": None}, usage=used)
    yield _event("message_stop")


def _event(kind: str, **members: object) -> bytes:
    return f"event: {kind}\n".encode() + b"data: " + script.as_json({"type": kind, **members}) + b"\n\n"
