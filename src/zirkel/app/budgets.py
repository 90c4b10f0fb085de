"""Budgets that survive a loss of the gateway's counters, and that know what was spent before they were set."""

import logging
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from zirkel.core import BudgetWindow, Clock
from zirkel.gateway.limits import SubjectUsage, read_usage, restore_spent
from zirkel.govern import Publisher
from zirkel.store.shared import LmdbState

EVERY_S = 600.0
"""How often the counters are compared with the telemetry; about the longest that a call may take."""
_WHOLE_KEY = b"!whole"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
log = logging.getLogger("zirkel.budgets")


class SharedCounters:
    """The counters that gateway workers write, as ``govern`` needs them."""

    def __init__(self, state: LmdbState, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def usage(self, subject_id: str) -> SubjectUsage:
        """Return what is counted for a subject."""
        return read_usage(self._state, subject_id, self._clock.now_ns())

    def restore(self, subject_id: str, spent_usd: Mapping[BudgetWindow, Decimal]) -> None:
        """Raise what a subject has spent."""
        restore_spent(self._state, subject_id, self._clock.now_ns(), spent_usd)


class LimitsFile:
    """Whether the file of the counters is the one that was whole before, and on the same boot of the machine.

    A damaged file is begun anew, a deleted one too, and a crash of the machine may leave one that is sound and older.
    """

    def __init__(self, state: LmdbState) -> None:
        self._state = state
        self._boot_id = _BOOT_ID.read_bytes().strip() if _BOOT_ID.exists() else b"-"

    @property
    def is_whole(self) -> bool:
        """Whether nothing can be missing."""
        return not self._state.was_lost and self._state.get(_WHOLE_KEY) == self._boot_id

    def note_whole(self) -> None:
        """Note that what was missing has been put back."""
        self._state.note_rebuilt()
        with self._state.transaction() as transaction:
            transaction.put(_WHOLE_KEY, self._boot_id)


class CountedFile(Protocol):
    """See ``LimitsFile``."""

    @property
    def is_whole(self) -> bool: ...
    def note_whole(self) -> None: ...


class Comparison(Protocol):
    """See ``govern.restoration.Restoration``."""

    def is_due(self) -> bool: ...
    def run(self) -> int: ...


class BudgetKeeper:
    """Compares counters with the telemetry: at the start, before limits are published, and every few minutes.

    It stands before the publisher, so that a new budget knows what was spent when the gateway gets to know it.
    """

    def __init__(
        self, restoration: Comparison, file: CountedFile, publisher: Publisher, drain: Callable[[], None]
    ) -> None:
        """Put together.

        Args:
            restoration: Does the work.
            file: Where the counters are.
            publisher: Told by ``publish``.
            drain: Returns when all that is recorded is in the telemetry.
        """
        self._restoration = restoration
        self._file = file
        self._publisher = publisher
        self._drain = drain
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="budgets", daemon=True)

    def publish(self) -> None:
        """Put back what subjects spent that have limits from now on, then publish."""
        try:
            with self._lock:
                if self._restoration.is_due():
                    self._drain()
                    self._restoration.run()
        except Exception:
            # A limit that begins at zero is better than none; the next comparison puts back what is missing.
            log.exception("what was spent before these limits could not be counted yet")
        self._publisher.publish()

    def start(self) -> None:
        """Put back what was lost, before any gateway serves; then go on comparing in a thread."""
        if not self._file.is_whole:
            self._try_to_compare()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def compare(self) -> None:
        """Put back what is missing.

        Raises:
            Overloaded: If the telemetry cannot be asked now, or the counters' state is full.
        """
        with self._lock:
            was_whole = self._file.is_whole
            if not was_whole:
                self._drain()
            raised = self._restoration.run()
            if not was_whole:
                self._file.note_whole()
        if raised:
            log.warning("budgets: %d subjects had spent more than was counted; put back from the telemetry", raised)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._try_to_compare()
            self._stopping.wait(EVERY_S)

    def _try_to_compare(self) -> None:
        try:
            self.compare()
        except Exception:
            log.exception("budgets could not be compared with the telemetry; trying again in %.0f s", EVERY_S)
