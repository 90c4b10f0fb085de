"""What one dialect says of a span, before it becomes a canonical one. Absent is ``None`` or empty."""

from dataclasses import dataclass, field, fields
from decimal import Decimal

from zirkel.core import SpanKind, Usage
from zirkel.lib.otlp import JsonLike


@dataclass(frozen=True, slots=True)
class Counts:
    """Token counts as most senders report them: details are parts of their totals."""

    input_total: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    """Beside ``cache_write``, not a part of it."""
    input_audio: int | None = None
    input_image: int | None = None
    output_total: int | None = None
    reasoning: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    total: int | None = None
    """Of input and output; it tells the one of them that was not reported."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The fields of a span that a dialect fills."""

    kind: SpanKind | None = None
    operation: str = ""
    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    parameters: dict[str, JsonLike] = field(default_factory=dict)
    finish_reason: str = ""
    is_stream: bool | None = None
    time_to_first_token_ns: int | None = None
    counts: Counts = Counts()
    cost_usd: Decimal | None = None
    input: JsonLike = None
    output: JsonLike = None
    tools: JsonLike = None
    is_error: bool = False
    status_message: str = ""


_COUNTS = tuple(one.name for one in fields(Counts))
_FIELDS = tuple(one.name for one in fields(Reading) if one.name not in ("counts", "is_error"))


def filled(first: Reading, second: Reading) -> Reading:
    """Return ``first`` with what it leaves open taken from ``second``."""
    values = {}
    for name in _FIELDS:
        value = getattr(first, name)
        is_open = value is None or value == "" or value == {}
        values[name] = getattr(second, name) if is_open else value
    counts = _filled_counts(first.counts, second.counts)
    return Reading(counts=counts, is_error=first.is_error or second.is_error, **values)


def usage_of(counts: Counts, kind: SpanKind) -> Usage:
    """Return disjoint buckets: input without what a cache read or wrote, output without reasoning; both only text.

    A total tells what is missing beside the one reported; of an embedding, which has no output, it is the input.

    Where the details exceed their total the total cannot contain them (Anthropic's own numbers, Gemini's
    thoughts), so it is kept as it is. Audio and image tokens that do not fit beside cached or reasoning ones overlap
    with them, and are cut. A bucket that was not reported stays ``None``.
    """
    cached = (counts.cache_read or 0) + (counts.cache_write or 0) + (counts.cache_write_1h or 0)
    input_total, output_total = _totals(counts, kind)
    given = _cut(_without(input_total, cached), counts.input_audio, counts.input_image)
    answer = _cut(_without(output_total, counts.reasoning or 0), counts.output_audio, counts.output_image)
    return Usage(
        input_tokens=given[0],
        cache_read_tokens=counts.cache_read,
        cache_write_tokens=counts.cache_write,
        cache_write_1h_tokens=counts.cache_write_1h,
        input_audio_tokens=given[1],
        input_image_tokens=given[2],
        output_tokens=answer[0],
        reasoning_tokens=counts.reasoning,
        output_audio_tokens=answer[1],
        output_image_tokens=answer[2],
    )


def _totals(counts: Counts, kind: SpanKind) -> tuple[int | None, int | None]:
    given, answer, total = counts.input_total, counts.output_total, counts.total
    if total is None or (given is not None and answer is not None):
        return given, answer
    if kind is SpanKind.EMBEDDING:
        return (total if given is None else given), answer
    if given is not None:
        return given, _without(total, given) if total >= given else None
    return (total - answer if answer is not None and total >= answer else None), answer


def _filled_counts(first: Counts, second: Counts) -> Counts:
    if first == second or second == Counts():
        return first
    values = {}
    for name in _COUNTS:
        value = getattr(first, name)
        values[name] = getattr(second, name) if value is None else value
    return Counts(**values)


def _without(total: int | None, part: int) -> int | None:
    if total is None or part > total:
        return total
    return total - part


def _cut(rest: int | None, audio: int | None, image: int | None) -> tuple[int | None, int | None, int | None]:
    """Return what is left of ``rest`` without audio and image tokens, and those, cut to what there is."""
    if rest is None:
        return rest, audio, image
    audio = audio if audio is None else min(audio, rest)
    rest -= audio or 0
    image = image if image is None else min(image, rest)
    return rest - (image or 0), audio, image
