"""What a call costs, and could cost at most: exact decimals, and *unknown* where a price is missing."""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import TypeVar

from zirkel.core import Usage
from zirkel.gateway.snapshot import ModelPrice, PriceTier

_PER_MILLION = -6
_EXACT_DIGITS = 100
_Tiers = tuple[tuple[int, Decimal], ...]
"""``(from_input_tokens, usd_per_million)`` with the highest start first."""


class CompiledPrice:
    """A ``ModelPrice`` with its decimals parsed and its tiers sorted once, for the hot path; for one thread."""

    __slots__ = ("_buckets", "_exact", "_flat", "_inputs", "_outputs", "digest", "effective_ns", "max_output_tokens")

    def __init__(self, price: ModelPrice) -> None:
        self.digest = price.digest
        self.effective_ns = price.effective_ns
        self.max_output_tokens = price.max_output_tokens
        self._exact = Context(prec=_EXACT_DIGITS)
        self._inputs = (
            _compiled(price.input),
            _compiled(price.cache_read),
            _compiled(price.cache_write),
            _compiled(price.cache_write_1h),
            _compiled(price.input_audio),
            _compiled(price.input_image),
        )
        self._outputs = (
            _compiled(price.output),
            _compiled(price.reasoning),
            _compiled(price.output_audio),
            _compiled(price.output_image),
        )
        self._buckets = self._inputs + self._outputs
        is_flat = all(start == 0 for tiers in self._buckets for start, _ in tiers)
        # Without tiers the dearest rates are the same for every size.
        self._flat = (_dearest(self._inputs, 0), _dearest(self._outputs, 0)) if is_flat and self._is_priced(0) else None

    def cost_usd(self, usage: Usage) -> Decimal | None:
        """Return the exact cost of ``usage``; see ``price_usage``."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        inputs = (
            usage.input_tokens,
            usage.cache_read_tokens or 0,
            usage.cache_write_tokens or 0,
            usage.cache_write_1h_tokens or 0,
            usage.input_audio_tokens or 0,
            usage.input_image_tokens or 0,
        )
        outputs = (
            usage.output_tokens,
            usage.reasoning_tokens or 0,
            usage.output_audio_tokens or 0,
            usage.output_image_tokens or 0,
        )
        total_input = sum(inputs)
        cost = Decimal(0)
        for tokens, tiers in zip(inputs + outputs, self._buckets, strict=True):
            if tokens:
                rate = _rate(tiers, total_input)
                if rate is None:
                    return None
                cost = self._exact.fma(tokens, rate, cost)
        return self._exact.scaleb(cost, _PER_MILLION)

    def upper_bound_usd(self, *, input_tokens: int, output_tokens: int) -> Decimal | None:
        """Return the most that so many tokens could cost; see ``upper_bound_usd``."""
        if self._flat is not None:
            dearest_input, dearest_output = self._flat
        elif self._is_priced(input_tokens):
            dearest_input = _dearest(self._inputs, input_tokens)
            dearest_output = _dearest(self._outputs, input_tokens)
        else:
            return None
        input_cost = self._exact.multiply(input_tokens, dearest_input)
        return self._exact.scaleb(self._exact.fma(output_tokens, dearest_output, input_cost), _PER_MILLION)

    def _is_priced(self, input_tokens: int) -> bool:
        return _rate(self._inputs[0], input_tokens) is not None and _rate(self._outputs[0], input_tokens) is not None


Price = ModelPrice | CompiledPrice
_Dated = TypeVar("_Dated", ModelPrice, CompiledPrice)


def price_usage(price: Price | None, usage: Usage) -> Decimal | None:
    """Return the cost of ``usage`` in USD, exact; ``None`` is *unknown*.

    A tier is chosen for each bucket by the call's total input tokens over all input buckets, and holds for all tokens
    of the bucket. The cost is unknown if input or output tokens were not reported, or if a bucket that was used has
    no price at this size: no bucket borrows another's price.
    """
    return None if price is None else _as_compiled(price).cost_usd(usage)


def price_in_force(prices: Sequence[_Dated], start_ns: int) -> _Dated | None:
    """Return the first of ``prices`` (newest first) that holds at ``start_ns``; ``None`` if all begin later."""
    for price in prices:
        if price.effective_ns <= start_ns:
            return price
    return None


def upper_bound_usd(price: Price | None, *, input_tokens: int, output_tokens: int) -> Decimal | None:
    """Return the most in USD that up to so many input and output tokens could cost, in whichever buckets they fall.

    That is the dearest input-side and the dearest output-side rate among all tiers that a call of at most
    ``input_tokens`` can reach. ``None`` is *unknown*: input or output has no price.
    """
    if price is None:
        return None
    return _as_compiled(price).upper_bound_usd(input_tokens=input_tokens, output_tokens=output_tokens)


def format_usd(cost: Decimal | None) -> str:
    """Return a cost as a plain decimal without trailing zeros, e.g. ``0.00015``, or ``unknown``."""
    return "unknown" if cost is None else f"{Context(prec=_EXACT_DIGITS).normalize(cost):f}"


def _as_compiled(price: Price) -> CompiledPrice:
    return price if isinstance(price, CompiledPrice) else CompiledPrice(price)


def _compiled(tiers: Sequence[PriceTier]) -> _Tiers:
    found = [(tier.from_input_tokens, Decimal(tier.usd_per_million)) for tier in tiers]
    return tuple(sorted(found, key=lambda tier: tier[0], reverse=True))


def _rate(tiers: _Tiers, total_input: int) -> Decimal | None:
    for from_input_tokens, usd in tiers:
        if from_input_tokens <= total_input:
            return usd
    return None


def _dearest(buckets: Iterable[_Tiers], input_tokens: int) -> Decimal:
    return max(usd for tiers in buckets for start, usd in tiers if start <= input_tokens)
