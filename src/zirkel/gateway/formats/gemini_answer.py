"""Gemini's answers, whole and in pieces, read into the hub form.

Source: Gemini API reference, ``GenerateContentResponse``, ``Candidate``, ``LogprobsResult`` and ``UsageMetadata``.
"""

from collections.abc import Sequence

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats import gemini_hub as hub
from zirkel.gateway.formats.gemini_usage import UsageMetadata, hub_usage
from zirkel.lib.sse import SseEvent

_FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
}
_BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    }
)
"""The model ended without an answer that could be used."""


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _FunctionCall(_Wire, frozen=True):
    name: str
    id: str = ""
    args: JsonObject | None = None


class _Part(_Wire, frozen=True):
    text: str = ""
    thought: bool = False
    thought_signature: str = ""
    function_call: _FunctionCall | None = None


class _Content(_Wire, frozen=True):
    parts: list[_Part] = []


class _Token(_Wire, frozen=True):
    token: str = ""
    log_probability: float = 0.0


class _TopTokens(_Wire, frozen=True):
    candidates: list[_Token] = []


class _Logprobs(_Wire, frozen=True):
    chosen_candidates: list[_Token] = []
    top_candidates: list[_TopTokens] = []


class _Candidate(_Wire, frozen=True):
    content: _Content = _Content()
    index: int = 0
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: _Logprobs | None = None


class _Feedback(_Wire, frozen=True):
    block_reason: str | None = None


class _Error(_Wire, frozen=True):
    message: str = ""
    code: int | str | None = None
    status: str = ""


class _Answer(_Wire, frozen=True):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback = _Feedback()
    usage_metadata: UsageMetadata | None = None
    model_version: str = ""
    response_id: str = ""
    error: _Error | None = None


_answers = msgspec.json.Decoder(_Answer)


def read_answer(body: JsonObject) -> JsonObject:
    """Return a whole answer in hub form; see ``GeminiFormat.read_answer``."""
    try:
        answer = msgspec.convert(body, type=_Answer)
    except msgspec.ValidationError as error:
        raise ValueError(f"not an answer of Gemini: {error}") from None
    choices = [_whole_choice(candidate, answer.response_id) for candidate in answer.candidates]
    if not choices and answer.prompt_feedback.block_reason:
        message: JsonObject = {"role": "assistant", "content": None, "refusal": None}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "content_filter"}]
    if not choices:
        raise ValueError("not an answer of Gemini: it has no candidates and does not say why")
    whole: JsonObject = {**_head(answer, "chat.completion"), "choices": choices}
    usage = hub_usage(answer.usage_metadata)
    return whole if usage is None else {**whole, "usage": usage}


def _whole_choice(candidate: _Candidate, response_id: str) -> JsonObject:
    fault = _fault(candidate)
    if fault is not None:
        raise ValueError(f"not an answer of Gemini: {fault}")
    read = _CallReader(response_id, candidate.index).delta(candidate.content.parts)
    message: JsonObject = {"role": "assistant", "content": None, "refusal": None, **read}
    return {
        "index": candidate.index,
        "message": message,
        "logprobs": _hub_logprobs(candidate.logprobs_result),
        "finish_reason": _finish_reason(candidate.finish_reason or "STOP", has_calls="tool_calls" in read),
    }


