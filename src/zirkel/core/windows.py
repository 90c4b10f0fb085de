"""The calendar windows that budgets hold for: hour, day and month in UTC."""

from datetime import UTC, datetime
from typing import get_args

from zirkel.core.policy import BudgetWindow

WINDOWS: tuple[BudgetWindow, ...] = get_args(BudgetWindow)
"""Shortest first."""
_HOUR_NS = 3_600_000_000_000


def window_bounds(window: BudgetWindow, now_ns: int) -> tuple[int, int]:
    """Return when the window that ``now_ns`` is in began and when the next one begins, UTC nanoseconds since 1970."""
    if window != "month":
        length_ns = _HOUR_NS if window == "hour" else 24 * _HOUR_NS
        start_ns = now_ns - now_ns % length_ns
        return start_ns, start_ns + length_ns
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    year, month = divmod(now.year * 12 + now.month, 12)
    return _first_of(now.year, now.month), _first_of(year, month + 1)


def _first_of(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
