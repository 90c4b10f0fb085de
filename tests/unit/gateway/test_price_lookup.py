"""What a model costs at an upstream: names as they are, and names with ``*``."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.gateway.price_lookup import PriceLookup
from zirkel.gateway.snapshot import ModelPrice

PRICES = {
    "p/openai/gpt": [ModelPrice(digest="exact")],
    "p/openai/gpt-*": [ModelPrice(digest="prefix")],
    "p/openai/*gpt*": [ModelPrice(digest="contains")],
    "p/openai/claude-[0-9][0-9]": [ModelPrice(digest="dated")],
    "p/openai/org/model": [ModelPrice(digest="nested")],
    "p/other/*": [ModelPrice(digest="other")],
    "q/openai/gpt": [ModelPrice(digest="another project")],
}


def found(model: str, upstream: str = "openai", project_id: str = "p") -> str:
    prices = PriceLookup(PRICES).find(project_id, upstream, model)
    return prices[0].digest if prices else "unknown"


@pytest.mark.parametrize(
    ("model", "digest"),
    [
        ("gpt", "exact"),
        ("GPT", "exact"),
        ("gpt-4", "prefix"),
        ("GPT-4", "prefix"),
        ("my-gpt-4", "contains"),
        ("claude-42", "dated"),
        ("claude-4", "unknown"),
        ("claude-423", "unknown"),
        ("org/model", "nested"),
        ("org/Model", "nested"),
        ("llama", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_whole_name_counts_before_a_pattern_and_the_first_pattern_before_the_next(model: str, digest: str) -> None:
    assert found(model) == digest


def test_prices_are_of_one_upstream_of_one_project() -> None:
    assert found("anything", "other") == "other"
    assert found("gpt-4", project_id="q") == "unknown"
    assert found("gpt", project_id="q") == "another project"
    assert found("gpt", "nowhere") == "unknown"


@given(st.lists(st.text("ab*?[]-", max_size=6), max_size=6, unique=True), st.text("ab-", max_size=6))
def test_the_search_is_what_file_names_are_matched_by(patterns: list[str], model: str) -> None:
    prices = {f"p/u/{pattern}": [ModelPrice(digest=pattern)] for pattern in patterns}
    lookup = PriceLookup(prices)
    wild = [pattern for pattern in patterns if any(sign in pattern for sign in "*?[")]
    expected = next((pattern for pattern in wild if fnmatch.fnmatchcase(model, pattern)), None)
    expected = model if model in patterns else expected
    for _ in range(2):
        got = lookup.find("p", "u", model)
        assert (got[0].digest if got else None) == expected


def test_names_that_callers_make_up_do_not_fill_the_memory() -> None:
    lookup = PriceLookup(PRICES)
    for number in range(10_000):
        assert not lookup.find("p", "openai", f"made-up-{number}")
    assert len(lookup._found) < 5000
