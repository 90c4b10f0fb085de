"""When what is past its retention is removed, and when a leaping clock keeps it from being."""

import threading

import pytest

from zirkel.core import ManualClock
from zirkel.jobs.retention import HOLD_S, MOST_DRIFT_S, RetentionJob, steady_s


class Runs:
    """Counts runs, and fails when told to."""

    def __init__(self) -> None:
        self.count = 0
        self.fails = False
        self.has_run = threading.Event()

    def run_all(self) -> None:
        if self.fails:
            raise OSError("disk")
        self.count += 1
        self.has_run.set()


class World:
    """A clock of the day, and time that passes."""

    def __init__(self) -> None:
        self.clock, self.runs, self.passed_s = ManualClock(), Runs(), 1000.0
        self.job = RetentionJob(self.runs, self.clock, lambda: self.passed_s)

    def pass_time(self, seconds: float) -> None:
        self.passed_s += seconds
        self.clock.advance(seconds)


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_due_is_removed_whenever_it_is_looked_for(world: World) -> None:
    for _ in range(3):
        world.pass_time(3600)
        assert world.job.step()
    assert (world.runs.count, world.job.failures) == (3, 0)


def test_a_failure_is_counted_and_the_next_run_comes(world: World) -> None:
    world.runs.fails = True
    assert not world.job.step()
    world.runs.fails = False
    assert world.job.step()
    assert (world.runs.count, world.job.failures) == (1, 1)


@pytest.mark.parametrize("leap_s", [MOST_DRIFT_S + 1, 400 * 24 * 3600.0])
def test_nothing_is_removed_for_a_day_after_the_clock_leapt_ahead(world: World, leap_s: float) -> None:
    world.pass_time(3600)
    world.clock.advance(leap_s)
    assert not world.job.step()
    world.pass_time(HOLD_S - 1)
    assert not world.job.step()
    world.pass_time(1)
    assert world.job.step()
    assert world.job.failures == 2


def test_a_clock_that_was_set_wrongly_and_back_costs_nothing(world: World) -> None:
    world.clock.advance(10**8)
    assert not world.job.step()
    world.clock.advance(-(10**8))
    assert not world.job.step()
    world.pass_time(HOLD_S)
    assert world.job.step()
    assert world.runs.count == 1


@pytest.mark.parametrize("leap_s", [-1e7, MOST_DRIFT_S - 1])
def test_a_clock_that_goes_back_or_a_little_ahead_holds_nothing_up(world: World, leap_s: float) -> None:
    world.clock.advance(leap_s)
    assert world.job.step()


def test_a_machine_that_slept_holds_nothing_up(world: World) -> None:
    world.pass_time(7 * 24 * 3600)
    assert world.job.step()


def test_the_thread_ends_without_waiting_for_its_next_run() -> None:
    job = RetentionJob(Runs(), ManualClock())
    job.start()
    job.stop()
    assert not job._thread.is_alive()


def test_steady_time_passes() -> None:
    first = steady_s()
    assert 0 < first <= steady_s()
