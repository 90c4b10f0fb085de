"""Converse's answers, whole and in pieces, read into the hub form.

Source: Amazon Bedrock API reference, ``Converse``, ``ConverseStream``, ``ContentBlock`` and ``TokenUsage``.
"""

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats.gemini_hub import compact
from zirkel.lib.sse import SseEvent

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}
_BROKEN = frozenset({"malformed_model_output", "malformed_tool_use"})
"""The model ended without an answer that could be used."""
_HOUR = "1h"


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _CacheDetail(_Wire, frozen=True):
    ttl: str = ""
    input_tokens: int = 0


class _Usage(_Wire, frozen=True):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_CacheDetail] = []


class _ToolUse(_Wire, frozen=True):
    tool_use_id: str
    name: str
    input: object = None


class _ReasoningText(_Wire, frozen=True):
    text: str = ""


class _Reasoning(_Wire, frozen=True):
    reasoning_text: _ReasoningText = _ReasoningText()


class _Text(_Wire, frozen=True):
    text: str = ""


class _Citations(_Wire, frozen=True):
    content: list[_Text] = []


class _Block(_Wire, frozen=True):
    text: str = ""
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning = _Reasoning()
    citations_content: _Citations = _Citations()


class _Message(_Wire, frozen=True):
    content: list[_Block]


class _Output(_Wire, frozen=True):
    message: _Message


class _Answer(_Wire, frozen=True):
    output: _Output
    stop_reason: str
    usage: _Usage | None = None


class _Start(_Wire, frozen=True):
    tool_use: _ToolUse | None = None


class _InputPiece(_Wire, frozen=True):
    input: str = ""


class _Delta(_Wire, frozen=True):
    text: str = ""
    tool_use: _InputPiece = _InputPiece()
    reasoning_content: _Text = _Text()


class _Event(_Wire, frozen=True):
    """The payloads of all events, whose members do not clash."""

    content_block_index: int = 0
    start: _Start = _Start()
    delta: _Delta = _Delta()
    stop_reason: str = ""
    usage: _Usage | None = None
    message: str = ""
    code: str = ""


_events = msgspec.json.Decoder(_Event)


def read_answer(body: JsonObject) -> JsonObject:
    """Return a whole answer in hub form; see ``ConverseFormat.read_answer``."""
    try:
        answer = msgspec.convert(body, type=_Answer)
    except msgspec.ValidationError as error:
        raise ValueError(f"not an answer of Converse: {error}") from None
    if answer.stop_reason in _BROKEN:
        raise ValueError(f"not an answer of Converse: the model ended with {answer.stop_reason}")
    choice: JsonObject = {"index": 0, "message": _hub_message(answer.output.message.content), "logprobs": None}
    choice["finish_reason"] = _finish_reason(answer.stop_reason)
    whole: JsonObject = {"id": "", "object": "chat.completion", "created": 0, "model": "", "choices": [choice]}
    return whole if answer.usage is None else {**whole, "usage": _hub_usage(answer.usage)}


def _hub_message(blocks: list[_Block]) -> JsonObject:
    texts = [block.text + "".join(cited.text for cited in block.citations_content.content) for block in blocks]
    calls: list[JsonObject] = []
    for block in blocks:
        if block.tool_use is not None:
            written = msgspec.json.encode({} if block.tool_use.input is None else block.tool_use.input).decode()
            function: JsonObject = {"name": block.tool_use.name, "arguments": written}
            calls.append({"id": block.tool_use.tool_use_id, "type": "function", "function": function})
    optional = compact(
        {
            "reasoning_content": "".join(block.reasoning_content.reasoning_text.text for block in blocks) or None,
            "tool_calls": calls,
        }
    )
    return {"role": "assistant", "content": "".join(texts) or None, "refusal": None, **optional}


