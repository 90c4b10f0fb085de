"""Gemini's counts of tokens, read as the hub's.

Source: Gemini API reference, ``UsageMetadata`` and ``ModalityTokenCount``.
"""

from collections.abc import Sequence

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats.gemini_hub import compact


class ModalityTokens(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens of one kind of content."""

    modality: str = ""
    token_count: int = 0


class UsageMetadata(msgspec.Struct, frozen=True, rename="camel"):
    """Counts of one answer; Gemini leaves out what is 0."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    prompt_tokens_details: list[ModalityTokens] = []
    cache_tokens_details: list[ModalityTokens] = []
    tool_use_prompt_tokens_details: list[ModalityTokens] = []
    candidates_tokens_details: list[ModalityTokens] = []


def hub_usage(found: UsageMetadata | None) -> JsonObject | None:
    """Return the hub's usage, ``None`` if nothing was reported.

    Cached tokens are part of Gemini's prompt count, thoughts are no part of its candidates', and what tools brought in
    is counted beside the prompt. Audio and image tokens that came from the cache count as cached ones only, so that no
    token is in two buckets.
    """
    if found is None or (found.prompt_token_count is None and found.candidates_token_count is None):
        return None
    prompt = (found.prompt_token_count or 0) + (found.tool_use_prompt_token_count or 0)
    completion = (found.candidates_token_count or 0) + (found.thoughts_token_count or 0)
    read = [*found.prompt_tokens_details, *found.tool_use_prompt_tokens_details]
    prompt_details = compact(
        {
            "cached_tokens": found.cached_content_token_count,
            "audio_tokens": _of("AUDIO", read, found.cache_tokens_details),
            "image_tokens": _of("IMAGE", read, found.cache_tokens_details),
        }
    )
    completion_details = compact(
        {
            "reasoning_tokens": found.thoughts_token_count,
            "audio_tokens": _of("AUDIO", found.candidates_tokens_details),
            "image_tokens": _of("IMAGE", found.candidates_tokens_details),
        }
    )
    usage: JsonObject = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    details = {"prompt_tokens_details": prompt_details, "completion_tokens_details": completion_details}
    return {**usage, **compact(details)}


def _of(modality: str, counts: Sequence[ModalityTokens], cached: Sequence[ModalityTokens] = ()) -> int | None:
    found = [count.token_count for count in counts if count.modality == modality]
    apart = sum(count.token_count for count in cached if count.modality == modality)
    return max(0, sum(found) - apart) if found else None
