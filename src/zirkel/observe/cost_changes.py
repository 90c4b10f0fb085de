"""Why the cost changed: two periods, and the parts of the difference, which sum to it exactly. Pure.

The cost of a period is a product of factors, summed over segments of the traffic (a service, a user, …) ``s`` and the
models ``m`` they used, with token buckets ``b``::

    calls * sum_s share_s * asked_s * attempts_s * sum_m model_sm * sum_b tokens_smb * price_smb

``shapley_parts`` shares the difference out among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Literal, Protocol

from zirkel.core import Usage
from zirkel.stats.shapley import round_to_sum, shapley_parts

Factor = Literal["calls", "mix", "cache", "retries", "models", "tokens", "price"]
FACTORS: Mapping[Factor, str] = {
    "calls": "how many calls there were",
    "mix": "which segments the calls came from",
    "cache": "how many calls a kept answer served",
    "retries": "attempts per call that asked a model: retries, hedges, fallbacks, guardrails",
    "models": "which models were asked",
    "tokens": "tokens per attempt",
    "price": "USD per token",
}
"""What each part means."""

BUCKETS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))
_CONTEXT = Context(prec=60)
_ZERO = Decimal(0)
_STEP = Decimal("1e-12")
_BLENDED = "all"


class SegmentCalls(Protocol):
    """The calls of one segment in a period."""

    @property
    def segment(self) -> str: ...
    @property
    def calls(self) -> int: ...
    @property
    def cache_hits(self) -> int: ...


class SegmentAttempts(Protocol):
    """What one segment used of one model at one price in a period; only attempts whose cost is known."""

    @property
    def segment(self) -> str: ...
    @property
    def model(self) -> str:
        """``PROVIDER/MODEL``."""
        ...

    @property
    def price_digest(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def unpriced(self) -> int:
        """Attempts beside them whose cost is unknown."""
        ...

    @property
    def cost_usd(self) -> Decimal: ...
    @property
    def tokens(self) -> Mapping[str, int]:
        """By usage bucket, summed."""
        ...


class Rates(Protocol):
    """What price tables say."""

    def rates(self, model: str, price_digest: str, time_ns: int) -> Mapping[str, Decimal] | None:
        """Return USD per token by usage bucket, where the table of this digest is known and has no tiers.

        Args:
            model: ``PROVIDER/MODEL``.
            price_digest: The table's.
            time_ns: Prices that ended before it are not asked for.
        """
        ...


@dataclass(frozen=True, slots=True)
class Period:
    """What happened in one period."""

    since_ns: int
    until_ns: int
    calls: Sequence[SegmentCalls]
    attempts: Sequence[SegmentAttempts]

    @property
    def cost_usd(self) -> Decimal:
        """The known cost."""
        return sum((row.cost_usd for row in self.attempts), _ZERO)

    @property
    def unpriced(self) -> int:
        """Attempts of unknown cost: the decomposition is without them."""
        return sum(row.unpriced for row in self.attempts)


@dataclass(frozen=True, slots=True)
class CostChange:
    """Why a cost changed."""

    before_usd: Decimal
    after_usd: Decimal
    parts: Mapping[Factor, Decimal]
    """By factor, in USD; they sum to ``after_usd - before_usd`` exactly."""
    segments: Mapping[str, Decimal]
    """The difference by segment, in USD; they sum to it, too."""
    unpriced_before: int
    unpriced_after: int


@dataclass(frozen=True, slots=True)
class _Use:
    """One model in one segment."""

    share: Decimal
    """Of the segment's attempts."""
    tokens: Mapping[str, Decimal]
    """Per attempt."""
    prices: Mapping[str, Decimal]
    """Per token."""


@dataclass(frozen=True, slots=True)
class _Segment:
    share: Decimal
    asked: Decimal
    """Calls that asked a model, as a share of all."""
    attempts: Decimal
    """Per call that asked."""
    uses: Mapping[str, _Use]


@dataclass(frozen=True, slots=True)
class _Facts:
    calls: Decimal
    segments: Mapping[str, _Segment]


