"""What could not be sent, on disk: one file a record, so that several processes share the folder without a server.

A record is written beside and renamed, so there is none by halves; length and checksum find what a disk did to it
later. The name begins with the time, so the order of names is the order of sending. Whoever deletes a file has sent
it; if it dies in between, the record is sent twice, and the ids in it make that the same as once.
"""

import fcntl
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from zirkel.core import Clock

SUFFIX = ".record"
_UNFINISHED = ".new"
_FRAME = struct.Struct("<IIB")
"""Length of the body, checksum of kind and body, kind."""
_HOUR_NS = 3600 * 10**9


class RecordKind(IntEnum):
    """What a record is."""

    SPANS = 1
    """A gzipped ``ExportTraceServiceRequest`` of OTLP."""
    SCORES = 2
    """A JSON list of scores."""


@dataclass(frozen=True, slots=True)
class Record:
    """The body of one request."""

    kind: RecordKind
    body: bytes


def encode_record(record: Record) -> bytes:
    """Return a record as it is written."""
    kind = bytes([record.kind])
    return _FRAME.pack(len(record.body), zlib.crc32(record.body, zlib.crc32(kind)), record.kind) + record.body


def decode_record(data: bytes) -> Record | None:
    """Return the record that ``data`` is, or ``None`` if it is not whole or not what was written."""
    if len(data) < _FRAME.size:
        return None
    length, checksum, kind = _FRAME.unpack_from(data)
    body = data[_FRAME.size :]
    if length != len(body) or checksum != zlib.crc32(body, zlib.crc32(bytes([kind]))):
        return None
    try:
        return Record(RecordKind(kind), body)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much may wait, and how long."""

    size_bytes: int = 64 * 1024 * 1024
    records: int = 10_000
    age_s: float = 7 * 86_400


class Spool:
    """A folder of records that any number of processes write, and one at a time sends from."""

    def __init__(self, folder: Path, clock: Clock, limits: SpoolLimits) -> None:
        self._folder = folder
        self._clock = clock
        self._limits = limits
        self._last_ns = 0

    def append(self, record: Record) -> int:
        """Write a record and return how many older ones had to go for it: beyond the limits, the oldest go first.

        Raises:
            OSError: If it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        data = encode_record(record)
        dropped = self._make_room(len(data))
        # A clock that is set back must not change the order of one process's records.
        self._last_ns = max(self._last_ns + 1, self._clock.now_ns())
        final = self._folder / f"{self._last_ns:020d}-{secrets.token_hex(6)}{SUFFIX}"
        unfinished = final.with_suffix(_UNFINISHED)
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(final)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return dropped

    def names(self) -> list[str]:
        """Return the names of the records, oldest first; none if the folder cannot be written: it is no spool then."""
        if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
            return []
        try:
            return sorted(name for name in os.listdir(self._folder) if name.endswith(SUFFIX))
        except FileNotFoundError:
            return []

    def is_empty(self) -> bool:
        """Return whether nothing waits."""
        return not self.names()

    def read(self, name: str) -> Record | None:
        """Return a record, or ``None`` if it is gone or damaged."""
        try:
            return decode_record((self._folder / name).read_bytes())
        except OSError:
            return None

    def remove(self, name: str) -> bool:
        """Delete a record; returns False if another process has done so."""
        try:
            (self._folder / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def drop_old(self) -> int:
        """Delete what has waited for too long, and what a crash left unfinished; return how many records that were."""
        oldest_ns = self._clock.now_ns() - int(self._limits.age_s * 1e9)
        dropped = sum(self.remove(name) for name in self.names() if _time_ns(name) < oldest_ns)
        for path in self._folder.glob(f"*{_UNFINISHED}"):
            if _time_ns(path.name) < self._clock.now_ns() - _HOUR_NS:
                path.unlink(missing_ok=True)
        return dropped

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Hold the right to send for the block; gives False if another process has it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._folder / "sender.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            yield False
            return
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                try:
                    yield True
                finally:
                    # Not left to ``close``: a process forked meanwhile has the same lock, and may live long.
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def _make_room(self, wanted_bytes: int) -> int:
        sizes = self._sizes()
        used_bytes = sum(sizes.values())
        dropped = 0
        for name, size_bytes in sizes.items():
            if used_bytes + wanted_bytes <= self._limits.size_bytes and len(sizes) - dropped < self._limits.records:
                break
            dropped += self.remove(name)
            used_bytes -= size_bytes
        return dropped

    def _sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for name in self.names():
            with suppress(FileNotFoundError):
                sizes[name] = (self._folder / name).stat().st_size
        return sizes


def _time_ns(name: str) -> int:
    digits = name.partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdecimal() else 0
