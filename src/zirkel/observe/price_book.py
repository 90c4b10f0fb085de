"""All prices of a project in their order: the release's, the gateway document's, loaded tables, the common table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from zirkel.core import GatewayConfig, PriceSpec
from zirkel.core.gateway_config import PriceTableRecord
from zirkel.observe.common_prices import CommonPrices
from zirkel.observe.litellm_prices import TableLine
from zirkel.observe.prices import (
    ModelPrices,
    Tier,
    combine_prices,
    day_ns,
    known_usd,
    own_prices,
    provider_name,
    with_defaults,
)

RELEASE_SOURCE = "prices.toml"
DOCUMENT_SOURCE = "gateway.toml"
RENEWAL_NS = 6 * 3600 * 10**9
"""How long a compiled provider's table may be used: the common table has prices that change with the hour."""
OPENED_TABLES = 32
"""How many loaded tables are kept in memory."""

_Lines = Mapping[str, Mapping[str, TableLine]]


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """One loaded table, opened."""

    name: str
    digest: str
    effective_ns: int
    lines: _Lines = field(compare=False)
    """By provider and model."""

    def prices(self, provider: str, model: str) -> ModelPrices | None:
        """Return what the table says of a model."""
        line = self.lines.get(provider, {}).get(model)
        if line is None:
            return None
        known = {
            bucket: tuple(Tier(start, usd) for start, text in tiers if (usd := known_usd(text)) is not None)
            for bucket, tiers in line.buckets.items()
        }
        return ModelPrices(with_defaults(known), self.digest, self.name, self.effective_ns, line.max_output_tokens)


def _index(content: str) -> _Lines:
    found: dict[str, dict[str, TableLine]] = {}
    for line in msgspec.json.decode(content, type=list[TableLine]):
        found.setdefault(line.provider, {})[line.model] = line
    return found


class PriceShelf:
    """Shared by all projects: a provider's prices from tables and the common table, compiled once for some hours."""

    def __init__(self) -> None:
        self._common = CommonPrices()
        self._compiled: dict[tuple[object, ...], Mapping[str, tuple[ModelPrices, ...]]] = {}
        self._period = 0
        self._opened: dict[tuple[str, str], _Lines] = {}

    def open(self, record: PriceTableRecord, read: Callable[[str, str], str]) -> LoadedTable:
        """Return a loaded table; ``read`` gives the content of a project's table by digest, and is asked once."""
        key = (record.project_id, record.digest)
        if key not in self._opened:
            if len(self._opened) >= OPENED_TABLES:
                self._opened.clear()
            self._opened[key] = _index(read(*key))
        return LoadedTable(record.name, record.digest, day_ns(record.effective) or 0, self._opened[key])

    def find(self, provider: str, tables: Sequence[LoadedTable], model: str, now_ns: int) -> tuple[ModelPrices, ...]:
        """Return a model's prices from now on, newest first."""
        dated = [found for table in tables if (found := table.prices(provider, model)) is not None]
        loaded = combine_prices([dated], now_ns)
        if loaded and loaded[-1].effective_ns <= now_ns:
            return loaded
        return combine_prices([loaded, self._common.prices(provider, model, now_ns)], now_ns)

    def by_pattern(
        self, provider: str, tables: Sequence[LoadedTable], now_ns: int
    ) -> Mapping[str, tuple[ModelPrices, ...]]:
        """Return the prices of all models of a provider by name, which may have ``*`` as in file names.

        The same tables give the same object, until it is renewed.
        """
        if now_ns // RENEWAL_NS != self._period:
            self._period = now_ns // RENEWAL_NS
            self._compiled.clear()
        key = (provider, *((table.digest, table.effective_ns, table.name) for table in tables))
        found = self._compiled.get(key)
        if found is None:
            common = dict(self._common.by_pattern(provider, now_ns))
            models = {model for table in tables for model in table.lines.get(provider, {})}
            named = {model: self.find(provider, tables, model, now_ns) for model in sorted(models)}
            found = self._compiled[key] = {**common, **named}
        return found


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The prices of one project."""

    shelf: PriceShelf
    lines: Sequence[PriceSpec] = ()
    """Of the gateway's document."""
    tables: Sequence[LoadedTable] = ()
    """Loaded ones: newest first day first, of one day the one loaded last."""
    providers: Mapping[str, str] = field(default_factory=dict)
    """Whose prices hold at an upstream, where its name does not say so."""

    def prices(self, model: str, now_ns: int, release: Sequence[PriceSpec] = ()) -> tuple[ModelPrices, ...]:
        """Return the prices of ``UPSTREAM/MODEL`` from now on, newest first; none is *unknown*.

        Args:
            model: ``UPSTREAM/MODEL``.
            now_ns: What ended before is left out.
            release: The lines of the release's own table, which come first.
        """
        upstream, _, name = model.partition("/")
        own = [own_prices(release, model, RELEASE_SOURCE), own_prices(self.lines, model, DOCUMENT_SOURCE)]
        found = combine_prices(own, now_ns)
        if found and found[-1].effective_ns <= now_ns:
            return found
        return combine_prices([*own, self.shelf.find(self.provider(upstream), self.tables, name, now_ns)], now_ns)

    def direct(self, upstream: str, now_ns: int) -> Mapping[str, tuple[ModelPrices, ...]]:
        """Return what can be called at an upstream by model name, which may have ``*`` as in file names."""
        found = self.shelf.by_pattern(self.provider(upstream), self.tables, now_ns)
        mine = {line.model for line in self.lines if line.model.partition("/")[0] == upstream}
        if not mine:
            return found
        return {**found, **{model.partition("/")[2]: self.prices(model, now_ns) for model in sorted(mine)}}

    def provider(self, upstream: str) -> str:
        """Return whose prices hold at an upstream."""
        return provider_name(self.providers.get(upstream) or upstream)


def open_book(
    shelf: PriceShelf,
    config: GatewayConfig,
    tables: Sequence[PriceTableRecord],
    read: Callable[[str, str], str],
) -> PriceBook:
    """Return the prices of a project.

    Args:
        shelf: What projects share.
        config: The project's document.
        tables: The project's, newest first day first, of one day the one loaded last.
        read: Gives a table's content by project and digest.
    """
    providers = {upstream.name: upstream.prices for upstream in config.upstream if upstream.prices}
    return PriceBook(shelf, config.price, [shelf.open(record, read) for record in tables], providers)
