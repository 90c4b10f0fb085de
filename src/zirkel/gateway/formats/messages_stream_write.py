"""Hub chunks, written as a stream of the Messages API.

A message is a row of blocks, and clients rely on a block's end coming before the next one's beginning. The hub may mix
the pieces of several calls. So the block that is open is passed on piece by piece, while pieces of later blocks wait;
it is closed when a later block has begun and nothing can be added to it any more.

Source: Anthropic docs, build-with-claude/streaming.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats import messages_hub as hub
from zirkel.gateway.formats.messages_answer import error_object, message_head, stop_reason_of
from zirkel.gateway.formats.messages_content import parsed_arguments
from zirkel.gateway.formats.messages_usage import anthropic_usage
from zirkel.lib.sse import encode_event

_Kind = Literal["text", "thinking", "tool_use"]


@dataclass(slots=True)
class _Block:
    kind: _Kind
    waiting: str = ""
    """What has come and has not been passed on."""
    written: list[str] = field(default_factory=list)
    """Pieces of a call's arguments that have been passed on."""
    call_id: str = ""
    name: str = ""

    def is_whole(self) -> bool:
        """Whether nothing can be added, given that a later block has begun."""
        if self.kind != "tool_use":
            return True
        return bool(self.written) and parsed_arguments("".join(self.written)) is not None

    def head(self, index: int) -> JsonObject:
        """Return what the block begins with."""
        match self.kind:
            case "text":
                return {"type": "text", "text": ""}
            case "thinking":
                return {"type": "thinking", "thinking": "", "signature": ""}
        return {"type": "tool_use", "id": self.call_id or f"toolu_{index}", "name": self.name, "input": {}}

    def piece(self) -> JsonObject:
        """Return what waits as a delta."""
        match self.kind:
            case "text":
                return {"type": "text_delta", "text": self.waiting}
            case "thinking":
                return {"type": "thinking_delta", "thinking": self.waiting}
        return {"type": "input_json_delta", "partial_json": self.waiting}


class MessagesStreamWriter:
    """Writes one answer's stream to a caller."""

    def __init__(self, request: JsonObject) -> None:
        self._request = request
        self._blocks: list[_Block] = []
        self._calls: dict[int, _Block] = {}
        self._open = 0
        """Index of the first block that has not been closed."""
        self._is_open_begun = False
        self._is_begun = False
        self._last_choice = hub.Choice()
        self._usage: hub.Usage | None = None

    def write(self, chunk: JsonObject) -> bytes:
        """Return the bytes for a hub chunk.

        Raises:
            ValueError: If it is none.
        """
        answer = hub.shaped_answer(chunk)
        self._usage = answer.usage or self._usage
        events = self._begin(answer)
        for choice in answer.choices:
            if choice.index == 0:
                events += self._take(choice)
        return events

    def end(self) -> bytes:
        """Return the rest of the blocks, the reason to stop, the usage and the end."""
        events = self._begin(hub.Answer()) + b"".join(self._close_all())
        stop_reason, stop_sequence = stop_reason_of(
            self._last_choice, has_calls=bool(self._calls), request=self._request
        )
        delta = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
        events += _event("message_delta", delta=delta, usage=anthropic_usage(self._usage))
        return events + _event("message_stop")

    def fail(self, message: str, *, status: int, code: str) -> bytes:
        """Return the event that ends a stream with an error."""
        return encode_event(msgspec.json.encode(error_object(message, status=status, code=code)), event="error")

    def _begin(self, answer: hub.Answer) -> bytes:
        if self._is_begun:
            return b""
        self._is_begun = True
        rest: JsonObject = {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": anthropic_usage(answer.usage),
        }
        return _event("message_start", message={**message_head(answer, self._request), **rest})

    def _take(self, choice: hub.Choice) -> bytes:
        delta = choice.delta or hub.AnswerMessage()
        self._add("thinking", delta.reasoning_content)
        self._add("text", delta.content)
        self._add("text", delta.refusal)
        for position, call in enumerate(delta.tool_calls or ()):
            self._add_call(call, position if call.index is None else call.index)
        events = b"".join(self._pass_on())
        if choice.finish_reason is not None:
            self._last_choice = choice
            events += b"".join(self._close_all())
        return events

    def _add(self, kind: _Kind, text: str | None) -> None:
        if not text:
            return
        if not self._blocks or self._blocks[-1].kind != kind or self._open == len(self._blocks):
            self._blocks.append(_Block(kind))
        self._blocks[-1].waiting += text

    def _add_call(self, call: hub.ToolCall, index: int) -> None:
        block = self._calls.get(index)
        if block is None:
            block = self._calls[index] = _Block("tool_use")
            self._blocks.append(block)
        function = call.function or hub.CalledFunction()
        block.call_id = block.call_id or call.id or ""
        block.name = block.name or function.name or ""
        block.waiting += function.arguments or ""

    def _pass_on(self) -> Iterator[bytes]:
        """Yield what can be written now; closes blocks that have become whole."""
        while self._open < len(self._blocks):
            block = self._blocks[self._open]
            if block.kind != "tool_use" or block.name:
                yield from self._write_waiting(block)
            if self._open + 1 == len(self._blocks) or not block.is_whole():
                return
            yield self._close()

    def _close_all(self) -> Iterator[bytes]:
        while self._open < len(self._blocks):
            yield from self._write_waiting(self._blocks[self._open])
            yield self._close()

    def _write_waiting(self, block: _Block) -> Iterator[bytes]:
        if not self._is_open_begun:
            self._is_open_begun = True
            yield _event("content_block_start", index=self._open, content_block=block.head(self._open))
        if block.waiting:
            yield _event("content_block_delta", index=self._open, delta=block.piece())
            if block.kind == "tool_use":
                block.written.append(block.waiting)
            block.waiting = ""

    def _close(self) -> bytes:
        event = _event("content_block_stop", index=self._open)
        self._open += 1
        self._is_open_begun = False
        return event


def _event(kind: str, **members: object) -> bytes:
    return encode_event(msgspec.json.encode({"type": kind, **members}), event=kind)
