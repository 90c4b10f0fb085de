"""When the counters are compared with the telemetry, and what a failure of that may not do."""

import shutil
from pathlib import Path

import pytest

from zirkel.app.budgets import BudgetKeeper, LimitsFile
from zirkel.core import Overloaded
from zirkel.store.shared import LmdbState


class World:
    """Notes what is done, in order; satisfies every port of the keeper."""

    def __init__(self, *, is_whole: bool = True, is_due: bool = False) -> None:
        self.is_whole = is_whole
        self.due = is_due
        self.fails = False
        self.done: list[str] = []

    def is_due(self) -> bool:
        return self.due

    def run(self) -> int:
        if self.fails:
            raise Overloaded("the telemetry is away")
        self.done.append("compared")
        return 0

    def note_whole(self) -> None:
        self.done.append("whole")
        self.is_whole = True

    def publish(self) -> None:
        self.done.append("published")

    def drain(self) -> None:
        self.done.append("drained")


def keeper(world: World) -> BudgetKeeper:
    return BudgetKeeper(world, world, world, world.drain)


def test_what_was_spent_is_counted_before_its_limits_are_published() -> None:
    world = World(is_due=True)
    keeper(world).publish()
    assert world.done == ["drained", "compared", "published"]


def test_a_publication_without_new_limits_waits_for_nothing() -> None:
    world = World()
    keeper(world).publish()
    assert world.done == ["published"]


def test_limits_are_published_even_if_the_telemetry_cannot_be_asked() -> None:
    world = World(is_due=True)
    world.fails = True
    keeper(world).publish()
    assert world.done[-1] == "published"


def test_counters_are_whole_only_once_everything_recorded_was_put_back() -> None:
    world = World(is_whole=False)
    world.fails = True
    with pytest.raises(Overloaded):
        keeper(world).compare()
    assert not world.is_whole
    world.fails = False
    keeper(world).compare()
    assert world.done == ["drained", "drained", "compared", "whole"]


def test_lost_counters_are_put_back_before_the_start_returns() -> None:
    world = World(is_whole=False)
    started = keeper(world)
    started.start()
    assert world.done[:3] == ["drained", "compared", "whole"]
    started.stop()


@pytest.mark.parametrize("lost", ["never made", "deleted", "damaged", "from before a start of the machine"])
def test_a_file_is_whole_only_if_nothing_was_lost_since_it_was_noted_so(tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "limits"
    if lost != "never made":
        _note_whole(folder)
        assert _is_whole(folder)
    if lost == "deleted":
        shutil.rmtree(folder)
    elif lost == "damaged":
        data = folder / "data.mdb"
        data.write_bytes(b"\xff" * data.stat().st_size)
    elif lost != "never made":
        state = LmdbState(folder)
        with state.transaction() as transaction:
            transaction.put(b"!whole", b"another boot")
        state.close()
    assert not _is_whole(folder)
    _note_whole(folder)
    assert _is_whole(folder)


def _note_whole(folder: Path) -> None:
    state = LmdbState(folder)
    LimitsFile(state).note_whole()
    assert not state.was_lost
    state.close()


def _is_whole(folder: Path) -> bool:
    state = LmdbState(folder)
    try:
        return LimitsFile(state).is_whole
    finally:
        state.close()
