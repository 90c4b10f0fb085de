"""A map with a bound in bytes whose entries expire, over the workers' shared state."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from zirkel.gateway.ports import SharedState, SharedTransaction

_DATA = b"d"
_INDEX = b"x"
_TOTAL = b"t"
_TIME = struct.Struct(">Q")
_SIZE = struct.Struct(">Q")
_LARGEST_SHARE = 8
_MOST_SWEPT = 8


class BoundedMap:
    """Keeps what expires last: to make room, what expires soonest goes, and with it first all that has expired.

    One index in order of expiry serves both, so no write ever looks at more than it removes and a few.
    """

    def __init__(self, state: SharedState, *, max_bytes: int) -> None:
        """Use all of ``state``; nothing else may write to it but other maps like this with the same bound.

        Args:
            state: The shared state.
            max_bytes: Of keys and values, what the index takes included. The state's file needs about twice that.
        """
        self._state = state
        self._max_bytes = max_bytes

    def get(self, key: bytes, now_ns: int) -> bytes | None:
        """Return the value, or ``None`` if there is none that has not expired."""
        return _live(self._state.get(_DATA + key), now_ns)

    @contextmanager
    def edit(self, now_ns: int) -> Iterator["BoundedEdit"]:
        """Open a transaction; see ``SharedState.transaction``."""
        with self._state.transaction() as transaction:
            edit = BoundedEdit(transaction, self._max_bytes, now_ns)
            yield edit
            edit.finish()


class BoundedEdit:
    """Reads and writes of a ``BoundedMap`` that happen as one."""

    def __init__(self, transaction: SharedTransaction, max_bytes: int, now_ns: int) -> None:
        self._transaction = transaction
        self._max_bytes = max_bytes
        self._now_ns = now_ns
        self._total = read_total(transaction)

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or ``None`` if there is none that has not expired."""
        return _live(self._transaction.get(_DATA + key), self._now_ns)

    def put(self, key: bytes, value: bytes, expires_ns: int) -> bool:
        """Set a value and remove what must go for it. Return false, and set nothing, if it is too large.

        Args:
            key: 1 to 400 bytes.
            value: At most an eighth of the map's bound, so that none drives out all others.
            expires_ns: From then on there is no such entry.
        """
        size = _entry_size(key, value)
        self._remove(key)
        if size > self._max_bytes // _LARGEST_SHARE:
            return False
        self._make_room(size)
        self._transaction.put(_DATA + key, _TIME.pack(expires_ns) + value)
        self._transaction.put(_index_key(expires_ns, key), _SIZE.pack(size))
        self._total += size
        return True

    def finish(self) -> None:
        """Write down how many bytes there are; the last thing in the transaction."""
        self._transaction.put(_TOTAL, _SIZE.pack(self._total))

    def _remove(self, key: bytes) -> None:
        stored = self._transaction.get(_DATA + key)
        if stored is None:
            return
        expires_ns = _TIME.unpack_from(stored)[0]
        self._transaction.delete(_DATA + key)
        self._transaction.delete(_index_key(expires_ns, key))
        self._total -= _entry_size(key, stored[_TIME.size :])

    def _make_room(self, size: int) -> None:
        freed, victims = 0, []
        for swept, (index_key, stored_size) in enumerate(self._transaction.scan(_INDEX)):
            is_expired = _TIME.unpack_from(index_key, len(_INDEX))[0] <= self._now_ns
            is_needed = self._total + size - freed > self._max_bytes
            if not is_needed and not (is_expired and swept < _MOST_SWEPT):
                break
            victims.append(index_key)
            freed += _SIZE.unpack(stored_size)[0]
        for index_key in victims:
            self._transaction.delete(index_key)
            self._transaction.delete(_DATA + index_key[len(_INDEX) + _TIME.size :])
        self._total -= freed


def read_total(transaction: SharedTransaction) -> int:
    """Return how many bytes the map holds."""
    stored = transaction.get(_TOTAL)
    return 0 if stored is None else int(_SIZE.unpack(stored)[0])


def count_entries(transaction: SharedTransaction, most: int) -> int:
    """Return how many entries there are, expired ones included; ``most`` if there are more."""
    return sum(1 for _ in islice(transaction.scan(_INDEX), most))


def _live(stored: bytes | None, now_ns: int) -> bytes | None:
    if stored is None or _TIME.unpack_from(stored)[0] <= now_ns:
        return None
    return stored[_TIME.size :]


def _index_key(expires_ns: int, key: bytes) -> bytes:
    return _INDEX + _TIME.pack(expires_ns) + key


def _entry_size(key: bytes, value: bytes) -> int:
    data = len(_DATA) + len(key) + _TIME.size + len(value)
    index = len(_INDEX) + _TIME.size + len(key) + _SIZE.size
    return data + index
