"""Loading price tables, and saying what a model costs and why."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from zirkel.core import (
    Clock,
    GatewayConfig,
    Invalid,
    Json,
    Principal,
    Role,
    canonical_json,
    sha256_hex,
)
from zirkel.core.gateway_check import check_day
from zirkel.core.gateway_config import GatewayConfigRecord, PriceTableRecord
from zirkel.observe.litellm_prices import NotTaken, read_litellm_prices
from zirkel.observe.price_book import PriceBook, PriceShelf, open_book
from zirkel.observe.prices import ModelPrices

LONGEST_NAME = 128


class TableStore(Protocol):
    """Loaded tables."""

    def add(self, record: PriceTableRecord, content: str) -> PriceTableRecord: ...
    def list(self, project_id: str | None = None) -> Sequence[PriceTableRecord]: ...
    def content(self, project_id: str, digest: str) -> str: ...


class DocumentReader(Protocol):
    """The gateway's documents, for reading."""

    def current(self, project_id: str) -> GatewayConfigRecord | None: ...


class DecisionLog(Protocol):
    """The ledger, for writing."""

    def append(self, project_id: str, actor: str, action: str, payload: Json) -> str: ...


class PriceTransaction(Protocol):
    """What one transaction of pricing reaches."""

    @property
    def price_tables(self) -> TableStore: ...
    @property
    def gateway_configs(self) -> DocumentReader: ...
    @property
    def ledger(self) -> DecisionLog: ...


class PriceMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[PriceTransaction]:
        """Open a read-write transaction; it commits at the end of the block."""
        ...


class Publisher(Protocol):
    """Tells the gateway what changed."""

    def publish(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LoadedPrices:
    """What loading a table did."""

    record: PriceTableRecord
    not_taken: tuple[NotTaken, ...]


@dataclass(frozen=True, slots=True)
class QuotedPrice:
    """What a model costs from a moment on."""

    model: str
    """``UPSTREAM/MODEL``."""
    prices: ModelPrices
    is_in_force: bool
    """False if it begins later."""


class PriceTables:
    """Price tables of projects."""

    def __init__(self, metadata: PriceMetadata, publisher: Publisher, shelf: PriceShelf, clock: Clock) -> None:
        self._metadata = metadata
        self._publisher = publisher
        self._shelf = shelf
        self._clock = clock

    def load(self, actor: Principal, table: object, *, name: str, effective: str = "") -> LoadedPrices:
        """Keep a table in LiteLLM's format; return when the gateway has it.

        Args:
            actor: Who does it.
            table: The parsed file.
            name: What the table is called, for people.
            effective: First day it holds, ``YYYY-MM-DD``, UTC; today if empty.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: If the table, its name or the day will not do; nothing was kept.
        """
        actor.require(Role.ADMIN)
        if not name.strip() or len(name) > LONGEST_NAME:
            raise Invalid(f"name: a price table needs a name of at most {LONGEST_NAME} characters", path="name")
        now_ns = self._clock.now_ns()
        day = effective or datetime.fromtimestamp(now_ns // 10**9, UTC).date().isoformat()
        check_day(day, "effective")
        read = read_litellm_prices(table)
        plain: Json = msgspec.to_builtins(read.lines)
        content = canonical_json(plain).decode()
        draft = PriceTableRecord(
            project_id=actor.project_id,
            number=0,
            name=name.strip(),
            effective=day,
            digest=sha256_hex(content.encode()),
            models=len(read.lines),
            loaded_ns=now_ns,
            loaded_by=actor.label,
        )
        with self._metadata.transaction() as tx:
            record = tx.price_tables.add(draft, content)
            payload: Json = {
                "number": record.number,
                "name": record.name,
                "effective": record.effective,
                "digest": record.digest,
                "models": record.models,
            }
            tx.ledger.append(actor.project_id, actor.label, "prices.loaded", payload)
        self._publisher.publish()
        return LoadedPrices(record, read.not_taken)

    def tables(self, actor: Principal) -> list[PriceTableRecord]:
        """Return the project's tables: newest first day first, of one day the one loaded last, which counts first."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return list(tx.price_tables.list(actor.project_id))

    def quote(self, actor: Principal, models: Sequence[str]) -> list[QuotedPrice]:
        """Return what ``UPSTREAM/MODEL`` cost now and later, model by model, newest first; unknown ones are left out.

        A release's own ``prices.toml`` is not looked at: it holds for that release alone.
        """
        actor.require(Role.READ)
        now_ns = self._clock.now_ns()
        book = self._book(actor.project_id)
        return [
            QuotedPrice(model, prices, prices.effective_ns <= now_ns)
            for model in models
            for prices in book.prices(model, now_ns)
        ]

    def _book(self, project_id: str) -> PriceBook:
        with self._metadata.transaction() as tx:
            current = tx.gateway_configs.current(project_id)
            config = msgspec.json.decode(current.config, type=GatewayConfig) if current else GatewayConfig()
            return open_book(self._shelf, config, tx.price_tables.list(project_id), tx.price_tables.content)
