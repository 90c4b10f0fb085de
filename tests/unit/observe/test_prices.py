"""Which price is in force, which source counts, and what is unknown."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from zirkel.core import PriceSpec
from zirkel.observe import ModelPrices, Tier
from zirkel.observe.prices import combine_prices, day_ns, own_prices, provider_name

DAY_NS = 86_400 * 10**9
NOW_NS = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 10**9


def line(effective: str, usd: str, model: str = "local/small") -> PriceSpec:
    return PriceSpec(model=model, effective=effective, input=usd, output="9")


def dated(start: int, usd: int = 1, source: str = "a") -> ModelPrices:
    return ModelPrices({"input": (Tier(0, Decimal(usd)),)}, "d", source, start)


def base(prices: ModelPrices, bucket: str) -> Decimal | None:
    """Return the price from the first token on."""
    tiers = prices.buckets.get(bucket)
    return tiers[0].usd_per_million if tiers else None


@pytest.mark.parametrize("order", [1, -1])
def test_an_own_tables_prices_are_given_newest_first_with_their_days(order: int) -> None:
    lines = [line("2025-01-01", "1"), line("2026-02-01", "2"), line("2026-03-02", "3")]
    found = own_prices(lines[::order], "local/small", "mine")
    assert [base(prices, "input") for prices in found] == [3, 2, 1]
    days = ["2026-03-02", "2026-02-01", "2025-01-01"]
    assert [prices.effective_ns for prices in found] == [day_ns(day) for day in days]
    assert {prices.source for prices in found} == {"mine"}


def test_a_day_begins_at_midnight_in_utc() -> None:
    assert day_ns("1970-01-02") == DAY_NS
    assert day_ns("2026-02-30") is None


def test_a_model_that_is_not_in_the_table_has_no_price() -> None:
    table = [line("2025-01-01", "1")]
    assert own_prices(table, "local/large", "") == own_prices(table, "elsewhere/small", "") == ()
    assert own_prices([], "local/small", "") == ()


def test_a_line_of_a_day_that_does_not_exist_keeps_the_others() -> None:
    found = own_prices([line("2026-02-30", "5"), line("2026-01-01", "1")], "local/small", "")
    assert [base(prices, "input") for prices in found] == [1]


def test_tokens_without_a_price_of_their_own_cost_what_the_table_says_of_their_like() -> None:
    plain = PriceSpec(model="local/small", effective="2025-01-01", input="1", output="2")
    own = replace(plain, cache_read="0.1", cache_write="1.25", cache_write_1h="2", input_image="4", reasoning="3")
    (default,), (said,) = (own_prices([price], "local/small", "") for price in (plain, own))
    expected = [
        ("cache_read", "1", "0.1"),
        ("cache_write", "1", "1.25"),
        ("cache_write_1h", "1", "2"),
        ("input_image", "1", "4"),
        ("reasoning", "2", "3"),
    ]
    for bucket, alike, told in expected:
        assert (base(default, bucket), base(said, bucket)) == (Decimal(alike), Decimal(told)), bucket


def test_what_is_kept_for_an_hour_is_unknown_where_only_the_short_time_is_told() -> None:
    price = PriceSpec(model="local/small", effective="2025-01-01", input="1", cache_write="1.25", output="2")
    (found,) = own_prices([price], "local/small", "")
    assert base(found, "cache_write_1h") is None


def test_audio_has_no_price_but_its_own() -> None:
    price = PriceSpec(model="local/small", effective="2025-01-01", input="1", output="2", output_audio="80")
    (found,) = own_prices([price], "local/small", "")
    assert [base(found, "input_audio"), base(found, "output_audio")] == [None, 80]


def test_a_price_of_0_is_a_price() -> None:
    free = PriceSpec(model="local/small", effective="2025-01-01", input="1", cache_read="0", output="0")
    (found,) = own_prices([free], "local/small", "")
    assert [base(found, bucket) for bucket in ("cache_read", "output", "reasoning")] == [0, 0, 0]


@pytest.mark.parametrize("text", ["", "cheap", "-1", "NaN", "Infinity", "0,15"])
def test_what_is_no_price_is_unknown(text: str) -> None:
    (found,) = own_prices([line("2025-01-01", text)], "local/small", "")
    assert [base(found, "input"), base(found, "output")] == [None, 9]


@given(st.decimals(0, 10**6, allow_nan=False, places=9))
def test_a_price_is_taken_exactly(usd: Decimal) -> None:
    (found,) = own_prices([line("2025-01-01", str(usd))], "local/small", "")
    assert base(found, "input") == usd


def test_the_digest_is_the_tables_and_changes_with_it() -> None:
    table = [line("2025-01-01", "1"), line("2025-01-01", "5", "local/large")]
    (small,), (large,) = (own_prices(table, f"local/{size}", "") for size in ("small", "large"))
    (changed,) = own_prices([table[0], line("2025-01-01", "6", "local/large")], "local/small", "")
    assert small.table_digest == large.table_digest != changed.table_digest
    assert small.buckets == changed.buckets


def test_the_first_source_that_knows_the_model_counts() -> None:
    assert combine_prices([[], [dated(5, source="b")], [dated(9, source="c")]], 10) == (dated(5, source="b"),)


def test_until_a_sources_first_day_the_next_one_counts() -> None:
    found = combine_prices([[dated(30), dated(20)], [dated(25, source="b"), dated(15, source="b"), dated(1)]], 16)
    assert [(prices.effective_ns, prices.source) for prices in found] == [(30, "a"), (20, "a"), (15, "b")]


@given(
    st.lists(st.lists(st.integers(0, 40), unique=True, max_size=5), max_size=4),
    st.integers(0, 40),
    st.integers(0, 30),
)
def test_at_every_moment_the_combined_price_is_the_first_sources_that_has_begun(
    starts: list[list[int]], now_ns: int, later: int
) -> None:
    sources = [
        [dated(start, index, str(index)) for start in sorted(group, reverse=True)] for index, group in enumerate(starts)
    ]
    found = combine_prices(sources, now_ns)
    at = now_ns + later
    expected = next((p for source in sources for p in source if p.effective_ns <= at), None)
    assert next((p for p in found if p.effective_ns <= at), None) == expected
    assert list(found) == sorted(found, key=lambda p: -p.effective_ns)


def test_a_provider_has_one_name() -> None:
    assert {provider_name(name) for name in ("bedrock", "bedrock_converse", "aws")} == {"aws"}
    assert provider_name("local") == "local"
