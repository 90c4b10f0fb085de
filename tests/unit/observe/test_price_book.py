"""A project's prices: the release's, the document's, loaded tables, the common table, in this order."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import pytest

from zirkel.core import GatewayConfig, ManualClock, PriceSpec, UpstreamSpec
from zirkel.core.gateway_config import PriceTableRecord
from zirkel.observe import ModelPrices, PriceBook, PriceShelf, open_book
from zirkel.observe.litellm_prices import TableLine
from zirkel.observe.price_book import RENEWAL_NS

NOW_NS = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 10**9
CONTENTS: Mapping[str, Mapping[str, str]] = {
    "old": {"openai/gpt-4o": "20", "openai/gpt-old": "21", "aws/nova": "22"},
    "new": {"openai/gpt-4o": "30", "openai/gpt-4o-2099-01-01": "31"},
}


def spec(model: str, usd: str, effective: str = "2026-01-01") -> PriceSpec:
    return PriceSpec(model=model, effective=effective, input=usd, output=usd)


def record(name: str, effective: str, number: int) -> PriceTableRecord:
    return PriceTableRecord("default", number, name, effective, name, len(CONTENTS[name]), 1, "ann")


def content(_project_id: str, digest: str) -> str:
    lines = [
        TableLine(provider=key.split("/")[0], model=key.split("/")[1], buckets={"input": [(0, usd)]})
        for key, usd in CONTENTS[digest].items()
    ]
    return msgspec.json.encode(lines).decode()


@pytest.fixture
def shelf() -> PriceShelf:
    return PriceShelf()


def book(shelf: PriceShelf, *prices: PriceSpec, tables: bool = True) -> PriceBook:
    upstreams = [UpstreamSpec(name="eu", base_url="https://eu/v1", prices="openai")]
    records = [record("new", "2026-06-01", 1), record("old", "2026-02-01", 2)] if tables else []
    return open_book(shelf, GatewayConfig(upstream=upstreams, price=list(prices)), records, content)


def said(found: tuple[ModelPrices, ...]) -> list[tuple[str, str]]:
    return [(prices.source, str(prices.buckets["input"][0].usd_per_million)) for prices in found]


def test_the_release_comes_first_then_the_document_then_tables_then_the_common_one(shelf: PriceShelf) -> None:
    model, own = "openai/gpt-4o", spec("openai/gpt-4o", "10")
    release = [spec(model, "1")]
    assert said(book(shelf, own).prices(model, NOW_NS, release)) == [("prices.toml", "1")]
    assert said(book(shelf, own).prices(model, NOW_NS)) == [("gateway.toml", "10")]
    assert said(book(shelf).prices(model, NOW_NS)) == [("new", "30"), ("old", "20")]
    assert said(book(shelf, tables=False).prices(model, NOW_NS)) == [("genai-prices", "2.5")]


def test_a_price_that_begins_later_leaves_the_present_to_the_next_source(shelf: PriceShelf) -> None:
    later = spec("openai/gpt-4o", "99", "2026-05-01")
    assert said(book(shelf, later).prices("openai/gpt-4o", NOW_NS)) == [("gateway.toml", "99"), ("old", "20")]
    assert said(book(shelf, later, tables=False).prices("openai/gpt-4o", NOW_NS)) == [
        ("gateway.toml", "99"),
        ("genai-prices", "2.5"),
    ]


def test_a_model_that_a_newer_table_does_not_know_costs_what_the_older_one_says(shelf: PriceShelf) -> None:
    assert said(book(shelf).prices("openai/gpt-old", NOW_NS)) == [("old", "21")]


def test_an_upstream_has_the_prices_of_its_name_or_of_whom_it_names(shelf: PriceShelf) -> None:
    prices = book(shelf)
    assert said(prices.prices("eu/gpt-old", NOW_NS)) == [("old", "21")]
    assert said(prices.prices("bedrock/nova", NOW_NS)) == [("old", "22")]
    assert prices.prices("elsewhere/gpt-old", NOW_NS) == ()


def test_own_prices_are_of_one_upstream_alone(shelf: PriceShelf) -> None:
    prices = book(shelf, spec("openai/gpt-4o", "10"), tables=False)
    assert said(prices.prices("eu/gpt-4o", NOW_NS)) == [("genai-prices", "2.5")]


def test_what_can_be_called_directly_has_the_same_prices_by_name(shelf: PriceShelf) -> None:
    prices = book(shelf, spec("openai/mine", "7"))
    direct = prices.direct("openai", NOW_NS)
    assert said(direct["mine"]) == [("gateway.toml", "7")]
    for model in ("gpt-4o", "gpt-old", "gpt-4o-2099-01-01", "gpt-4o-mini", "mine"):
        assert direct[model] == prices.prices(f"openai/{model}", NOW_NS), model
    assert "mine" not in prices.direct("eu", NOW_NS)
    assert prices.direct("nowhere", NOW_NS) == {}


def test_a_providers_table_is_compiled_once_for_all_and_renewed_in_time(shelf: PriceShelf) -> None:
    clock = ManualClock(NOW_NS)
    first = book(shelf).direct("openai", clock.now_ns())
    assert book(shelf).direct("eu", clock.now_ns()) is first
    assert book(shelf, tables=False).direct("eu", clock.now_ns()) is not first
    clock.advance(RENEWAL_NS / 1e9)
    assert book(shelf).direct("openai", clock.now_ns()) is not first


def test_a_table_is_read_once(shelf: PriceShelf) -> None:
    asked: list[str] = []

    def read(project_id: str, digest: str) -> str:
        asked.append(digest)
        return content(project_id, digest)

    for _ in range(3):
        open_book(shelf, GatewayConfig(), [record("old", "2026-02-01", 1)], read)
    assert asked == ["old"]
