"""What a model costs, from when on, and which source counts where several know it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from zirkel.core import PriceSpec, digest
from zirkel.core.gateway_check import PRICE_BUCKETS

SYNONYMS: Mapping[str, str] = {
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "moonshot": "moonshotai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "voyage": "voyageai",
    "xai": "x-ai",
}
"""Other names of providers, in price tables and of upstreams."""


@dataclass(frozen=True, slots=True)
class Tier:
    """USD per million tokens from a total number of input tokens on."""

    from_input_tokens: int
    usd_per_million: Decimal


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """A model's prices by usage bucket from a moment on; a bucket without a tier has an unknown price."""

    buckets: Mapping[str, tuple[Tier, ...]]
    """By ``PRICE_BUCKETS``."""
    table_digest: str
    """Digest of the price table these come from."""
    source: str
    """The table's name, e.g. ``prices.toml`` or ``genai-prices``."""
    effective_ns: int = 0
    max_output_tokens: int | None = None
    """What the model can answer at most, if the table says so."""


def provider_name(name: str) -> str:
    """Return the one name of a provider that has several, e.g. ``aws`` for ``bedrock``; others are as they are."""
    return SYNONYMS.get(name, name)


def own_prices(lines: Sequence[PriceSpec], model: str, source: str) -> tuple[ModelPrices, ...]:
    """Return what a table of one's own says of ``model`` (``UPSTREAM/MODEL``), newest first, future ones included.

    Cache tokens cost what input tokens cost, image input too, and reasoning tokens what output tokens cost, unless the
    line says otherwise. A line of a day that does not exist is left out: one faulty table must not keep everything
    else from the gateway.
    """
    table = _table_digest(lines)
    found = []
    for line in lines:
        start_ns = day_ns(line.effective) if line.model == model else None
        if start_ns is not None:
            found.append(ModelPrices(_own_buckets(line), table, source, start_ns))
    return tuple(sorted(found, key=lambda prices: -prices.effective_ns))


def day_ns(day: str) -> int | None:
    """Return when ``YYYY-MM-DD`` begins in UTC, nanoseconds since 1970; None if there is no such day."""
    try:
        found = date.fromisoformat(day)
    except ValueError:
        return None
    return int(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp()) * 10**9


def combine_prices(sources: Iterable[Sequence[ModelPrices]], now_ns: int) -> tuple[ModelPrices, ...]:
    """Return the prices that hold now or later, newest first.

    Args:
        sources: The first that knows the model counts, from its first day on; until then the next one does. Each is
            newest first.
        now_ns: What ended before is left out.
    """
    found: list[ModelPrices] = []
    for source in sources:
        earliest = found[-1].effective_ns if found else None
        for prices in source:
            if earliest is not None and prices.effective_ns >= earliest:
                continue
            found.append(prices)
            if prices.effective_ns <= now_ns:
                return tuple(found)
    return tuple(found)


def known_usd(text: str | None) -> Decimal | None:
    """Return a price's decimal; None if it is none, which is *unknown*."""
    try:
        value = Decimal(text or "")
    except InvalidOperation:
        return None
    return value if value.is_finite() and value >= 0 else None


def with_defaults(buckets: Mapping[str, tuple[Tier, ...]]) -> Mapping[str, tuple[Tier, ...]]:
    """Return ``buckets``, with image input at input's price and reasoning at output's where they have none."""
    filled = dict(buckets)
    for bucket, like in (("input_image", "input"), ("reasoning", "output")):
        if bucket not in filled and like in filled:
            filled[bucket] = filled[like]
    return filled


def _own_buckets(line: PriceSpec) -> Mapping[str, tuple[Tier, ...]]:
    texts: dict[str, str | None] = {bucket: getattr(line, bucket) for bucket in PRICE_BUCKETS}
    if line.cache_write is None:
        # Else the hour's price is one that the table does not tell: providers ask more for it.
        texts["cache_write_1h"] = line.cache_write_1h or line.input
    texts["cache_read"] = line.cache_read or line.input
    texts["cache_write"] = line.cache_write or line.input
    known = {bucket: known_usd(text) for bucket, text in texts.items()}
    return with_defaults({bucket: (Tier(0, usd),) for bucket, usd in known.items() if usd is not None})


def _table_digest(lines: Sequence[PriceSpec]) -> str:
    return digest([[line.model, line.effective, *(getattr(line, b) for b in PRICE_BUCKETS)] for line in lines])
