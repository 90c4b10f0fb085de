"""Governing over a real database."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from zirkel.core import ManualClock, Principal, Role
from zirkel.govern import Access, Evidence, Vault
from zirkel.store.metadata import Metadata


class CountingPublisher:
    """Counts how often the gateway was told."""

    def __init__(self) -> None:
        self.published = 0

    def publish(self) -> None:
        self.published += 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metadata(tmp_path: Path, clock: ManualClock) -> Iterator[Metadata]:
    opened = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    yield opened
    opened.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(range(32)))


@pytest.fixture
def publisher() -> CountingPublisher:
    return CountingPublisher()


@pytest.fixture
def access(metadata: Metadata, publisher: CountingPublisher, vault: Vault, clock: ManualClock) -> Access:
    return Access(metadata, publisher, vault, lambda text: hashlib.sha256(text.encode()).hexdigest(), clock)


@pytest.fixture
def evidence(metadata: Metadata, vault: Vault, clock: ManualClock) -> Evidence:
    return Evidence(metadata, vault, clock)


@pytest.fixture
def admin() -> Principal:
    return Principal("default", "k1", "ann", frozenset({Role.ADMIN}))


@pytest.fixture
def reader() -> Principal:
    return Principal("default", "k2", "bob", frozenset({Role.READ}))
