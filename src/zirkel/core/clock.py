"""Time as a port: everything that needs the time takes a ``Clock``."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the current time."""

    def now_ns(self) -> int:
        """Return the time as UTC nanoseconds since 1970."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        return time.time_ns()  # noqa: TID251 (the one place that may)


class ManualClock:
    """A clock that tests set by hand."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self.current_ns = now_ns

    def now_ns(self) -> int:
        return self.current_ns

    def advance(self, seconds: float) -> None:
        self.current_ns += int(seconds * 1e9)


def iso_utc(time_ns: int) -> str:
    """Return ``time_ns`` as ISO 8601 in UTC with milliseconds, e.g. ``2026-03-01T12:00:00.000Z``."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
