"""What servers of the other dialects answer: Anthropic, Gemini, Bedrock, and OpenAI's other endpoints."""

import json
import struct
from binascii import crc32
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

from zirkel.core import Json

TEXT = "Hello wörld"
ARGUMENTS: dict[str, Json] = {"city": "Ulm"}
ANTHROPIC_USAGE: dict[str, Json] = {"input_tokens": 30, "cache_read_input_tokens": 12, "output_tokens": 17}
GEMINI_USAGE: dict[str, Json] = {
    "promptTokenCount": 42, "cachedContentTokenCount": 12, "candidatesTokenCount": 12, "thoughtsTokenCount": 5,
    "totalTokenCount": 59,
}  # fmt: skip
BEDROCK_USAGE: dict[str, Json] = {
    "inputTokens": 30, "cacheReadInputTokens": 12, "outputTokens": 17, "totalTokens": 59,
}  # fmt: skip
RESPONSES_USAGE: dict[str, Json] = {
    "input_tokens": 42, "input_tokens_details": {"cached_tokens": 12}, "output_tokens": 17,
    "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 59,
}  # fmt: skip

Body = dict[str, Json]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    """With its query, and as it was escaped."""
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def json(self) -> dict[str, Json]:
        return cast(dict[str, Json], json.loads(self.body))


Own = Callable[[web.Request, Asked], Awaitable[web.StreamResponse]]


