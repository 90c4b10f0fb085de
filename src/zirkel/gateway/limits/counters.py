"""What is counted for one subject: calls and tokens of the last minute, running calls, money per calendar window.

Pure arithmetic. A minute is kept in buckets of 5 s. Any 60 s lie in at most 13 of them, so a limit that holds for the
sum of 13 holds for every 60 s; a call is let go after 60 to 65 s. Money is whole numbers of 10^-12 USD of any size.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from zirkel.core import BudgetWindow
from zirkel.gateway.limits.claims import HeldAttempt

BUCKET_NS = 5_000_000_000
BUCKETS = 13
BACKWARDS_NS = 60_000_000_000
"""How far a clock may go back before counting begins anew; until it has caught up, the later time holds."""
_HOUR_NS = 3_600_000_000_000


class WindowCounters(msgspec.Struct, array_like=True):
    """Money of one calendar window, in 10^-12 USD."""

    number: int = -1
    """Which hour, day or month since 1970 (months: since year 0)."""
    spent: int = 0
    held: int = 0
    """Reserved by attempts that have not ended."""
    announced: int = -1
    """The highest soft level that was passed and announced."""


class SubjectCounters(msgspec.Struct, array_like=True):
    """Everything about one subject; valid at ``last_ns``. Independent of the limits, which may change at any time."""

    last_ns: int = 0
    running: int = 0
    bucket: int = 0
    """Number of the newest bucket; bucket ``n`` is at place ``n % 13`` of the lists."""
    requests: list[int] = msgspec.field(default_factory=lambda: [0] * BUCKETS)
    tokens: list[int] = msgspec.field(default_factory=lambda: [0] * BUCKETS)
    hour: WindowCounters = msgspec.field(default_factory=WindowCounters)
    day: WindowCounters = msgspec.field(default_factory=WindowCounters)
    month: WindowCounters = msgspec.field(default_factory=WindowCounters)

    def window(self, name: BudgetWindow) -> WindowCounters:
        """Return the counters of a window by its name."""
        if name == "hour":
            return self.hour
        return self.day if name == "day" else self.month


def steady_now(now_ns: int, subjects: Iterable[SubjectCounters]) -> int:
    """Return the time to count at: no earlier than what the subjects have seen, unless the clock went far back."""
    steady = now_ns
    for counters in subjects:
        if steady < counters.last_ns <= now_ns + BACKWARDS_NS:
            steady = counters.last_ns
    return steady


def advance(counters: SubjectCounters, now_ns: int) -> None:
    """Let go of buckets and windows that are over at ``now_ns``."""
    bucket = now_ns // BUCKET_NS
    if bucket != counters.bucket:
        if 0 < bucket - counters.bucket < BUCKETS:
            for number in range(counters.bucket + 1, bucket + 1):
                counters.requests[number % BUCKETS] = 0
                counters.tokens[number % BUCKETS] = 0
        else:
            counters.requests = [0] * BUCKETS
            counters.tokens = [0] * BUCKETS
        counters.bucket = bucket
    hour, day, month = window_numbers(now_ns)
    if counters.hour.number != hour:
        counters.hour = WindowCounters(hour)
        if counters.day.number != day:
            counters.day = WindowCounters(day)
        if counters.month.number != month:
            counters.month = WindowCounters(month)
    counters.last_ns = now_ns


def begin_call(counters: SubjectCounters) -> None:
    """Count a call at the time the counters were advanced to."""
    counters.requests[counters.bucket % BUCKETS] += 1
    counters.running += 1


def end_call(counters: SubjectCounters) -> None:
    """Free the call's place."""
    counters.running = max(0, counters.running - 1)


def reserve(counters: SubjectCounters, tokens: int, pico_usd: int) -> None:
    """Reserve for one attempt at the time the counters were advanced to."""
    counters.tokens[counters.bucket % BUCKETS] += tokens
    counters.hour.held += pico_usd
    counters.day.held += pico_usd
    counters.month.held += pico_usd


def settle(counters: SubjectCounters, reserved: HeldAttempt, used: HeldAttempt) -> None:
    """Put what an attempt used in the place of what it had reserved, in the bucket and the windows of that time.

    Windows and buckets that are over are left alone.
    """
    bucket = reserved.reserved_ns // BUCKET_NS
    if counters.bucket - BUCKETS < bucket <= counters.bucket:
        place = bucket % BUCKETS
        counters.tokens[place] = max(0, counters.tokens[place] + used.tokens - reserved.tokens)
    held, spent = reserved.pico_usd or 0, used.pico_usd or 0
    windows = (counters.hour, counters.day, counters.month)
    for window, number in zip(windows, window_numbers(reserved.reserved_ns), strict=True):
        if window.number == number:
            # Less than 0 only if the clock left this window and came back.
            window.held = max(0, window.held - held)
            window.spent += spent


def is_idle(counters: SubjectCounters, now_ns: int) -> bool:
    """Return whether nothing that is counted here matters any more: no running call, nothing in this month."""
    return counters.running == 0 and window_numbers(counters.last_ns)[2] < window_numbers(now_ns)[2]


def window_numbers(time_ns: int) -> tuple[int, int, int]:
    """Return the hour, the day and the month (all UTC) that ``time_ns`` is in."""
    return _numbers_of_hour(time_ns // _HOUR_NS)


@lru_cache(maxsize=1024)
def _numbers_of_hour(hour: int) -> tuple[int, int, int]:
    date = datetime.fromtimestamp(hour * 3600, UTC)
    return hour, hour // 24, date.year * 12 + date.month - 1
