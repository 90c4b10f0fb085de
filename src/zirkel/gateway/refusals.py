"""What an upstream's refusal means: whether another try or another model may help. Pure.

Each provider has its own words, and servers that speak OpenAI's format vary it, so codes are looked at first and the
message's own phrases second.

Source: OpenAI API reference, "Error codes"; Anthropic docs, api/errors; Azure OpenAI, "Content filtering"; Google
AIP-193 and ``google.rpc.RetryInfo``; Amazon Bedrock API reference, "Common errors"; llama.cpp server README.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

RefusalKind = Literal["failure", "context_window", "content_filter", "caller"]

_LONGEST_MESSAGE = 2000
_LONGEST_BODY_BYTES = 1 << 16
_MOST_DEPTH = 6
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_FAILURES = frozenset({401, 402, 403, 407, 408, 409, 424, 425, 429})
"""Of the statuses below 500: the upstream's own trouble, or trouble with the credential that is not the caller's."""
_CODE_MEMBERS = ("code", "type", "status", "__type", "error_type", "reason", "error_code")
_TEXT_MEMBERS = ("message", "Message", "error", "detail", "msg", "error_description", "errors", "raw")
_LIMIT_CODES = frozenset({"rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "throttlingexception"})
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_error", "billing_not_active", "billing_hard_limit_reached"})
_CREDENTIAL_CODES = frozenset({"invalid_api_key", "api_key_invalid", "authentication_error", "permission_error"})
_CONTEXT_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded", "context_window_exceeded"}
)
_CONTENT_CODES = frozenset(
    {
        "content_filter",
        "responsibleaipolicyviolation",
        "content_policy_violation",
        "moderation_blocked",
        "data_inspection_failed",
        "datainspectionfailed",
    }
)
_QUOTA_PHRASES = re.compile(r"credit balance is too low|insufficient balance", re.IGNORECASE)
_CONTEXT_PHRASES = re.compile(
    r"maximum context length|max(?:imum)? context (?:window|size)|context (?:length|window|size) exceeded"
    r"|exceeds? (?:the )?(?:model'?s )?(?:available |max(?:imum)? )?context (?:length|window|size|limit)"
    r"|(?:prompt|input) is too long|prompt too long|too many input tokens"
    r"|exceeds the maximum number of tokens|exceeds the max(?:imum)? (?:allowed )?input (?:length|token)"
    r"|maximum prompt length is|longer than the maximum model length|greater than the context length"
    r"|reduce the length of the (?:messages|prompt|input)|tokens \+ `max_new_tokens` must be <=",
    re.IGNORECASE,
)
_CONTENT_PHRASES = re.compile(
    r"content (?:management|filtering) policy|flagged as potentially violating|violat\w+ (?:our|the) usage polic"
    r"|rejected as a result of our safety system|content exists risk|input was flagged|inappropriate content",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9}(?:\.\d+)?)s)?(?:(\d{1,9}(?:\.\d+)?)ms)?", re.ASCII
)
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_FIRST_EPOCH_S = 1_000_000_000
_FIRST_EPOCH_MS = 1_000_000_000_000
_RESET = "ratelimit-reset"
_ANTHROPIC_RESET = re.compile(r"(anthropic-ratelimit-.+)-reset")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An upstream's answer that is no answer."""

    message: str
    """The upstream's own words, at most 2000 characters."""
    code: str
    """Its own code, such as ``context_length_exceeded`` or ``ThrottlingException``; empty if it has none."""
    kind: RefusalKind
    """``failure``: another upstream may do better. ``caller``: the caller's own fault, everywhere the same."""
    is_retryable: bool
    """The same request may succeed at the same place in a moment."""
    retry_after_s: float | None
    """After how many seconds, if the upstream says so."""


