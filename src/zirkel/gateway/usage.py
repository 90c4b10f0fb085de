"""Reading what an upstream says a call used, and telling usage that cannot be true. Pure."""

import msgspec

from zirkel.core import Usage

_MOST_TOKENS = 10**9
"""No call has more; a larger count is none."""
_TEMPLATE_TOKENS = 4096
"""Most that chat templates, tool definitions' wrapping and a provider's own instructions add to a request's text."""
_LIMIT_TOLERANCE = 0.05
_LIMIT_TOLERANCE_TOKENS = 64
_MOST_BYTES_PER_TOKEN = 64
_Count = int | float | None


class _InputDetails(msgspec.Struct, frozen=True):
    cached_tokens: _Count = None
    cache_write_tokens: _Count = None
    cache_write_1h_tokens: _Count = None
    audio_tokens: _Count = None
    image_tokens: _Count = None


class _OutputDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: _Count = None
    audio_tokens: _Count = None
    image_tokens: _Count = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    input_tokens: _Count = None
    output_tokens: _Count = None
    total_tokens: _Count = None
    prompt_tokens_details: _InputDetails | None = None
    input_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    output_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: _Count = None
    cached_tokens: _Count = None


class _PlainInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cached_tokens: int | None = None
    audio_tokens: int | None = None


class _PlainOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None


class _Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What most servers send, and nothing else: read in one step."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _PlainInput | None = None
    completion_tokens_details: _PlainOutput | None = None


class _Absurd(Exception):
    """A count that is none."""


_plains = msgspec.json.Decoder(_Plain)
_usages = msgspec.json.Decoder(_Usage)
_NO_INPUT_DETAILS = _InputDetails()
_NO_OUTPUT_DETAILS = _OutputDetails()


def read_usage(raw: msgspec.Raw | bytes) -> Usage:
    """Return the hub form's usage in disjoint buckets; what is absent is *not reported*.

    One count that is malformed, negative or absurd makes the whole usage *not reported*: what is wrong in one place is
    not believed in the others. Whole numbers may be written as floats. What servers vary is read as well: Responses'
    and Images' names (``input_tokens``, ``output_tokens`` and their details), DeepSeek's ``prompt_cache_hit_tokens``,
    Moonshot's ``cached_tokens`` beside the totals.

    Details are parts of their totals, with these exceptions:

    * reasoning tokens are beside the completion if prompt, completion and reasoning make the total (xAI);
    * cached or reasoning tokens that are more than their whole are beside it;
    * audio and image tokens that do not fit beside cached (or reasoning) ones overlap with them, and are cut.

    Source: OpenAI API reference, chat/object, responses/object and images; DeepSeek, context caching; Moonshot, chat;
    xAI, consumption and rate limits.
    """
    plain = _read_plain(raw)
    if plain is not None:
        return plain
    try:
        usage = _usages.decode(raw)
        return _with_output(_input_of(usage), usage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _Absurd):
        return Usage()


def _read_plain(raw: msgspec.Raw | bytes) -> Usage | None:
    """Return a usage that needs no thinking; ``None`` for all others."""
    try:
        usage = _plains.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    read, written = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = read.cached_tokens if read is not None else None
    reasoning = written.reasoning_tokens if written is not None else None
    has_audio = (read is not None and read.audio_tokens) or (written is not None and written.audio_tokens)
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    is_ordinary = 0 <= (cached or 0) <= prompt <= _MOST_TOKENS and 0 <= (reasoning or 0) <= completion <= _MOST_TOKENS
    if has_audio or not is_ordinary or usage.total_tokens != prompt + completion:
        return None
    return Usage(
        input_tokens=prompt - (cached or 0),
        cache_read_tokens=cached,
        output_tokens=completion - (reasoning or 0),
        reasoning_tokens=reasoning,
        input_audio_tokens=None if read is None else read.audio_tokens,
        output_audio_tokens=None if written is None else written.audio_tokens,
    )


