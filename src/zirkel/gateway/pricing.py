"""What a call costs, and could cost at most: exact decimals, and *unknown* where a price is missing."""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import TypeVar, cast

from zirkel.core import Usage
from zirkel.gateway.snapshot import ModelPrice, PriceTier

_PER_MILLION = -6
_EXACT_DIGITS = 100
_EXACT = Context(prec=_EXACT_DIGITS)
_Tiers = tuple[tuple[int, int], ...]
"""``(from_input_tokens, rate)`` with the highest start first; the rate in the price's own smallest unit."""


class CompiledPrice:
    """A ``ModelPrice`` with its decimals parsed and its tiers sorted once, for the hot path.

    All rates are whole numbers of one unit, a power of ten that all of them are multiples of: exact, and faster.
    """

    __slots__ = ("_buckets", "_exponent", "_flat", "_inputs", "_outputs", "digest", "effective_ns", "max_output_tokens")

    def __init__(self, price: ModelPrice) -> None:
        self.digest = price.digest
        self.effective_ns = price.effective_ns
        self.max_output_tokens = price.max_output_tokens
        inputs = (
            price.input, price.cache_read, price.cache_write, price.cache_write_1h, price.input_audio,
            price.input_image,
        )  # fmt: skip
        outputs = (price.output, price.reasoning, price.output_audio, price.output_image)
        unit = _unit([tier.usd_per_million for tiers in inputs + outputs for tier in tiers])
        self._exponent = unit + _PER_MILLION
        self._inputs = tuple(_compiled(tiers, unit) for tiers in inputs)
        self._outputs = tuple(_compiled(tiers, unit) for tiers in outputs)
        self._buckets = self._inputs + self._outputs
        is_flat = all(start == 0 for tiers in self._buckets for start, _ in tiers)
        # Without tiers the dearest rates are the same for every size.
        self._flat = (_dearest(self._inputs, 0), _dearest(self._outputs, 0)) if is_flat and self._is_priced(0) else None

    def cost_usd(self, usage: Usage) -> Decimal | None:
        """Return the exact cost of ``usage``; see ``price_usage``."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        inputs = (
            usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens,
            usage.input_audio_tokens, usage.input_image_tokens,
        )  # fmt: skip
        outputs = (
            usage.output_tokens, usage.reasoning_tokens, usage.output_audio_tokens, usage.output_image_tokens,
        )  # fmt: skip
        total_input = sum(filter(None, inputs))
        cost = 0
        for tokens, tiers in zip(inputs + outputs, self._buckets, strict=True):
            if tokens:
                rate = _rate(tiers, total_input)
                if rate is None:
                    return None
                cost += tokens * rate
        return _EXACT.scaleb(cost, self._exponent)

    def upper_bound_usd(self, *, input_tokens: int, output_tokens: int) -> Decimal | None:
        """Return the most that so many tokens could cost; see ``upper_bound_usd``."""
        if self._flat is not None:
            dearest_input, dearest_output = self._flat
        elif self._is_priced(input_tokens):
            dearest_input = _dearest(self._inputs, input_tokens)
            dearest_output = _dearest(self._outputs, input_tokens)
        else:
            return None
        return _EXACT.scaleb(input_tokens * dearest_input + output_tokens * dearest_output, self._exponent)

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
    return "unknown" if cost is None else f"{_EXACT.normalize(cost):f}"


def _as_compiled(price: Price) -> CompiledPrice:
    return price if isinstance(price, CompiledPrice) else CompiledPrice(price)


def _unit(rates: Iterable[str]) -> int:
    """Return the exponent of a power of ten that all rates are multiples of; smaller amounts than 10^-100 are none."""
    return max(-_EXACT_DIGITS, min((cast(int, Decimal(rate).as_tuple().exponent) for rate in rates), default=0))


def _compiled(tiers: Sequence[PriceTier], unit: int) -> _Tiers:
    found = [(tier.from_input_tokens, int(_EXACT.scaleb(Decimal(tier.usd_per_million), -unit))) for tier in tiers]
    return tuple(sorted(found, key=lambda tier: tier[0], reverse=True))


def _rate(tiers: _Tiers, total_input: int) -> int | None:
    for from_input_tokens, rate in tiers:
        if from_input_tokens <= total_input:
            return rate
    return None


def _dearest(buckets: Iterable[_Tiers], input_tokens: int) -> int:
    return max(rate for tiers in buckets for start, rate in tiers if start <= input_tokens)
