"""The common table: whose prices it has, from when on, and by which names."""

import fnmatch
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, StartDateConstraint, TieredPrices, TimeOfDateConstraint

from zirkel.observe import ModelPrices
from zirkel.observe.common_prices import CommonPrices

PROVIDERS = data_snapshot.get_snapshot().providers
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR_NS = 3600 * 10**9


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


@pytest.fixture(scope="module")
def common() -> CommonPrices:
    return CommonPrices()


def only(found: tuple[ModelPrices, ...]) -> ModelPrices:
    (prices,) = found
    return prices


def test_a_price_needs_the_providers_own_name(common: CommonPrices) -> None:
    assert only(common.prices("openai", "gpt-4o", ns(NOW))).buckets["input"][0].usd_per_million == Decimal("2.5")


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("local", "gpt-4o"),
        ("fake-openai", "gpt-4o"),
        ("openai-eu", "gpt-4o"),
        ("litellm", "gpt-4o"),
        ("litellm", "openai/gpt-4o"),
        ("anthropic", "gpt-4o"),
        ("openai", "no-such-model"),
        ("", "gpt-4o"),
        ("openai", ""),
    ],
)
def test_a_price_is_not_guessed(common: CommonPrices, provider: str, model: str) -> None:
    assert common.prices(provider, model, ns(NOW)) == ()


def test_reasoning_costs_what_output_does_and_an_unlisted_bucket_is_unknown(common: CommonPrices) -> None:
    found = only(common.prices("openai", "gpt-4o", ns(NOW)))
    assert found.buckets["reasoning"] == found.buckets["output"]
    assert "cache_write" not in found.buckets
    assert found.source == "genai-prices"


def test_what_is_kept_for_an_hour_has_a_price_of_its_own(common: CommonPrices) -> None:
    buckets = only(common.prices("anthropic", "claude-sonnet-5", ns(NOW))).buckets
    assert buckets["cache_write_1h"][0].usd_per_million > buckets["cache_write"][0].usd_per_million


def test_a_tier_begins_after_the_number_of_tokens_that_the_table_names(common: CommonPrices) -> None:
    _, info = data_snapshot.get_snapshot().find_provider_model("claude-sonnet-4-5", None, "anthropic", None)
    listed = info.get_prices(NOW).input_mtok
    assert isinstance(listed, TieredPrices)
    found = common.prices("anthropic", "claude-sonnet-4-5", ns(NOW))[-1]
    expected = [(0, listed.base), *((tier.start + 1, tier.price) for tier in listed.tiers)]
    assert [(tier.from_input_tokens, tier.usd_per_million) for tier in found.buckets["input"]] == expected
    assert len(expected) > 1


def test_digests_differ_between_models_and_are_repeatable(common: CommonPrices) -> None:
    models = ["gpt-4o", "gpt-4o-mini", "gpt-4o"]
    digests = [only(CommonPrices().prices("openai", model, ns(NOW))).table_digest for model in models]
    assert digests[0] == digests[2] != digests[1]
    assert digests[0] == only(common.prices("openai", "gpt-4o", ns(NOW))).table_digest


def priced_models(kind: type) -> list[tuple[str, str, ModelInfo]]:
    """Return provider, id and model of those with a price that a kind of constraint changes."""
    return [
        (provider.id, info.id, info)
        for provider in PROVIDERS
        for info in provider.models
        if isinstance(info.prices, list)
        and provider.find_model(info.id) is info
        and any(isinstance(found.constraint, kind) for found in info.prices)
        and all(vars(found.prices).get("input_mtok") is not None for found in info.prices)
    ]


@pytest.mark.parametrize("kind", [StartDateConstraint, TimeOfDateConstraint])
def test_at_every_hour_the_price_is_what_the_table_says_of_that_hour(common: CommonPrices, kind: type) -> None:
    models = priced_models(kind)
    assert models
    for provider, model, info in models[:60]:
        found = common.prices(provider, model, ns(NOW))
        for hour in range(48):
            at_ns = ns(NOW) + hour * HOUR_NS
            listed = vars(info.get_prices(datetime.fromtimestamp(at_ns // 10**9, UTC)))["input_mtok"]
            base = listed.base if isinstance(listed, TieredPrices) else listed
            prices = next(p for p in found if p.effective_ns <= at_ns)
            assert prices.buckets["input"][0].usd_per_million == base, (provider, model, hour)


def test_a_price_that_begins_later_is_there_with_its_day(common: CommonPrices) -> None:
    provider, model, info = priced_models(StartDateConstraint)[0]
    assert isinstance(info.prices, list)
    days = [found.constraint.start_date for found in info.prices if isinstance(found.constraint, StartDateConstraint)]
    before = datetime(min(days).year - 1, 1, 1, tzinfo=UTC)
    starts = {prices.effective_ns for prices in common.prices(provider, model, ns(before))}
    assert ns(datetime(max(days).year, max(days).month, max(days).day, tzinfo=UTC)) in starts


@pytest.mark.parametrize("provider", ["openai", "anthropic", "azure", "google", "aws", "x-ai", "openrouter", "groq"])
def test_the_names_of_a_providers_models_lead_to_the_prices_that_the_table_finds(
    common: CommonPrices, provider: str
) -> None:
    patterns = common.by_pattern(provider, ns(NOW))
    assert patterns
    for info in next(found for found in PROVIDERS if found.id == provider).models:
        name = info.id.lower()
        expected = common.prices(provider, name, ns(NOW))
        found = patterns.get(name) or next((p for k, p in patterns.items() if fnmatch.fnmatchcase(name, k)), ())
        # A name that is told whole counts before a pattern; the table goes by its own order.
        assert found == expected or (name in patterns and expected), name


def test_a_dated_name_is_found_by_its_pattern(common: CommonPrices) -> None:
    patterns = common.by_pattern("anthropic", ns(NOW))
    fitting = [p for k, p in patterns.items() if fnmatch.fnmatchcase("claude-sonnet-5-20260801", k)]
    assert fitting[0] == common.prices("anthropic", "claude-sonnet-5-20260801", ns(NOW))


def test_a_fee_for_each_call_makes_the_price_unknown(common: CommonPrices) -> None:
    charged = [
        (provider.id, info.id)
        for provider in PROVIDERS
        for info in provider.models
        if vars(info.get_prices(NOW)).get("requests_kcount") is not None
    ]
    assert charged
    assert [common.prices(*found, ns(NOW)) for found in charged] == [()] * len(charged)
