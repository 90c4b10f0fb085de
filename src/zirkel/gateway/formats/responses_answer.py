"""Whole answers: the object of the Responses API, and the hub form's.

Source: OpenAI API reference, responses/object and chat/object.
"""

from collections.abc import Iterable, Sequence

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats import responses_wire as wire
from zirkel.gateway.usage import read_usage

_ECHOED = (
    "instructions", "max_output_tokens", "max_tool_calls", "metadata", "reasoning", "safety_identifier",
    "service_tier", "temperature", "top_p", "user", "prompt_cache_key",
)  # fmt: skip
_DEFAULTS: JsonObject = {
    "tool_choice": "auto", "tools": [], "parallel_tool_calls": True, "text": {"format": {"type": "text"}},
    "truncation": "disabled",
}  # fmt: skip
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_FINISH = {reason: finish for finish, reason in _INCOMPLETE.items()}


def write_answer(hub: JsonObject, request: JsonObject) -> JsonObject:
    """Return the response object of a hub answer's first choice.

    Raises:
        ValueError: If ``hub`` is no chat completion.
    """
    answer = read_hub(hub)
    if not answer.choices or answer.choices[0].message is None:
        raise ValueError("a chat completion without a message cannot be said as a response")
    choice, message = answer.choices[0], answer.choices[0].message
    status = "incomplete" if choice.finish_reason in _INCOMPLETE else "completed"
    key = item_key(answer.id)
    output: list[JsonObject] = []
    if message.reasoning_content:
        output.append(reasoning_item(f"rs_{key}_{len(output)}", message.reasoning_content))
    parts = content_parts(message.content or "", message.refusal or "")
    if parts:
        output.append(message_item(f"msg_{key}_{len(output)}", parts, status))
    for call in message.tool_calls or ():
        function = call.function
        identity = (f"fc_{key}_{len(output)}", call.id or "")
        output.append(call_item(identity, function.name or "", function.arguments or "", status))
    return response_object(answer, request, choice.finish_reason, output, answer.usage)


def read_hub(hub: JsonObject) -> wire.HubAnswer:
    """Return a hub answer or chunk in its shape.

    Raises:
        ValueError: If it is neither.
    """
    try:
        return msgspec.convert(hub, wire.HubAnswer)
    except msgspec.ValidationError as error:
        raise ValueError(f"not in hub form: {error}") from None


def response_object(
    answer: wire.HubAnswer,
    request: JsonObject,
    finish_reason: str | None,
    output: Sequence[JsonObject],
    usage: JsonObject | None,
) -> JsonObject:
    """Return the response object; no finish reason means that the answer is still in progress."""
    reason = _INCOMPLETE.get(finish_reason or "")
    status = "incomplete" if reason else "completed" if finish_reason is not None else "in_progress"
    found: JsonObject = {
        "id": f"resp_{item_key(answer.id)}",
        "object": "response",
        "created_at": int(answer.created),
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": answer.model or request.get("model"),
        "output": list(output),
        "previous_response_id": None,
        "store": False,
        "usage": None if usage is None else responses_usage(usage),
    }
    found |= {name: request.get(name) for name in _ECHOED}
    return found | {
        name: default if request.get(name) is None else request[name] for name, default in _DEFAULTS.items()
    }


def item_key(answer_id: str | None) -> str:
    """Return what the ids of an answer and its items have in common."""
    return (answer_id or "0").removeprefix("chatcmpl-")


def content_parts(text: str, refusal: str) -> list[JsonObject]:
    """Return the parts of a message: text, refusal, both or none."""
    parts: list[JsonObject] = []
    if text:
        parts.append(text_part(text))
    if refusal:
        parts.append({"type": "refusal", "refusal": refusal})
    return parts