def explain_change(before: Period, after: Period, rates: Rates) -> CostChange:
    """Return why the cost of ``after`` is not that of ``before``.

    What a segment or model did not do in one of the periods is taken from the other one: what is new shows as mix or
    models, not as tokens or price. Where no flat price is known, a model's tokens share one blended price.
    """
    was, now = _complete(_facts(before, rates), _facts(after, rates))
    names = list(FACTORS)
    total = after.cost_usd - before.cost_usd

    def value(changed: frozenset[str]) -> Decimal:
        return _cost({name: now if name in changed else was for name in names})

    parts = round_to_sum(shapley_parts(names, value), total, _STEP)
    return CostChange(
        before_usd=before.cost_usd,
        after_usd=after.cost_usd,
        parts={factor: parts[factor] for factor in FACTORS},
        segments=_by_segment(before, after),
        unpriced_before=before.unpriced,
        unpriced_after=after.unpriced,
    )


def _by_segment(before: Period, after: Period) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for period, sign in ((before, -1), (after, 1)):
        for row in period.attempts:
            found[row.segment] = found.get(row.segment, _ZERO) + sign * row.cost_usd
    return dict(sorted(found.items(), key=lambda item: (-abs(item[1]), item[0])))


def _facts(period: Period, rates: Rates) -> _Facts:
    hits = {row.segment: row.cache_hits for row in period.calls}
    calls = {row.segment: row.calls for row in period.calls}
    rows: dict[str, list[SegmentAttempts]] = {}
    for row in period.attempts:
        rows.setdefault(row.segment, []).append(row)
        # Attempts may begin in a period to which their call does not belong.
        calls.setdefault(row.segment, 0)
    counted = {name: max(count, 1 if rows.get(name) else 0) for name, count in calls.items()}
    total = sum(counted.values())
    segments = {
        name: _segment(count, total, hits.get(name, 0), rows.get(name, ()), rates, period.since_ns)
        for name, count in counted.items()
        if count
    }
    return _Facts(Decimal(total), segments)


