"""What the metadata store promises of documents and price tables, on SQLite and on PostgreSQL alike."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from zirkel.core import ManualClock, NotFound, UpstreamRecord, new_id
from zirkel.core.gateway_config import GatewayConfigRecord, PriceTableRecord
from zirkel.store.metadata import Metadata

CLOCK = ManualClock()


@pytest.fixture(scope="module")
def store(database_url: str) -> Iterator[Metadata]:
    opened = Metadata.open(database_url, CLOCK)
    yield opened
    opened.close()


@pytest.fixture
def project() -> str:
    """A project of its own for each test: they share one database."""
    return new_id(CLOCK)


def document(project: str, version: int) -> GatewayConfigRecord:
    return GatewayConfigRecord(project, version, "d" * 64, "# ü\n", '{"capture":"off"}', 2**62, "ann")


def table(project: str, name: str = "a", effective: str = "2026-01-01", digest: str = "d") -> PriceTableRecord:
    return PriceTableRecord(project, 0, name, effective, digest * 64, 7, 2**62, "ann")


def test_the_newest_document_is_current_and_all_stay(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        assert tx.gateway_configs.current(project) is None
        for version in (1, 2, 3):
            tx.gateway_configs.add(document(project, version))
    with store.transaction() as tx:
        assert tx.gateway_configs.current(project) == document(project, 3)
        assert tx.gateway_configs.get(project, 1) == document(project, 1)
        assert tx.gateway_configs.get(project, 4) is None
        assert [found.version for found in tx.gateway_configs.history(project, 2)] == [3, 2]


def test_all_current_documents_are_one_of_each_project(store: Metadata, project: str) -> None:
    other = f"{project}-2"
    with store.transaction() as tx:
        for record in (document(project, 1), document(project, 2), document(other, 1)):
            tx.gateway_configs.add(record)
    with store.transaction() as tx:
        found = {
            (r.project_id, r.version) for r in tx.gateway_configs.all_current() if r.project_id.startswith(project)
        }
    assert found == {(project, 2), (other, 1)}


def test_documents_that_are_locked_come_one_after_the_other(store: Metadata, project: str) -> None:
    def add(_number: int) -> None:
        with store.transaction() as tx:
            tx.gateway_configs.lock(project)
            current = tx.gateway_configs.current(project)
            tx.gateway_configs.add(document(project, current.version + 1 if current else 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    with store.transaction() as tx:
        assert [found.version for found in tx.gateway_configs.history(project, 20)] == list(range(8, 0, -1))


def test_an_upstream_is_removed_from_its_project_alone(store: Metadata, project: str) -> None:
    records = [UpstreamRecord(owner, "openai", "https://x", "openai", "", "", 1) for owner in (project, f"{project}-2")]
    with store.transaction() as tx:
        for record in records:
            tx.upstreams.put(record)
        tx.gateway_configs.remove_upstream(project, "openai")
        tx.gateway_configs.remove_upstream(project, "nobody")
    with store.transaction() as tx:
        assert list(tx.upstreams.list(project)) == []
        assert list(tx.upstreams.list(f"{project}-2")) == [records[1]]


def test_tables_are_numbered_and_listed_as_they_count(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        kept = [
            tx.price_tables.add(table(project, name, effective), "[]")
            for name, effective in (("a", "2026-02-01"), ("b", "2026-03-01"), ("c", "2026-02-01"))
        ]
    assert [record.number for record in kept] == [1, 2, 3]
    with store.transaction() as tx:
        assert [found.name for found in tx.price_tables.list(project)] == ["b", "c", "a"]
        assert tx.price_tables.list(project)[0] == replace(table(project, "b", "2026-03-01"), number=2)
        assert {found.project_id for found in tx.price_tables.list()} >= {project}


def test_a_content_is_found_by_project_and_digest(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        tx.price_tables.add(table(project), "[1]")
        tx.price_tables.add(table(project), "[1]")
    with store.transaction() as tx:
        assert tx.price_tables.content(project, "d" * 64) == "[1]"
        with pytest.raises(NotFound):
            tx.price_tables.content(f"{project}-2", "d" * 64)
