"""Reading an answer in the shape of OpenAI's chat completions.

Source: OpenAI API reference, "The chat completion object".
"""

from dataclasses import replace

import msgspec

from zirkel.evaluate.ports import Answer
from zirkel.evaluate.subject import ToolCall
from zirkel.evaluate.systems.json_client import Reply


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    function: _Function | None = None
    id: str | None = None


class _Message(msgspec.Struct):
    content: object = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


_completion = msgspec.json.Decoder(_Completion)


def read_completion(reply: Reply) -> Answer:
    """Return the answer, or why it is none."""
    if reply.status != 200:
        if not _is_json(reply.body):
            return _failed(reply, f"HTTP {reply.status} without JSON: {reply.text}")
        return _failed(reply, f"HTTP {reply.status}: {reply.message}")
    try:
        completion = _completion.decode(reply.body)
        message = completion.choices[0].message
    except (msgspec.ValidationError, LookupError):
        return _failed(reply, f"the answer is no chat completion: {reply.text}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _failed(reply, f"HTTP {reply.status} without JSON: {error}")
    if message.content is not None and not isinstance(message.content, str):
        return _failed(reply, f"the answer is no text: {reply.text}")
    usage = completion.usage or _Usage()
    return Answer(
        message.content or "",
        duration_ms=reply.duration_ms,
        tool_calls=tuple(_tool_call(call) for call in message.tool_calls or ()),
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
    )


def _tool_call(call: _Call) -> ToolCall:
    function = call.function or _Function()
    return ToolCall(function.name or "", function.arguments or "", call.id or "")


def _failed(reply: Reply, error: str) -> Answer:
    return replace(
        Answer("", error=error, duration_ms=reply.duration_ms),
        is_retryable=reply.is_retryable,
        retry_after_s=reply.retry_after_s if reply.status != 200 else None,
    )


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
