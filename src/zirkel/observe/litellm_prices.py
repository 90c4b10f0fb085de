"""Price tables in LiteLLM's format (``model_prices_and_context_window.json``), read exactly. Pure.

Source: LiteLLM, "Custom pricing" and the field list in its price table's ``sample_spec``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import msgspec

from zirkel.core import Invalid
from zirkel.observe.prices import provider_name

SAMPLE = "sample_spec"

PRICE_FIELDS: Mapping[str, str] = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "input_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "output_cost_per_audio_token": "output_audio",
    "output_cost_per_image_token": "output_image",
}
"""Which kind of token a field of LiteLLM's is the price of."""
_TIER = re.compile(r"(?P<field>\w+)_above_(?P<thousands>\d{1,6})k_tokens")
_LARGEST = Decimal(10**6)
_SMALLEST = Decimal(1).scaleb(-18)


class TableLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model of a loaded table."""

    provider: str
    """By ``provider_name``."""
    model: str
    buckets: dict[str, list[tuple[int, str]]]
    """Tiers: from how many input tokens on, and USD per million tokens as decimal text."""
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Something in a file that could not be taken over."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class LiteLlmPrices:
    """What a file says."""

    lines: tuple[TableLine, ...]
    not_taken: tuple[NotTaken, ...]


def read_litellm_prices(table: object) -> LiteLlmPrices:
    """Return the prices per token of a parsed file, and everything else in it that is a price.

    USD per token become USD per million tokens. A number counts as its shortest decimal text, the one that was written.

    Raises:
        Invalid: If it is no object of objects, or has no price per token at all.
    """
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise Invalid("a price table in LiteLLM's format is an object of objects, one for each model", path="table")
    lines: dict[tuple[str, str], TableLine] = {}
    not_taken: list[NotTaken] = []
    for key, entry in table.items():
        if key == SAMPLE:
            continue
        line = _read_line(key, entry, not_taken)
        if line is None:
            continue
        known = lines.setdefault((line.provider, line.model), line)
        if known != line:
            not_taken.append(NotTaken(key, f"another entry already says what {line.provider}/{line.model} costs"))
    if not lines:
        raise Invalid("the table has no price per token; is it in LiteLLM's format?", path="table")
    return LiteLlmPrices(tuple(lines[key] for key in sorted(lines)), tuple(not_taken))


def usd_per_million(per_token: object) -> str | None:
    """Return USD per million tokens as plain decimal text, exact; None if ``per_token`` is no price."""
    if isinstance(per_token, bool) or not isinstance(per_token, int | float | str):
        return None
    try:
        # The shortest text that reads back as the number: what its author wrote. YAML takes 1e-7 for a text.
        price = Decimal(str(per_token))
    except InvalidOperation:
        return None
    if not price.is_finite() or price < 0:
        return None
    usd = price.scaleb(6)
    if usd > _LARGEST or 0 < usd < _SMALLEST:
        return None
    return f"{usd.normalize():f}" if usd else "0"


def _read_line(key: str, entry: Mapping[str, object], not_taken: list[NotTaken]) -> TableLine | None:
    provider = entry.get("litellm_provider")
    if not isinstance(provider, str) or not provider:
        not_taken.append(NotTaken(f"{key}.litellm_provider", "an entry without its provider"))
        return None
    tiers: dict[str, dict[int, str]] = {}
    for field, value in entry.items():
        if value is None or not _is_price(field):
            continue
        taken = _read_field(field, value)
        if taken is None:
            not_taken.append(NotTaken(f"{key}.{field}", _why(field, value)))
            continue
        bucket, start, usd = taken
        tiers.setdefault(bucket, {})[start] = usd
    if not tiers:
        return None
    limit = entry.get("max_output_tokens")
    return TableLine(
        provider=_provider(provider),
        model=_model(key, provider),
        buckets={bucket: sorted(found.items()) for bucket, found in sorted(tiers.items())},
        max_output_tokens=int(limit) if isinstance(limit, int | float) and 0 < limit < 2**53 else None,
    )


def _is_price(field: str) -> bool:
    return "cost" in field


def _read_field(field: str, value: object) -> tuple[str, int, str] | None:
    tier = _TIER.fullmatch(field)
    bucket = PRICE_FIELDS.get(tier["field"] if tier else field)
    usd = usd_per_million(value)
    if bucket is None or usd is None:
        return None
    # "Above 200k" begins with token 200,001.
    return bucket, int(tier["thousands"]) * 1000 + 1 if tier else 0, usd


def _why(field: str, value: object) -> str:
    if field in PRICE_FIELDS or _TIER.fullmatch(field):
        return f"{value!r} is no price per token"
    return "a price for something else than tokens, or for another kind of service"


def _provider(name: str) -> str:
    # Vertex AI's providers are one shop with several shelves: `vertex_ai-language-models` and so on.
    return provider_name(name.partition("-")[0] if name.startswith("vertex_ai-") else name)


def _model(key: str, provider: str) -> str:
    for prefix in _prefixes(provider):
        if key.startswith(prefix) and len(key) > len(prefix):
            return key.removeprefix(prefix)
    return key


def _prefixes(provider: str) -> Iterator[str]:
    yield f"{provider}/"
    if provider.startswith("vertex_ai-"):
        yield "vertex_ai/"
    if provider == "bedrock_converse":
        yield "bedrock/"
