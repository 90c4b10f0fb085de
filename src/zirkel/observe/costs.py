"""What was spent, and why it changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol

from zirkel.core import Clock, Invalid, Principal, Role, iso_utc
from zirkel.observe.cost_changes import (
    CostChange,
    Factor,
    Period,
    SegmentAttempts,
    SegmentCalls,
    explain_change,
)
from zirkel.observe.price_book import PriceBook

Segmentation = Literal["service", "environment", "release", "arm", "user", "key", "session", "prompt"]
SEGMENTATIONS: tuple[Segmentation, ...] = (
    "service", "environment", "release", "arm", "user", "key", "session", "prompt",
)  # fmt: skip
MOST_SEGMENTS = 40
"""More are put together as ``(others)``, the smallest ones."""
OTHERS = "(others)"
_LONGEST_NS = 400 * 86_400 * 10**9


class CostReader(Protocol):
    """Sums of stored telemetry."""

    def calls(
        self, project_id: str, by: Segmentation, since_ns: int, until_ns: int, *, service: str = ""
    ) -> Sequence[SegmentCalls]: ...
    def attempts(
        self, project_id: str, by: Segmentation, since_ns: int, until_ns: int, *, service: str = ""
    ) -> Sequence[SegmentAttempts]: ...


class PriceBooks(Protocol):
    """The prices of projects."""

    def book(self, project_id: str) -> PriceBook: ...


class BookRates:
    """Flat prices of one project's book."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book

    def rates(self, model: str, price_digest: str, time_ns: int) -> Mapping[str, Decimal] | None:
        """Return USD per token by bucket; ``None`` if the table is not known any more, has tiers or several prices."""
        found = [prices for prices in self._book.prices(model, time_ns) if prices.table_digest == price_digest]
        if not found or any(prices.buckets != found[0].buckets for prices in found):
            return None
        buckets = found[0].buckets
        if any(len(tiers) > 1 for tiers in buckets.values()):
            return None
        return {f"{bucket}_tokens": tiers[0].usd_per_million / 1_000_000 for bucket, tiers in buckets.items() if tiers}


@dataclass(frozen=True, slots=True)
class ExplainedCost:
    """Why what was spent since a moment is not what was spent in the time before it."""

    by: Segmentation
    before_since: str
    since: str
    until: str
    before_usd: Decimal
    after_usd: Decimal
    change_usd: Decimal
    parts: Mapping[Factor, Decimal]
    """They sum to ``change_usd`` exactly."""
    segments: Mapping[str, Decimal]
    """So do these."""
    calls_before: int
    calls_after: int
    unpriced_before: int
    """Attempts of unknown cost, which no figure here has."""
    unpriced_after: int


class Costs:
    """Explains costs."""

    def __init__(self, reader: CostReader, prices: PriceBooks, clock: Clock) -> None:
        self._reader = reader
        self._prices = prices
        self._clock = clock

    def explain(
        self,
        actor: Principal,
        *,
        by: str = "service",
        since_ns: int,
        until_ns: int | None = None,
        before_since_ns: int | None = None,
        service: str = "",
    ) -> ExplainedCost:
        """Return why the cost of ``[since, until)`` differs from that of ``[before_since, since)``.

        Args:
            actor: Needs the role read.
            by: What the traffic is told apart by; one of ``SEGMENTATIONS``.
            since_ns: Where the second period begins and the first ends, UTC nanoseconds.
            until_ns: Where the second one ends; now if ``None``.
            before_since_ns: Where the first one begins; ``None`` makes it as long as the second.
            service: Only this service's calls; all if empty.

        Raises:
            Invalid: If ``by`` is not known, or a period is empty or longer than 400 days.
        """
        actor.require(Role.READ)
        until_ns = self._clock.now_ns() + 1 if until_ns is None else until_ns
        before_ns = 2 * since_ns - until_ns if before_since_ns is None else before_since_ns
        if not 0 <= before_ns < since_ns < until_ns or until_ns - before_ns > _LONGEST_NS:
            raise Invalid("a period of costs begins before it ends, and both span 400 days at most", path="since")
        chosen = next((known for known in SEGMENTATIONS if known == by), None)
        if chosen is None:
            raise Invalid(f"costs are told apart by {', '.join(SEGMENTATIONS)}, not by {by[:40]!r}", path="by")
        before = self._period(actor.project_id, chosen, before_ns, since_ns, service)
        after = self._period(actor.project_id, chosen, since_ns, until_ns, service)
        before, after = _put_together(before, after)
        change = explain_change(before, after, BookRates(self._prices.book(actor.project_id)))
        return _explained(chosen, before, after, change)

    def _period(self, project_id: str, by: Segmentation, since_ns: int, until_ns: int, service: str) -> Period:
        return Period(
            since_ns,
            until_ns,
            self._reader.calls(project_id, by, since_ns, until_ns, service=service),
            self._reader.attempts(project_id, by, since_ns, until_ns, service=service),
        )


def _explained(by: Segmentation, before: Period, after: Period, change: CostChange) -> ExplainedCost:
    return ExplainedCost(
        by=by,
        before_since=iso_utc(before.since_ns),
        since=iso_utc(after.since_ns),
        until=iso_utc(after.until_ns),
        before_usd=change.before_usd,
        after_usd=change.after_usd,
        change_usd=change.after_usd - change.before_usd,
        parts=change.parts,
        segments=change.segments,
        calls_before=sum(row.calls for row in before.calls),
        calls_after=sum(row.calls for row in after.calls),
        unpriced_before=change.unpriced_before,
        unpriced_after=change.unpriced_after,
    )


@dataclass(frozen=True, slots=True)
class _Calls:
    segment: str
    calls: int
    cache_hits: int


@dataclass(frozen=True, slots=True)
class _Attempts:
    segment: str
    model: str
    price_digest: str
    attempts: int
    unpriced: int
    cost_usd: Decimal
    tokens: Mapping[str, int]


def _put_together(before: Period, after: Period) -> tuple[Period, Period]:
    """Return both periods with the dearest segments, and all others as one."""
    costs: dict[str, Decimal] = {}
    for row in (*before.attempts, *after.attempts):
        costs[row.segment] = costs.get(row.segment, Decimal(0)) + row.cost_usd
    kept = set(sorted(costs, key=lambda name: (-costs[name], name))[:MOST_SEGMENTS])
    return _with_others(before, kept), _with_others(after, kept)


def _with_others(period: Period, kept: set[str]) -> Period:
    def name(segment: str) -> str:
        return segment if segment in kept else OTHERS

    calls: dict[str, _Calls] = {}
    for row in period.calls:
        known = calls.get(name(row.segment), _Calls(name(row.segment), 0, 0))
        calls[known.segment] = _Calls(known.segment, known.calls + row.calls, known.cache_hits + row.cache_hits)
    attempts = [
        _Attempts(
            name(row.segment), row.model, row.price_digest, row.attempts, row.unpriced, row.cost_usd, row.tokens
        )
        for row in period.attempts
    ]  # fmt: skip
    return Period(period.since_ns, period.until_ns, list(calls.values()), attempts)
