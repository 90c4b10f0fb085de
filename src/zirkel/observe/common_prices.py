"""The field's common price table: the package ``genai-prices``, with its dates, its daily hours and its aliases."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property

from genai_prices import data_snapshot
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import (
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ModelInfo,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from zirkel.core import Json, digest
from zirkel.observe.prices import ModelPrices, Tier, provider_name, with_defaults

SOURCE = "genai-prices"
AHEAD = timedelta(days=2)
"""How far ahead daily hours are spelt out; whoever keeps the result renews it sooner."""

_BUCKETS = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "input_image": "input_image_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
}
_PER_CALL = "requests_kcount"
"""A fee for each call, which prices of tokens do not tell: such a model's price is unknown."""


class CommonPrices:
    """Looks prices up by provider and model."""

    def prices(self, provider: str, model: str, now_ns: int) -> tuple[ModelPrices, ...]:
        """Return a model's prices from now on, newest first; none if the table does not know it.

        ``provider`` must be the provider's name or one of its other names: the same model costs something else
        elsewhere, and an unknown price is unknown.
        """
        found = self._provider(provider)
        if found is None or not model:
            return ()
        info = found.find_model(model, all_providers=self._snapshot.providers)
        return _prices(found.id, info, now_ns) if info is not None else ()

    def by_pattern(self, provider: str, now_ns: int) -> Mapping[str, tuple[ModelPrices, ...]]:
        """Return the prices of all models of a provider, by the names that callers may use, lower case.

        A name may have ``*``, ``?`` and ``[…]`` as in file names. A model whose names cannot be written so is there
        under its own name only.
        """
        found = self._provider(provider)
        if found is None:
            return {}
        patterns: dict[str, tuple[ModelPrices, ...]] = {}
        for owner in [found, *self._fallbacks(found)]:
            for info in owner.models:
                prices = _prices(found.id, info, now_ns)
                for pattern in _names(info) if prices else ():
                    patterns.setdefault(pattern, prices)
        return patterns

    @cached_property
    def _snapshot(self) -> DataSnapshot:
        return data_snapshot.get_snapshot()

    def _provider(self, name: str) -> Provider | None:
        # By its id only: the package also guesses, e.g. that `fake-openai` is OpenAI.
        wanted = provider_name(name)
        return next((provider for provider in self._snapshot.providers if provider.id == wanted), None)

    def _fallbacks(self, provider: Provider) -> Sequence[Provider]:
        wanted = provider.fallback_model_providers or []
        return [found for name in wanted for found in self._snapshot.providers if found.id == name]


def _prices(provider: str, info: ModelInfo, now_ns: int) -> tuple[ModelPrices, ...]:
    now = datetime.fromtimestamp(now_ns // 10**9, UTC)
    moments = sorted(_moments(info, now))
    in_force = max((moment for moment in moments if moment <= now), default=None)
    found: list[ModelPrices] = []
    for moment in [in_force, *(moment for moment in moments if moment > now)]:
        buckets = _buckets(info, moment or now)
        if not buckets:
            return ()
        if found and found[-1].buckets == buckets:
            continue
        start_ns = int(moment.timestamp()) * 10**9 if moment else 0
        found.append(ModelPrices(buckets, _digest(provider, info, buckets), SOURCE, start_ns))
    return tuple(reversed(found))


def _moments(info: ModelInfo, now: datetime) -> Iterator[datetime]:
    """Yield when the price may change: all first days, and the daily hours from yesterday until ``AHEAD``."""
    for conditional in info.prices if isinstance(info.prices, list) else []:
        constraint = conditional.constraint
        if isinstance(constraint, StartDateConstraint):
            day = constraint.start_date
            yield datetime(day.year, day.month, day.day, tzinfo=UTC)
        elif isinstance(constraint, TimeOfDateConstraint):
            for days in range(-1, AHEAD.days + 1):
                day = (now + timedelta(days=days)).date()
                for at in (constraint.start_time, constraint.end_time):
                    yield datetime.combine(day, at.replace(tzinfo=at.tzinfo or UTC)).astimezone(UTC)


def _buckets(info: ModelInfo, at: datetime) -> Mapping[str, tuple[Tier, ...]]:
    price = vars(info.get_prices(at))
    if price.get(_PER_CALL) is not None:
        return {}
    found = {bucket: _tiers(price.get(key)) for bucket, key in _BUCKETS.items()}
    return with_defaults({bucket: tiers for bucket, tiers in found.items() if tiers})


def _tiers(price: Decimal | TieredPrices | None) -> tuple[Tier, ...]:
    if price is None:
        return ()
    if isinstance(price, TieredPrices):
        # The package's tier holds for more than `start` tokens, ours from its first token on.
        return (Tier(0, price.base), *(Tier(tier.start + 1, tier.price) for tier in price.tiers))
    return (Tier(0, Decimal(price)),)


def _digest(provider: str, info: ModelInfo, buckets: Mapping[str, tuple[Tier, ...]]) -> str:
    values: Json = {
        bucket: [[tier.from_input_tokens, str(tier.usd_per_million)] for tier in tiers]
        for bucket, tiers in buckets.items()
    }
    return digest([f"{provider}/{info.id}", values])


def _names(info: ModelInfo) -> Iterator[str]:
    # Some ids are no names that a call could have.
    if info.is_match(info.id):
        yield _literal(info.id)
    yield from _patterns(info.match)


def _patterns(clause: object) -> Iterator[str]:
    if isinstance(clause, ClauseOr):
        for part in clause.or_:
            yield from _patterns(part)
    elif isinstance(clause, ClauseEquals):
        yield _literal(clause.equals)
    elif isinstance(clause, ClauseStartsWith):
        yield f"{_literal(clause.starts_with)}*"
    elif isinstance(clause, ClauseEndsWith):
        yield f"*{_literal(clause.ends_with)}"
    elif isinstance(clause, ClauseContains):
        yield f"*{_literal(clause.contains)}*"
    elif isinstance(clause, ClauseRegex):
        yield from _regex_pattern(clause.regex)


def _literal(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text.lower())


def _regex_pattern(regex: str) -> Iterator[str]:
    """Yield the pattern of a regular expression made of letters, escaped signs, digits and sets; else none."""
    part = re.compile(
        r"(?P<digits>\\d)(?:\{(?P<count>\d)\})?|\\(?P<sign>[^\w\s])|(?P<set>\[[\w@-]+\])|(?P<plain>[\w@:=/-])"
    )
    body = regex.removeprefix("^")
    is_whole = body.endswith("$")
    found, place = "", 0
    body = body.removesuffix("$")
    while place < len(body):
        token = part.match(body, place)
        if token is None:
            return
        place = token.end()
        if token["digits"]:
            found += "[0-9]" * int(token["count"] or 1)
        else:
            found += token["set"] or _literal(token["sign"] or token["plain"])
    if regex.startswith("^"):
        yield found.lower() if is_whole else f"{found.lower()}*"
