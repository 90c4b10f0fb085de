"""The gateway's configuration in a file that the core watches, and the snapshot's renewal."""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from zirkel.core import Clock, ZirkelError
from zirkel.core.gateway_check import parse_gateway_config
from zirkel.govern import SYSTEM
from zirkel.govern.gateway_config import GatewayConfiguration

LOOK_S = 0.5
RENEWAL_NS = 6 * 3600 * 10**9
"""Prices with a date or an hour are compiled ahead for two days; renewed sooner."""

log = logging.getLogger("zirkel.gateway_file")
_Mark = tuple[int, int, int]


class GatewayFile:
    """Applies a document whenever its file changes. A bad one is refused as a whole, logged, and the old one stays."""

    def __init__(self, path: Path, configuration: GatewayConfiguration, variable: Callable[[str], str]) -> None:
        self._path = path
        self._configuration = configuration
        self._variable = variable
        self._seen: _Mark | None = None
        self._is_missing = False

    def look(self) -> bool:
        """Apply the file if it is another one than the last time; return whether that changed something."""
        mark = self._mark()
        if mark is None:
            if not self._is_missing:
                log.error("%s cannot be read; the configuration stays as it is", self._path)
            self._is_missing, self._seen = True, None
            return False
        self._is_missing = False
        if mark == self._seen:
            return False
        try:
            is_new = self._apply()
        except (ZirkelError, OSError, UnicodeDecodeError) as error:
            self._seen = mark
            log.error("%s was refused, the configuration stays as it is: %s", self._path, error)
            return False
        # Only now: what failed for a reason of the database's is tried again.
        self._seen = mark
        if is_new:
            log.warning("%s was applied", self._path)
        return is_new

    def _apply(self) -> bool:
        text = self._path.read_text(encoding="utf-8")
        wanted = {u.name: u.credential_variable for u in parse_gateway_config(text).upstream if u.credential_variable}
        credentials = {name: value for name, variable in wanted.items() if (value := self._variable(variable))}
        owner = self._configuration.owner_file
        return self._configuration.apply(SYSTEM, text, credentials=credentials, from_file=owner).is_new

    def _mark(self) -> _Mark | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


class Upkeep:
    """A thread that looks at the watched file, if there is one, and renews the snapshot every few hours."""

    def __init__(self, file: GatewayFile | None, publish: Callable[[], None], clock: Clock) -> None:
        self._file = file
        self._publish = publish
        self._clock = clock
        self._published_ns = clock.now_ns()
        self._is_due = False
        self._is_failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def publish_first(self) -> None:
        """Publish what is in force; if the disk does not take it, gateways serve what there is until the thread can."""
        try:
            self._publish()
        except OSError as error:
            self._is_due = True
            log.error("the snapshot cannot be written: %s; trying again until it can", error)

    def start(self) -> None:
        """Look at the file once, so that it is in force before anything is served; then start the thread."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def step(self) -> None:
        """Do what is due."""
        self._look()
        if self._is_due or self._clock.now_ns() - self._published_ns >= RENEWAL_NS:
            self._publish()
            self._published_ns = self._clock.now_ns()
            self._is_due = False

    def _look(self) -> None:
        if self._file is not None:
            self._file.look()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self.step()
                self._is_failing = False
            except Exception:
                if not self._is_failing:
                    log.exception("looking after the gateway's configuration failed; trying again")
                self._is_failing = True
