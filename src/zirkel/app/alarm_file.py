"""What a running core says is wrong, left in the data directory for ``zirkel doctor``, which has no key."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from zirkel.core import Alarm

FILE_BYTES = 16 * 1024
STALE_NS = 30 * 10**9
"""A core writes every few seconds; what is older than this it left behind when it ended."""


class AlarmReport(msgspec.Struct, frozen=True):
    """The file's content, filled up with spaces."""

    written_ns: int
    alarms: list[Alarm]


class AlarmFile:
    """The writing end. The file always has the same length and is written over, which works on a full disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, alarms: Sequence[Alarm], now_ns: int) -> None:
        """Replace what the file says; of alarms that do not fit, the last ones are left out.

        Raises:
            OSError: If it cannot be written.
        """
        kept = list(alarms)
        while len(content := msgspec.json.encode(AlarmReport(now_ns, kept))) > FILE_BYTES:
            kept.pop()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(descriptor, content.ljust(FILE_BYTES), 0)
        finally:
            os.close(descriptor)


def read_alarms(path: Path, now_ns: int) -> list[Alarm] | None:
    """Return the alarms of a core that runs, ``None`` if the file was not written lately or cannot be read."""
    try:
        report = msgspec.json.decode(path.read_bytes(), type=AlarmReport)
    except (OSError, msgspec.DecodeError):
        return None
    return report.alarms if abs(now_ns - report.written_ns) <= STALE_NS else None
