"""Asking again what failed for the moment."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from random import Random
from typing import Protocol

from zirkel.core import Invalid
from zirkel.evaluate.chat import ChatAnswer, ChatRequest, TransientFailure
from zirkel.evaluate.tools_gateway import ChatFailure


class OneCall(Protocol):
    """Asks a model once."""

    def ask(self, request: ChatRequest) -> ChatAnswer | ChatFailure:
        """Return what the model said, or why it did not."""
        ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after how long, is asked again."""

    attempts: int = 4
    """Calls in all, at least 1."""
    first_wait_s: float = 0.5
    """About how long before the second call; doubles with each further one."""
    longest_wait_s: float = 60.0
    """Longer than this is not waited, whoever asks for it: the failure is reported instead."""


class RetryingChat:
    """Asks until there is an answer or no hope. Thread safe. A ``Chat``."""

    def __init__(self, call: OneCall, policy: RetryPolicy, wait: Callable[[float], None], random: Random) -> None:
        """Ask by ``call``; ``wait`` blocks for seconds, ``random`` spreads the waits of many threads."""
        self._call = call
        self._policy = policy
        self._wait = wait
        self._random = random

    def chat(self, request: ChatRequest) -> ChatAnswer:
        """Return the first answer; its cost is that of all calls made for it.

        Raises:
            TransientFailure: If every call failed, or the next one would have to wait too long; has what they cost.
            Invalid: If the request can never succeed.
        """
        spent_usd: Decimal | None = Decimal(0)
        for attempt in count(1):
            found = self._call.ask(request)
            spent_usd = add_costs(spent_usd, found.cost_usd)
            if isinstance(found, ChatAnswer):
                return replace(found, cost_usd=spent_usd)
            if not found.is_transient:
                raise Invalid(f"{request.model} cannot be asked: {found.message}")
            wait_s = max(self._backoff_s(attempt), found.retry_after_s)
            if attempt >= self._policy.attempts or wait_s > self._policy.longest_wait_s:
                message = f"{request.model}, asked {attempt} times: {found.message}"
                raise TransientFailure(message, cost_usd=spent_usd)
            self._wait(wait_s)
        raise AssertionError("count() has no end")

    def _backoff_s(self, attempt: int) -> float:
        """Return a random time between half and all of the exponential wait."""
        longest_s = min(self._policy.first_wait_s * 2.0 ** (attempt - 1), self._policy.longest_wait_s)
        return longest_s * (0.5 + 0.5 * self._random.random())


def add_costs(*costs_usd: Decimal | None) -> Decimal | None:
    """Return the sum; ``None``, unknown, if one is."""
    total = Decimal(0)
    for cost_usd in costs_usd:
        if cost_usd is None:
            return None
        total += cost_usd
    return total
