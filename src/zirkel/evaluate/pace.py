"""How fast a system may be asked: requests a second, tokens a minute, and the pauses that it asks for itself."""

from collections.abc import Awaitable, Callable

from zirkel.core import Clock

NS_PER_S = 10**9
NS_PER_MINUTE = 60 * NS_PER_S

Sleep = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""


class Pace:
    """Gives turns, in the order they are asked for, no faster than is allowed. Belongs to one event loop.

    Tokens are known only afterwards: what an answer took moves the next turn by the time in which as much flows in, so
    the rate is kept on average, and overdrawn by no more than the calls that are under way.

    Source: the generic cell rate algorithm of ITU-T I.371 (virtual scheduling), without a burst.
    """

    def __init__(
        self, clock: Clock, sleep: Sleep, *, requests_per_s: float | None = None, tokens_per_min: int | None = None
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._request_ns = int(NS_PER_S / requests_per_s) if requests_per_s else 0
        self._token_ns = NS_PER_MINUTE / tokens_per_min if tokens_per_min else 0.0
        self._next_ns = 0
        self._tokens_ns = 0
        self._held_ns = 0

    async def turn(self) -> None:
        """Return when the next request may be sent."""
        now_ns = self._clock.now_ns()
        due_ns = max(now_ns, self._next_ns)
        self._next_ns = due_ns + self._request_ns
        while (start_ns := max(due_ns, self._tokens_ns, self._held_ns)) > now_ns:
            await self._sleep((start_ns - now_ns) / NS_PER_S)
            now_ns = self._clock.now_ns()

    def spend(self, tokens: int) -> None:
        """Note that a call took so many tokens."""
        if self._token_ns:
            self._tokens_ns = max(self._clock.now_ns(), self._tokens_ns) + int(tokens * self._token_ns)

    def hold(self, seconds: float) -> None:
        """Give no turn for so long."""
        self._held_ns = max(self._held_ns, self._clock.now_ns() + int(seconds * NS_PER_S))
