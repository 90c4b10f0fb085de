"""Asking again: as often and as soon as it may help, and never without an end."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Invalid
from zirkel.evaluate.chat import ChatAnswer, ChatRequest, TransientFailure
from zirkel.evaluate.tools_gateway import ChatFailure
from zirkel.evaluate.tools_retry import RetryingChat, RetryPolicy

REQUEST = ChatRequest("p", "up/m", ())
GOOD = ChatAnswer("good", Decimal("0.5"), "t")
POLICY = RetryPolicy(attempts=4, first_wait_s=1, longest_wait_s=60)


class Script:
    """Gives each outcome in turn."""

    def __init__(self, *outcomes: ChatAnswer | ChatFailure) -> None:
        self.left = list(outcomes)

    def ask(self, _: ChatRequest) -> ChatAnswer | ChatFailure:
        return self.left.pop(0)


def failure(cost: str | None = "0", *, retry_after_s: float = 0.0, is_transient: bool = True) -> ChatFailure:
    return ChatFailure("HTTP 503", is_transient, None if cost is None else Decimal(cost), retry_after_s)


def test_an_answer_after_failures_costs_what_all_calls_cost() -> None:
    waits: list[float] = []
    chat = RetryingChat(Script(failure("0.25"), failure(), GOOD), POLICY, waits.append, Random(1))
    assert chat.chat(REQUEST) == ChatAnswer("good", Decimal("0.75"), "t")
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2


def test_when_all_attempts_failed_it_says_so_with_what_they_cost() -> None:
    script = Script(*[failure("0.25")] * 4, GOOD)
    with pytest.raises(TransientFailure, match="up/m, asked 4 times: HTTP 503") as raised:
        RetryingChat(script, POLICY, lambda _: None, Random(1)).chat(REQUEST)
    assert raised.value.cost_usd == 1
    assert script.left == [GOOD]


def test_one_unknown_cost_makes_the_sum_unknown() -> None:
    chat = RetryingChat(Script(failure(None), GOOD), POLICY, lambda _: None, Random(1))
    assert chat.chat(REQUEST).cost_usd is None


def test_what_can_never_succeed_is_asked_once() -> None:
    waits: list[float] = []
    with pytest.raises(Invalid, match="up/m cannot be asked: HTTP 503"):
        RetryingChat(Script(failure(is_transient=False)), POLICY, waits.append, Random(1)).chat(REQUEST)
    assert not waits


def test_whoever_says_when_to_come_back_is_obeyed() -> None:
    waits: list[float] = []
    RetryingChat(Script(failure(retry_after_s=7), GOOD), POLICY, waits.append, Random(1)).chat(REQUEST)
    assert waits == [7]


def test_longer_than_the_longest_wait_is_not_waited() -> None:
    waits: list[float] = []
    with pytest.raises(TransientFailure, match="asked 1 times"):
        RetryingChat(Script(failure(retry_after_s=61)), POLICY, waits.append, Random(1)).chat(REQUEST)
    assert not waits


@given(st.integers(1, 12), st.floats(0.01, 10), st.floats(0.01, 100), st.integers())
def test_waits_are_bounded_and_the_same_for_the_same_seed(
    attempts: int, first_s: float, longest_s: float, seed: int
) -> None:
    policy = RetryPolicy(attempts, first_s, longest_s)
    runs: list[list[float]] = []
    for _ in range(2):
        waits: list[float] = []
        with pytest.raises(TransientFailure):
            RetryingChat(Script(*[failure()] * attempts), policy, waits.append, Random(seed)).chat(REQUEST)
        runs.append(waits)
    assert runs[0] == runs[1]
    assert len(runs[0]) == attempts - 1
    for number, wait_s in enumerate(runs[0]):
        exponential_s = min(first_s * 2**number, longest_s)
        assert exponential_s / 2 <= wait_s <= exponential_s