def classify_refusal(status: int, headers: Mapping[str, str], body: bytes, *, now_ns: int) -> Refusal:
    """Return what a refusal means.

    Args:
        status: HTTP status other than 2xx.
        headers: Of the answer; names in any case.
        body: Of the answer, in any form; what is past 64 KiB is not read.
        now_ns: The time now, for moments such as an HTTP date.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    body = body[:_LONGEST_BODY_BYTES]
    found = _decoded(body)
    texts, codes = _texts(found), _codes(found)
    if "x-amzn-errortype" in lowered:
        codes.insert(0, lowered["x-amzn-errortype"].partition(":")[0])
    message = texts[0] if texts else body.decode("utf-8", "replace").strip() if found is None else ""
    kind = _kind(status, {code.lower() for code in codes}, "\n".join(texts) or message)
    is_out_of_quota = bool(_QUOTA_CODES & {code.lower() for code in codes})
    return Refusal(
        message=message[:_LONGEST_MESSAGE] or f"the upstream answered with status {status} and no message",
        code=codes[0] if codes else "",
        kind=kind,
        is_retryable=kind == "failure" and status in _RETRYABLE and not is_out_of_quota,
        retry_after_s=_retry_after_s(status, lowered, found, now_ns / 1e9),
    )


def _kind(status: int, codes: set[str], text: str) -> RefusalKind:
    """Return the kind. Limits come first: their messages speak of tokens and contexts, too."""
    if status == 429 or codes & (_LIMIT_CODES | _QUOTA_CODES | _CREDENTIAL_CODES) or _QUOTA_PHRASES.search(text):
        return "failure"
    if codes & _CONTEXT_CODES or _CONTEXT_PHRASES.search(text):
        return "context_window"
    if codes & _CONTENT_CODES or _CONTENT_PHRASES.search(text):
        return "content_filter"
    return "failure" if status in _FAILURES or not 400 <= status < 500 else "caller"


def _decoded(body: bytes) -> object:
    """Return a JSON body, ``None`` if it is no JSON object or array."""
    try:
        found: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _objects(value: object, depth: int = 0) -> Iterator[dict[str, object]]:
    """Yield the objects of a body, the nearest to the surface first; JSON text inside it is looked into as well."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, str):
        value = _decoded(value.encode()) if value.lstrip()[:1] in ("{", "[") else None
    members: Sequence[object] = value if isinstance(value, list) else []
    if isinstance(value, dict):
        yield value
        members = list(value.values())
    for member in members:
        yield from _objects(member, depth + 1)


def _texts(body: object) -> list[str]:
    """Return the messages of a body, the one that a person should read first."""
    found: list[str] = []
    for values in _objects(body):
        for name in _TEXT_MEMBERS:
            text = values.get(name)
            if isinstance(text, str) and text.strip() and text not in found:
                found.append(text)
    return found


def _codes(body: object) -> list[str]:
    """Return the codes of a body; an ``error`` object's own ``code`` comes before its ``type`` and ``status``."""
    found: list[str] = []
    for values in _objects(body):
        for name in _CODE_MEMBERS:
            code = values.get(name)
            if isinstance(code, str) and code and code != "error":
                found.append(code.rpartition("#")[2])
    return [code for code in found if not code.isdigit()]


def _retry_after_s(status: int, headers: Mapping[str, str], body: object, now_s: float) -> float | None:
    """Return the pause the upstream asks for, from the most exact place it says it."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    told = _pause_s(headers.get("retry-after", ""), now_s)
    if told is not None:
        return told
    for values in _objects(body):
        delay = values.get("retryDelay")
        if isinstance(delay, str) and (seconds := _duration_s(delay)) is not None:
            return seconds
    return _reset_s(headers, now_s) if status == 429 else None


def _reset_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return when the last of the limits that are used up is reset; a limit with something left is not the reason."""
    pauses: list[float] = []
    for name, value in headers.items():
        anthropic = _ANTHROPIC_RESET.fullmatch(name)
        if anthropic is None and _RESET not in name:
            continue
        remaining = f"{anthropic[1]}-remaining" if anthropic else name.replace(_RESET, "ratelimit-remaining")
        left = _number(headers.get(remaining, ""))
        pause = _pause_s(value, now_s)
        if pause is not None and (left is None or left <= 0):
            pauses.append(pause)
    return max(pauses, default=None)


def _pause_s(text: str, now_s: float) -> float | None:
    """Return a pause that is written as seconds, as a duration (``6m0s``), as an epoch or as a date."""
    number = _number(text)
    if number is not None:
        if number >= _FIRST_EPOCH_MS:
            number /= 1000
        return max(0.0, number - now_s if number >= _FIRST_EPOCH_S else number)
    duration = _duration_s(text)
    if duration is not None:
        return duration
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text.strip())
        except (ValueError, OverflowError):
            continue
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max(0.0, aware.timestamp() - now_s)
    return None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _duration_s(text: str) -> float | None:
    """Return a duration such as ``1d2h``, ``6m0s``, ``7.66s`` or ``120ms`` in seconds."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    parts = [float(part or 0) for part in found.groups()]
    return parts[0] * 86400 + parts[1] * 3600 + parts[2] * 60 + parts[3] + parts[4] / 1000
