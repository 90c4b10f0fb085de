from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Usage
from zirkel.gateway import ModelPrice, PriceTier, price_usage
from zirkel.gateway.pricing import format_usd

prices = st.decimals(0, 1000, places=12).map(str)
counts = st.integers(0, 10**9)
FLAT = ModelPrice(input=[PriceTier(0, "3")], output=[PriceTier(0, "15")])


@given(prices, prices, prices, prices, prices, counts, counts, counts, counts, counts)
def test_a_cost_is_the_exact_sum_of_the_buckets(
    p1: str, p2: str, p3: str, p4: str, p5: str, t1: int, t2: int, t3: int, t4: int, t5: int
) -> None:
    tiers = [[PriceTier(0, p)] for p in (p1, p2, p3, p4, p5)]
    price = ModelPrice(tiers[0], tiers[1], tiers[2], tiers[3], tiers[4])
    cost = price_usage(price, Usage(t1, t2, t3, t4, t5))

    pairs = zip((p1, p2, p3, p4, p5), (t1, t2, t3, t4, t5), strict=True)
    assert cost is not None
    assert Fraction(cost) == sum(Fraction(p) * t for p, t in pairs) / 1_000_000
    assert Decimal(format_usd(cost)) == cost


def test_a_published_example() -> None:
    """10,000 input tokens at 3 USD and 2,000 output tokens at 15 USD a million are 6 cents."""
    assert price_usage(FLAT, Usage(input_tokens=10_000, output_tokens=2_000)) == Decimal("0.06")


@pytest.mark.parametrize(("cached", "usd"), [(99_999, "0.2"), (100_000, "0.3")])
def test_the_tier_follows_the_total_input_cached_tokens_included(cached: int, usd: str) -> None:
    price = ModelPrice(
        input=[PriceTier(200_000, "3"), PriceTier(0, "2")], cache_read=[PriceTier(0, "0")], output=[PriceTier(0, "1")]
    )
    usage = Usage(input_tokens=100_000, cache_read_tokens=cached, output_tokens=0)

    assert price_usage(price, usage) == Decimal(usd)


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(input_tokens=1),
        Usage(output_tokens=1),
        Usage(input_tokens=1, output_tokens=1, cache_read_tokens=1),
        Usage(input_tokens=1, output_tokens=1, reasoning_tokens=1),
    ],
)
def test_a_cost_is_unknown_if_usage_or_a_used_buckets_price_is(usage: Usage) -> None:
    assert price_usage(FLAT, usage) is None


def test_a_bucket_that_was_not_used_needs_no_price() -> None:
    usage = Usage(input_tokens=0, cache_read_tokens=0, output_tokens=0, reasoning_tokens=0)

    assert price_usage(FLAT, usage) == 0
    assert price_usage(ModelPrice(), usage) == 0
    assert price_usage(None, usage) is None


def test_a_size_below_the_first_tier_has_no_price() -> None:
    price = ModelPrice(input=[PriceTier(10, "1")], output=[PriceTier(10, "1")])

    assert price_usage(price, Usage(input_tokens=9, output_tokens=1)) is None


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity", "-1"])
def test_a_price_that_is_no_amount_is_refused_with_the_snapshot(text: str) -> None:
    with pytest.raises(ValueError, match="usd_per_million"):
        PriceTier(0, text)
    with pytest.raises(msgspec.ValidationError, match="usd_per_million"):
        msgspec.json.decode(msgspec.json.encode({"from_input_tokens": 0, "usd_per_million": text}), type=PriceTier)


@pytest.mark.parametrize(
    ("cost", "text"), [("0.000260", "0.00026"), ("100", "100"), ("0E-6", "0"), ("1E-9", "0.000000001")]
)
def test_a_cost_is_written_as_a_plain_decimal(cost: str, text: str) -> None:
    assert format_usd(Decimal(cost)) == text
