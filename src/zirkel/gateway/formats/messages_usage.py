"""Counts of tokens: Anthropic's, which are disjoint, and the hub's, where details are parts of a whole.

Source: Anthropic API reference, object Usage; OpenAI API reference, object CompletionUsage.
"""

from zirkel.core import JsonObject
from zirkel.gateway.formats import messages_hub as hub
from zirkel.gateway.formats import messages_wire as wire


def hub_usage(usage: wire.Usage) -> JsonObject:
    """Return Anthropic's counts as the hub's; what was not reported is absent."""
    written, written_1h = usage.cache_creation_input_tokens, None
    if usage.cache_creation is not None:
        written_1h = usage.cache_creation.ephemeral_1h_input_tokens
        if written is None:
            written = (usage.cache_creation.ephemeral_5m_input_tokens or 0) + (written_1h or 0)
    details = _reported(
        cached_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=None if written is None else max(0, written - (written_1h or 0)),
        cache_write_1h_tokens=written_1h,
    )
    prompt = (usage.input_tokens or 0) + (usage.cache_read_input_tokens or 0) + (written or 0)
    completion = usage.output_tokens or 0
    members: JsonObject = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if details:
        members["prompt_tokens_details"] = details
    if usage.output_tokens_details is not None and usage.output_tokens_details.thinking_tokens is not None:
        members["completion_tokens_details"] = {"reasoning_tokens": usage.output_tokens_details.thinking_tokens}
    return members


def anthropic_usage(usage: hub.Usage | None) -> JsonObject:
    """Return the hub's counts as Anthropic's; its clients insist on numbers, so what was not reported is 0.

    Where the parts are larger than the whole, an upstream has counted them apart from it, and so does this.
    """
    usage = usage or hub.Usage()
    details = usage.prompt_tokens_details or hub.PromptDetails()
    read, written_5m, written_1h = (
        details.cached_tokens or 0, details.cache_write_tokens or 0, details.cache_write_1h_tokens or 0,
    )  # fmt: skip
    prompt, apart = usage.prompt_tokens or 0, read + written_5m + written_1h
    members: JsonObject = {
        "input_tokens": prompt - apart if apart <= prompt else prompt,
        "cache_creation_input_tokens": written_5m + written_1h,
        "cache_read_input_tokens": read,
        "output_tokens": usage.completion_tokens or 0,
    }
    if written_1h:
        members["cache_creation"] = {"ephemeral_5m_input_tokens": written_5m, "ephemeral_1h_input_tokens": written_1h}
    thought = usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens
    return members if thought is None else {**members, "output_tokens_details": {"thinking_tokens": thought}}


def later_usage(known: wire.Usage, news: wire.Usage) -> wire.Usage:
    """Return the counts of a stream so far: each is cumulative, and absent where an event has nothing to say of it."""
    return wire.Usage(
        input_tokens=_greater(known.input_tokens, news.input_tokens),
        cache_read_input_tokens=_greater(known.cache_read_input_tokens, news.cache_read_input_tokens),
        cache_creation_input_tokens=_greater(known.cache_creation_input_tokens, news.cache_creation_input_tokens),
        cache_creation=news.cache_creation or known.cache_creation,
        output_tokens=_greater(known.output_tokens, news.output_tokens),
        output_tokens_details=news.output_tokens_details or known.output_tokens_details,
    )


def _greater(known: int | None, news: int | None) -> int | None:
    counts = [count for count in (known, news) if count is not None]
    return max(counts, default=None)


def _reported(**counts: int | None) -> JsonObject:
    return {name: count for name, count in counts.items() if count is not None}
