"""Reading what an OpenAI-shaped upstream answers: whole, or piece by piece from a stream."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from zirkel.core import JsonObject, Usage
from zirkel.gateway.usage import read_usage

DONE = b"[DONE]"
_NULL = msgspec.Raw(b"null")


class Completion(msgspec.Struct, frozen=True):
    """What is recorded of an answer."""

    model: str = ""
    finish_reason: str = ""
    message: str = ""
    """The answer message as JSON text; of several choices, an array of their messages."""
    text: str = ""
    """JSON text of what a person would read: the content as a JSON string if that is all there is, else ``message``."""
    usage: Usage = Usage()

    def texts(self) -> list[str]:
        """Return all that the model wrote, decoded: what it said, refused and thought, and its tool calls."""
        if not self.message:
            return []
        try:
            found = _said.decode(self.message)
        except (msgspec.DecodeError, RecursionError):
            # An answer of a form that nobody knows was written by the model all the same.
            return [self.message]
        return [text for said in (found if isinstance(found, list) else [found]) for text in said.texts()]


class _Choice(msgspec.Struct, frozen=True):
    message: msgspec.Raw
    finish_reason: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    choices: list[_Choice]
    model: str | None = None
    usage: msgspec.Raw = _NULL


class _Embeddings(msgspec.Struct, frozen=True):
    data: msgspec.Raw
    model: str | None = None
    usage: msgspec.Raw = _NULL


class _Function(msgspec.Struct, omit_defaults=True):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, omit_defaults=True):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """As some servers name it."""
    tool_calls: list[_ToolCall] | None = None


class _ChunkChoice(msgspec.Struct, frozen=True):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_ChunkChoice] = []
    model: str | None = None
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL


class _Message(msgspec.Struct, omit_defaults=True):
    role: str
    content: str | None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Part(msgspec.Struct, frozen=True):
    text: str = ""


class _Called(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: str = ""
    input: str = ""


class _SaidCall(msgspec.Struct, frozen=True):
    function: _Called | None = None
    custom: _Called | None = None


class _Said(msgspec.Struct, frozen=True):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_SaidCall] | None = None
    function_call: _Called | None = None

    def texts(self) -> list[str]:
        found = [self.reasoning_content, self.refusal]
        found += [self.content] if isinstance(self.content, str) else [part.text for part in self.content or ()]
        called = [self.function_call, *(call.function or call.custom for call in self.tool_calls or ())]
        for one in called:
            found += [] if one is None else [one.name, one.arguments, one.input]
        return [text for text in found if text]


class _Content(msgspec.Struct, frozen=True):
    content: msgspec.Raw = _NULL
    tool_calls: msgspec.Raw = _NULL


_answers = msgspec.json.Decoder(_Answer)
_embeddings = msgspec.json.Decoder(_Embeddings)
_chunks = msgspec.json.Decoder(_Chunk)
_contents = msgspec.json.Decoder(_Content)
_said = msgspec.json.Decoder(_Said | list[_Said])


def parse_completion(body: bytes) -> Completion:
    """Return what is recorded of a whole answer.

    Raises:
        msgspec.DecodeError: If it is not a chat completion.
    """
    answer = _answers.decode(body)
    messages = [str(choice.message, "utf-8", "replace") for choice in answer.choices]
    return Completion(
        model=answer.model or "",
        finish_reason=(answer.choices[0].finish_reason or "") if answer.choices else "",
        message=_one_or_array(messages),
        text=_readable(messages),
        usage=read_usage(answer.usage),
    )


def parse_embedding(body: bytes) -> Completion:
    """Return what is recorded of embeddings: no text, only model and usage.

    Raises:
        msgspec.DecodeError: If they are none.
    """
    answer = _embeddings.decode(body)
    usage = read_usage(answer.usage)
    if usage.input_tokens is not None and usage.output_tokens is None:
        usage = msgspec.structs.replace(usage, output_tokens=0)
    return Completion(model=answer.model or "", usage=usage)


@dataclass(slots=True)
class _Parts:
    content: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tools: dict[int, _ToolCall] = field(default_factory=dict)
    arguments: dict[int, list[str]] = field(default_factory=dict)
    finish_reason: str | None = None


class ChunkFacts(msgspec.Struct, frozen=True):
    """What one event of a stream turned out to be."""

    has_output: bool = False
    """It carries a piece of the answer, so time to first token ends here."""
    is_usage_only: bool = False
    """It is the extra chunk that ``stream_options.include_usage`` brings."""
    is_error: bool = False


class CompletionBuilder:
    """Puts an answer together from the events of a stream."""

    def __init__(self) -> None:
        self._model = ""
        self._usage = Usage()
        self._raw_usage = _NULL
        self._parts: dict[int, _Parts] = {}
        self.finish_reason = ""

    def add(self, data: bytes) -> ChunkFacts:
        """Take the data of one event, other than ``[DONE]``. An event of another form is not recorded."""
        try:
            chunk = _chunks.decode(data)
        except msgspec.DecodeError:
            return ChunkFacts()
        if chunk.error != _NULL:
            return ChunkFacts(is_error=True)
        self._model = chunk.model or self._model
        has_usage = chunk.usage != _NULL
        if has_usage:
            self._raw_usage = chunk.usage.copy()
            self._usage = read_usage(chunk.usage)
        has_output = False
        for choice in chunk.choices:
            has_output |= self._take(choice)
        return ChunkFacts(has_output=has_output, is_usage_only=has_usage and not chunk.choices)

    def result(self) -> Completion:
        """Return what has been put together so far."""
        messages = [_encode_message(self._parts[index]) for index in sorted(self._parts)]
        return Completion(
            model=self._model,
            finish_reason=self.finish_reason,
            message=_one_or_array(messages),
            text=_readable(messages),
            usage=self._usage,
        )

    def answer(self) -> JsonObject:
        """Return what has been put together as a hub answer."""
        choices: list[JsonObject] = [
            {
                "index": index,
                "message": msgspec.json.decode(_encode_message(parts)),
                "finish_reason": parts.finish_reason,
            }
            for index, parts in sorted(self._parts.items())
        ]
        usage = msgspec.json.decode(self._raw_usage)
        return {"object": "chat.completion", "model": self._model, "choices": choices, "usage": usage}

    def _take(self, choice: _ChunkChoice) -> bool:
        if choice.finish_reason and choice.index == 0:
            self.finish_reason = choice.finish_reason
        parts = self._parts.setdefault(choice.index, _Parts())
        parts.finish_reason = choice.finish_reason or parts.finish_reason
        delta = choice.delta
        if delta is None:
            return False
        for text, into in (
            (delta.content, parts.content),
            (delta.refusal, parts.refusal),
            (delta.reasoning_content or delta.reasoning, parts.reasoning),
        ):
            if text:
                into.append(text)
        for position, call in enumerate(delta.tool_calls or ()):
            _take_tool_call(parts, call, call.index if call.index is not None else position)
        reasoning = delta.reasoning_content or delta.reasoning
        return bool(delta.content or delta.refusal or reasoning or delta.tool_calls)


def _take_tool_call(parts: _Parts, call: _ToolCall, index: int) -> None:
    known = parts.tools.setdefault(index, _ToolCall(type="function", function=_Function()))
    known.id = call.id or known.id
    if call.function is not None and known.function is not None:
        known.function.name = call.function.name or known.function.name
        if call.function.arguments:
            parts.arguments.setdefault(index, []).append(call.function.arguments)


def _encode_message(parts: _Parts) -> str:
    calls = []
    for index in sorted(parts.tools):
        call = parts.tools[index]
        name = None if call.function is None else call.function.name
        arguments = "".join(parts.arguments.get(index, ()))
        calls.append(_ToolCall(id=call.id, type=call.type, function=_Function(name, arguments)))
    message = _Message(
        role="assistant",
        content="".join(parts.content) if parts.content or not calls else None,
        refusal="".join(parts.refusal) or None,
        reasoning_content="".join(parts.reasoning) or None,
        tool_calls=calls or None,
    )
    return msgspec.json.encode(message).decode()


def _one_or_array(messages: Sequence[str]) -> str:
    if len(messages) == 1:
        return messages[0]
    return "[" + ",".join(messages) + "]" if messages else ""


def _readable(messages: Sequence[str]) -> str:
    if len(messages) != 1:
        return _one_or_array(messages)
    try:
        parts = _contents.decode(messages[0])
    except msgspec.DecodeError:
        return messages[0]
    content = bytes(parts.content)
    has_calls = bytes(parts.tool_calls) not in (b"null", b"[]")
    return content.decode("utf-8", "replace") if content.startswith(b'"') and not has_calls else messages[0]