def text_part(text: str) -> JsonObject:
    """Return a part of text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(item_id: str, parts: Sequence[JsonObject], status: str) -> JsonObject:
    """Return a message."""
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": list(parts)}


def reasoning_item(item_id: str, text: str, status: str = "completed") -> JsonObject:
    """Return what was thought, as it is and not as a summary."""
    content = [{"type": "reasoning_text", "text": text}] if text else []
    return {"id": item_id, "type": "reasoning", "summary": [], "content": content, "status": status}


def call_item(identity: tuple[str, str], name: str, arguments: str, status: str) -> JsonObject:
    """Return a function call; ``identity`` is the item's id and the call's."""
    return {
        "id": identity[0],
        "type": "function_call",
        "call_id": identity[1],
        "name": name,
        "arguments": arguments,
        "status": status,
    }


def responses_usage(usage: JsonObject) -> JsonObject | None:
    """Return the hub's usage with the names of this API, or ``None`` if nothing was reported.

    Totals are sums of the disjoint buckets, so that details are parts of them whatever the upstream made of it.
    """
    found = read_usage(msgspec.Raw(msgspec.json.encode(usage)))
    if found.input_tokens is None and found.output_tokens is None:
        return None
    written = _sum(found.cache_write_tokens, found.cache_write_1h_tokens)
    cached = found.cache_read_tokens or 0
    given = _sum(found.input_tokens, found.input_audio_tokens, found.input_image_tokens) + cached + written
    reasoning = found.reasoning_tokens or 0
    answered = _sum(found.output_tokens, found.output_audio_tokens, found.output_image_tokens) + reasoning
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": answered,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": given + answered,
    }


def read_answer(body: JsonObject) -> JsonObject:
    """Return a response object in hub form.

    Raises:
        ValueError: If it is none, or tells that the answer failed.
    """
    try:
        response = msgspec.convert(body, wire.Response)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a response: {error}") from None
    if response.status == "failed":
        raise ValueError(f"the response failed: {response.error.message if response.error else 'no reason given'}")
    choice = {"index": 0, "message": _hub_message(response.output), "finish_reason": finish_reason_of(response)}
    return {
        "id": response.id,
        "object": "chat.completion",
        "created": int(response.created_at),
        "model": response.model or "",
        "choices": [choice],
        "usage": hub_usage(response.usage),
    }


def finish_reason_of(response: wire.Response) -> str | None:
    """Return the finish reason; ``None`` for an answer that is still in progress, or was cancelled."""
    if response.status == "incomplete":
        details = response.incomplete_details or wire.IncompleteDetails()
        return _FINISH.get(details.reason or "", "length")
    if response.status not in ("completed", None):
        return None
    is_calling = any(item.type == "function_call" for item in response.output)
    return "tool_calls" if is_calling else "stop"


def hub_usage(usage: JsonObject | None) -> JsonObject | None:
    """Return this API's usage with the hub's names; details keep theirs, which are the same."""
    if usage is None:
        return None
    return wire.given(
        prompt_tokens=usage.get("input_tokens"),
        completion_tokens=usage.get("output_tokens"),
        total_tokens=usage.get("total_tokens"),
        prompt_tokens_details=usage.get("input_tokens_details"),
        completion_tokens_details=usage.get("output_tokens_details"),
    )


def _hub_message(output: Sequence[wire.OutputItem]) -> JsonObject:
    said = [part for item in output if item.type == "message" for part in item.content or ()]
    thought = [
        part for item in output if item.type == "reasoning" for part in item.content or item.summary or ()
    ]  # fmt: skip
    calls = [
        {"id": item.call_id, "type": "function", "function": {"name": item.name, "arguments": item.arguments}}
        for item in output
        if item.type == "function_call"
    ]
    text = _joined(said, "text")
    return {"role": "assistant", "content": text if text or not calls else None} | wire.given(
        refusal=_joined(said, "refusal") or None,
        reasoning_content=_joined(thought, "text") or None,
        tool_calls=calls or None,
    )


def _joined(parts: Iterable[JsonObject], member: str) -> str:
    texts = [part.get(member) for part in parts]
    return "".join([text for text in texts if isinstance(text, str)])


def _sum(*counts: int | None) -> int:
    return sum(count for count in counts if count)
