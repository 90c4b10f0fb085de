"""What the workers of one machine share: a small ordered map in a memory-mapped file (LMDB)."""

import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import lmdb
from lmdb import verify

from zirkel.core import Corrupt, Held, Invalid, Overloaded, ZirkelError

RESERVED_BYTES = 16 * 1024 * 1024
"""What the file takes on disk from the beginning, some 40,000 open calls: with it calls go on when the disk is full."""
_LOST_KEY = b"!lost"
_LEAST_FREE_BYTES = 1024 * 1024
_log = logging.getLogger("zirkel.store")


class LmdbTransaction:
    """A write transaction of ``LmdbState``: a context manager that commits, or undoes everything on an error."""

    __slots__ = ("_state", "_txn")

    def __init__(self, state: "LmdbState") -> None:
        self._state = state

    def __enter__(self) -> "LmdbTransaction":
        try:
            self._txn = self._state.environment.begin(write=True)
        except lmdb.Error as error:
            raise self._state.explain(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._txn.abort()
            if isinstance(error, lmdb.Error):
                raise self._state.explain(error) from error
            return
        try:
            self._txn.commit()
        except lmdb.Error as failed:
            raise self._state.explain(failed) from failed
        self._state.is_dirty = True

    def get(self, key: bytes) -> bytes | None:
        """Return a value, this transaction's own changes included, or ``None``."""
        return self._txn.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value. Keys are 1 to 500 bytes."""
        self._txn.put(key, value)

    def delete(self, key: bytes) -> bool:
        """Remove a value; return whether there was one."""
        return self._txn.delete(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the entries whose keys start with ``prefix``, in order; take them all before you change any."""
        with self._txn.cursor() as cursor:
            if not (cursor.set_range(prefix) if prefix else cursor.first()):
                return
            for key, value in cursor:
                if not key.startswith(prefix):
                    return
                yield key, value


class LmdbState:
    """An ordered map in a folder of its own, shared by all processes that open it. Thread safe.

    Transactions run one after the other over all processes, reads wait for nobody. What was committed survives a kill
    of any process at once, and a crash of the machine ``sync_every_s`` later: a thread brings it to disk, until
    ``close``. Processes are spawned, never forked, while it is open.
    """

    def __init__(self, path: Path, size_bytes: int = 1024 * 1024 * 1024, *, sync_every_s: float = 0.5) -> None:
        """Open the map in the folder ``path``, made if it does not exist.

        Nobody else having it open, the file is checked page by page first. A damaged one (a crash of the machine may
        leave that) is moved aside to ``data.mdb.damaged-N`` and begun anew; see ``was_lost``.

        Args:
            path: The folder.
            size_bytes: What the file may grow to; address space, not memory.
            sync_every_s: How long a commit may stay in memory of the operating system, in seconds.

        Raises:
            Held: If this process has it open already.
            Corrupt: If it cannot be used, and others use it, so that it cannot be begun anew.
            Overloaded: If there is no space left on disk.
        """
        self._path = path
        self._size_bytes = size_bytes
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._in_use = os.open(path / "in-use.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self.environment = self._open()
        except BaseException:
            os.close(self._in_use)
            raise
        self.is_dirty = False
        """Whether something was committed since the last sync."""
        self.failed_syncs = 0
        """Syncs that failed since this object was made: what they held may not survive a crash of the machine."""
        self._sync_every_s = sync_every_s
        self._is_closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_until_closed, name="shared-state-sync", daemon=True)
        self._syncer.start()

    @property
    def was_lost(self) -> bool:
        """Whether the map was damaged and begun anew, and nobody has called ``note_rebuilt`` since."""
        return self.get(_LOST_KEY) is not None

    def note_rebuilt(self) -> None:
        """Note that what was lost has been put back as well as it can be: ``was_lost`` is false for everybody."""
        with self.transaction() as transaction:
            transaction.delete(_LOST_KEY)

    def transaction(self) -> LmdbTransaction:
        """Open a transaction; none other runs anywhere until it ends. An error, or a kill, undoes all of it.

        Raises:
            Overloaded: If the map is full or the disk is; nothing was changed.
            Corrupt: If the map cannot be used.
            Invalid: If a key is longer than 500 bytes, or empty.
        """
        return LmdbTransaction(self)

    def get(self, key: bytes) -> bytes | None:
        """Return a committed value, or ``None``, without waiting for anybody.

        Raises:
            Corrupt: If the map cannot be used.
        """
        try:
            with self.environment.begin() as txn:
                return txn.get(key)
        except lmdb.Error as error:
            raise self.explain(error) from error

    def sync(self) -> None:
        """Bring what was committed to disk; the thread does so by itself."""
        self.is_dirty = False
        try:
            self.environment.sync(True)
            # A reader that was killed would keep old pages from being used again.
            self.environment.reader_check()
        except (lmdb.Error, OSError):
            self.is_dirty = True
            self.failed_syncs += 1
            _log.exception("the shared state %s could not be brought to disk", self._path)

    def close(self) -> None:
        """Sync, stop the thread and close. May be called twice."""
        if self._is_closing.is_set():
            return
        self._is_closing.set()
        self._syncer.join()
        self.environment.close()
        os.close(self._in_use)

    def explain(self, error: lmdb.Error) -> ZirkelError:
        """Return what is raised in the place of an error of LMDB."""
        if isinstance(error, lmdb.MapFullError):
            return Overloaded(
                f"the shared state {self._path} is full at {self._size_bytes} bytes: it holds more subjects and calls "
                "than it was made for; nothing was changed; open it with a larger size"
            )
        if isinstance(error, lmdb.ReadersFullError):
            return Overloaded(f"too many processes and threads read the shared state {self._path}")
        if isinstance(error, lmdb.BadValsizeError):
            return Invalid("a key of the shared state has 1 to 500 bytes")
        if isinstance(error, lmdb.DiskError) or self._is_disk_full():
            return Overloaded(f"no space left on disk for the shared state {self._path}; free some")
        return Corrupt(f"the shared state {self._path} cannot be used ({error}); stop all processes and start again")

    def _open(self) -> lmdb.Environment:
        """Open the file under a lock, so that one process at a time looks at it and decides."""
        opening = os.open(self._path / "opening.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(opening, fcntl.LOCK_EX)
            is_alone = self._lock_alone()
            is_lost = is_alone and self._move_aside_if_damaged()
            fcntl.flock(self._in_use, fcntl.LOCK_SH)
            environment = self._open_environment()
            self._reserve()
            if is_lost:
                with environment.begin(write=True) as txn:
                    txn.put(_LOST_KEY, b"")
                environment.sync(True)
            return environment
        finally:
            os.close(opening)

    def _lock_alone(self) -> bool:
        try:
            fcntl.flock(self._in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _open_environment(self) -> lmdb.Environment:
        try:
            return lmdb.open(
                str(self._path),
                map_size=self._size_bytes,
                mode=0o600,
                sync=False,
                metasync=False,
                readahead=False,
                max_readers=1024,
                max_spare_txns=4,
            )
        except lmdb.Error as error:
            if "already open in this process" in str(error):
                raise Held(f"the shared state {self._path} is open in this process already; pass that one on") from None
            raise self.explain(error) from error

    def _reserve(self) -> None:
        """Take space on disk before it is needed; without it, if there is none, or the file system cannot."""
        data = os.open(self._path / "data.mdb", os.O_RDWR | os.O_CLOEXEC)
        try:
            os.posix_fallocate(data, 0, min(RESERVED_BYTES, self._size_bytes))
        except OSError as error:
            _log.warning("no space could be reserved for the shared state %s: %s", self._path, error)
        finally:
            os.close(data)

    def _is_disk_full(self) -> bool:
        # A write that is cut short for want of space LMDB reports as an I/O error like any other.
        found = os.statvfs(self._path)
        return found.f_bavail * found.f_frsize < _LEAST_FREE_BYTES

    def _move_aside_if_damaged(self) -> bool:
        data = self._path / "data.mdb"
        if not data.exists():
            return False
        try:
            faults = verify.verify(str(self._path))  # type: ignore[no-untyped-call]
        except verify.VerifyError as error:
            faults = [str(error)]
        if not faults:
            return False
        aside = next(name for n in range(1, 1 << 30) if not (name := self._path / f"{data.name}.damaged-{n}").exists())
        data.replace(aside)
        _log.error(
            "the shared state %s is damaged (%s) and was begun anew; what limits and budgets had counted is lost until "
            "it is rebuilt; the damaged file is %s",
            self._path,
            "; ".join(faults[:3]),
            aside,
        )
        return True

    def _sync_until_closed(self) -> None:
        while not self._is_closing.wait(self._sync_every_s):
            if self.is_dirty:
                self.sync()
        if self.is_dirty:
            self.sync()
