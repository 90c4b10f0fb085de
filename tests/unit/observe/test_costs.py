"""The service that explains costs: which periods it takes, what it reads, and how segments are put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from zirkel.core import Forbidden, Invalid, ManualClock, PriceSpec, Principal, Role
from zirkel.observe.cost_changes import SegmentAttempts, SegmentCalls
from zirkel.observe.costs import MOST_SEGMENTS, OTHERS, SEGMENTATIONS, BookRates, Costs, ExplainedCost, Segmentation
from zirkel.observe.price_book import PriceBook, PriceShelf

READER = Principal("p1", "k1", "reader", frozenset({Role.READ}))
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Calls:
    segment: str
    calls: int
    cache_hits: int = 0


@dataclass(frozen=True)
class Attempts:
    segment: str
    cost_usd: Decimal
    model: str = "local/m"
    price_digest: str = ""
    attempts: int = 1
    unpriced: int = 0
    tokens: Mapping[str, int] = field(default_factory=lambda: {"input_tokens": 10})


@dataclass
class Sums:
    """Sums by the beginning of the period, and what was asked."""

    spent: dict[int, Mapping[str, Decimal]] = field(default_factory=dict)
    asked: list[tuple[str, Segmentation, int, int, str]] = field(default_factory=list)

    def calls(
        self, project_id: str, by: Segmentation, since_ns: int, until_ns: int, *, service: str = ""
    ) -> Sequence[SegmentCalls]:
        self.asked.append((project_id, by, since_ns, until_ns, service))
        return [Calls(segment, 1) for segment in self.spent.get(since_ns, {})]

    def attempts(
        self, project_id: str, by: Segmentation, since_ns: int, until_ns: int, *, service: str = ""
    ) -> Sequence[SegmentAttempts]:
        return [Attempts(segment, usd) for segment, usd in self.spent.get(since_ns, {}).items()]


class Books:
    """The common prices."""

    def book(self, project_id: str) -> PriceBook:
        return PriceBook(PriceShelf())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sums() -> Sums:
    return Sums()


@pytest.fixture
def costs(sums: Sums, clock: ManualClock) -> Costs:
    return Costs(sums, Books(), clock)


def check(found: ExplainedCost) -> ExplainedCost:
    assert sum(found.parts.values()) == found.change_usd == found.after_usd - found.before_usd
    assert sum(found.segments.values()) == found.change_usd
    return found


def test_the_time_before_is_as_long_as_the_time_after_if_it_is_not_given(
    costs: Costs, sums: Sums, clock: ManualClock
) -> None:
    now_ns = clock.now_ns()
    costs.explain(READER, since_ns=now_ns - DAY_NS, service="triage")
    (_, _, before_ns, middle_ns, _), (project_id, by, since_ns, until_ns, service) = sums.asked
    assert (project_id, by, service) == ("p1", "service", "triage")
    assert middle_ns == since_ns == now_ns - DAY_NS
    assert until_ns == now_ns + 1
    assert since_ns - before_ns == until_ns - since_ns


@pytest.mark.parametrize(
    ("before_days", "since_days", "until_days"),
    [(2, 1, 1), (2, 1, 2), (1, 1, 0), (1, 2, 0), (500, 1, 0), (None, 300, 0), (None, -1, None)],
)
def test_periods_that_are_empty_turned_around_or_too_long_are_refused(
    costs: Costs, clock: ManualClock, before_days: int | None, since_days: int, until_days: int | None
) -> None:
    now_ns = clock.now_ns()
    with pytest.raises(Invalid, match="period"):
        costs.explain(
            READER,
            since_ns=now_ns - since_days * DAY_NS,
            until_ns=None if until_days is None else now_ns - until_days * DAY_NS,
            before_since_ns=None if before_days is None else now_ns - before_days * DAY_NS,
        )


def test_what_costs_cannot_be_told_apart_by_is_named(costs: Costs, clock: ManualClock) -> None:
    for by in ("model", "", "user_id", "SERVICE"):
        with pytest.raises(Invalid, match="told apart by service"):
            costs.explain(READER, by=by, since_ns=clock.now_ns() - DAY_NS)
    for by in SEGMENTATIONS:
        assert check(costs.explain(READER, by=by, since_ns=clock.now_ns() - DAY_NS)).by == by


def test_whoever_may_not_read_learns_nothing(costs: Costs, clock: ManualClock) -> None:
    for role in (Role.INGEST, Role.CALL, Role.FEEDBACK):
        with pytest.raises(Forbidden):
            costs.explain(Principal("p1", "k", "x", frozenset({role})), since_ns=clock.now_ns() - DAY_NS)


def test_the_dearest_segments_are_kept_and_the_others_are_one(costs: Costs, sums: Sums, clock: ManualClock) -> None:
    since_ns = clock.now_ns() - DAY_NS
    sums.spent = {since_ns: {f"user {number}": Decimal(number) for number in range(1, 101)}}
    found = check(costs.explain(READER, by="user", since_ns=since_ns))
    assert len(found.segments) == MOST_SEGMENTS + 1
    assert found.segments[OTHERS] == sum(range(1, 101 - MOST_SEGMENTS))
    assert "user 100" in found.segments
    assert found.calls_after == 100
    assert found.after_usd == 5050


def test_rates_are_those_of_the_table_that_was_used() -> None:
    line = PriceSpec(model="local/m", effective="2026-01-01", input="2", output="8")
    book = PriceBook(PriceShelf(), [line])
    (prices,) = book.prices("local/m", 0)
    rates = BookRates(book)
    assert rates.rates("local/m", "another", 0) is None
    assert rates.rates("local/other", prices.table_digest, 0) is None
    found = rates.rates("local/m", prices.table_digest, 0)
    assert found is not None
    assert (found["input_tokens"], found["output_tokens"]) == (Decimal("0.000002"), Decimal("0.000008"))
