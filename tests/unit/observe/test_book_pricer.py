from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import PriceSpec, Usage
from zirkel.gateway.pricing import price_usage
from zirkel.gateway.snapshot import ModelPrice, PriceTier
from zirkel.observe import ModelPrices, PriceBook, PriceShelf, Tier
from zirkel.observe.book_pricer import BookPricer, usage_cost
from zirkel.observe.prices import day_ns

NOW_NS = day_ns("2026-06-01") or 0
BUCKETS = ("input", "cache_read", "output", "reasoning")


@dataclass
class Books:
    lines: list[PriceSpec]
    kept: dict[str, PriceBook] = field(default_factory=dict)

    def book(self, project_id: str) -> PriceBook:
        return self.kept.setdefault(project_id, PriceBook(PriceShelf(), self.lines))


def line(model: str, effective: str, usd: str) -> PriceSpec:
    return PriceSpec(model=model, effective=effective, input=usd, output=usd)


USED = Usage(input_tokens=600_000, output_tokens=400_000)


def test_a_call_costs_what_held_when_it_began() -> None:
    lines = [line("openai/own-1", "2026-01-01", "1"), line("openai/own-1", "2026-06-01", "3")]
    pricer = BookPricer(Books(lines))
    before, _ = pricer.price("p", "openai", "own-1", NOW_NS - 1, USED)
    after, digest = pricer.price("p", "openai", "own-1", NOW_NS, USED)
    assert (before, after, len(digest)) == (Decimal(1), Decimal(3), 64)


@pytest.mark.parametrize(
    ("provider", "upstream"),
    [("aws.bedrock", "aws"), ("gcp.gemini", "google"), ("mistral_ai", "mistral"), ("my-own", "my-own")],
)
def test_providers_are_found_under_the_names_of_price_tables(provider: str, upstream: str) -> None:
    pricer = BookPricer(Books([line(f"{upstream}/own-1", "2026-01-01", "1")]))
    assert pricer.price("p", provider, "own-1", NOW_NS, USED)[0] == Decimal(1)


def test_the_common_table_knows_dated_models() -> None:
    cost, digest = BookPricer(Books([])).price("p", "openai", "gpt-4o-mini-2024-07-18", NOW_NS, USED)
    assert cost is not None
    assert (cost > 0, bool(digest)) == (True, True)


def test_what_is_not_known_stays_unknown() -> None:
    pricer = BookPricer(Books([]))
    assert pricer.price("p", "openai", "no-such-model", NOW_NS, USED) == (None, "")
    assert pricer.price("p", "", "gpt-4o-mini", NOW_NS, USED) == (None, "")
    assert pricer.price("p", "openai", "gpt-4o-mini", NOW_NS, Usage(input_tokens=1)) == (None, "")


def test_new_prices_count_from_the_next_span_on() -> None:
    books = Books([line("openai/own-1", "2026-01-01", "1")])
    pricer = BookPricer(books)
    assert pricer.price("p", "openai", "own-1", NOW_NS, USED)[0] == Decimal(1)
    books.kept["p"] = PriceBook(PriceShelf(), [line("openai/own-1", "2026-01-01", "2")])
    assert pricer.price("p", "openai", "own-1", NOW_NS, USED)[0] == Decimal(2)


USD = st.decimals(0, 100, places=4)
TIERS = st.lists(st.tuples(st.integers(0, 50), USD), max_size=3, unique_by=lambda tier: tier[0])
COUNTS = st.none() | st.integers(0, 60)


@given(st.fixed_dictionaries({bucket: TIERS for bucket in BUCKETS}), st.lists(COUNTS, min_size=4, max_size=4))
def test_the_cost_is_the_gateways(tiers: dict[str, list[tuple[int, Decimal]]], counts: list[int | None]) -> None:
    usage = Usage(
        input_tokens=counts[0], cache_read_tokens=counts[1], output_tokens=counts[2], reasoning_tokens=counts[3]
    )
    ours = ModelPrices({name: tuple(Tier(*tier) for tier in found) for name, found in tiers.items()}, "d", "test")
    theirs = {name: [PriceTier(start, str(usd)) for start, usd in found] for name, found in tiers.items()}
    price = ModelPrice(
        input=theirs["input"], cache_read=theirs["cache_read"], output=theirs["output"], reasoning=theirs["reasoning"]
    )
    assert usage_cost(usage, ours) == price_usage(price, usage)
