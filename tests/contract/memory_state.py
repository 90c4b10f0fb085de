"""The shared state of one process, in a dictionary."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from zirkel.core import Overloaded


class MemoryTransaction:
    """Works on a copy."""

    def __init__(self, values: dict[bytes, bytes]) -> None:
        self.values = values

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.values[key] = value

    def delete(self, key: bytes) -> bool:
        return self.values.pop(key, None) is not None

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return ((key, self.values[key]) for key in sorted(self.values) if key.startswith(prefix))


class MemoryState:
    """Satisfies ``gateway.ports.SharedState``. ``is_full`` makes each commit fail."""

    def __init__(self) -> None:
        self.is_full = False
        self._values: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with self._lock:
            transaction = MemoryTransaction(dict(self._values))
            yield transaction
            if self.is_full:
                raise Overloaded("the shared state is full")
            self._values = transaction.values

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)
