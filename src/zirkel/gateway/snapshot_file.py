"""The snapshot as the core publishes it: one file, replaced whole."""

import gc
import logging
import os
from pathlib import Path

import msgspec

from zirkel.core import Overloaded
from zirkel.gateway.snapshot import Snapshot, decode_snapshot

_log = logging.getLogger("zirkel.gateway")
_Mark = tuple[int, int, int]


class FileSnapshots:
    """A ``SnapshotSource`` on a file. Looks at the file on every call and reads it only if it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: _Mark | None = None
        self._snapshot: Snapshot | None = None
        self.damaged_loads = 0
        """How often a changed file could not be read; the last good snapshot was kept."""

    def current(self) -> Snapshot:
        """Return the newest good snapshot.

        Raises:
            Overloaded: If there has never been one.
        """
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            self._load()
        if self._snapshot is None:
            raise Overloaded("this gateway has no configuration yet; start the core, which publishes it")
        return self._snapshot

    def _look(self) -> _Mark | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _load(self) -> None:
        try:
            # Many objects are made and none is garbage: the collector would look at all of them, again and again.
            gc.disable()
            self._snapshot = decode_snapshot(self._path.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            self.damaged_loads += 1
            _log.warning("snapshot %s could not be read (%s); the last good one stays", self._path, error)
        finally:
            gc.enable()
