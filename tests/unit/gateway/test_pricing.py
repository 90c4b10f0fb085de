from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Usage
from zirkel.gateway.pricing import CompiledPrice, format_usd, price_in_force, price_usage, upper_bound_usd
from zirkel.gateway.snapshot import ModelPrice, PriceTier

PRICES = st.decimals(0, 1000, places=12).map(str)
COUNTS = st.integers(0, 10**9)
TIERS = st.builds(
    lambda base, more: [PriceTier(0, base), *(PriceTier(start, usd) for start, usd in more.items())],
    PRICES,
    st.dictionaries(st.integers(1, 2 * 10**6), PRICES, max_size=2),
)
INPUTS = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "input_image")
OUTPUTS = ("output", "reasoning", "output_audio", "output_image")
FLAT = ModelPrice(input=[PriceTier(0, "3")], output=[PriceTier(0, "15")])


def priced(tiers: Mapping[str, list[PriceTier]]) -> ModelPrice:
    return msgspec.convert(dict(tiers), ModelPrice)


def flat(**usd: str) -> ModelPrice:
    return priced({bucket: [PriceTier(0, text)] for bucket, text in usd.items()})


def used(counts: Iterable[int]) -> Usage:
    """Usage of all buckets, in the order of ``INPUTS`` and ``OUTPUTS``."""
    return msgspec.convert(dict(zip((f"{b}_tokens" for b in INPUTS + OUTPUTS), counts, strict=True)), Usage)


@given(st.tuples(*[PRICES] * 10), st.tuples(*[COUNTS] * 10))
def test_a_cost_is_the_exact_sum_of_the_buckets(prices: tuple[str, ...], counts: tuple[int, ...]) -> None:
    price = flat(**dict(zip(INPUTS + OUTPUTS, prices, strict=True)))
    cost = price_usage(price, used(counts))

    assert cost is not None
    assert Fraction(cost) == sum(Fraction(p) * t for p, t in zip(prices, counts, strict=True)) / 1_000_000
    assert Decimal(format_usd(cost)) == cost
    assert price_usage(CompiledPrice(price), used(counts)) == cost


def test_rates_may_be_written_with_exponents() -> None:
    price = flat(input="1E+2", cache_read="2.5e-7", output="3")
    usage = Usage(input_tokens=7, cache_read_tokens=4, output_tokens=11)
    # 7 x 100 + 4 x 0.00000025 + 11 x 3 = 733.000001 millionths.
    assert price_usage(price, usage) == Decimal("0.000733000001")
    assert upper_bound_usd(flat(input="1E+2", output="2E+3"), input_tokens=1, output_tokens=1) == Decimal("0.0021")
    tiny = flat(input="2", output="1E-99999")
    assert price_usage(tiny, Usage(input_tokens=7, output_tokens=11)) == Decimal("0.000014")


GPT_4O = flat(input="2.50", cache_read="1.25", output="10", reasoning="10")
GPT_5 = flat(input="1.25", cache_read="0.125", output="10", reasoning="10")
GPT_4O_AUDIO = flat(input="2.50", output="10", input_audio="40", output_audio="80")
CLAUDE_SONNET = flat(input="3", cache_read="0.30", cache_write="3.75", cache_write_1h="6", output="15", reasoning="15")
GEMINI_PRO = ModelPrice(
    input=[PriceTier(0, "1.25"), PriceTier(200_001, "2.50")],
    cache_read=[PriceTier(0, "0.125"), PriceTier(200_001, "0.25")],
    output=[PriceTier(0, "10"), PriceTier(200_001, "15")],
    reasoning=[PriceTier(0, "10"), PriceTier(200_001, "15")],
)
GEMINI_FLASH = flat(input="0.30", cache_read="0.03", input_audio="1", output="2.50", reasoning="2.50")