@dataclass
class ProviderStub:
    """Answers by the path. A model whose name begins with ``http-`` is refused with that status."""

    secret: str
    """What refusals echo."""
    asked: list[Asked] = field(default_factory=list)
    own: dict[str, Own] = field(default_factory=dict)
    """A test's own answers, by the end of the path."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, request.raw_path, headers, await request.read())
        self.asked.append(asked)
        path = asked.path.partition("?")[0]
        for ending, own in self.own.items():
            if path.endswith(ending):
                return await own(request, asked)
        return await self._by_path(request, asked, path)

    async def _by_path(self, request: web.Request, asked: Asked, path: str) -> web.StreamResponse:
        if "http-" in path + str(asked.body):
            return _refusal(asked, path, f"no {self.secret}; too odd")
        found = next((answer for ending, answer in _ANSWERS.items() if path.endswith(ending)), None)
        if found is None:
            return web.json_response({"object": "list", "data": []})
        return await found(request, asked.json)


EMBEDDINGS = b'{"object": "list", "model": "e-0806",  "data": [{"embedding": [0.5], "index": 0}], "usage": {"prompt_tokens": 42, "total_tokens": 42}}'  # noqa: E501


def anthropic_answer(*, has_tool: bool = False) -> Body:
    content: Json = [{"type": "text", "text": TEXT}]
    if has_tool:
        content = [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": ARGUMENTS}]
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-0806", "content": content,
        "stop_reason": "tool_use" if has_tool else "end_turn", "stop_sequence": None, "usage": ANTHROPIC_USAGE,
    }  # fmt: skip


def anthropic_events(*, has_tool: bool = False) -> list[bytes]:
    head = {**anthropic_answer(), "content": [], "stop_reason": None, "usage": {**ANTHROPIC_USAGE, "output_tokens": 1}}
    block: Body = {"type": "text", "text": ""}
    deltas: list[Json] = [{"type": "text_delta", "text": part} for part in ("Hel", "lo ", "wörld")]
    if has_tool:
        block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ('{"city"', ': "Ulm"}')]
    events: list[Body] = [{"type": "message_start", "message": head}]
    events.append({"type": "content_block_start", "index": 0, "content_block": block})
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    events.append({"type": "content_block_stop", "index": 0})
    stop: Body = {"stop_reason": "tool_use" if has_tool else "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 17}})
    events.append({"type": "message_stop"})
    return [sse(event, cast(str, event["type"])) for event in events]


def gemini_answer(*, has_tool: bool = False, text: str = TEXT, is_last: bool = True) -> Body:
    part: Body = {"functionCall": {"name": "weather", "args": ARGUMENTS}} if has_tool else {"text": text}
    candidate: Body = {"content": {"role": "model", "parts": [part]}, "index": 0}
    return {
        "candidates": [candidate | ({"finishReason": "STOP"} if is_last else {})],
        "modelVersion": "gemini-0806",
        **({"usageMetadata": GEMINI_USAGE} if is_last else {}),
    }


def bedrock_answer(*, has_tool: bool = False) -> Body:
    use: Body = {"toolUse": {"toolUseId": "toolu_1", "name": "weather", "input": ARGUMENTS}}
    message: Body = {"role": "assistant", "content": [use if has_tool else {"text": TEXT}]}
    return {
        "output": {"message": message}, "stopReason": "tool_use" if has_tool else "end_turn", "usage": BEDROCK_USAGE,
        "metrics": {"latencyMs": 7},
    }  # fmt: skip


def bedrock_events(*, has_tool: bool = False) -> list[bytes]:
    deltas: list[Json] = [{"text": part} for part in ("Hel", "lo ", "wörld")]
    if has_tool:
        deltas = [{"toolUse": {"input": part}} for part in ('{"city"', ': "Ulm"}')]
    start: Body = {"toolUse": {"toolUseId": "toolu_1", "name": "weather"}}
    events: list[tuple[str, Body]] = [("messageStart", {"role": "assistant"})]
    events += [("contentBlockStart", {"contentBlockIndex": 0, "start": start})] if has_tool else []
    events += [("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}) for delta in deltas]
    events.append(("contentBlockStop", {"contentBlockIndex": 0}))
    events.append(("messageStop", {"stopReason": "tool_use" if has_tool else "end_turn"}))
    events.append(("metadata", {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 7}}))
    return [event_frame(name, payload) for name, payload in events]


def event_frame(event: str, payload: Body) -> bytes:
    """Return one AWS event stream message."""
    named = {":message-type": "event", ":event-type": event, ":content-type": "application/json"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in named.items()
    )
    data = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(data), len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + data
    return message + struct.pack("!I", crc32(message))


def sse(data: Json, event: str = "") -> bytes:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


async def stream(
    request: web.Request, parts: Sequence[bytes], media_type: str = "text/event-stream"
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": media_type})
    await response.prepare(request)
    for part in parts:
        await response.write(part)
    return response


async def _anthropic(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
    has_tool = "tools" in body
    if body.get("stream"):
        return await stream(request, anthropic_events(has_tool=has_tool))
    return web.json_response(anthropic_answer(has_tool=has_tool))


async def _count(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
    return web.json_response({"input_tokens": 123})


async def _gemini(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
    return web.json_response(gemini_answer(has_tool="tools" in body))


async def _bedrock(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
    return web.json_response(bedrock_answer(has_tool="toolConfig" in body))


async def _embeddings(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
    return web.Response(body=EMBEDDINGS, content_type="application/json")


async def _gemini_stream(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
    if "tools" in body:
        return await stream(request, [sse(gemini_answer(has_tool=True))])
    parts = [("Hel", False), ("lo ", False), ("wörld", True)]
    return await stream(request, [sse(gemini_answer(text=text, is_last=is_last)) for text, is_last in parts])


async def _bedrock_stream(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
    parts = bedrock_events(has_tool="toolConfig" in body)
    return await stream(request, parts, "application/vnd.amazon.eventstream")


async def _responses(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
    message: Body = {
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
    }  # fmt: skip
    answer: Body = {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-0806",
        "output": [message], "usage": RESPONSES_USAGE,
    }  # fmt: skip
    if not body.get("stream"):
        return web.json_response(answer)
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    delta: Body = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[Body] = [{"type": "response.created", "response": begun}]
    events += [{**delta, "delta": part} for part in ("Hel", "lo ", "wörld")]
    events.append({"type": "response.completed", "response": answer})
    return await stream(request, [sse(event, cast(str, event["type"])) for event in events])


async def _completions(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
    usage: Body = {"prompt_tokens": 42, "completion_tokens": 17, "total_tokens": 59}
    choice: Body = {"text": TEXT, "index": 0, "finish_reason": "stop", "logprobs": None}
    answer: Body = {"id": "cmpl_1", "object": "text_completion", "model": "i-0806", "choices": [choice]}
    if not body.get("stream"):
        return web.json_response(answer | {"usage": usage})
    last: Body = {**answer, "choices": [], "usage": usage}
    return await stream(request, [sse(answer), sse(last), b"data: [DONE]\n\n"])


def _refusal(asked: Asked, path: str, message: str) -> web.Response:
    told = path + str(asked.body)
    start = told.index("http-") + len("http-")
    status = int(told[start : start + 3])
    if path.endswith(("/messages", "/count_tokens")):
        error: Body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    elif "enerateContent" in path:
        error = {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}}
    elif "/converse" in path:
        error = {"message": message}
    else:
        error = {"error": {"message": message, "type": "invalid_request_error", "code": "odd", "param": None}}
    return web.json_response(error, status=status)


_ANSWERS: dict[str, Callable[[web.Request, dict[str, Json]], Awaitable[web.StreamResponse]]] = {
    "/count_tokens": _count,
    "/messages": _anthropic,
    ":generateContent": _gemini,
    ":streamGenerateContent": _gemini_stream,
    "/converse": _bedrock,
    "/converse-stream": _bedrock_stream,
    "/responses": _responses,
    "/embeddings": _embeddings,
    "/completions": _completions,
}
