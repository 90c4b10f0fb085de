"""How much feedback is let in, and from where."""

import json
from dataclasses import dataclass

import pytest

from tests.unit.observe.score_world import MemoryScores
from zirkel.core import Forbidden, LimitReached, ManualClock, Principal, Role, Unauthenticated
from zirkel.observe.feedback import ADDRESS_PER_MINUTE, KEY_PER_MINUTE, Feedback
from zirkel.observe.scores import Scores

BODY = json.dumps({"name": "thumb", "value": True, "session_id": "s"}).encode()


@dataclass(frozen=True)
class Key:
    """A key for one shop."""

    principal: Principal
    requests_per_minute: int | None

    def allows(self, origin: str) -> bool:
        return origin == "https://shop.example"


class KeyRing:
    """One key that has a limit, one that has none."""

    def open_feedback(self, key_text: str) -> Key:
        if key_text not in ("limited", "free"):
            raise Unauthenticated("the key is not known")
        return Key(Principal("p", key_text, key_text, frozenset({Role.FEEDBACK})), 2 if key_text == "limited" else None)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def disk() -> MemoryScores:
    return MemoryScores()


@pytest.fixture
def feedback(clock: ManualClock, disk: MemoryScores) -> Feedback:
    return Feedback(KeyRing(), Scores(disk, disk, disk, clock), clock)


def admitted(feedback: Feedback, address: str, times: int) -> int:
    """Return how many of so many requests of an address are let in."""
    count = 0
    for _ in range(times):
        try:
            feedback.admit(address)
            count += 1
        except LimitReached:
            pass
    return count


def test_an_address_is_let_in_so_often_a_minute(feedback: Feedback, clock: ManualClock) -> None:
    assert admitted(feedback, "192.0.2.1", ADDRESS_PER_MINUTE + 50) == ADDRESS_PER_MINUTE
    assert admitted(feedback, "192.0.2.2", 1) == 1
    with pytest.raises(LimitReached) as refused:
        feedback.admit("192.0.2.1")
    assert refused.value.limit == "feedback.address.requests_per_minute"
    assert refused.value.retry_after_s == pytest.approx(60 / ADDRESS_PER_MINUTE)
    clock.advance(30)
    assert admitted(feedback, "192.0.2.1", ADDRESS_PER_MINUTE) == ADDRESS_PER_MINUTE // 2


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8::1", "2001:db8::ffff:2"), ("::ffff:192.0.2.9", "192.0.2.9"), ("unix", "unix")],
)
def test_addresses_that_one_client_can_choose_from_count_as_one(feedback: Feedback, one: str, other: str) -> None:
    assert admitted(feedback, one, ADDRESS_PER_MINUTE) == ADDRESS_PER_MINUTE
    assert admitted(feedback, other, 1) == 0


def test_another_network_is_another_client(feedback: Feedback) -> None:
    assert admitted(feedback, "2001:db8::1", ADDRESS_PER_MINUTE + 1) == ADDRESS_PER_MINUTE
    assert admitted(feedback, "2001:db8:0:1::1", 1) == 1


@pytest.mark.parametrize(("key_text", "per_minute"), [("limited", 2), ("free", KEY_PER_MINUTE)])
def test_a_key_is_used_as_often_as_its_own_limit_says(feedback: Feedback, key_text: str, per_minute: int) -> None:
    for _ in range(per_minute):
        feedback.open(key_text)
    with pytest.raises(LimitReached) as refused:
        feedback.open(key_text)
    assert refused.value.limit == "feedback.key.requests_per_minute"


def test_only_pages_of_the_keys_origins_are_taken(feedback: Feedback, disk: MemoryScores) -> None:
    key = feedback.open("free")
    for origin in ("", "null", "https://evil.example", "https://shop.example.evil.example"):
        with pytest.raises(Forbidden):
            feedback.give(key, origin, BODY)
        assert not feedback.may_use("free", origin)
    assert disk.spooled == []
    assert feedback.may_use("free", "https://shop.example")
    assert feedback.give(key, "https://shop.example", BODY).outcome == "accepted"
    assert [score.author for score in disk.spooled] == ["free"]


def test_a_page_with_a_key_that_is_no_good_may_ask_and_is_told_so(feedback: Feedback) -> None:
    assert feedback.may_use("unknown", "https://shop.example")
    with pytest.raises(Unauthenticated):
        feedback.open("unknown")
