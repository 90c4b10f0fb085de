"""One stack that tests share, and stacks of their own for tests that kill or stop something."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The harness is imported by its full name, which type checkers know it by, also where pytest runs as a bare command.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.flows.harness import Stack, Upstream
from tests.flows.service_files import ServiceFolder, write_service


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The upstream ``alpha`` of the shared stack."""
    started = Upstream.start(tmp_path_factory.mktemp("upstream"), "alpha")
    yield started
    started.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Stack]:
    """A running ``zirkel up`` that no test stops or kills; each test uses services of its own."""
    started = Stack.start(tmp_path_factory.mktemp("stack"))
    try:
        started.set_upstream("alpha", upstream)
        yield started
    finally:
        started.stop()


@pytest.fixture
def own_upstream(tmp_path: Path) -> Iterator[Upstream]:
    """An upstream that the test may slow down or stop."""
    started = Upstream.start(tmp_path, "own")
    yield started
    started.stop()


@pytest.fixture
def own_stack(tmp_path: Path, own_upstream: Upstream) -> Iterator[Stack]:
    """A running ``zirkel up`` that the test may kill; its upstream ``alpha`` is ``own_upstream``."""
    started = Stack.start(tmp_path / "stack")
    try:
        started.set_upstream("alpha", own_upstream)
        yield started
    finally:
        started.stop()


@pytest.fixture
def service(tmp_path: Path, request: pytest.FixtureRequest) -> ServiceFolder:
    """A service named after the test, not pushed yet."""
    name = request.node.name.removeprefix("test_")
    return write_service(tmp_path / "services", re.sub(r"[^a-z0-9]+", "-", name.lower())[:120].strip("-"))


@pytest.fixture
def live(stack: Stack, service: ServiceFolder) -> ServiceFolder:
    """The test's service on the shared stack, its baseline live in production."""
    stack.adopt(service)
    return service