@pytest.mark.parametrize(
    ("price", "usage", "usd"),
    [
        # 1,000 x 2.50 + 3,000 x 1.25 + 500 x 10 = 2,500 + 3,750 + 5,000 = 11,250 millionths.
        (GPT_4O, Usage(input_tokens=1000, cache_read_tokens=3000, output_tokens=500), "0.01125"),
        # 75 x 1.25 + 1,024 x 0.125 + 186 x 10 + 1,024 x 10 = 93.75 + 128 + 1,860 + 10,240 = 12,321.75 millionths.
        (
            GPT_5,
            Usage(input_tokens=75, cache_read_tokens=1024, output_tokens=186, reasoning_tokens=1024),
            "0.01232175",
        ),
        # 20 x 2.50 + 300 x 40 + 15 x 10 + 250 x 80 = 50 + 12,000 + 150 + 20,000 = 32,200 millionths.
        (
            GPT_4O_AUDIO,
            Usage(input_tokens=20, input_audio_tokens=300, output_tokens=15, output_audio_tokens=250),
            "0.0322",
        ),
        # 50 x 3 + 2,000 x 3.75 + 4,000 x 6 + 10 x 15 = 150 + 7,500 + 24,000 + 150 = 31,800 millionths.
        (
            CLAUDE_SONNET,
            Usage(input_tokens=50, cache_write_tokens=2000, cache_write_1h_tokens=4000, output_tokens=10),
            "0.0318",
        ),
        # 50 x 3 + 6,000 x 0.30 + 200 x 15 + 300 x 15 = 150 + 1,800 + 3,000 + 4,500 = 9,450 millionths.
        (
            CLAUDE_SONNET,
            Usage(input_tokens=50, cache_read_tokens=6000, output_tokens=200, reasoning_tokens=300),
            "0.00945",
        ),
        # 200,000 in all: 150,000 x 1.25 + 50,000 x 0.125 + 100 x 10 + 900 x 10
        # = 187,500 + 6,250 + 1,000 + 9,000 = 203,750 millionths.
        (
            GEMINI_PRO,
            Usage(input_tokens=150_000, cache_read_tokens=50_000, output_tokens=100, reasoning_tokens=900),
            "0.20375",
        ),
        # One token more, and all of them are in the next tier: 150,001 x 2.50 + 50,000 x 0.25 + 100 x 15 + 900 x 15
        # = 375,002.50 + 12,500 + 1,500 + 13,500 = 402,502.50 millionths.
        (
            GEMINI_PRO,
            Usage(input_tokens=150_001, cache_read_tokens=50_000, output_tokens=100, reasoning_tokens=900),
            "0.4025025",
        ),
        # 10 x 0.30 + 320 x 1 + 40 x 2.50 = 3 + 320 + 100 = 423 millionths.
        (GEMINI_FLASH, Usage(input_tokens=10, input_audio_tokens=320, output_tokens=40), "0.000423"),
    ],
)
def test_published_prices_give_the_sums_worked_out_by_hand(price: ModelPrice, usage: Usage, usd: str) -> None:
    """Source: the price lists of OpenAI, Anthropic (Claude Sonnet 4.5) and Google (Gemini 2.5) in 2026."""
    assert price_usage(price, usage) == Decimal(usd)


@pytest.mark.parametrize(("cached", "usd"), [(99_999, "0.2"), (100_000, "0.3")])
@pytest.mark.parametrize("bucket", INPUTS[1:])
def test_the_tier_follows_the_total_input_of_all_buckets(bucket: str, cached: int, usd: str) -> None:
    tiers = {"input": [PriceTier(200_000, "3"), PriceTier(0, "2")], bucket: [PriceTier(0, "0")]}
    price = priced({**tiers, "output": [PriceTier(0, "1")]})
    name = f"{bucket}_tokens"
    usage = msgspec.structs.replace(Usage(input_tokens=100_000, output_tokens=0), **{name: cached})

    assert price_usage(price, usage) == Decimal(usd)


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(input_tokens=1),
        Usage(output_tokens=1),
        *[
            msgspec.structs.replace(Usage(input_tokens=1, output_tokens=1), **{f"{bucket}_tokens": 1})
            for bucket in (*INPUTS[1:], *OUTPUTS[1:])
        ],
    ],
)
def test_a_cost_is_unknown_if_usage_or_a_used_buckets_price_is(usage: Usage) -> None:
    assert price_usage(FLAT, usage) is None


