"""Which price applies: the service's own table, else the field's common one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from genai_prices import data_snapshot
from genai_prices.types import TieredPrices

from zirkel.core import Json, PriceSpec, PricesSpec, digest

BUCKETS = ("input", "cache_read", "cache_write", "output", "reasoning")


@dataclass(frozen=True, slots=True)
class Tier:
    """USD per million tokens from a total number of input tokens on."""

    from_input_tokens: int
    usd_per_million: Decimal


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """A model's prices by usage bucket; a bucket without a tier has an unknown price."""

    buckets: dict[str, tuple[Tier, ...]]
    table_digest: str
    """Digest of the price table these come from."""


def own_prices(table: PricesSpec, model: str, now: datetime) -> ModelPrices | None:
    """Return the prices of ``model`` (``UPSTREAM/MODEL``) that are in force at ``now``, or None.

    Reasoning tokens cost what output tokens cost unless the table says otherwise; so do all providers' lists.
    """
    in_force = [p for p in table.price if p.model == model and p.effective <= now.date().isoformat()]
    if not in_force:
        return None
    price = max(in_force, key=lambda line: line.effective)
    known = {bucket: _usd(text) for bucket, text in _own_values(price).items()}
    found: dict[str, tuple[Tier, ...]] = {bucket: (Tier(0, usd),) for bucket, usd in known.items() if usd is not None}
    return ModelPrices(found, _table_digest(table.price))


def common_prices(model: str, now: datetime) -> ModelPrices | None:
    """Return the prices of ``UPSTREAM/MODEL`` from the package ``genai-prices``, or None if it does not know it.

    The upstream's name must be the provider's (``openai``, ``anthropic``, …): the same model costs something else
    elsewhere, and an unknown price is unknown.
    """
    provider, _, name = model.partition("/")
    try:
        found_at, info = data_snapshot.get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    if found_at.id != provider:
        # The package also guesses, e.g. that `fake-openai` is OpenAI.
        return None
    price = info.get_prices(now)
    found = {
        "input": _common_tiers(price.input_mtok),
        "cache_read": _common_tiers(price.cache_read_mtok),
        "cache_write": _common_tiers(price.cache_write_mtok),
        "output": _common_tiers(price.output_mtok),
        "reasoning": _common_tiers(price.output_mtok),
    }
    known = {bucket: tiers for bucket, tiers in found.items() if tiers}
    values: Json = {b: [[t.from_input_tokens, str(t.usd_per_million)] for t in tiers] for b, tiers in known.items()}
    return ModelPrices(known, digest([model, values]))


def _own_values(price: PriceSpec) -> dict[str, str | None]:
    return {
        "input": price.input,
        "cache_read": price.cache_read or price.input,
        "cache_write": price.cache_write or price.input,
        "output": price.output,
        "reasoning": price.reasoning or price.output,
    }


def _usd(text: str | None) -> Decimal | None:
    # What is no price is unknown, like a missing one: one faulty table must not keep everything else from the gateway.
    try:
        value = Decimal(text or "")
    except InvalidOperation:
        return None
    return value if value.is_finite() and value >= 0 else None


def _common_tiers(price: Decimal | TieredPrices | None) -> tuple[Tier, ...]:
    if price is None:
        return ()
    if isinstance(price, TieredPrices):
        # The package's tier holds for more than `start` tokens, ours from its first token on.
        return (Tier(0, price.base), *(Tier(tier.start + 1, tier.price) for tier in price.tiers))
    return (Tier(0, Decimal(price)),)


def _table_digest(prices: Sequence[PriceSpec]) -> str:
    return digest([[p.model, p.effective, p.input, p.cache_read, p.cache_write, p.output, p.reasoning] for p in prices])
