"""OpenAI's wire formats as a provider speaks them: chat/completions, completions, embeddings, responses.

Source: OpenAI API reference, chat/object, chat/streaming, completions, embeddings and responses-streaming.
"""

import base64
import json
import struct
from collections.abc import Iterator
from typing import cast

import msgspec
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.completion_create_params import CompletionCreateParams as LegacyParams
from openai.types.embedding_create_params import EmbeddingCreateParams

from tests.flows import provider_script as script
from tests.flows.provider_checks import check_shape, decoded
from tests.flows.provider_responses import answer_response
from tests.flows.provider_script import Asked, Json, NotValidError, Received, Reply, Said, whole

CREATED = 1_700_000_000
_ECHOES = frozenset({"annotations"})


class _Message(msgspec.Struct):
    role: str
    content: str | list[Json] | None = None
    tool_calls: list[Json] = []
    tool_call_id: str = ""


class _Chat(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool | None = None
    stream_options: Json | None = None
    tools: list[Json] = []
    tool_choice: str | Json | None = None
    n: int | None = None
    response_format: Json | None = None
    logprobs: bool | None = None
    reasoning_effort: str | None = None


def answer(request: Received) -> Reply:
    """Return what OpenAI answers."""
    if request.headers.get("authorization") != f"Bearer {script.KEYS['openai']}":
        return _error(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
    if request.method == "GET":
        return whole({"object": "list", "data": [{"id": "gpt-4.1", "object": "model", "created": 1, "owned_by": "x"}]})
    body = json.loads(request.body)
    try:
        fault = Asked(str(body.get("model"))).fault
        if fault and not (fault == "midway" and body.get("stream")):
            return _fail(fault)
        match request.path:
            case "/chat/completions":
                return _chat(body)
            case "/completions":
                return _legacy(body)
            case "/embeddings":
                return answer_embeddings(body)
            case "/responses":
                return answer_response(body)
    except NotValidError as error:
        return _error(400, str(error), "invalid_request_error", None)
    return _error(404, f"Invalid URL (POST {request.path})", "invalid_request_error", None)


def _error(status: int, message: str, kind: str, code: str | None, **headers: str) -> Reply:
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return whole(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def _fail(fault: str) -> Reply:
    match fault:
        case "context":
            text = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
            return _error(400, text, "invalid_request_error", "context_length_exceeded")
        case "rate":
            text = "Rate limit reached for requests"
            return _error(429, text, "requests", "rate_limit_exceeded", retry_after=str(script.RETRY_AFTER_S))
    return _error(503, "The engine is currently overloaded, please try again later", "server_error", None)


def _chat(body: Json) -> Reply:
    check_shape(_without_echoes(body), CompletionCreateParams)
    request = msgspec.convert(body, _Chat)
    asked = read_chat(request)
    said = script.say(asked)
    if asked.is_stream:
        return script.server_sent(list(_chat_events(request, asked, said)), asked)
    choices = [_choice(request, index, said) for index in range(request.n or 1)]
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": CREATED, "model": request.model}
    return whole({**head, "choices": choices, "usage": usage(said), "service_tier": "default"})


def _without_echoes(body: Json) -> Json:
    """Return a request without what OpenAI itself puts into a message and takes back, though its types do not say."""
    messages = cast("list[Json]", body.get("messages") or [])
    return {**body, "messages": [{k: v for k, v in message.items() if k not in _ECHOES} for message in messages]}


def read_chat(request: _Chat) -> Asked:
    """Return what a request comes to.

    Raises:
        NotValidError: If a tool's message follows no call of it, or an image cannot be read.
    """
    open_calls: set[str] = set()
    results: list[str] = []
    images: list[str] = []
    for message in request.messages:
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise NotValidError("messages with role 'tool' must be a response to a preceding message")
            results.append(_text(message))
            continue
        open_calls = {str(call["id"]) for call in message.tool_calls}
        results = []
        images += _images(message)
    schema = cast(Json, (request.response_format or {}).get("json_schema") or {}).get("schema")
    tools = () if request.tool_choice == "none" else tuple(_function_name(tool) for tool in request.tools)
    return Asked(
        model=request.model,
        is_stream=bool(request.stream),
        tools=tools,
        results=tuple(results),
        images=tuple(images),
        schema=cast("Json | None", schema),
        thinks=request.reasoning_effort not in (None, "none"),
    )


def _function_name(tool: Json) -> str:
    return str(cast(Json, tool["function"])["name"])


def _text(message: _Message) -> str:
    if isinstance(message.content, list):
        return "".join(str(part.get("text", "")) for part in message.content)
    return message.content or ""


def _images(message: _Message) -> Iterator[str]:
    for part in message.content if isinstance(message.content, list) else []:
        if part["type"] == "image_url":
            yield read_data_url(str(cast(Json, part["image_url"])["url"]))


def read_data_url(url: str) -> str:
    """Return what is seen in an image by a ``data:`` URL."""
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    return script.image_seen(kind, decoded(data))


def _choice(request: _Chat, index: int, said: Said) -> Json:
    calls = [
        {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.text}}
        for call in said.calls
    ]
    message: Json = {"role": "assistant", "content": said.text, "refusal": None, "annotations": []}
    if calls:
        message["tool_calls"] = calls
    logprobs = _logprobs([said.text]) if request.logprobs else None
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": _finish(said)}


def _logprobs(texts: list[str]) -> Json:
    content = [{"token": t, "logprob": script.LOGPROB, "bytes": list(t.encode()), "top_logprobs": []} for t in texts]
    return {"content": content, "refusal": None}


def _finish(said: Said) -> str:
    return "tool_calls" if said.calls else "stop"


def usage(said: Said) -> Json:
    """Return the usage of an answer."""
    return {
        "prompt_tokens": script.INPUT_TOKENS,
        "completion_tokens": script.OUTPUT_TOKENS,
        "total_tokens": script.INPUT_TOKENS + script.OUTPUT_TOKENS,
        "prompt_tokens_details": {"cached_tokens": script.CACHED_TOKENS, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": said.thought_tokens, "audio_tokens": 0},
    }


def _chat_events(request: _Chat, asked: Asked, said: Said) -> Iterator[bytes]:
    head: Json = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": request.model}
    wants_usage = bool((request.stream_options or {}).get("include_usage"))
    if wants_usage:
        head["usage"] = None
    for delta in _deltas(asked, said):
        for index in range(request.n or 1):
            logprobs = _logprobs([str(delta["content"])]) if request.logprobs and delta.get("content") else None
            choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
            yield _event({**head, "choices": [choice]})
        if asked.fault == "midway" and delta.get("content"):
            yield _event({"error": {"message": "The server had an error", "type": "server_error", "code": None}})
            return
    for index in range(request.n or 1):
        yield _event({**head, "choices": [{"index": index, "delta": {}, "finish_reason": _finish(said)}]})
    if wants_usage:
        yield _event({**head, "choices": [], "usage": usage(said)})
    yield b"data: [DONE]\n\n"


def _deltas(asked: Asked, said: Said) -> Iterator[Json]:
    yield {"role": "assistant", "content": "", "refusal": None}
    for piece in script.pieces(said.text, asked):
        yield {"content": piece}
    for index, call in enumerate(said.calls):
        function: Json = {"name": call.name, "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call.call_id, "type": "function", "function": function}]}
        for piece in script.pieces(call.text, asked):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _event(value: Json) -> bytes:
    return b"data: " + script.as_json(value) + b"\n\n"


def _legacy(body: Json) -> Reply:
    check_shape(body, LegacyParams)
    asked = Asked(str(body["model"]), bool(body.get("stream")))
    head = {"id": "cmpl-1", "object": "text_completion", "created": CREATED, "model": asked.model}
    said = Said(script.TEXT)
    if not asked.is_stream:
        choice = {"index": 0, "text": said.text, "logprobs": None, "finish_reason": "stop"}
        return whole({**head, "choices": [choice], "usage": usage(said)})
    texts = [(piece, None) for piece in script.pieces(said.text, asked)] + [("", "stop")]
    events = [
        _event({**head, "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]})
        for text, finish in texts
    ]
    if cast(Json, body.get("stream_options") or {}).get("include_usage"):
        events.append(_event({**head, "choices": [], "usage": usage(said)}))
    return script.server_sent([*events, b"data: [DONE]\n\n"], asked)


def answer_embeddings(body: Json) -> Reply:
    """Return one vector for each input, as numbers or as base64."""
    check_shape(body, EmbeddingCreateParams)
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    packed = base64.b64encode(struct.pack(f"<{len(script.VECTOR)}f", *script.VECTOR)).decode()
    vector = packed if body.get("encoding_format") == "base64" else list(script.VECTOR)
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(inputs))]
    used = {"prompt_tokens": script.INPUT_TOKENS, "total_tokens": script.INPUT_TOKENS}
    return whole({"object": "list", "data": data, "model": body["model"], "usage": used})