class ConverseStreamReader:
    """Reads one answer's stream; events of other kinds are passed over."""

    def __init__(self) -> None:
        self._usage: _Usage | None = None
        self._calls: dict[int, int] = {}
        self._with_input: set[int] = set()

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Return the hub chunks that an event brings; an event of another form brings none."""
        found = _payload(event)
        if event.event == "error" or event.event.endswith("Exception"):
            return [_error_chunk(found.message, found.code or event.event)]
        match event.event:
            case "messageStart":
                return [_chunk({"role": "assistant"})]
            case "contentBlockStart":
                return self._start_block(found)
            case "contentBlockDelta":
                return self._continue_block(found)
            case "contentBlockStop":
                return self._stop_block(found)
            case "messageStop" if found.stop_reason:
                return [_last_chunk(found.stop_reason)]
            case "metadata":
                self._usage = found.usage
        return []

    def finish(self) -> list[JsonObject]:
        """Return the chunk with the usage, if one was reported."""
        if self._usage is None:
            return []
        return [{**_chunk({}), "choices": [], "usage": _hub_usage(self._usage)}]

    def _start_block(self, found: _Event) -> list[JsonObject]:
        tool = found.start.tool_use
        if tool is None:
            return []
        position = self._calls.setdefault(found.content_block_index, len(self._calls))
        function: JsonObject = {"name": tool.name, "arguments": ""}
        call: JsonObject = {"index": position, "id": tool.tool_use_id, "type": "function", "function": function}
        return [_chunk({"tool_calls": [call]})]

    def _continue_block(self, found: _Event) -> list[JsonObject]:
        delta = compact(
            {"content": found.delta.text or None, "reasoning_content": found.delta.reasoning_content.text or None}
        )
        if found.delta.tool_use.input and found.content_block_index in self._calls:
            self._with_input.add(found.content_block_index)
            delta["tool_calls"] = [self._arguments(found.content_block_index, found.delta.tool_use.input)]
        return [_chunk(delta)] if delta else []

    def _stop_block(self, found: _Event) -> list[JsonObject]:
        """A call without arguments has no pieces of them; its arguments are an empty object all the same."""
        index = found.content_block_index
        if index not in self._calls or index in self._with_input:
            return []
        return [_chunk({"tool_calls": [self._arguments(index, "{}")]})]

    def _arguments(self, index: int, text: str) -> JsonObject:
        return {"index": self._calls[index], "function": {"arguments": text}}


def _payload(event: SseEvent) -> _Event:
    """Return what an event says, nothing if it is of another form."""
    try:
        return _events.decode(event.data or b"{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _Event()


def _chunk(delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
    choice: JsonObject = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {"id": "", "object": "chat.completion.chunk", "created": 0, "model": "", "choices": [choice]}


def _last_chunk(stop_reason: str) -> JsonObject:
    if stop_reason in _BROKEN:
        return _error_chunk(f"the model ended with {stop_reason}", stop_reason)
    return _chunk({}, _finish_reason(stop_reason))


def _error_chunk(message: str, code: str) -> JsonObject:
    return {"error": {"message": message, "type": "upstream_error", "code": code}}


def _finish_reason(stop_reason: str) -> str:
    return _FINISH_REASONS.get(stop_reason, "stop")


def _hub_usage(usage: _Usage) -> JsonObject:
    """Return Converse's counts, which are disjoint, as the hub's, where details are parts of a whole."""
    read, written = usage.cache_read_input_tokens, usage.cache_write_input_tokens
    written_1h = sum(detail.input_tokens for detail in usage.cache_details if detail.ttl == _HOUR)
    prompt = usage.input_tokens + (read or 0) + (written or 0)
    details = compact(
        {
            "cached_tokens": read,
            "cache_write_tokens": None if written is None else max(0, written - written_1h),
            "cache_write_1h_tokens": written_1h or None,
        }
    )
    members: JsonObject = {"prompt_tokens": prompt, "completion_tokens": usage.output_tokens}
    members["total_tokens"] = prompt + usage.output_tokens
    return {**members, "prompt_tokens_details": details} if details else members
