"""How many bytes of telemetry are worked on at the same time, over all requests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from zirkel.core import Overloaded


class InFlight:
    """A bound that requests share. Thread safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """What is held now."""
        return self._used_bytes

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Give a share that is empty at first; what it holds is given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.move(-share.held_bytes)

    def move(self, size_bytes: int) -> None:
        """Take so many bytes, or give them back if negative.

        Raises:
            Overloaded: If they are more than is left; nothing was taken.
        """
        with self._lock:
            if size_bytes > 0 and self._used_bytes + size_bytes > self._limit_bytes:
                raise Overloaded(
                    f"{self._used_bytes} bytes of telemetry are being taken in, at most {self._limit_bytes} at the "
                    "same time; try again in a moment"
                )
            self._used_bytes += size_bytes


class Share:
    """What one request holds."""

    __slots__ = ("_whole", "held_bytes")

    def __init__(self, whole: InFlight) -> None:
        self._whole = whole
        self.held_bytes = 0

    def grow(self, size_bytes: int) -> None:
        """Hold so many bytes more.

        Raises:
            Overloaded: If they are more than is left; the share stays as it was.
        """
        self._whole.move(size_bytes)
        self.held_bytes += size_bytes
