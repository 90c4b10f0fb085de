import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage


@pytest.fixture
def kept_garbage() -> Iterator[list[object]]:
    """What the collector finds while a test runs; nothing is collected by itself meanwhile."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_leaves_nothing_to_the_garbage_collector(
    stage: "Stage", kept_garbage: list[object], stream: bool
) -> None:
    for _ in range(5):
        assert stage.ask_service(stream=stream).status == 200
    gc.collect()

    ours = {type(found).__name__ for found in kept_garbage if type(found).__module__.startswith("zirkel.gateway")}
    assert ours == set()
