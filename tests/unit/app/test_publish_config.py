"""The gateway's document and price tables as a gateway worker reads them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from zirkel.app.publish import SnapshotPublisher
from zirkel.app.secrets import key_pepper
from zirkel.core import Limits, ManualClock, Resilience
from zirkel.gateway import ModelPrice, Snapshot, decode_snapshot, hash_key
from zirkel.gateway.price_lookup import PriceLookup
from zirkel.govern import DEFAULT_PROJECT, SYSTEM, Access, Vault
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.observe import PriceShelf, PriceTables
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

NOW_NS = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 10**9
DOCUMENT = """
capture = "masked"
limits = { requests_per_minute = 60 }
resilience = { retries = 4 }

[[upstream]]
name = "openai"
base_url = "https://api.openai.com/v1/"
formats = ["chat", "embeddings"]

[[upstream]]
name = "eu"
base_url = "https://eu.openai.azure.com?api-version=2024-10-21"
dialect = "azure"
model = "deployed"
prices = "openai"

[[model]]
name = "fast"
resilience = { total_s = 9.0 }

[[model.target]]
name = "openai/gpt-4o-mini"
weight = 3.0
parameters = { temperature = 0 }
pool = [{ name = "eu/gpt-4o-mini" }]

[[model.target]]
name = "openai/house-model"
on = ["context_window"]

[[limit]]
user = "*"
limits = { concurrency = 2 }

[[limit]]
service = "triage"
limits = { models = ["fast"] }

[[price]]
model = "openai/house-model"
effective = "2026-01-01"
input = "1"
output = "2"

