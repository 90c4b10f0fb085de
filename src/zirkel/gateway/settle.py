"""What an attempt may use at most, and what it did use: the money side of a call. Pure."""

import re
from collections.abc import Iterator
from decimal import Decimal
from math import ceil, isfinite

import msgspec

from zirkel.core import JsonObject, SpanKind, Usage
from zirkel.gateway.completion import Completion
from zirkel.gateway.facts import Attempt
from zirkel.gateway.plan import Target
from zirkel.gateway.pricing import CompiledPrice, price_in_force, price_usage, upper_bound_usd
from zirkel.gateway.request import Members
from zirkel.gateway.tokens import count_request, count_tokens, upper_bound_tokens
from zirkel.gateway.usage import is_plausible

UNBOUNDED_OUTPUT_TOKENS = 16_384
"""What is reserved for an answer where neither the request nor a price table bounds it."""
_FREE = Decimal(0)
_IMAGE_MARKS = (b'"image_url"', b'"input_image"', b'"image"', b'"inlineData"', b'"inline_data"')
_MEDIA_MARKS = (
    b'"file', b'"input_audio"', b'"document"', b'"previous_response_id"', b'"conversation"', b'"web_search',
    b'"cachedContent"', b'"video"',
)  # fmt: skip
_MARKS = re.compile(b"|".join(map(re.escape, (*_IMAGE_MARKS, *_MEDIA_MARKS))))
_ESCAPE = b"\\u00"
_SILENT = frozenset({"type", "role", "id", "data", "url", "uri", "fileUri", "bytes", "signature", "image_url", "model"})
"""Members whose texts are no words of the prompt: names of forms, addresses, files in base64."""
_INPUT_MEMBERS = ("system", "instructions", "systemInstruction", "messages", "input", "prompt", "contents")
_Number = int | float | None


class _Nested(msgspec.Struct, frozen=True):
    maxOutputTokens: _Number = None  # noqa: N815 (Gemini's name)
    maxTokens: _Number = None  # noqa: N815 (Bedrock's name)
    candidateCount: _Number = None  # noqa: N815


class _Bounds(msgspec.Struct, frozen=True):
    max_tokens: _Number = None
    max_completion_tokens: _Number = None
    max_output_tokens: _Number = None
    n: _Number = None
    best_of: _Number = None
    generationConfig: _Nested | None = None  # noqa: N815
    inferenceConfig: _Nested | None = None  # noqa: N815


_BOUNDS = _Bounds.__struct_fields__
_NOT_NESTED = _Nested()
_bounds = msgspec.json.Decoder(_Bounds)
_lists = msgspec.json.Decoder(list[msgspec.Raw])


def bound_attempt(attempt: Attempt, target: Target, kind: SpanKind) -> int:
    """Note the price in force and the upper bound in USD; return the upper bound in tokens.

    Input is bounded by the body's bytes (a token is at least one byte) and a constant for each image by address,
    output by what the request or the price table allows, else by ``UNBOUNDED_OUTPUT_TOKENS``.
    """
    attempt.price = price_in_force(target.prices, attempt.start_ns)
    # A name may be written with escapes, and would be passed over then.
    body = _unescaped(attempt.body) if _ESCAPE in attempt.body else attempt.body
    images = 0
    if _MARKS.search(body) is not None:
        images = sum(mark in _IMAGE_MARKS for mark in _MARKS.findall(body))
        attempt.names_media = True
    input_tokens = upper_bound_tokens(attempt.body, images)
    if kind == SpanKind.EMBEDDING:
        # They have no output, and their price tables no price for one.
        attempt.reserved_usd = price_usage(attempt.price, Usage(input_tokens=input_tokens, output_tokens=0))
        return input_tokens
    output_tokens = _bound_output(attempt, target)
    attempt.reserved_usd = upper_bound_usd(attempt.price, input_tokens=input_tokens, output_tokens=output_tokens)
    return input_tokens + output_tokens


def _bound_output(attempt: Attempt, target: Target) -> int:
    asked = _read_bounds(target)
    if asked is None:
        return _table_bound(attempt.price) * _prompts(target.members)
    nested = asked.generationConfig or asked.inferenceConfig or _NOT_NESTED
    choices = _largest(asked.n, asked.best_of, nested.candidateCount) or 1
    choices *= _prompts(target.members)
    # Which of several an upstream heeds is not known here.
    limit = _largest(
        asked.max_completion_tokens, asked.max_output_tokens, asked.max_tokens, nested.maxOutputTokens,
        nested.maxTokens,
    )  # fmt: skip
    attempt.max_output_tokens = limit * choices if limit else None
    return attempt.max_output_tokens or _table_bound(attempt.price) * choices


