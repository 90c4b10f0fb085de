"""When a place rests, who probes it, and what brings it back."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.core import ManualClock, Resilience
from zirkel.gateway.health import LONGEST_REST_S, Health, Visit

POLICY = Resilience(failures=3, rest_s=15.0)
PLACE = "p1/stub/good"


def _enter(health: Health, clock: ManualClock, policy: Resilience = POLICY) -> Visit:
    visit = health.enter(PLACE, policy, clock.now_ns())
    assert visit is not None
    return visit


def _fail(health: Health, clock: ManualClock, times: int, policy: Resilience = POLICY) -> list[bool]:
    return [health.failed(_enter(health, clock, policy), policy, clock.now_ns()) for _ in range(times)]


def test_a_place_rests_after_as_many_failures_in_a_row_as_the_policy_says() -> None:
    health, clock = Health(), ManualClock()

    assert _fail(health, clock, 3) == [False, False, True]
    assert health.enter(PLACE, POLICY, clock.now_ns()) is None
    assert health.enter("p1/stub/other", POLICY, clock.now_ns()) is not None


def test_an_answer_in_between_starts_the_count_anew() -> None:
    health, clock = Health(), ManualClock()
    _fail(health, clock, 2)
    health.succeeded(_enter(health, clock))

    assert _fail(health, clock, 3) == [False, False, True]


def test_after_the_rest_one_probe_goes_and_its_answer_brings_the_place_back() -> None:
    health, clock = Health(), ManualClock()
    _fail(health, clock, 3)
    clock.advance(14.9)
    assert health.enter(PLACE, POLICY, clock.now_ns()) is None
    clock.advance(0.1)
    probe = _enter(health, clock)

    assert [health.enter(PLACE, POLICY, clock.now_ns()) for _ in range(3)] == [None] * 3
    health.succeeded(probe)
    assert all(health.enter(PLACE, POLICY, clock.now_ns()) for _ in range(3))


def test_a_probe_that_fails_puts_the_place_to_rest_again() -> None:
    health, clock = Health(), ManualClock()
    _fail(health, clock, 3)
    clock.advance(15)

    assert _fail(health, clock, 1) == [True]
    clock.advance(14.9)
    assert health.enter(PLACE, POLICY, clock.now_ns()) is None
    clock.advance(0.1)
    _enter(health, clock)


def test_a_probe_that_is_abandoned_leaves_its_slot_to_the_next() -> None:
    health, clock = Health(), ManualClock()
    _fail(health, clock, 3)
    clock.advance(15)
    health.abandoned(_enter(health, clock))

    _enter(health, clock)


def test_calls_that_began_before_the_rest_neither_lengthen_it_nor_free_the_probes_slot() -> None:
    health, clock = Health(), ManualClock()
    early = [_enter(health, clock) for _ in range(2)]
    _fail(health, clock, 3)
    clock.advance(10)
    assert health.failed(early[0], POLICY, clock.now_ns()) is False
    clock.advance(5)
    _enter(health, clock)
    health.abandoned(early[1])

    assert health.enter(PLACE, POLICY, clock.now_ns()) is None


@pytest.mark.parametrize(("asked_s", "rest_s"), [(60.0, 60.0), (16.0, 16.0), (1e9, LONGEST_REST_S)])
def test_a_place_that_asks_for_a_longer_rest_gets_it_at_once(asked_s: float, rest_s: float) -> None:
    health, clock = Health(), ManualClock()

    assert health.failed(_enter(health, clock), POLICY, clock.now_ns(), asked_s=asked_s) is True
    clock.advance(rest_s - 0.1)
    assert health.enter(PLACE, POLICY, clock.now_ns()) is None
    clock.advance(0.1)
    _enter(health, clock)


def test_a_place_that_asks_for_a_short_pause_is_counted_like_any_other() -> None:
    health, clock = Health(), ManualClock()

    assert health.failed(_enter(health, clock), POLICY, clock.now_ns(), asked_s=14.0) is False
    _enter(health, clock)


def test_with_no_failures_allowed_for_nothing_ever_rests() -> None:
    health, clock = Health(), ManualClock()
    off = Resilience(failures=0)

    assert _fail(health, clock, 20, off) == [False] * 20
    _fail(health, clock, 3)
    assert health.enter(PLACE, off, clock.now_ns()) is not None


def test_what_rests_can_be_listed() -> None:
    health, clock = Health(), ManualClock()
    _fail(health, clock, 2)
    assert list(health.resting(clock.now_ns())) == []
    _fail(health, clock, 1)
    assert list(health.resting(clock.now_ns())) == [PLACE]
    clock.advance(15)
    assert list(health.resting(clock.now_ns())) == []


def test_ten_thousand_places_are_remembered_and_no_more() -> None:
    health, clock = Health(), ManualClock()
    once = Resilience(failures=1)
    for number in range(10_001):
        health.failed(Visit(str(number)), once, clock.now_ns())

    assert health.may_enter("0", once, clock.now_ns())
    assert not health.may_enter("1", once, clock.now_ns())


@dataclass
class SlowModel:
    """The same rules over a list of everything that happened, with no state but that."""

    log: list[tuple[str, int, bool]] = field(default_factory=list)
    """What was told (``ok``, ``bad`` or ``gone``), when, and whether by the probe."""
    probe: int | None = None

    def rest_until_s(self) -> int | None:
        """Return until when the place rests, or rested; ``None`` if it is well."""
        failures, until = 0, None
        for told, at_s, is_probe in self.log:
            if told == "ok":
                failures, until = 0, None
            elif told == "bad":
                failures += 1
                if (until is None and failures >= POLICY.failures) or (until is not None and is_probe):
                    until = at_s + int(POLICY.rest_s)
        return until

    def may_enter(self, now_s: int) -> bool:
        until = self.rest_until_s()
        return until is None or (now_s >= until and self.probe is None)

    def enter(self, visit: int, now_s: int) -> None:
        if self.rest_until_s() is not None:
            self.probe = visit

    def tell(self, visit: int, told: str, now_s: int) -> None:
        is_probe = visit == self.probe
        self.log.append((told, now_s, is_probe))
        if is_probe or told == "ok":
            self.probe = None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 20)),
        st.tuples(st.just("enter"), st.just(0)),
        st.tuples(st.sampled_from(["ok", "bad", "bad", "gone"]), st.integers(0, 50)),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=400, deadline=None)
def test_health_agrees_with_a_slow_model_and_never_has_two_probes(steps: list[tuple[str, int]]) -> None:
    health, clock, model = Health(), ManualClock(0), SlowModel()
    open_visits: dict[int, Visit] = {}
    for number, (step, value) in enumerate(steps):
        now_s = clock.now_ns() // 1_000_000_000
        if step == "wait":
            clock.advance(value)
        elif step == "enter":
            visit = health.enter(PLACE, POLICY, clock.now_ns())
            assert (visit is not None) == model.may_enter(now_s)
            if visit is not None:
                model.enter(number, now_s)
                open_visits[number] = visit
        elif open_visits:
            chosen = sorted(open_visits)[value % len(open_visits)]
            visit = open_visits.pop(chosen)
            _tell(health, visit, step, clock)
            model.tell(chosen, step, now_s)


def _tell(health: Health, visit: Visit, told: str, clock: ManualClock) -> None:
    if told == "ok":
        health.succeeded(visit)
    elif told == "bad":
        health.failed(visit, POLICY, clock.now_ns())
    else:
        health.abandoned(visit)