def _segment(
    calls: int, total: int, hits: int, rows: Sequence[SegmentAttempts], rates: Rates, time_ns: int
) -> _Segment:
    attempts = sum(row.attempts for row in rows)
    asked = max(calls - hits, 1 if attempts else 0)
    by_model: dict[str, list[SegmentAttempts]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
    return _Segment(
        share=_divide(calls, total),
        asked=_divide(asked, calls),
        attempts=_divide(attempts, asked),
        uses={model: _use(found, attempts, rates, time_ns) for model, found in by_model.items() if _count(found)},
    )


def _use(rows: Sequence[SegmentAttempts], attempts: int, rates: Rates, time_ns: int) -> _Use:
    count = _count(rows)
    tokens = {bucket: sum(row.tokens.get(bucket, 0) for row in rows) for bucket in BUCKETS}
    cost = sum((row.cost_usd for row in rows), _ZERO)
    listed = [rates.rates(row.model, row.price_digest, time_ns) for row in rows]
    known = [(row, found) for row, found in zip(rows, listed, strict=True) if found is not None]
    if len(known) < len(rows):
        return _blended(count, attempts, sum(tokens.values()), cost)
    list_cost = {
        bucket: sum((row.tokens.get(bucket, 0) * found.get(bucket, _ZERO) for row, found in known), _ZERO)
        for bucket in BUCKETS
    }
    listed_total = sum(list_cost.values(), _ZERO)
    if not listed_total:
        return _blended(count, attempts, sum(tokens.values()), cost)
    # What was paid may differ from the list, e.g. by tiers: the price takes that up, so that the product is the cost.
    paid = _CONTEXT.divide(cost, listed_total)
    used = [bucket for bucket in BUCKETS if tokens[bucket]]
    return _Use(
        share=_divide(count, attempts),
        tokens={bucket: _divide(tokens[bucket], count) for bucket in used},
        prices={
            bucket: _CONTEXT.multiply(_CONTEXT.divide(list_cost[bucket], Decimal(tokens[bucket])), paid)
            for bucket in used
        },
    )


def _blended(count: int, attempts: int, tokens: int, cost: Decimal) -> _Use:
    # Without tokens the price is one of an attempt.
    units = tokens or count
    return _Use(
        share=_divide(count, attempts),
        tokens={_BLENDED: _divide(units, count)},
        prices={_BLENDED: _CONTEXT.divide(cost, Decimal(units))},
    )


def _complete(was: _Facts, now: _Facts) -> tuple[_Facts, _Facts]:
    """Return both with the same segments and models, each with what it lacks from the other one."""
    if not was.segments or not now.segments:
        # Nothing happened in one of them: all is due to the calls.
        segments = was.segments or now.segments
        return _Facts(was.calls, segments), _Facts(now.calls, segments)
    names = was.segments.keys() | now.segments.keys()
    pairs = {name: _completed(was.segments.get(name), now.segments.get(name)) for name in sorted(names)}
    return (
        _Facts(was.calls, {name: pair[0] for name, pair in pairs.items()}),
        _Facts(now.calls, {name: pair[1] for name, pair in pairs.items()}),
    )


def _completed(was: _Segment | None, now: _Segment | None) -> tuple[_Segment, _Segment]:
    if was is None or now is None:
        known = was or now
        assert known is not None
        absent = _Segment(_ZERO, known.asked, known.attempts, known.uses)
        return (absent, known) if was is None else (known, absent)
    first, second = _same_uses(was.uses, now.uses)
    return (
        _Segment(was.share, was.asked, was.attempts or now.attempts, first),
        _Segment(now.share, now.asked, now.attempts or was.attempts, second),
    )


def _same_uses(was: Mapping[str, _Use], now: Mapping[str, _Use]) -> tuple[dict[str, _Use], dict[str, _Use]]:
    if not was or not now:
        return dict(was or now), dict(was or now)
    first: dict[str, _Use] = {}
    second: dict[str, _Use] = {}
    for model in sorted(was.keys() | now.keys()):
        old, new = was.get(model), now.get(model)
        if old is None or new is None:
            known = old or new
            assert known is not None
            absent = _Use(_ZERO, known.tokens, known.prices)
            first[model], second[model] = (absent, known) if old is None else (known, absent)
        else:
            first[model], second[model] = _same_buckets(old, new)
    return first, second


def _same_buckets(old: _Use, new: _Use) -> tuple[_Use, _Use]:
    if (_BLENDED in old.tokens) != (_BLENDED in new.tokens):
        old, new = _blend(old), _blend(new)
    return (
        _Use(old.share, _filled(old.tokens, new.tokens), {**new.prices, **old.prices}),
        _Use(new.share, _filled(new.tokens, old.tokens), {**old.prices, **new.prices}),
    )


def _filled(tokens: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {**dict.fromkeys(other, _ZERO), **tokens}


def _blend(use: _Use) -> _Use:
    units = sum(use.tokens.values(), _ZERO)
    cost = sum((tokens * use.prices[bucket] for bucket, tokens in use.tokens.items()), _ZERO)
    return _Use(use.share, {_BLENDED: units}, {_BLENDED: _CONTEXT.divide(cost, units) if units else _ZERO})


def _cost(states: Mapping[Factor, _Facts]) -> Decimal:
    total = _ZERO
    for name, mix in states["mix"].segments.items():
        uses = states["models"].segments[name].uses
        each = _ZERO
        for model, use in uses.items():
            tokens = states["tokens"].segments[name].uses[model].tokens
            prices = states["price"].segments[name].uses[model].prices
            unit = _ZERO
            for bucket, count in tokens.items():
                unit = _CONTEXT.fma(count, prices[bucket], unit)
            each = _CONTEXT.fma(use.share, unit, each)
        for factor in (
            states["retries"].segments[name].attempts,
            states["cache"].segments[name].asked,
            mix.share,
            states["calls"].calls,
        ):
            each = _CONTEXT.multiply(each, factor)
        total = _CONTEXT.add(total, each)
    return total


def _count(rows: Sequence[SegmentAttempts]) -> int:
    return sum(row.attempts for row in rows)


def _divide(part: int, whole: int) -> Decimal:
    return _CONTEXT.divide(Decimal(part), Decimal(whole)) if whole else _ZERO