def _read_bounds(target: Target) -> _Bounds | None:
    """Return what a request says of its answer's size, ``None`` if it says nothing."""
    members = target.members
    given = {name: members[name] for name in _BOUNDS if name in members}
    if not given:
        return None
    try:
        return _bounds.decode(msgspec.json.encode(given))
    except msgspec.DecodeError:
        # Not for us to judge: the upstream refuses it.
        return None


def _largest(*numbers: _Number) -> int:
    """Return the largest of the counts among ``numbers``, rounded up; 0 if there is none."""
    largest = 0
    for number in numbers:
        if number is not None and isfinite(number) and number > largest:
            largest = ceil(number)
    return largest


def _prompts(members: Members) -> int:
    """Return how many prompts a completion has: each is answered. A list of numbers is one prompt as token ids."""
    if "prompt" not in members:
        return 1
    raw = bytes(members["prompt"]).lstrip()
    if not raw.startswith(b"["):
        return 1
    try:
        found = _lists.decode(raw)
    except msgspec.DecodeError:
        return 1
    return max(1, sum(bytes(item).lstrip()[:1] in (b'"', b"[") for item in found))


def _table_bound(price: CompiledPrice | None) -> int:
    known = price.max_output_tokens if price is not None else None
    return known or UNBOUNDED_OUTPUT_TOKENS


def _unescaped(body: bytes) -> bytes:
    try:
        return msgspec.json.encode(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return body


def settle_free(attempt: Attempt) -> None:
    """Note that nothing was used: the request did not reach a model, or was refused by the upstream."""
    attempt.usage, attempt.cost_usd, attempt.settlement = Usage(), _FREE, "free"


def settle_reserved(attempt: Attempt, completion: Completion) -> None:
    """Note an answer whose use cannot be known here: what was reserved stays spent, and the cost is *unknown*."""
    attempt.completion, attempt.usage, attempt.cost_usd = completion, Usage(), None
    attempt.settlement = "reserved"


def settle_answer(attempt: Attempt, completion: Completion) -> None:
    """Note an answer, or as much of it as came, and what it cost.

    What the upstream reports counts if it can be true; else tokens are counted here, and marked so.
    """
    attempt.completion = completion
    usage = completion.usage
    # Texts are never longer than the JSON they stand in, so they are only read if that is too long for the usage.
    if _is_plausible(attempt, len(completion.message)) or _is_plausible(attempt, sum(map(len, completion.texts()))):
        attempt.settlement = "reported"
    else:
        attempt.settlement = "counted"
        texts = completion.texts()
        output_tokens = count_tokens("".join(texts), attempt.model) if texts else 0
        usage = Usage(input_tokens=_count_input(attempt), output_tokens=output_tokens, is_estimated=True)
    attempt.usage = usage
    attempt.cost_usd = price_usage(attempt.price, usage)


def _is_plausible(attempt: Attempt, output_bytes: int) -> bool:
    return is_plausible(
        attempt.completion.usage,
        output_bytes=output_bytes,
        request_bytes=None if attempt.names_media else len(attempt.body),
        max_output_tokens=attempt.max_output_tokens,
    )


def _count_input(attempt: Attempt) -> int:
    if attempt.messages:
        try:
            return count_request(attempt.messages, attempt.tools.encode(), attempt.model)
        except msgspec.DecodeError:
            # Not messages as the hub form has them; their words count all the same.
            pass
    try:
        body = msgspec.json.decode(attempt.body, type=JsonObject)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return count_tokens(attempt.body.decode("utf-8", "replace"), attempt.model)
    said = list(_words([body[name] for name in _INPUT_MEMBERS if name in body]))
    texts = [word for word in said if isinstance(word, str)]
    texts += [msgspec.json.encode(body["tools"]).decode()] if body.get("tools") else []
    return len(said) - len(texts) + count_tokens("\n".join(texts), attempt.model)


def _words(asked: list[object]) -> Iterator[str | int]:
    """Yield the texts of a prompt in whatever format, and the token ids that stand for text."""
    found = asked
    while found:
        value = found.pop()
        if isinstance(value, str | int):
            yield value
        elif isinstance(value, list):
            found += value
        elif isinstance(value, dict):
            found += [item for name, item in value.items() if name not in _SILENT]


def used_tokens(usage: Usage) -> int:
    """Return all tokens of a usage."""
    counts = (
        usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens,
        usage.input_audio_tokens, usage.input_image_tokens, usage.output_tokens, usage.reasoning_tokens,
        usage.output_audio_tokens, usage.output_image_tokens,
    )  # fmt: skip
    return sum(filter(None, counts))
