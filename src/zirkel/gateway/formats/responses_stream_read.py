"""A Responses stream as hub chunks.

Source: OpenAI API reference, responses-streaming.
"""

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats import responses_answer as answer
from zirkel.gateway.formats import responses_wire as wire
from zirkel.lib.sse import SseEvent


class _Event(msgspec.Struct, frozen=True):
    type: str
    delta: str | JsonObject | None = None
    output_index: int = 0
    item: JsonObject | None = None
    response: JsonObject | None = None
    message: str | None = None
    code: str | int | None = None
    error: JsonObject | None = None


_events = msgspec.json.Decoder(_Event)
_TEXTS = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning_content",
    "response.reasoning_summary_text.delta": "reasoning_content",
}
_LAST = ("response.completed", "response.incomplete")


class ResponsesStreamReader:
    """Reads one answer; an event of another form, or of a built-in tool, is passed over."""

    def __init__(self) -> None:
        self._head: JsonObject = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
        self._calls: dict[int, int] = {}
        self._has_arguments: set[int] = set()

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Return the hub chunks that an event brings, often none."""
        try:
            found = _events.decode(event.data or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []
        if found.type in _TEXTS:
            return [self._chunk({_TEXTS[found.type]: found.delta})] if isinstance(found.delta, str) else []
        if found.type == "response.function_call_arguments.delta":
            return self._arguments(found.output_index, found.delta)
        if found.type in ("response.output_item.added", "response.output_item.done"):
            return self._item(found, is_done=found.type.endswith("done"))
        if found.type in ("response.failed", "error"):
            return [{"error": _error(found)}]
        return self._lifecycle(found)

    def finish(self) -> list[JsonObject]:
        """Return nothing: a good stream ended with its last event."""
        return []

    def _lifecycle(self, found: _Event) -> list[JsonObject]:
        is_last = found.type in _LAST
        if found.response is None or not (is_last or found.type == "response.created"):
            return []
        try:
            response = msgspec.convert(found.response, wire.StreamedResponse)
        except msgspec.ValidationError:
            return []
        self._head["id"] = response.id or self._head["id"]
        self._head["created"] = int(response.created_at) or self._head["created"]
        self._head["model"] = response.model or self._head["model"]
        if not is_last:
            return [self._chunk({"role": "assistant"})]
        reason = answer.finish_reason_of(response)
        last = self._chunk({}, "tool_calls" if reason == "stop" and self._calls else reason)
        usage = answer.hub_usage(response.usage)
        return [last] if usage is None else [last, self._head | {"choices": [], "usage": usage}]

    def _item(self, found: _Event, *, is_done: bool) -> list[JsonObject]:
        """Open a function call; where its arguments came in one piece, they are in the finished item alone."""
        if found.item is None or found.item.get("type") != "function_call":
            return []
        chunks: list[JsonObject] = []
        index = found.output_index
        if index not in self._calls:
            number = self._calls[index] = len(self._calls)
            function = {"name": found.item.get("name"), "arguments": ""}
            call = {"index": number, "id": found.item.get("call_id"), "type": "function", "function": function}
            chunks.append(self._chunk({"tool_calls": [call]}))
        if is_done and index not in self._has_arguments:
            chunks += self._arguments(index, found.item.get("arguments"))
        return chunks

    def _arguments(self, index: int, piece: object) -> list[JsonObject]:
        if not isinstance(piece, str) or not piece or index not in self._calls:
            return []
        self._has_arguments.add(index)
        return [self._chunk({"tool_calls": [{"index": self._calls[index], "function": {"arguments": piece}}]})]

    def _chunk(self, delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
        return self._head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def _error(found: _Event) -> JsonObject:
    """Return what an error says; ``error`` events have it beside their type, or in an object like other APIs."""
    inner = found.error
    if found.response is not None and isinstance(found.response.get("error"), dict):
        inner = msgspec.convert(found.response["error"], JsonObject)
    said = inner or {"message": found.message, "code": found.code}
    return {
        "message": said.get("message") or "the response failed",
        "type": said.get("type") or "upstream_error",
        "code": said.get("code"),
    }
