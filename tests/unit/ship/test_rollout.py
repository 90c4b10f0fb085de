"""The moves of an environment, as a machine that is driven through every order of moves."""

import math

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from zirkel.core import Conflict, EnvironmentRecord, Invalid, Refused
from zirkel.ship.rollout import first_release, promote, roll_back, start_rollout

RELEASES = st.sampled_from(["r1", "r2", "r3"])
WEIGHTS = st.floats(0, 1, exclude_min=True, exclude_max=True)


def first(release: str = "r1") -> EnvironmentRecord:
    return first_release("p", "triage", "production", release, actor="ann", now_ns=1)


class Environment(RuleBasedStateMachine):
    """Compares each state with a plain list of what was promoted."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0
        self.salts: set[str] = set()

    @initialize(release=RELEASES)
    def ship_first(self, release: str) -> None:
        self.state = first(release)
        self.live = release
        self.before: str | None = None
        self.candidate: str | None = None
        self.versions = [1]
        self.salts.add(self.state.salt)

    def moved(self, state: EnvironmentRecord) -> None:
        self.versions.append(state.version)
        self.state = state

    def tick(self) -> int:
        self.now_ns += 1
        return self.now_ns

    @rule(release=RELEASES, weight=WEIGHTS)
    def start(self, release: str, weight: float) -> None:
        now_ns = self.tick()
        if self.candidate is not None or release == self.live:
            with pytest.raises(Conflict):
                start_rollout(self.state, release, weight, actor="bob", now_ns=now_ns)
            return
        self.moved(start_rollout(self.state, release, weight, actor="bob", now_ns=now_ns))
        self.candidate = release
        assert self.state.rollout is not None
        assert (self.state.rollout.weight, self.state.rollout.since_ns) == (weight, now_ns)
        assert self.state.salt not in self.salts, "each rollout splits the units anew"
        self.salts.add(self.state.salt)

    @rule()
    def promote(self) -> None:
        now_ns = self.tick()
        if self.candidate is None:
            with pytest.raises(Conflict, match="no rollout"):
                promote(self.state, actor="bob", now_ns=now_ns)
            return
        self.moved(promote(self.state, actor="bob", now_ns=now_ns))
        self.before, self.live, self.candidate = self.live, self.candidate, None
        assert (self.state.stable_since_ns, self.state.stable_by) == (now_ns, "bob")

    @precondition(lambda self: self.candidate is not None)
    @rule()
    def end_rollout(self) -> None:
        since_ns = self.state.stable_since_ns
        self.moved(roll_back(self.state, actor="bob", now_ns=self.tick()))
        self.candidate = None
        assert self.state.stable_since_ns == since_ns, "what was stable has been so all the time"

    @precondition(lambda self: self.candidate is None)
    @rule()
    def undo_promotion(self) -> None:
        now_ns = self.tick()
        if self.before is None:
            with pytest.raises(Refused, match="no release before"):
                roll_back(self.state, actor="bob", now_ns=now_ns)
            return
        self.moved(roll_back(self.state, actor="bob", now_ns=now_ns))
        self.live, self.before = self.before, None
        assert (self.state.stable_since_ns, self.state.stable_by) == (now_ns, "bob")

    @invariant()
    def state_is_what_was_asked_for(self) -> None:
        assert self.state.stable_release == self.live
        assert self.state.previous_release == self.before
        rollout = self.state.rollout
        assert (rollout.release if rollout else None) == self.candidate
        assert rollout is None or (0 < rollout.weight < 1 and rollout.release != self.live)
        assert self.versions == list(range(1, len(self.versions) + 1))


TestEnvironment = Environment.TestCase


@pytest.mark.parametrize("weight", [0.0, 1.0, -0.1, 1.1, 50.0, math.nan, math.inf])
def test_a_weight_that_is_no_share_is_refused(weight: float) -> None:
    with pytest.raises(Invalid, match="must be above 0 and below 1"):
        start_rollout(first(), "r2", weight, actor="ann", now_ns=2)


def test_a_second_rollback_does_not_bring_back_what_was_rolled_back() -> None:
    bad = promote(start_rollout(first(), "r2", 0.1, actor="ann", now_ns=2), actor="ann", now_ns=3)
    good = roll_back(bad, actor="ann", now_ns=4)
    assert good.stable_release == "r1"
    with pytest.raises(Refused, match="no release before r1"):
        roll_back(good, actor="ann", now_ns=5)


def test_the_salt_can_be_recomputed() -> None:
    assert first().salt == first("r2").salt
    assert len(first().salt) == 32
    other = first_release("p", "triage", "staging", "r1", actor="ann", now_ns=1)
    assert other.salt != first().salt