[[price]]
model = "openai/house-model"
effective = "2026-04-01"
input = "3"
output = "4"
"""


@dataclass
class Installation:
    """What configures the gateway, and what comes of it."""

    path: Path
    publisher: SnapshotPublisher
    gateway: GatewayConfiguration
    prices: PriceTables
    clock: ManualClock

    def snapshot(self) -> Snapshot:
        """Return what a gateway reads now."""
        return decode_snapshot(self.path.read_bytes())

    def input_usd(self, upstream: str, model: str) -> list[tuple[str, str]]:
        """Return first day and input price of what the gateway finds, newest first."""
        found = PriceLookup(self.snapshot().prices).find(DEFAULT_PROJECT, upstream, model)
        return [(day_of(price), price.input[0].usd_per_million) for price in found]


def day_of(price: ModelPrice) -> str:
    return datetime.fromtimestamp(price.effective_ns // 10**9, UTC).date().isoformat()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Installation]:
    clock, vault, path = ManualClock(NOW_NS), Vault(b"m" * 32), tmp_path / "snapshot.json"
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    shelf = PriceShelf()
    registry = Registry(metadata, Blobs.open(f"memory://{tmp_path}"), clock)
    publisher = SnapshotPublisher(path, metadata, registry, vault, clock, shelf)
    Access(metadata, publisher, vault, partial(hash_key, key_pepper(vault)), clock).bootstrap()
    gateway = GatewayConfiguration(metadata, publisher, vault, clock)
    yield Installation(path, publisher, gateway, PriceTables(metadata, publisher, shelf, clock), clock)
    metadata.close()


def test_a_document_is_published_as_a_whole(house: Installation) -> None:
    house.gateway.apply(SYSTEM, DOCUMENT)
    found = house.snapshot()
    project = found.projects[DEFAULT_PROJECT]
    assert (project.capture, project.limits.requests_per_minute, project.resilience.retries) == ("masked", 60, 4)
    assert (project.users, project.services) == (
        {"*": Limits(concurrency=2)},
        {"triage": Limits(models=["fast"])},
    )
    openai, eu = (found.upstreams[f"{DEFAULT_PROJECT}/{name}"] for name in ("openai", "eu"))
    assert (openai.base_url, openai.dialect, openai.formats) == (
        "https://api.openai.com/v1",
        "openai",
        ["chat", "embeddings"],
    )
    assert (eu.dialect, eu.model_override, eu.formats) == ("azure", "deployed", [])


def test_a_model_is_a_chain_of_pools(house: Installation) -> None:
    house.gateway.apply(SYSTEM, DOCUMENT)
    model = house.snapshot().models[f"{DEFAULT_PROJECT}/fast"]
    assert model.resilience == Resilience(total_s=9.0)
    places = [[(t.upstream, t.model, t.weight, bytes(t.parameters)) for t in link.pool] for link in model.chain]
    assert places == [
        [("openai", "gpt-4o-mini", 3.0, b'{"temperature":0}'), ("eu", "gpt-4o-mini", 1.0, b'{"temperature":0}')],
        [("openai", "house-model", 1.0, b"{}")],
    ]
    assert [link.on for link in model.chain] == [("failure",), ("context_window",)]


def test_a_document_that_is_replaced_is_gone(house: Installation) -> None:
    house.gateway.apply(SYSTEM, DOCUMENT)
    house.gateway.apply(SYSTEM, "")
    found = house.snapshot()
    assert (found.upstreams, found.models, found.prices) == ({}, {}, {})
    assert found.projects[DEFAULT_PROJECT].limits == Limits()


def test_prices_are_there_with_the_days_that_come(house: Installation) -> None:
    house.gateway.apply(SYSTEM, DOCUMENT)
    assert house.input_usd("openai", "house-model") == [("2026-04-01", "3"), ("2026-01-01", "1")]
    house.clock.advance(60 * 86_400)
    house.publisher.publish()
    assert house.input_usd("openai", "house-model") == [("2026-04-01", "3")]


def test_every_model_of_a_providers_upstream_can_be_priced(house: Installation) -> None:
    house.gateway.apply(SYSTEM, DOCUMENT)
    assert [usd for _, usd in house.input_usd("openai", "gpt-4o")] == ["2.5"]
    assert [usd for _, usd in house.input_usd("eu", "gpt-4o")] == ["2.5"]
    assert house.input_usd("openai", "gpt-unheard-of-unknown") == []


def test_a_loaded_table_counts_from_its_day_on(house: Installation) -> None:
    house.gateway.apply(SYSTEM, DOCUMENT)

    def table(usd: float) -> dict[str, object]:
        return {
            "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": usd, "max_output_tokens": 16},
            "gpt-new": {"litellm_provider": "openai", "input_cost_per_token": usd},
        }

    house.prices.load(SYSTEM, table(1e-6), name="first", effective="2026-02-01")
    house.prices.load(SYSTEM, table(2e-6), name="next", effective="2026-03-15")
    for upstream in ("openai", "eu"):
        assert house.input_usd(upstream, "gpt-4o") == [("2026-03-15", "2"), ("2026-02-01", "1")]
        assert house.input_usd(upstream, "gpt-new") == [("2026-03-15", "2"), ("2026-02-01", "1")]
    first = PriceLookup(house.snapshot().prices).find(DEFAULT_PROJECT, "openai", "gpt-4o")[0]
    assert first.max_output_tokens == 16
    assert first.digest == house.prices.tables(SYSTEM)[0].digest


def test_loading_is_recorded_and_the_same_content_is_the_same_digest(house: Installation) -> None:
    table = {"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_image": 1}}
    first = house.prices.load(SYSTEM, table, name="a")
    again = house.prices.load(SYSTEM, table, name="b")
    assert [lost.path for lost in first.not_taken] == ["gpt-4o.output_cost_per_image"]
    assert (first.record.number, again.record.number) == (1, 2)
    assert first.record.digest == again.record.digest
    assert first.record.effective == "2026-03-01"
    assert [found.name for found in house.prices.tables(SYSTEM)] == ["b", "a"]


def test_a_quote_says_what_the_gateway_charges_and_why(house: Installation) -> None:
    house.gateway.apply(SYSTEM, DOCUMENT)
    quotes = house.prices.quote(SYSTEM, ["openai/house-model", "openai/gpt-4o", "nowhere/x"])
    assert [(q.model, q.prices.source, q.is_in_force) for q in quotes] == [
        ("openai/house-model", "gateway.toml", False),
        ("openai/house-model", "gateway.toml", True),
        ("openai/gpt-4o", "genai-prices", True),
    ]
