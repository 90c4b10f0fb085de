"""How long to wait before trying again, and how often that is allowed."""

from bisect import insort
from collections import OrderedDict, deque
from random import Random

from zirkel.core import Hedge, Resilience

_MOST_NAMES = 10_000
_SHARE_BURST = 10.0
_WINDOW = 200
_ENOUGH = 20


class Share:
    """Allows an action for at most a share of calls, and a burst of 10 on top."""

    def __init__(self) -> None:
        self._credit: OrderedDict[str, float] = OrderedDict()

    def called(self, name: str, share: float) -> None:
        """Note a call under ``name``: it earns ``share`` of one action."""
        credit = self._credit.get(name)
        if credit is None:
            if len(self._credit) >= _MOST_NAMES:
                self._credit.popitem(last=False)
            credit = _SHARE_BURST
        self._credit[name] = min(_SHARE_BURST, credit + share)

    def take(self, name: str, share: float) -> bool:
        """Return whether the action is allowed now, and count it if so. A share of 0 never allows it."""
        credit = self._credit.get(name, 0.0)
        if share <= 0.0 or credit < 1.0:
            return False
        self._credit[name] = credit - 1.0
        return True


def backoff_s(policy: Resilience, retry: int, retry_after_s: float | None, random: Random) -> float | None:
    """Return the pause before the retry number ``retry``, from 1; ``None`` if the upstream asks for a longer one.

    Full jitter: uniform between 0 and the doubled base. What the upstream asks for goes before, with up to 10 % on top
    so that its callers do not return all at once.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; RFC 9110, section 10.2.3.
    """
    if retry_after_s is not None:
        if retry_after_s > policy.longest_backoff_s:
            return None
        return retry_after_s * (1 + 0.1 * random.random())
    ceiling: float = min(policy.longest_backoff_s, policy.backoff_s * 2 ** (retry - 1))
    return ceiling * random.random()


class Delays:
    """Recent times to the first byte by place, for hedging. Keeps the last 200 of each."""

    def __init__(self) -> None:
        self._recent: OrderedDict[str, deque[float]] = OrderedDict()
        self._sorted: dict[str, list[float]] = {}

    def note(self, place: str, seconds: float) -> None:
        """Note one time to the first byte."""
        recent = self._recent.get(place)
        if recent is None:
            if len(self._recent) >= _MOST_NAMES:
                del self._sorted[self._recent.popitem(last=False)[0]]
            recent = self._recent[place] = deque()
            self._sorted[place] = []
        ordered = self._sorted[place]
        if len(recent) == _WINDOW:
            ordered.remove(recent.popleft())
        recent.append(seconds)
        insort(ordered, seconds)

    def hedge_after_s(self, place: str, policy: Hedge) -> float | None:
        """Return after how many seconds a call to ``place`` is late; ``None`` while fewer than 20 are known."""
        ordered = self._sorted.get(place, ())
        if len(ordered) < _ENOUGH:
            return None
        return max(policy.minimum_s, ordered[min(len(ordered) - 1, int(policy.percentile * len(ordered)))])
