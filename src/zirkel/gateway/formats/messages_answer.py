"""Whole answers of the Messages API, read into the hub form and written from it; and errors."""

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats import messages_hub as hub
from zirkel.gateway.formats import messages_wire as wire
from zirkel.gateway.formats.messages_content import parsed_arguments
from zirkel.gateway.formats.messages_usage import anthropic_usage, hub_usage

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STOP_REASONS = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def read_answer(body: JsonObject) -> JsonObject:
    """Return a Messages answer in hub form; see ``MessagesFormat.read_answer``."""
    try:
        answer = msgspec.convert(body, type=wire.Answer)
    except msgspec.ValidationError as error:
        raise ValueError(f"not an answer of the Messages API: {error}") from None
    choice: JsonObject = {"index": 0, "message": _hub_message(answer), "logprobs": None}
    choice["finish_reason"] = finish_reason(answer.stop_reason)
    if answer.stop_sequence is not None:
        choice["stop_reason"] = answer.stop_sequence
    whole: JsonObject = {"id": answer.id, "object": "chat.completion", "created": 0, "model": answer.model}
    whole["choices"] = [choice]
    return whole if answer.usage is None else {**whole, "usage": hub_usage(answer.usage)}


def finish_reason(stop_reason: str | None) -> str:
    """Return the hub's word for why an answer ended."""
    return _FINISH_REASONS.get(stop_reason or "", "stop")


def _hub_message(answer: wire.Answer) -> JsonObject:
    texts = [block.text for block in answer.content if block.type == "text"]
    thoughts = [block.thinking for block in answer.content if block.type == "thinking" and block.thinking]
    calls: list[JsonObject] = []
    for block in answer.content:
        if block.type == "tool_use":
            function = {"name": block.name, "arguments": msgspec.json.encode(block.input or {}).decode()}
            calls.append({"id": block.id, "type": "function", "function": function})
    message: JsonObject = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    message["refusal"] = None
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    return {**message, "tool_calls": calls} if calls else message


def write_answer(body: JsonObject, request: JsonObject) -> JsonObject:
    """Return the Messages answer of a hub answer; see ``MessagesFormat.write_answer``."""
    answer = hub.shaped_answer(body)
    choice = next((choice for choice in answer.choices if choice.index == 0), hub.Choice())
    message = choice.message
    stop_reason, stop_sequence = stop_reason_of(choice, has_calls=bool(message.tool_calls), request=request)
    return {
        **message_head(answer, request),
        "content": _blocks(message),
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "usage": anthropic_usage(answer.usage),
    }


def message_head(answer: hub.Answer, request: JsonObject) -> JsonObject:
    """Return what a message has before its content."""
    identity = (answer.id or "none").removeprefix("chatcmpl-").removeprefix("msg_")
    model = answer.model or request.get("model") or ""
    return {"id": f"msg_{identity}", "type": "message", "role": "assistant", "model": model}


def stop_reason_of(choice: hub.Choice, *, has_calls: bool, request: JsonObject) -> tuple[str, str | None]:
    """Return why an answer ended, and by which stop sequence if the upstream said so.

    Some upstreams end calls of tools with ``stop``; clients of this format look at the reason to find the calls.
    """
    asked = request.get("stop_sequences")
    reason = choice.finish_reason or "stop"
    if reason in _STOP_REASONS:
        return _STOP_REASONS[reason], None
    if has_calls:
        return "tool_use", None
    if isinstance(choice.stop_reason, str) and isinstance(asked, list) and choice.stop_reason in asked:
        return "stop_sequence", choice.stop_reason
    return "end_turn", None


def _blocks(message: hub.AnswerMessage) -> list[JsonObject]:
    blocks: list[JsonObject] = []
    if message.reasoning_content:
        # Clients demand a signature. It is Anthropic's seal on its own models' thoughts; nobody else has one to give.
        blocks.append({"type": "thinking", "thinking": message.reasoning_content, "signature": ""})
    blocks += [{"type": "text", "text": text} for text in (message.content, message.refusal) if text]
    for position, call in enumerate(message.tool_calls or ()):
        function = call.function or hub.CalledFunction()
        block: JsonObject = {"type": "tool_use", "id": call.id or f"toolu_{position}", "name": function.name or ""}
        blocks.append({**block, "input": _tool_input(function.arguments or "")})
    return blocks


def _tool_input(text: str) -> JsonObject:
    """Return a call's arguments; text that is no JSON object, as models sometimes write, becomes a member of one."""
    arguments = parsed_arguments(text)
    return {"arguments": text} if arguments is None else arguments


def error_object(message: str, *, status: int, code: str, param: str | None = None) -> JsonObject:
    """Return an error in Anthropic's shape, with ``code`` and ``param`` beside its own members.

    Source: Anthropic docs, api/errors.
    """
    kind = _ERROR_TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": message, "code": code, "param": param}}
