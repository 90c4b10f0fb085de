"""Token usage as an object: a provider's own, a framework's, or Langfuse's buckets.

Source: the API references of OpenAI, Anthropic, Gemini and Bedrock; Langfuse, "Token & cost tracking".
"""

from collections.abc import Mapping

from zirkel.lib.otlp import JsonLike
from zirkel.observe.normalise.attributes import as_mapping, first_count
from zirkel.observe.normalise.reading import Counts

_INPUT = ("input", "prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "promptTokenCount",
          "prompt_token_count")  # fmt: skip
_OUTPUT = ("output", "completion_tokens", "output_tokens", "completionTokens", "outputTokens", "candidatesTokenCount",
           "candidates_token_count")  # fmt: skip
_TOTAL = ("total", "total_tokens", "totalTokens", "totalTokenCount", "total_token_count")
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details", "inputTokenDetails")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details", "outputTokenDetails")
_READ_APART = ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens", "cacheReadInputTokens")
_READ_WITHIN = ("cachedInputTokens", "cachedContentTokenCount", "cached_content_token_count")
_READ_DETAIL = ("cached_tokens", "cache_read", "cache_read_tokens", "cacheReadTokens")
_WRITE_APART = ("input_cache_creation", "cache_creation_input_tokens", "cacheWriteInputTokens")
_WRITE_DETAIL = ("cache_creation", "cache_write_tokens", "cache_creation_tokens", "cacheWriteTokens")
_REASONING_APART = ("output_reasoning_tokens", "output_reasoning", "thoughtsTokenCount", "thoughts_token_count")
_REASONING_WITHIN = ("reasoningTokens", "reasoning_tokens")
_REASONING_DETAIL = ("reasoning_tokens", "reasoning", "reasoningTokens")


def counts_of(usage: Mapping[str, JsonLike]) -> Counts:
    """Return the counts of a usage object, as totals with their details.

    Details in an object of their own are parts of their total. Flat ones stand beside it (Anthropic, Langfuse), unless
    input and output alone make the reported total.
    """
    if not usage:
        return Counts()
    inputs, outputs = _details(usage, _INPUT_DETAILS), _details(usage, _OUTPUT_DETAILS)
    hour = first_count(as_mapping(usage.get("cache_creation")), "ephemeral_1h_input_tokens")
    hour = hour if hour is not None else first_count(usage, "input_cache_creation_1h")
    read, write = first_count(usage, *_READ_APART), first_count(usage, *_WRITE_APART)
    short = first_count(usage, "input_cache_creation_5m") if write is None else write - min(hour or 0, write)
    reasoning = first_count(usage, *_REASONING_APART)
    given, answer = first_count(usage, *_INPUT), first_count(usage, *_OUTPUT)
    audio, spoken = first_count(usage, "input_audio_tokens"), first_count(usage, "output_audio_tokens")
    image, drawn = first_count(usage, "input_image_tokens"), first_count(usage, "output_image_tokens")
    total = first_count(usage, *_TOTAL)
    if total is None or total != (given or 0) + (answer or 0):
        given = _plus(given, read, short, hour, audio, image)
        answer = _plus(answer, reasoning, spoken, drawn)
    return Counts(
        input_total=given,
        cache_read=_either(read, usage, _READ_WITHIN, inputs, _READ_DETAIL),
        cache_write=short if short is not None else first_count(inputs, *_WRITE_DETAIL),
        cache_write_1h=hour,
        input_audio=audio if audio is not None else first_count(inputs, "audio_tokens", "audio"),
        input_image=image if image is not None else first_count(inputs, "image_tokens", "image"),
        output_total=answer,
        reasoning=_either(reasoning, usage, _REASONING_WITHIN, outputs, _REASONING_DETAIL),
        output_audio=spoken if spoken is not None else first_count(outputs, "audio_tokens", "audio"),
        output_image=drawn if drawn is not None else first_count(outputs, "image_tokens", "image"),
        total=total,
    )


def _details(usage: Mapping[str, JsonLike], names: tuple[str, ...]) -> Mapping[str, JsonLike]:
    return next((found for name in names if (found := as_mapping(usage.get(name)))), {})


def _either(
    apart: int | None,
    usage: Mapping[str, JsonLike],
    within: tuple[str, ...],
    details: Mapping[str, JsonLike],
    names: tuple[str, ...],
) -> int | None:
    if apart is not None:
        return apart
    found = first_count(usage, *within)
    return first_count(details, *names) if found is None else found


def _plus(total: int | None, *parts: int | None) -> int | None:
    return None if total is None else total + sum(part or 0 for part in parts)
