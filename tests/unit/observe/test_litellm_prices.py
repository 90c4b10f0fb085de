"""Price tables in LiteLLM's format: exact, and open about what was not taken."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Invalid
from zirkel.observe.litellm_prices import TableLine, read_litellm_prices, usd_per_million

TABLE = """{
  "sample_spec": {"input_cost_per_token": 0.0, "litellm_provider": "one of many", "max_tokens": "legacy"},
  "gpt-4o": {
    "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 128000, "max_output_tokens": 16384,
    "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-06,
    "input_cost_per_token_batches": 1.25e-06
  },
  "azure/eu/gpt-4o": {"litellm_provider": "azure", "input_cost_per_token": 2.75e-06, "output_cost_per_token": 1.1e-05},
  "claude-sonnet-4-5": {
    "litellm_provider": "anthropic", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
    "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token_above_200k_tokens": 2.25e-05,
    "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
    "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
    "cache_read_input_token_cost": 3e-07, "search_context_cost_per_query": {"search_context_size_low": 0.01}
  },
  "gemini/gemini-2.5-flash": {
    "litellm_provider": "gemini", "input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06,
    "input_cost_per_audio_token": 1e-06, "output_cost_per_reasoning_token": 3.5e-06,
    "input_cost_per_image_token": 4e-07, "output_cost_per_image_token": 3e-05,
    "output_cost_per_audio_token": null, "input_cost_per_token_above_128k_tokens": 6e-07
  },
  "vertex_ai/claude-opus": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": 1e-06},
  "whisper-1": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001},
  "dall-e-3": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
  "bedrock/us-east-1/anthropic.claude": {"litellm_provider": "bedrock", "input_cost_per_token": 8e-06},
  "amazon.nova-lite-v1:0": {"litellm_provider": "bedrock_converse", "input_cost_per_token": 6e-08},
  "free": {"litellm_provider": "groq", "input_cost_per_token": 0.0, "output_cost_per_token": 0}
}"""


@pytest.fixture(scope="module")
def lines() -> dict[tuple[str, str], TableLine]:
    return {(line.provider, line.model): line for line in read_litellm_prices(json.loads(TABLE)).lines}


def test_a_model_is_known_by_its_provider_and_the_name_it_has_there(
    lines: dict[tuple[str, str], TableLine],
) -> None:
    assert set(lines) == {
        ("openai", "gpt-4o"),
        ("azure", "eu/gpt-4o"),
        ("anthropic", "claude-sonnet-4-5"),
        ("google", "gemini-2.5-flash"),
        ("vertex_ai", "claude-opus"),
        ("aws", "us-east-1/anthropic.claude"),
        ("aws", "amazon.nova-lite-v1:0"),
        ("groq", "free"),
    }


def test_usd_per_token_become_usd_per_million(lines: dict[tuple[str, str], TableLine]) -> None:
    line = lines["openai", "gpt-4o"]
    assert line.buckets == {"cache_read": [(0, "1.25")], "input": [(0, "2.5")], "output": [(0, "10")]}
    assert line.max_output_tokens == 16384
    assert lines["groq", "free"].buckets == {"input": [(0, "0")], "output": [(0, "0")]}


def test_a_tier_begins_with_the_token_after_the_thousands(lines: dict[tuple[str, str], TableLine]) -> None:
    claude, gemini = lines["anthropic", "claude-sonnet-4-5"], lines["google", "gemini-2.5-flash"]
    assert claude.buckets["input"] == [(0, "3"), (200_001, "6")]
    assert claude.buckets["cache_write_1h"] == [(0, "6"), (200_001, "12")]
    assert gemini.buckets["input"] == [(0, "0.3"), (128_001, "0.6")]


def test_every_kind_of_token_has_its_price(lines: dict[tuple[str, str], TableLine]) -> None:
    buckets = lines["google", "gemini-2.5-flash"].buckets
    named = {bucket: tiers[0][1] for bucket, tiers in buckets.items()}
    assert named == {
        "input": "0.3",
        "input_audio": "1",
        "input_image": "0.4",
        "output": "2.5",
        "output_image": "30",
        "reasoning": "3.5",
    }


def test_prices_for_other_things_than_tokens_are_listed() -> None:
    lost = {entry.path for entry in read_litellm_prices(json.loads(TABLE)).not_taken}
    assert lost == {
        "gpt-4o.input_cost_per_token_batches",
        "claude-sonnet-4-5.search_context_cost_per_query",
        "whisper-1.input_cost_per_second",
        "dall-e-3.output_cost_per_image",
    }


@pytest.mark.parametrize("value", ["a lot", -1e-6, float("nan"), float("inf"), True, [], 1e300])
def test_what_is_no_price_is_listed_and_unknown(value: object) -> None:
    entry = {"litellm_provider": "openai", "input_cost_per_token": value, "output_cost_per_token": 1e-6}
    found = read_litellm_prices({"gpt": entry})
    assert found.lines[0].buckets == {"output": [(0, "1")]}
    assert [lost.path for lost in found.not_taken] == ["gpt.input_cost_per_token"]


def test_a_model_that_is_there_twice_costs_what_the_first_entry_says() -> None:
    def entry(usd: float) -> dict[str, object]:
        return {"litellm_provider": "groq", "input_cost_per_token": usd}

    found = read_litellm_prices({"groq/llama": entry(1e-6), "llama": entry(2e-6)})
    assert [line.buckets for line in found.lines] == [{"input": [(0, "1")]}]
    assert [lost.path for lost in found.not_taken] == ["llama"]
    assert read_litellm_prices({"groq/llama": entry(1e-6), "llama": entry(1e-6)}).not_taken == ()


@pytest.mark.parametrize("table", [[], 1, {"a": 1}, {}, {"a": {"litellm_provider": "x"}}, {"a": {"mode": "chat"}}])
def test_what_is_no_such_table_is_refused(table: object) -> None:
    with pytest.raises(Invalid):
        read_litellm_prices(table)


@given(st.decimals(min_value=0, max_value=Decimal("0.9"), places=12, allow_nan=False))
def test_a_price_is_what_its_author_wrote_to_the_last_digit(usd: Decimal) -> None:
    # A float has at least 15 significant digits; a price that was written with fewer comes back whole.
    number = json.loads(str(usd))
    found = usd_per_million(number)
    assert found is not None
    assert Decimal(found) == usd * 10**6
    assert "E" not in found


@given(st.floats(0, 1e-3, allow_subnormal=False))
def test_any_float_gives_a_decimal_that_reads_back_as_it(number: float) -> None:
    found = usd_per_million(number)
    if found is not None:
        assert float(Decimal(found).scaleb(-6)) == number


def test_lines_are_the_same_when_they_are_kept_and_read() -> None:
    lines = list(read_litellm_prices(json.loads(TABLE)).lines)
    assert msgspec.json.decode(msgspec.json.encode(lines), type=list[TableLine]) == lines
