"""Hub chunks as a Responses stream.

Source: OpenAI API reference, responses-streaming.
"""

from typing import Protocol

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats import responses_answer as answer
from zirkel.gateway.formats import responses_wire as wire
from zirkel.gateway.formats.chat import openai_error
from zirkel.lib.sse import encode_event

_ERROR_CODES = {429: "rate_limit_exceeded"}


class _Events:
    """Numbers and encodes events; what has been written waits until it is taken."""

    def __init__(self) -> None:
        self._number = 0
        self._waiting: list[bytes] = []

    def add(self, kind: str, members: JsonObject) -> None:
        """Write one event."""
        event = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        self._waiting.append(encode_event(msgspec.json.encode(event), event=kind))

    def take(self) -> bytes:
        """Return what was written since the last time."""
        written = b"".join(self._waiting)
        self._waiting.clear()
        return written


class _Item(Protocol):
    """An item of the output that is being written."""

    def item(self, status: str) -> JsonObject:
        """Return the item as it is by now."""
        ...

    def close(self) -> None:
        """Write that its content is whole."""
        ...


class _TextItem:
    """A message or a reasoning item with its parts, of which the last one grows."""

    def __init__(self, events: _Events, index: int, key: str, *, is_reasoning: bool) -> None:
        self._events = events
        self._is_reasoning = is_reasoning
        self._place: JsonObject = {"item_id": f"{'rs' if is_reasoning else 'msg'}_{key}_{index}", "output_index": index}
        self._parts: list[tuple[str, list[str]]] = []
        events.add("response.output_item.added", {"output_index": index, "item": self.item("in_progress")})

    def add(self, kind: str, text: str) -> None:
        """Write a piece of a part of the kind ``output_text``, ``refusal`` or ``reasoning_text``."""
        if not self._parts or self._parts[-1][0] != kind:
            self.close()
            self._parts.append((kind, []))
            self._part_event("response.content_part.added", {"part": _part(kind, "")})
        self._parts[-1][1].append(text)
        self._part_event(f"response.{kind}.delta", {"delta": text} | _logprobs(kind))

    def item(self, status: str) -> JsonObject:
        """Return the item as it is by now."""
        item_id = str(self._place["item_id"])
        if self._is_reasoning:
            return answer.reasoning_item(
                item_id, "".join(piece for _, pieces in self._parts for piece in pieces), status
            )
        return answer.message_item(item_id, [_part(kind, "".join(pieces)) for kind, pieces in self._parts], status)

    def close(self) -> None:
        """Write that the last part is whole."""
        if not self._parts:
            return
        kind, pieces = self._parts[-1]
        text = "".join(pieces)
        member = "refusal" if kind == "refusal" else "text"
        self._part_event(f"response.{kind}.done", {member: text} | _logprobs(kind))
        self._part_event("response.content_part.done", {"part": _part(kind, text)})

    def _part_event(self, kind: str, members: JsonObject) -> None:
        self._events.add(kind, {**self._place, "content_index": len(self._parts) - 1, **members})


class _CallItem:
    """A function call whose arguments grow. It is opened as soon as its name is known."""

    def __init__(self, events: _Events, index: int, key: str) -> None:
        self._events = events
        self._place: JsonObject = {"item_id": f"fc_{key}_{index}", "output_index": index}
        self._call_id, self._name = "", ""
        self._arguments: list[str] = []
        self._is_open = False

    def add(self, call: wire.ToolCall) -> None:
        """Write a piece of the call."""
        self._call_id = call.id or self._call_id
        self._name = call.function.name or self._name
        piece = call.function.arguments or ""
        if piece:
            self._arguments.append(piece)
        if self._is_open and piece:
            self._write(piece)
        elif self._name and not self._is_open:
            self._open()

    def item(self, status: str) -> JsonObject:
        """Return the item as it is by now."""
        identity = (str(self._place["item_id"]), self._call_id)
        return answer.call_item(identity, self._name, "".join(self._arguments), status)

    def close(self) -> None:
        """Write that the arguments are whole."""
        if not self._is_open:
            self._open()
        arguments = "".join(self._arguments)
        self._events.add(
            "response.function_call_arguments.done", {**self._place, "name": self._name, "arguments": arguments}
        )

    def _open(self) -> None:
        self._is_open = True
        item = {**self.item("in_progress"), "arguments": ""}
        self._events.add("response.output_item.added", {"output_index": self._place["output_index"], "item": item})
        if self._arguments:
            self._write("".join(self._arguments))

    def _write(self, piece: str) -> None:
        self._events.add("response.function_call_arguments.delta", {**self._place, "delta": piece})


