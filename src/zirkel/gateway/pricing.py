"""What a call costs: exact decimals, and *unknown* where a price is missing."""

from collections.abc import Sequence
from decimal import Context, Decimal

from zirkel.core import Usage
from zirkel.gateway.snapshot import ModelPrice, PriceTier

_PER_MILLION = -6
_EXACT_DIGITS = 100


def price_usage(price: ModelPrice | None, usage: Usage) -> Decimal | None:
    """Return the cost of ``usage`` in USD, exact; ``None`` is *unknown*.

    A tier is chosen for each bucket by the call's total input tokens, cached ones included, and holds for all tokens
    of the bucket. The cost is unknown if input or output tokens were not reported, or if a bucket that was used has
    no price at this size.
    """
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    total_input = usage.input_tokens + (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    buckets = (
        (usage.input_tokens, price.input),
        (usage.cache_read_tokens, price.cache_read),
        (usage.cache_write_tokens, price.cache_write),
        (usage.output_tokens, price.output),
        (usage.reasoning_tokens, price.reasoning),
    )
    exact = Context(prec=_EXACT_DIGITS)
    cost = Decimal(0)
    for tokens, tiers in buckets:
        if not tokens:
            continue
        rate = _rate(tiers, total_input)
        if rate is None:
            return None
        cost = exact.add(cost, exact.multiply(tokens, rate))
    return exact.scaleb(cost, _PER_MILLION)


def format_usd(cost: Decimal | None) -> str:
    """Return a cost as a plain decimal without trailing zeros, e.g. ``0.00015``, or ``unknown``."""
    return "unknown" if cost is None else f"{Context(prec=_EXACT_DIGITS).normalize(cost):f}"


def _rate(tiers: Sequence[PriceTier], total_input: int) -> Decimal | None:
    fitting = [tier for tier in tiers if tier.from_input_tokens <= total_input]
    if not fitting:
        return None
    return Decimal(max(fitting, key=lambda tier: tier.from_input_tokens).usd_per_million)
