"""Locks for names, of which there may be any number: a fixed set of locks, shared by the names' hashes."""

import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager


class NamedLocks:
    """Lets one thread at a time work on a name. Names that share a lock only wait for each other needlessly."""

    def __init__(self, count: int = 64) -> None:
        self._locks = [threading.Lock() for _ in range(count)]

    @contextmanager
    def hold(self, names: Iterable[str]) -> Iterator[None]:
        """Hold all names at once; not to be nested."""
        # Always in the same order, so that two who hold several never wait for each other.
        places = sorted({zlib.crc32(name.encode()) % len(self._locks) for name in names})
        with ExitStack() as stack:
            for place in places:
                stack.enter_context(self._locks[place])
            yield