class ResponsesStreamWriter:
    """Writes the first choice of one answer as typed, numbered events.

    One message or reasoning item is open at a time; function calls may grow side by side and are closed together.
    """

    def __init__(self, request: JsonObject) -> None:
        self._request = request
        self._events = _Events()
        self._head: wire.HubAnswer | None = None
        self._usage: JsonObject | None = None
        self._finish_reason: str | None = None
        self._done: dict[int, JsonObject] = {}
        self._size = 0
        self._text: tuple[int, bool, _TextItem] | None = None
        self._calls: dict[int, tuple[int, _CallItem]] = {}

    def write(self, chunk: JsonObject) -> bytes:
        """Return the events of a hub chunk, maybe none."""
        found = answer.read_hub(chunk)
        if found.error is not None:
            return self.fail(found.error.message or "the upstream failed", status=502, code="upstream_failed")
        self._begin(found)
        self._usage = found.usage or self._usage
        for choice in found.choices:
            if choice.index == 0:
                self._take(choice.delta or wire.Delta())
                self._finish_reason = choice.finish_reason or self._finish_reason
        return self._events.take()

    def end(self) -> bytes:
        """Return the events that close what is open, and the whole response."""
        head = self._begin(wire.HubAnswer())
        status = "incomplete" if self._finish_reason in ("length", "content_filter") else "completed"
        self._close_text(status)
        self._close_calls(status)
        response = self._response(head, self._finish_reason or "stop")
        self._events.add(f"response.{status}", {"response": response})
        return self._events.take()

    def fail(self, message: str, *, status: int, code: str) -> bytes:
        """Return the event that ends the stream: ``response.failed`` once it has begun, else ``error``.

        The latter says the same twice: as the reference has it, and as an ``error`` object, since only by that one
        OpenAI's clients know that they are to raise.
        """
        if self._head is None:
            told = openai_error(message, status=status, code=code)
            self._events.add("error", {"code": code, "message": message, "param": None, **told})
            return self._events.take()
        error = {"code": _ERROR_CODES.get(status, "server_error"), "message": message}
        self._close_text("incomplete")
        self._close_calls("incomplete")
        response = self._response(self._head, None) | {"status": "failed", "error": error}
        self._events.add("response.failed", {"response": response})
        return self._events.take()

    def _begin(self, found: wire.HubAnswer) -> wire.HubAnswer:
        if self._head is None:
            self._head = found
            for kind in ("response.created", "response.in_progress"):
                self._events.add(kind, {"response": self._response(found, None)})
        return self._head

    def _response(self, head: wire.HubAnswer, finish_reason: str | None) -> JsonObject:
        output = [self._done[index] for index in sorted(self._done)]
        return answer.response_object(head, self._request, finish_reason, output, self._usage)

    def _take(self, delta: wire.Delta) -> None:
        if delta.reasoning_content:
            self._text_item(is_reasoning=True).add("reasoning_text", delta.reasoning_content)
        if delta.content:
            self._text_item(is_reasoning=False).add("output_text", delta.content)
        if delta.refusal:
            self._text_item(is_reasoning=False).add("refusal", delta.refusal)
        for position, call in enumerate(delta.tool_calls or ()):
            self._close_text("completed")
            number = position if call.index is None else call.index
            if number not in self._calls:
                index = self._next_index()
                self._calls[number] = (index, _CallItem(self._events, index, self._key()))
            self._calls[number][1].add(call)

    def _text_item(self, *, is_reasoning: bool) -> _TextItem:
        if self._text is None or self._text[1] is not is_reasoning:
            self._close_text("completed")
            index = self._next_index()
            self._text = (index, is_reasoning, _TextItem(self._events, index, self._key(), is_reasoning=is_reasoning))
        return self._text[2]

    def _close_text(self, status: str) -> None:
        if self._text is not None:
            self._close(self._text[0], self._text[2], status)
            self._text = None

    def _close_calls(self, status: str) -> None:
        for index, call in self._calls.values():
            self._close(index, call, status)
        self._calls.clear()

    def _close(self, index: int, item: _Item, status: str) -> None:
        item.close()
        whole = self._done[index] = item.item(status)
        self._events.add("response.output_item.done", {"output_index": index, "item": whole})

    def _next_index(self) -> int:
        self._size += 1
        return self._size - 1

    def _key(self) -> str:
        return answer.item_key(self._head.id if self._head is not None else None)


def _part(kind: str, text: str) -> JsonObject:
    if kind == "output_text":
        return answer.text_part(text)
    return {"type": kind, "refusal" if kind == "refusal" else "text": text}


def _logprobs(kind: str) -> JsonObject:
    return {"logprobs": []} if kind == "output_text" else {}