def is_plausible(usage: Usage, *, output_bytes: int, request_bytes: int | None, max_output_tokens: int | None) -> bool:
    """Return whether a reported usage can be true, so that a cost may be settled by it.

    It cannot, and the tokens are better counted here, if

    * input or output tokens were not reported;
    * there is visible output, and no output or reasoning tokens: some servers send a usage of zeros;
    * output is more than the caller's ``max_output_tokens``, with a tolerance of 5 % and 64 tokens for servers that
      count the end of the answer or stop a little late;
    * input is more than one token per byte of the request plus 4096 for templates, and no image, audio or cached
      tokens explain it: tokenizers fall back to single bytes, so text has at most as many tokens as bytes;
    * output is less than one token per 64 bytes of visible output, which no tokenizer reaches on average.

    Args:
        usage: As read by ``read_usage``.
        output_bytes: UTF-8 bytes of what the model wrote and the caller sees: text, refusal, tool calls. 0 for
            embeddings, and for audio and images.
        request_bytes: Bytes of the request; ``None`` if they do not bound its input, because it names images, files or
            earlier answers that are kept elsewhere, or lets the provider search.
        max_output_tokens: The limit the request set, if it set one.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return False
    media = (usage.input_audio_tokens or 0) + (usage.input_image_tokens or 0)
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    if request_bytes is not None and not media and not cached and usage.input_tokens > request_bytes + _TEMPLATE_TOKENS:
        return False
    output = usage.output_tokens + (usage.reasoning_tokens or 0)
    output += (usage.output_audio_tokens or 0) + (usage.output_image_tokens or 0)
    if max_output_tokens is not None:
        most = max_output_tokens * (1 + _LIMIT_TOLERANCE) + _LIMIT_TOLERANCE_TOKENS
        if output > most:
            return False
    # A usage of no output tokens fails here, too, as soon as there is one byte.
    return output * _MOST_BYTES_PER_TOKEN >= output_bytes


def _input_of(usage: _Usage) -> Usage:
    details = usage.prompt_tokens_details or usage.input_tokens_details or _NO_INPUT_DETAILS
    total = _first(usage.prompt_tokens, usage.input_tokens)
    cached = _first(details.cached_tokens, usage.prompt_cache_hit_tokens, usage.cached_tokens)
    written, written_1h = _whole(details.cache_write_tokens), _whole(details.cache_write_1h_tokens)
    audio, image = _whole(details.audio_tokens), _whole(details.image_tokens)
    rest = _without(total, (cached or 0) + (written or 0) + (written_1h or 0))
    rest, audio, image = _cut(rest, audio, image)
    return Usage(
        input_tokens=rest,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=written_1h,
        input_audio_tokens=audio,
        input_image_tokens=image,
    )


def _with_output(found: Usage, usage: _Usage) -> Usage:
    details = usage.completion_tokens_details or usage.output_tokens_details or _NO_OUTPUT_DETAILS
    whole = _first(usage.completion_tokens, usage.output_tokens)
    reasoning = _whole(details.reasoning_tokens)
    audio, image = _whole(details.audio_tokens), _whole(details.image_tokens)
    prompt, total = _first(usage.prompt_tokens, usage.input_tokens), _whole(usage.total_tokens)
    is_beside = prompt is not None and total == prompt + (whole or 0) + (reasoning or 0)
    rest = whole if is_beside else _without(whole, reasoning or 0)
    rest, audio, image = _cut(rest, audio, image)
    return msgspec.structs.replace(
        found,
        output_tokens=rest,
        reasoning_tokens=reasoning,
        output_audio_tokens=audio,
        output_image_tokens=image,
    )


def _first(*counts: _Count) -> int | None:
    found = None
    for count in counts:
        if count is not None:
            whole = _whole(count)
            found = whole if found is None else found
    return found


def _whole(count: _Count) -> int | None:
    if count is None:
        return None
    if type(count) is int and 0 <= count <= _MOST_TOKENS:
        return count
    if not 0 <= count <= _MOST_TOKENS or count != int(count):
        raise _Absurd
    return int(count)


def _without(whole: int | None, part: int) -> int | None:
    if whole is None or part > whole:
        return whole
    return whole - part


def _cut(rest: int | None, audio: int | None, image: int | None) -> tuple[int | None, int | None, int | None]:
    """Return what is left of ``rest`` without audio and image tokens, and those, cut to what there is."""
    if rest is None or not (audio or image):
        return rest, audio, image
    audio = audio if audio is None else min(audio, rest)
    rest -= audio or 0
    image = image if image is None else min(image, rest)
    return rest - (image or 0), audio, image
