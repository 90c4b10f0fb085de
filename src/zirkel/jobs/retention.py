"""The thread that removes what is older than its project keeps it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from zirkel.core import Clock

EVERY_S = 3600.0
FIRST_S = 600.0
"""How long after the start the first run is: many machines set their clock in the first minutes."""
MOST_DRIFT_S = 6 * 3600.0
"""How far the clock of the day may run ahead of the one that only counts: more than that, and it was set."""
HOLD_S = 24 * 3600.0
"""How long nothing is removed then: who set it wrongly has a day to notice."""

log = logging.getLogger("zirkel.retention")


def steady_s() -> float:
    """Return seconds that pass evenly, also while the machine sleeps, whatever the clock of the day is set to."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Retention(Protocol):
    """Removes what is due."""

    def run_all(self) -> None: ...


class RetentionJob:
    """Once an hour has everything removed that is due.

    A clock that is set to the future makes everything look old. So when it leaps ahead nothing is removed for a day,
    but for what ``zirkel privacy retain --now`` asks for.
    """

    def __init__(self, retention: Retention, clock: Clock, steady: Callable[[], float] = steady_s) -> None:
        self._retention = retention
        self._clock = clock
        self._steady = steady
        self._last = (clock.now_ns(), steady())
        self._held_until_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)
        self.failures = 0
        """Runs that failed, or that were left out because the clock leapt, since the start."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, after the run that is under way."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def step(self) -> bool:
        """Have removed what is due; return whether that was done."""
        if self._is_held():
            self.failures += 1
            return False
        try:
            self._retention.run_all()
        except Exception:
            self.failures += 1
            log.exception("removing what is past its retention failed; trying again in %.0f s", EVERY_S)
            return False
        return True

    def _is_held(self) -> bool:
        (before_ns, before_s), now_ns, now_s = self._last, self._clock.now_ns(), self._steady()
        self._last = now_ns, now_s
        leap_s = (now_ns - before_ns) / 1e9 - (now_s - before_s)
        if leap_s > MOST_DRIFT_S:
            self._held_until_s = now_s + HOLD_S
            log.error("the clock leapt %.0f s ahead: nothing is removed for its age in the next 24 hours", leap_s)
        return now_s < self._held_until_s

    def _run(self) -> None:
        wait_s = FIRST_S
        while not self._stopping.wait(wait_s):
            self.step()
            wait_s = EVERY_S
