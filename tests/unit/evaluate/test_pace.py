"""How fast systems are asked, and how often: limits, pauses and attempts, on a clock set by hand."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import ManualClock
from zirkel.evaluate import Answer, Question
from zirkel.evaluate.asking import ATTEMPTS, LONGEST_PAUSE_S, MOST_PAUSES, Asker
from zirkel.evaluate.pace import Pace

QUESTION = Question("p", "e", "s", "r", "i", 0, {}, "t" * 32)


class Answers:
    """Gives answers in turn, the last one for ever, and notes when it was asked."""

    def __init__(self, clock: ManualClock, answers: Sequence[Answer]) -> None:
        self._clock = clock
        self._answers = list(answers)
        self.asked_ns: list[int] = []

    async def ask(self, _question: Question) -> Answer:
        self.asked_ns.append(self._clock.now_ns())
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    async def close(self) -> None:
        return


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sleep(clock: ManualClock) -> Callable[[float], Awaitable[None]]:
    async def advance(seconds: float) -> None:
        clock.advance(seconds)

    return advance


def ask(
    clock: ManualClock, sleep: Callable[[float], Awaitable[None]], answers: Sequence[Answer]
) -> tuple[Answer, Answers]:
    system = Answers(clock, answers)
    found = asyncio.run(Asker(system, Pace(clock, sleep), sleep).ask(QUESTION))
    return found, system


def waits_s(system: Answers) -> list[float]:
    return [(after - before) / 1e9 for before, after in zip(system.asked_ns, system.asked_ns[1:], strict=False)]


@given(st.floats(min_value=0.1, max_value=1000), st.integers(min_value=2, max_value=30))
def test_turns_come_no_faster_than_the_rate_and_no_slower(rate: float, turns: int) -> None:
    clock = ManualClock()
    given_ns = []

    async def advance(seconds: float) -> None:
        clock.advance(seconds)

    async def take() -> None:
        pace = Pace(clock, advance, requests_per_s=rate)
        for _ in range(turns):
            await pace.turn()
            given_ns.append(clock.now_ns())

    start_ns = clock.now_ns()
    asyncio.run(take())
    assert given_ns[0] == start_ns
    for number, at_ns in enumerate(given_ns):
        assert at_ns - start_ns == pytest.approx(number * 1e9 / rate, rel=1e-6, abs=turns * 10)


def test_tokens_that_were_spent_hold_the_next_turn_until_as_many_have_flown_in(
    clock: ManualClock, sleep: Callable[[float], Awaitable[None]]
) -> None:
    async def take() -> float:
        pace = Pace(clock, sleep, tokens_per_min=600)
        await pace.turn()
        pace.spend(50)
        start_ns = clock.now_ns()
        await pace.turn()
        return (clock.now_ns() - start_ns) / 1e9

    assert asyncio.run(take()) == pytest.approx(5.0)


def test_without_limits_nobody_waits(clock: ManualClock) -> None:
    async def never(_seconds: float) -> None:
        raise AssertionError("nobody should wait")

    async def take() -> None:
        pace = Pace(clock, never)
        for _ in range(100):
            await pace.turn()
            pace.spend(10**9)

    asyncio.run(take())


def test_a_good_answer_is_asked_for_once(clock: ManualClock, sleep: Callable[[float], Awaitable[None]]) -> None:
    found, system = ask(clock, sleep, [Answer("yes")])
    assert (found.output, len(system.asked_ns)) == ("yes", 1)


def test_what_may_pass_is_tried_again_later_and_later(
    clock: ManualClock, sleep: Callable[[float], Awaitable[None]]
) -> None:
    found, system = ask(clock, sleep, [Answer("", "HTTP 500")])
    assert found.error == "HTTP 500"
    assert len(system.asked_ns) == ATTEMPTS
    assert waits_s(system) == [1.0, 2.0]


def test_what_cannot_pass_is_not_tried_again(clock: ManualClock, sleep: Callable[[float], Awaitable[None]]) -> None:
    found, system = ask(clock, sleep, [Answer("", "HTTP 400", is_retryable=False)])
    assert (found.error, len(system.asked_ns)) == ("HTTP 400", 1)


def test_a_pause_that_the_system_asks_for_is_kept_and_is_no_attempt(
    clock: ManualClock, sleep: Callable[[float], Awaitable[None]]
) -> None:
    busy = Answer("", "HTTP 429", retry_after_s=7.0)
    found, system = ask(clock, sleep, [*[busy] * (ATTEMPTS + 2), Answer("yes")])
    assert found.output == "yes"
    assert waits_s(system) == [7.0] * (ATTEMPTS + 2)


def test_a_system_that_never_stops_pausing_is_given_up(
    clock: ManualClock, sleep: Callable[[float], Awaitable[None]]
) -> None:
    found, system = ask(clock, sleep, [Answer("", "HTTP 429", retry_after_s=1.0)])
    assert found.error == "HTTP 429"
    assert len(system.asked_ns) == MOST_PAUSES + ATTEMPTS


def test_a_pause_that_is_too_long_is_not_waited_for(
    clock: ManualClock, sleep: Callable[[float], Awaitable[None]]
) -> None:
    found, system = ask(clock, sleep, [Answer("", "HTTP 429", retry_after_s=LONGEST_PAUSE_S + 1)])
    assert (found.error, len(system.asked_ns)) == ("HTTP 429", 1)


def test_a_pause_holds_everybody_who_asks_at_that_pace(
    clock: ManualClock, sleep: Callable[[float], Awaitable[None]]
) -> None:
    pace = Pace(clock, sleep)
    busy = Answers(clock, [Answer("", "HTTP 429", retry_after_s=5.0), Answer("yes")])
    other = Answers(clock, [Answer("yes")])

    async def both() -> None:
        pace.hold(5.0)
        await Asker(other, pace, sleep).ask(QUESTION)
        await Asker(busy, pace, sleep).ask(QUESTION)

    start_ns = clock.now_ns()
    asyncio.run(both())
    assert other.asked_ns[0] - start_ns == 5_000_000_000
