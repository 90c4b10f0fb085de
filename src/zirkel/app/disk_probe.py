"""Whether the data directory's disk can be written now, and how long that takes."""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from zirkel.app.alarms import Probe

EVERY_S = 10.0
PROBE_BYTES = 4096
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskProbe:
    """A thread that writes a small file again and again, as the spool writes: a new file, flushed.

    A disk that hangs holds up this thread only; ``result`` says how long it has been waiting.
    """

    def __init__(
        self, folder: Path, *, flush: Callable[[int], None] = os.fsync, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare a probe of the disk of ``folder``.

        Args:
            folder: Where the file is made and deleted.
            flush: Brings a descriptor's file to disk.
            now_s: A clock that only counts, in seconds.
        """
        self._path = folder / "disk-probe"
        self._flush = flush
        self._now_s = now_s
        self._last = Probe()
        self._began_s: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk-probe", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, if the disk lets it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def result(self) -> Probe:
        """Return how the last try went, with the time that the present one has taken if that is longer."""
        last, began_s = self._last, self._began_s
        if began_s is None:
            return last
        return Probe(last.error, last.is_full, max(last.wait_s, self._now_s() - began_s))

    def step(self) -> None:
        """Try once."""
        began_s = self._began_s = self._now_s()
        error: OSError | None = None
        try:
            self._write()
        except OSError as failed:
            error = failed
        wait_s = self._now_s() - began_s
        self._last = Probe(str(error or ""), error is not None and error.errno in _FULL, wait_s)
        self._began_s = None

    def _run(self) -> None:
        while True:
            self.step()
            if self._stopping.wait(EVERY_S):
                return

    def _write(self) -> None:
        # A new file each time: writing over an old one succeeds on a full disk.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, bytes(PROBE_BYTES)) < PROBE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._flush(descriptor)
        finally:
            os.close(descriptor)
            self._path.unlink(missing_ok=True)
