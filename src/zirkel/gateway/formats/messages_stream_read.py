"""Streams of the Messages API, read into hub chunks.

Source: Anthropic docs, build-with-claude/streaming.
"""

from dataclasses import dataclass

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats import messages_wire as wire
from zirkel.gateway.formats.messages_answer import finish_reason
from zirkel.gateway.formats.messages_usage import hub_usage, later_usage
from zirkel.lib.sse import SseEvent


class _Delta(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Error(msgspec.Struct, frozen=True):
    type: str = "api_error"
    message: str = ""
    code: str | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str = ""
    index: int = 0
    message: wire.Answer | None = None
    content_block: wire.AnswerBlock | None = None
    delta: _Delta = _Delta()
    usage: wire.Usage | None = None
    error: _Error = _Error()


_events = msgspec.json.Decoder(_Event)


@dataclass(slots=True)
class _Call:
    """A call of a tool that is being read."""

    position: int
    whole_input: JsonObject
    """What its first event said; counts only if no pieces follow."""
    has_pieces: bool = False


class MessagesStreamReader:
    """Reads one answer's stream. Events and blocks of other kinds are passed over, as Anthropic asks of its clients."""

    def __init__(self) -> None:
        self._head: JsonObject = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
        self._usage = wire.Usage()
        self._calls: dict[int, _Call] = {}
        self._is_usage_due = False

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Return the hub chunks that an event brings. The chunk with the usage is the last one."""
        try:
            parsed = _events.decode(event.data or b"")
        except msgspec.DecodeError:
            return []
        match parsed.type or event.event:
            case "message_start":
                return self._start(parsed.message)
            case "content_block_start" if parsed.content_block is not None:
                return self._start_block(parsed.index, parsed.content_block)
            case "content_block_delta":
                return self._continue_block(parsed.index, parsed.delta)
            case "content_block_stop":
                return self._stop_block(parsed.index)
            case "message_delta":
                return self._end(parsed)
            case "message_stop":
                return self.finish()
            case "error":
                error = parsed.error
                return [{"error": {"message": error.message, "type": error.type, "code": error.code or error.type}}]
        return []

    def finish(self) -> list[JsonObject]:
        """Return the chunk with the usage, if the answer ended and it has not been returned yet."""
        if not self._is_usage_due:
            return []
        self._is_usage_due = False
        return [{**self._head, "choices": [], "usage": hub_usage(self._usage)}]

    def _start(self, message: wire.Answer | None) -> list[JsonObject]:
        if message is not None:
            self._head |= {"id": message.id, "model": message.model}
            self._usage = later_usage(self._usage, message.usage or wire.Usage())
        return [self._chunk({"role": "assistant", "content": ""})]

    def _start_block(self, index: int, block: wire.AnswerBlock) -> list[JsonObject]:
        if block.type == "tool_use":
            call = self._calls[index] = _Call(position=len(self._calls), whole_input=block.input or {})
            function = {"name": block.name, "arguments": ""}
            begun = {"index": call.position, "id": block.id, "type": "function", "function": function}
            return [self._chunk({"tool_calls": [begun]})]
        return self._text(block.text, block.thinking)

    def _continue_block(self, index: int, delta: _Delta) -> list[JsonObject]:
        if delta.type != "input_json_delta":
            return self._text(delta.text, delta.thinking)
        call = self._calls.get(index)
        if call is None or not delta.partial_json:
            return []
        call.has_pieces = True
        return [self._arguments(call, delta.partial_json)]

    def _stop_block(self, index: int) -> list[JsonObject]:
        """Return the arguments of a call that came without pieces: it has none, or had them all at its start."""
        call = self._calls.get(index)
        if call is None or call.has_pieces:
            return []
        call.has_pieces = True
        return [self._arguments(call, msgspec.json.encode(call.whole_input).decode())]

    def _end(self, event: _Event) -> list[JsonObject]:
        self._usage = later_usage(self._usage, event.usage or wire.Usage())
        if event.delta.stop_reason is None:
            return []
        self._is_usage_due = True
        choice: JsonObject = {"index": 0, "delta": {}, "finish_reason": finish_reason(event.delta.stop_reason)}
        if event.delta.stop_sequence is not None:
            choice["stop_reason"] = event.delta.stop_sequence
        return [{**self._head, "choices": [choice]}]

    def _text(self, text: str, thinking: str) -> list[JsonObject]:
        if text:
            return [self._chunk({"content": text})]
        return [self._chunk({"reasoning_content": thinking})] if thinking else []

    def _arguments(self, call: _Call, text: str) -> JsonObject:
        return self._chunk({"tool_calls": [{"index": call.position, "function": {"arguments": text}}]})

    def _chunk(self, delta: JsonObject) -> JsonObject:
        return {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