def test_an_hour_in_the_cache_does_not_borrow_the_price_of_five_minutes() -> None:
    price = flat(input="3", output="15", cache_write="3.75")

    assert price_usage(price, Usage(input_tokens=1, output_tokens=1, cache_write_1h_tokens=1)) is None


def test_a_bucket_that_was_not_used_needs_no_price() -> None:
    usage = used([0] * 10)

    assert price_usage(FLAT, usage) == 0
    assert price_usage(ModelPrice(), usage) == 0
    assert price_usage(None, usage) is None


def test_a_size_below_the_first_tier_has_no_price() -> None:
    price = ModelPrice(input=[PriceTier(10, "1")], output=[PriceTier(10, "1")])

    assert price_usage(price, Usage(input_tokens=9, output_tokens=1)) is None
    assert upper_bound_usd(price, input_tokens=9, output_tokens=1) is None


@given(
    st.fixed_dictionaries({"input": TIERS, "output": TIERS}),
    st.dictionaries(st.sampled_from(INPUTS[1:] + OUTPUTS[1:]), TIERS),
    st.tuples(*[st.integers(0, 10**6)] * 10),
    st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
)
def test_no_split_of_the_tokens_costs_more_than_the_upper_bound(
    basic: dict[str, list[PriceTier]],
    more: dict[str, list[PriceTier]],
    counts: tuple[int, ...],
    spare: tuple[int, int],
) -> None:
    buckets = INPUTS + OUTPUTS
    price = priced(basic | more)
    within = [count if bucket in {*basic, *more} else 0 for bucket, count in zip(buckets, counts, strict=True)]
    most = upper_bound_usd(price, input_tokens=sum(within[:6]) + spare[0], output_tokens=sum(within[6:]) + spare[1])
    cost = price_usage(price, used(within))

    assert most is not None
    assert cost is not None
    assert cost <= most


def test_the_upper_bound_is_reached_by_the_dearest_buckets() -> None:
    """10 x 6 + 4 x 15 = 120 millionths."""
    assert upper_bound_usd(CLAUDE_SONNET, input_tokens=10, output_tokens=4) == Decimal("0.00012")


def test_the_upper_bound_takes_a_tier_only_if_the_input_reaches_it() -> None:
    assert upper_bound_usd(GEMINI_PRO, input_tokens=200_000, output_tokens=0) == Decimal("0.25")
    assert upper_bound_usd(GEMINI_PRO, input_tokens=200_001, output_tokens=0) == Decimal("0.5000025")


@pytest.mark.parametrize("price", [None, ModelPrice(), flat(input="1"), flat(output="1", cache_read="1")])
def test_the_upper_bound_is_unknown_without_a_price_of_input_and_output(price: ModelPrice | None) -> None:
    assert upper_bound_usd(price, input_tokens=1, output_tokens=1) is None


@given(st.lists(st.integers(0, 20), max_size=5), st.integers(0, 20))
def test_the_newest_price_that_has_begun_is_in_force(starts: list[int], now: int) -> None:
    prices = [ModelPrice(effective_ns=start) for start in sorted(starts, reverse=True)]
    found = price_in_force(prices, now)
    compiled = price_in_force([CompiledPrice(price) for price in prices], now)

    begun = [start for start in starts if start <= now]
    assert (found.effective_ns if found else None) == (max(begun) if begun else None)
    assert (compiled.effective_ns if compiled else None) == (max(begun) if begun else None)


def test_a_compiled_price_carries_what_goes_with_the_price() -> None:
    compiled = CompiledPrice(ModelPrice(digest="d", effective_ns=7, max_output_tokens=8192))

    assert (compiled.digest, compiled.effective_ns, compiled.max_output_tokens) == ("d", 7, 8192)


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