class GeminiStreamReader:
    """Reads one answer's stream. The counts of tokens are cumulative, so the last ones count."""

    def __init__(self) -> None:
        self._head: JsonObject = {}
        self._usage: UsageMetadata | None = None
        self._calls: dict[int, _CallReader] = {}

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Return the hub chunks that an event brings; an event of another form brings none."""
        try:
            answer = _answers.decode(event.data or b"")
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return []
        if answer.error is not None:
            return [_error_chunk(answer.error.message, answer.error.status or "upstream_error", answer.error.code)]
        if not self._head or answer.model_version:
            self._head = _head(answer, "chat.completion.chunk")
        self._usage = answer.usage_metadata or self._usage
        chunks = [self._chunk(candidate, answer.response_id) for candidate in answer.candidates]
        if not answer.candidates and answer.prompt_feedback.block_reason:
            chunks.append(self._choice_chunk(0, {"role": "assistant"}, "content_filter"))
        return chunks

    def finish(self) -> list[JsonObject]:
        """Return the chunk with the usage, if one was reported."""
        usage = hub_usage(self._usage)
        return [] if usage is None else [{**self._head, "choices": [], "usage": usage}]

    def _chunk(self, candidate: _Candidate, response_id: str) -> JsonObject:
        fault = _fault(candidate)
        if fault is not None:
            return _error_chunk(fault, "upstream_error", candidate.finish_reason)
        is_first = candidate.index not in self._calls
        calls = self._calls.setdefault(candidate.index, _CallReader(response_id, candidate.index))
        delta = calls.delta(candidate.content.parts, with_index=True)
        reason = candidate.finish_reason
        return self._choice_chunk(
            candidate.index,
            {"role": "assistant", **delta} if is_first else delta,
            None if reason is None else _finish_reason(reason, has_calls=calls.count > 0),
            _hub_logprobs(candidate.logprobs_result),
        )

    def _choice_chunk(
        self, index: int, delta: JsonObject, finish_reason: str | None, logprobs: JsonObject | None = None
    ) -> JsonObject:
        choice: JsonObject = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return {**self._head, "choices": [choice]}


class _CallReader:
    """Reads the parts of one candidate, and numbers its calls."""

    def __init__(self, response_id: str, index: int) -> None:
        self._seeds = (response_id, str(index))
        self.count = 0

    def delta(self, parts: Sequence[_Part], *, with_index: bool = False) -> JsonObject:
        """Return what the parts say: ``content``, ``reasoning_content``, ``tool_calls``, each only if it is there."""
        plain = [part for part in parts if part.function_call is None]
        calls = [self._call(part.function_call, part, with_index) for part in parts if part.function_call is not None]
        return hub.compact(
            {
                "content": "".join(part.text for part in plain if not part.thought) or None,
                "reasoning_content": "".join(part.text for part in plain if part.thought) or None,
                "tool_calls": calls,
            }
        )

    def _call(self, call: _FunctionCall, part: _Part, with_index: bool) -> JsonObject:
        position, arguments = self.count, msgspec.json.encode(call.args or {}).decode()
        self.count += 1
        members: JsonObject = {"index": position} if with_index else {}
        members["id"] = call.id or hub.derived_id(*self._seeds, str(position), call.name, arguments)
        members |= {"type": "function", "function": {"name": call.name, "arguments": arguments}}
        if part.thought_signature:
            members["extra_content"] = {"google": {"thought_signature": part.thought_signature}}
        return members


def _head(answer: _Answer, kind: str) -> JsonObject:
    return {"id": answer.response_id, "object": kind, "created": 0, "model": answer.model_version}


def _finish_reason(reason: str, *, has_calls: bool) -> str:
    """Return the hub's word for why an answer ended; what Gemini does not say further (``OTHER``) is its end."""
    found = _FINISH_REASONS.get(reason, "stop")
    return "tool_calls" if found == "stop" and has_calls else found


def _fault(candidate: _Candidate) -> str | None:
    if candidate.finish_reason not in _BROKEN:
        return None
    return f"the model ended with {candidate.finish_reason}: {candidate.finish_message or 'no message'}"


def _error_chunk(message: str, kind: str, code: int | str | None) -> JsonObject:
    return {"error": {"message": message, "type": kind, "code": None if code is None else str(code)}}


def _hub_logprobs(result: _Logprobs | None) -> JsonObject | None:
    if result is None:
        return None
    content: list[JsonObject] = []
    for position, token in enumerate(result.chosen_candidates):
        top = result.top_candidates[position].candidates if position < len(result.top_candidates) else []
        content.append({**_hub_token(token), "top_logprobs": [_hub_token(other) for other in top]})
    return {"content": content, "refusal": None}


def _hub_token(token: _Token) -> JsonObject:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}
