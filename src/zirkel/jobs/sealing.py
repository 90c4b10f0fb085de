"""Sealing past days of telemetry, so that reading them is fast."""

import logging
import threading
from typing import Protocol

from zirkel.core import Overloaded

EVERY_S = 60.0

log = logging.getLogger(__name__)


class SealableStore(Protocol):
    """Telemetry kept by day."""

    def seal_days(self) -> int: ...


class Sealing:
    """A thread that seals days a minute after their last span came. What comes late is sealed again."""

    def __init__(self, store: SealableStore, *, every_s: float = EVERY_S) -> None:
        self._store = store
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealing", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop when what is being sealed is done. May be called though it never started."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=60)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                sealed = self._store.seal_days()
            except Overloaded as error:
                log.info("days could not be sealed now: %s", error)
            except Exception:
                # The thread's edge: reading is slower meanwhile, and nothing else.
                log.exception("days could not be sealed")
            else:
                if sealed:
                    log.info("%d days of telemetry were sealed", sealed)
