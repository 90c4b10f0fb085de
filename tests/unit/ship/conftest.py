"""Shipping over a real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from zirkel.core import ManualClock, NotFound, Principal, Role
from zirkel.ship import Shipping
from zirkel.store.metadata import Metadata

RELEASES = {"one": "1" * 64, "two": "2" * 64, "three": "3" * 64}


class NamedReleases:
    """Releases by plain names."""

    def resolve(self, project_id: str, service: str, reference: str) -> str:
        if (project_id, service) != ("p", "triage") or reference not in RELEASES:
            raise NotFound(f"service {service!r} has no release {reference!r}")
        return RELEASES[reference]


class StoredStates:
    """Notes what is stored whenever the gateway is told."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self.versions: list[int] = []

    def publish(self) -> None:
        with self._metadata.transaction() as tx:
            self.versions += [state.version for state in tx.environments.list()]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metadata(tmp_path: Path, clock: ManualClock) -> Iterator[Metadata]:
    opened = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    yield opened
    opened.close()


@pytest.fixture
def published(metadata: Metadata) -> StoredStates:
    return StoredStates(metadata)


@pytest.fixture
def shipping(metadata: Metadata, published: StoredStates, clock: ManualClock) -> Shipping:
    return Shipping(metadata, NamedReleases(), published, clock)


@pytest.fixture
def admin() -> Principal:
    return Principal("p", "k1", "ann", frozenset({Role.ADMIN}))
