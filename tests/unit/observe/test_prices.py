"""Which price is in force, and what is unknown."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import data_snapshot
from genai_prices.types import TieredPrices
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from zirkel.core import PriceSpec, PricesSpec
from zirkel.observe import ModelPrices, common_prices, own_prices

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def line(effective: str, usd: str, model: str = "local/small") -> PriceSpec:
    return PriceSpec(model=model, effective=effective, input=usd, output="9")


def base(prices: ModelPrices | None, bucket: str) -> Decimal | None:
    """Return the price from the first token on."""
    assert prices is not None
    tiers = prices.buckets.get(bucket)
    return tiers[0].usd_per_million if tiers else None


@pytest.mark.parametrize("order", [1, -1])
def test_the_newest_price_in_force_holds_wherever_it_is_in_the_table(order: int) -> None:
    lines = [line("2025-01-01", "1"), line("2026-02-01", "2"), line("2026-03-02", "3")]
    assert base(own_prices(PricesSpec(price=lines[::order]), "local/small", NOW), "input") == 2


def test_a_price_is_in_force_from_the_beginning_of_its_day_in_utc() -> None:
    table = PricesSpec(price=[line("2026-03-01", "1")])
    assert own_prices(table, "local/small", datetime(2026, 3, 1, tzinfo=UTC)) is not None
    assert own_prices(table, "local/small", datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)) is None


def test_a_model_that_is_not_in_the_table_has_no_price() -> None:
    table = PricesSpec(price=[line("2025-01-01", "1")])
    assert own_prices(table, "local/large", NOW) is None
    assert own_prices(table, "elsewhere/small", NOW) is None
    assert own_prices(PricesSpec(price=[]), "local/small", NOW) is None


def test_cache_costs_what_input_does_and_reasoning_what_output_does_unless_the_table_says_otherwise() -> None:
    plain = PriceSpec(model="local/small", effective="2025-01-01", input="1", output="2")
    full = replace(plain, cache_read="0.1", cache_write="1.25", reasoning="3")
    found = [own_prices(PricesSpec(price=[price]), "local/small", NOW) for price in (plain, full)]
    for bucket, default, own in (("cache_read", "1", "0.1"), ("cache_write", "1", "1.25"), ("reasoning", "2", "3")):
        assert [base(prices, bucket) for prices in found] == [Decimal(default), Decimal(own)]


def test_a_price_of_0_is_a_price() -> None:
    free = PriceSpec(model="local/small", effective="2025-01-01", input="1", cache_read="0", output="0")
    found = own_prices(PricesSpec(price=[free]), "local/small", NOW)
    assert [base(found, bucket) for bucket in ("cache_read", "output", "reasoning")] == [0, 0, 0]


def test_a_price_that_is_left_out_is_unknown() -> None:
    found = own_prices(
        PricesSpec(price=[PriceSpec(model="local/small", effective="2025-01-01", input="1")]), "local/small", NOW
    )
    assert found is not None
    assert set(found.buckets) == {"input", "cache_read", "cache_write"}


@pytest.mark.parametrize("text", ["", "cheap", "-1", "NaN", "Infinity", "0,15"])
def test_what_is_no_price_is_unknown(text: str) -> None:
    found = own_prices(PricesSpec(price=[line("2025-01-01", text)]), "local/small", NOW)
    assert base(found, "input") is None
    assert base(found, "output") == 9


@given(st.decimals(0, 10**6, allow_nan=False, places=9))
def test_a_price_is_taken_exactly(usd: Decimal) -> None:
    assert base(own_prices(PricesSpec(price=[line("2025-01-01", str(usd))]), "local/small", NOW), "input") == usd


def test_the_digest_is_the_tables_and_changes_with_it() -> None:
    table = [line("2025-01-01", "1"), line("2025-01-01", "5", "local/large")]
    small, large = (own_prices(PricesSpec(price=table), f"local/{size}", NOW) for size in ("small", "large"))
    changed = own_prices(PricesSpec(price=[table[0], line("2025-01-01", "6", "local/large")]), "local/small", NOW)
    assert small is not None
    assert large is not None
    assert changed is not None
    assert small.table_digest == large.table_digest != changed.table_digest
    assert small.buckets == changed.buckets


def test_a_common_price_needs_the_providers_own_name() -> None:
    assert base(common_prices("openai/gpt-4o", NOW), "input") == Decimal("2.5")


@pytest.mark.parametrize(
    "model",
    [
        "local/gpt-4o",
        "fake-openai/gpt-4o",
        "openai-eu/gpt-4o",
        "litellm/gpt-4o",
        "litellm/openai/gpt-4o",
        "anthropic/gpt-4o",
        "openai/no-such-model",
        "gpt-4o",
        "/gpt-4o",
        "openai/",
        "",
    ],
)
def test_a_common_price_is_not_guessed(model: str) -> None:
    assert common_prices(model, NOW) is None


def test_common_reasoning_costs_what_output_does_and_an_unlisted_bucket_is_unknown() -> None:
    found = common_prices("openai/gpt-4o", NOW)
    assert found is not None
    assert found.buckets["reasoning"] == found.buckets["output"]
    assert "cache_write" not in found.buckets


def test_a_tier_begins_after_the_number_of_tokens_that_the_common_table_names() -> None:
    model = "anthropic/claude-sonnet-4-5"
    _, info = data_snapshot.get_snapshot().find_provider_model("claude-sonnet-4-5", None, "anthropic", None)
    listed = info.get_prices(NOW).input_mtok
    assert isinstance(listed, TieredPrices)
    found = common_prices(model, NOW)
    assert found is not None
    expected = [(0, listed.base), *((tier.start + 1, tier.price) for tier in listed.tiers)]
    assert [(tier.from_input_tokens, tier.usd_per_million) for tier in found.buckets["input"]] == expected
    assert len(expected) > 1


def test_common_digests_differ_between_models_and_are_repeatable() -> None:
    models = ["openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-4o"]
    digests = [found.table_digest for model in models if (found := common_prices(model, NOW))]
    assert len(digests) == 3
    assert digests[0] == digests[2] != digests[1]
