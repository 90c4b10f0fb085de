"""Price books are opened once and hold until the prices of their project change."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from zirkel.core import GatewayConfig, ManualClock, PriceSpec, canonical_json, sha256_hex
from zirkel.core.gateway_config import GatewayConfigRecord, PriceTableRecord
from zirkel.observe.litellm_prices import TableLine
from zirkel.observe.price_book import PriceShelf
from zirkel.observe.price_books import LOOK_EVERY_NS, PriceBooks
from zirkel.store.metadata import Metadata

LOOK_EVERY_S = LOOK_EVERY_NS / 1e9


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metadata(tmp_path: Path, clock: ManualClock) -> Iterator[Metadata]:
    opened = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    yield opened
    opened.close()


@pytest.fixture
def books(metadata: Metadata, clock: ManualClock) -> PriceBooks:
    return PriceBooks(metadata, PriceShelf(), clock)


def apply_document(metadata: Metadata, version: int, usd: str) -> None:
    line = PriceSpec(model="local/m", effective="2020-01-01", input=usd, output=usd)
    text = canonical_json(msgspec.to_builtins(GatewayConfig(price=[line])))
    record = GatewayConfigRecord("default", version, sha256_hex(text), "", text.decode(), version, "ann")
    with metadata.transaction() as tx:
        tx.gateway_configs.add(record)


def load_table(metadata: Metadata, usd: str) -> None:
    lines = [TableLine(provider="local", model="t", buckets={"input": [(0, usd)]})]
    content = msgspec.json.encode(lines).decode()
    record = PriceTableRecord("default", 0, "t", "2020-01-01", sha256_hex(content.encode()), 1, 1, "ann")
    with metadata.transaction() as tx:
        tx.price_tables.add(record, content)


def test_a_book_is_the_same_object_while_nothing_changes(books: PriceBooks, clock: ManualClock) -> None:
    first = books.book("default")
    clock.advance(LOOK_EVERY_S / 2)
    assert books.book("default") is first
    clock.advance(LOOK_EVERY_S)
    assert books.book("default") is first
    assert books.book("another") is not first


def test_a_changed_document_and_a_loaded_table_are_seen_when_it_is_time_to_look(
    books: PriceBooks, metadata: Metadata, clock: ManualClock
) -> None:
    empty = books.book("default")
    apply_document(metadata, 1, "3")
    assert books.book("default") is empty
    clock.advance(LOOK_EVERY_S)
    priced = books.book("default")
    assert str(priced.prices("local/m", clock.now_ns())[0].buckets["input"][0].usd_per_million) == "3"

    load_table(metadata, "5")
    clock.advance(LOOK_EVERY_S)
    assert str(books.book("default").prices("local/t", clock.now_ns())[0].buckets["input"][0].usd_per_million) == "5"
    apply_document(metadata, 2, "4")
    clock.advance(LOOK_EVERY_S)
    assert str(books.book("default").prices("local/m", clock.now_ns())[0].buckets["input"][0].usd_per_million) == "4"


def test_a_clock_that_was_put_back_makes_it_look(books: PriceBooks, metadata: Metadata, clock: ManualClock) -> None:
    books.book("default")
    apply_document(metadata, 1, "3")
    clock.advance(-3600)
    assert books.book("default").prices("local/m", clock.now_ns())
