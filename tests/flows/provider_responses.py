"""OpenAI's Responses API as the provider speaks it.

Source: OpenAI API reference, responses/object and responses-streaming.
"""

from collections.abc import Iterator
from typing import cast

from openai.types.responses.response_create_params import ResponseCreateParams

from tests.flows import provider_script as script
from tests.flows.provider_checks import check_shape
from tests.flows.provider_script import Asked, Json, Reply, Said, whole


def answer_response(body: Json) -> Reply:
    """Return the response to a request."""
    check_shape(body, ResponseCreateParams)
    asked = _read(body)
    said = script.say(asked)
    if asked.is_stream:
        return script.server_sent(list(_events(body, asked, said)), asked)
    return whole(_response(body, _items(said), said))


def _read(body: Json) -> Asked:
    items = cast("list[Json]", body["input"] if isinstance(body["input"], list) else [])
    results: list[str] = []
    for item in items:
        results = [*results, str(item["output"])] if item.get("type") == "function_call_output" else []
    tools = tuple(str(tool["name"]) for tool in cast("list[Json]", body.get("tools") or []))
    form = cast(Json, cast(Json, body.get("text") or {}).get("format") or {})
    return Asked(
        model=str(body["model"]),
        is_stream=bool(body.get("stream")),
        tools=tools,
        results=tuple(results),
        schema=cast("Json | None", form.get("schema")),
        thinks=bool(body.get("reasoning")),
    )


def _items(said: Said) -> list[Json]:
    items: list[Json] = []
    if said.thought:
        summary = [{"type": "summary_text", "text": said.thought}]
        items.append({"id": "rs_1", "type": "reasoning", "summary": summary})
    part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    items.append({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]})
    for call in said.calls:
        identity = {"id": f"fc_{call.call_id}", "type": "function_call", "call_id": call.call_id}
        items.append({**identity, "name": call.name, "arguments": call.text, "status": "completed"})
    return items


def _response(body: Json, items: list[Json], said: Said | None) -> Json:
    used: Json = {
        "input_tokens": script.INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": script.CACHED_TOKENS},
        "output_tokens": script.OUTPUT_TOKENS,
        "output_tokens_details": {"reasoning_tokens": said.thought_tokens if said is not None else 0},
        "total_tokens": script.INPUT_TOKENS + script.OUTPUT_TOKENS,
    }
    return {
        "id": "resp_1", "object": "response", "created_at": 1_700_000_000, "model": body["model"],
        "status": "completed" if said is not None else "in_progress", "error": None, "incomplete_details": None,
        "output": items, "parallel_tool_calls": True, "tool_choice": "auto", "tools": body.get("tools") or [],
        "usage": used if said is not None else None, "store": body.get("store", True),
    }  # fmt: skip


class _Numbered:
    """Numbers events."""

    def __init__(self) -> None:
        self._number = 0

    def event(self, kind: str, **members: object) -> bytes:
        """Return an event."""
        value = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        return f"event: {kind}\n".encode() + b"data: " + script.as_json(value) + b"\n\n"


def _events(body: Json, asked: Asked, said: Said) -> Iterator[bytes]:
    numbered = _Numbered()
    items = _items(said)
    for kind in ("created", "in_progress"):
        yield numbered.event(f"response.{kind}", response=_response(body, [], None))
    for index, item in enumerate(items):
        is_message = item["type"] == "message"
        begun = {**item, "content": []} if is_message else {**item, "arguments": ""} if "call_id" in item else item
        yield numbered.event("response.output_item.added", output_index=index, item={**begun, "status": "in_progress"})
        if is_message:
            yield from _text_events(numbered, index, item, asked, said)
            if asked.fault == "midway":
                return
        elif "call_id" in item:
            yield from _call_events(numbered, index, item, asked)
        yield numbered.event("response.output_item.done", output_index=index, item=item)
    yield numbered.event("response.completed", response=_response(body, items, said))


def _text_events(numbered: _Numbered, index: int, item: Json, asked: Asked, said: Said) -> Iterator[bytes]:
    place: Json = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = cast("list[Json]", item["content"])[0]
    yield numbered.event("response.content_part.added", **place, part={**part, "text": ""})
    for piece in script.pieces(said.text, asked):
        yield numbered.event("response.output_text.delta", **place, delta=piece, logprobs=[])
        if asked.fault == "midway":
            yield numbered.event("error", code="server_error", message="The server had an error", param=None)
            return
    yield numbered.event("response.output_text.done", **place, text=said.text, logprobs=[])
    yield numbered.event("response.content_part.done", **place, part=part)


def _call_events(numbered: _Numbered, index: int, item: Json, asked: Asked) -> Iterator[bytes]:
    place: Json = {"item_id": item["id"], "output_index": index}
    for piece in script.pieces(str(item["arguments"]), asked):
        yield numbered.event("response.function_call_arguments.delta", **place, delta=piece)
    done: Json = {"name": item["name"], "arguments": item["arguments"]}
    yield numbered.event("response.function_call_arguments.done", **place, **done)
