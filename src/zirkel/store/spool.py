"""The spool: what one process records and another takes over, as an append-only log of frames on disk.

One process writes a folder, one process reads them all; both hold a file lock to make sure.
The form on disk is in ``segments``.
"""

import errno
import json
import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from zirkel.core import Conflict, Invalid, Overloaded, TooLarge
from zirkel.store.durable import is_locked, lock_file, sync_folder, write_file
from zirkel.store.segments import (
    CHECKPOINT,
    HEADER,
    MAX_RECORD_BYTES,
    Position,
    Scan,
    file_size,
    frame,
    list_segments,
    load_checkpoint,
    scan_segment,
    segment_path,
)

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _OpenSegment:
    """The segment that is written: ``write`` under the writer's lock, ``flush`` and ``close`` by its thread."""

    def __init__(self, folder: Path, segment: int) -> None:
        self._path = segment_path(folder, segment)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            self._refuse_if_full(error)
            raise
        self._is_named_durably = False
        self.segment = segment
        self.size_bytes = 0
        self.is_dirty = True
        self.is_torn = False
        self.error: OSError | None = None
        try:
            self.write(HEADER)
        except BaseException:
            self.close()
            self._path.unlink()
            raise

    def write(self, data: bytes) -> None:
        """Append ``data`` in one step, or nothing.

        Raises:
            Overloaded: If the disk is full.
            OSError: If it fails otherwise.
        """
        try:
            if os.write(self._descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            # The next frame must start where this one did; if even that fails, the tail stays torn and is left behind.
            try:
                os.ftruncate(self._descriptor, self.size_bytes)
            except OSError:
                self.is_torn = True
            self._refuse_if_full(error)
            raise
        self.size_bytes += len(data)

    def flush(self) -> OSError | None:
        """Bring the segment to disk. After one failure each further call fails: the kernel forgets what it lost."""
        if self.error is None:
            try:
                os.fdatasync(self._descriptor)
                if not self._is_named_durably:
                    sync_folder(self._path.parent)
                    self._is_named_durably = True
            except OSError as error:
                self.error = error
        return self.error

    def close(self) -> None:
        os.close(self._descriptor)

    def _refuse_if_full(self, error: OSError) -> None:
        if error.errno in _NO_SPACE:
            raise Overloaded(f"no space left on disk for the spool {self._path.parent}; free some") from error


class SpoolWriter:
    """The one writer of a folder. Thread safe; owns a thread that flushes to disk, until ``close``."""

    def __init__(
        self,
        root: Path,
        writer: str,
        *,
        segment_bytes: int = 16 * 1024 * 1024,
        fsync_every_s: float = 0.1,
        limit_bytes: int = 2 * 1024 * 1024 * 1024,
    ) -> None:
        """Start a new segment in ``root/writer``: a tail that a crash may have torn is never appended to.

        Args:
            root: Folder of the spool, made if it does not exist.
            writer: Name of the folder within, e.g. ``gateway-0``; unique among the running processes.
            segment_bytes: Size after which the next segment is started.
            fsync_every_s: How long a record that was appended may stay in memory of the operating system, in seconds.
            limit_bytes: What the folder may hold before ``append`` refuses.

        Raises:
            Held: If another process writes this folder.
            Invalid: If the name cannot be a folder's.
        """
        if not writer or writer.startswith(".") or "/" in writer or "\x00" in writer:
            raise Invalid(f"{writer!r} cannot name a spool writer; use letters, digits and '-'")
        self._folder = root / writer
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        sync_folder(root)
        self._segment_bytes = segment_bytes
        self._limit_bytes = limit_bytes
        self._fsync_every_s = fsync_every_s
        self._changed = threading.Condition()
        self._unflushed: list[_OpenSegment] = []
        self._waiters: list[Future[None]] = []
        self._is_closed = False
        self.failed_flushes = 0
        """Flushes that failed since this writer was made: what they held may not survive a crash of the machine."""
        self._lock_descriptor = lock_file(self._folder / "writer.lock")
        try:
            checkpoint = load_checkpoint(self._folder)
            newest = max(list_segments(self._folder) + ([checkpoint.segment] if checkpoint else []), default=0)
            self._used_bytes = self._measure()
            self._next_segment = newest + 1
            self._current: _OpenSegment | None = None
            # On a full disk the first record that finds space begins the segment.
            with suppress(Overloaded):
                self._current = self._open_segment()
        except BaseException:
            os.close(self._lock_descriptor)
            raise
        self._flusher = threading.Thread(target=self._flush_until_closed, name=f"spool-{writer}", daemon=True)
        self._flusher.start()

    def append(self, payload: bytes) -> None:
        """Write a record: it survives a crash of this process at once, one of the machine ``fsync_every_s`` later.

        Raises:
            Overloaded: If the folder is at its limit or the disk is full; nothing was written.
            TooLarge: If the record is over 64 MiB.
            Invalid: If the record is empty.
            OSError: If the disk fails otherwise; nothing was written.
        """
        with self._changed:
            self._append(payload)

    def append_durable(self, payload: bytes) -> None:
        """Write a record and return when it is on disk. Callers that wait at the same time share one flush.

        Raises:
            OSError: If the flush failed: the record may or may not survive a crash of the machine.
            Overloaded, TooLarge, Invalid: As ``append``.
        """
        on_disk: Future[None] = Future()
        with self._changed:
            self._append(payload)
            self._waiters.append(on_disk)
            self._changed.notify_all()
        on_disk.result()

    def close(self) -> None:
        """Flush, stop the thread and give the folder free. May be called twice."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._changed.notify_all()
        self._flusher.join()
        if self._current is not None:
            self._current.close()
        os.close(self._lock_descriptor)

    def _append(self, payload: bytes) -> None:
        if self._is_closed:
            raise ValueError(f"the spool {self._folder} is closed")
        if not payload:
            raise Invalid("a spool record must not be empty")
        if len(payload) > MAX_RECORD_BYTES:
            raise TooLarge(f"a spool record of {len(payload)} bytes is over the limit of {MAX_RECORD_BYTES}; split it")
        data = frame(payload)
        self._require_space(len(data))
        current = self._current
        if current is None or self._is_over(current, len(data)):
            self._current = self._open_segment()
            if current is not None:
                # So that the thread closes it.
                self._mark_unflushed(current)
            current = self._current
        current.write(data)
        self._used_bytes += len(data)
        self._mark_unflushed(current)

    def _is_over(self, segment: _OpenSegment, needed_bytes: int) -> bool:
        is_full = segment.size_bytes > len(HEADER) and segment.size_bytes + needed_bytes > self._segment_bytes
        return is_full or segment.is_torn or segment.error is not None

    def _open_segment(self) -> _OpenSegment:
        opened = _OpenSegment(self._folder, self._next_segment)
        self._next_segment += 1
        self._used_bytes += opened.size_bytes
        self._unflushed.append(opened)
        return opened

    def _mark_unflushed(self, segment: _OpenSegment) -> None:
        if not segment.is_dirty:
            segment.is_dirty = True
            self._unflushed.append(segment)
            self._changed.notify_all()

    def _require_space(self, needed_bytes: int) -> None:
        if self._used_bytes + needed_bytes > self._limit_bytes:
            # The reader deletes what it took over: look again before refusing.
            self._used_bytes = self._measure()
        if self._used_bytes + needed_bytes > self._limit_bytes:
            raise Overloaded(
                f"the spool {self._folder} holds {self._used_bytes} bytes of at most {self._limit_bytes}: "
                "the core is not taking records over; check that it runs"
            )

    def _measure(self) -> int:
        return sum(file_size(segment_path(self._folder, segment)) for segment in list_segments(self._folder))

    def _flush_until_closed(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._unflushed) or self._is_closed)
                if not self._unflushed:
                    return
                self._changed.wait_for(lambda: bool(self._waiters) or self._is_closed, timeout=self._fsync_every_s)
                segments, self._unflushed = self._unflushed, []
                waiters, self._waiters = self._waiters, []
                for segment in segments:
                    segment.is_dirty = False
            errors = [error for segment in segments if (error := segment.flush()) is not None]
            self.failed_flushes += len(errors)
            for waiter in waiters:
                if errors:
                    waiter.set_exception(errors[0])
                else:
                    waiter.set_result(None)
            self._close_left_behind(segments)

    def _close_left_behind(self, segments: list[_OpenSegment]) -> None:
        with self._changed:
            for segment in segments:
                if segment is not self._current and not segment.is_dirty:
                    segment.close()


def writer_is_alive(root: Path, writer: str) -> bool:
    """Return whether a process writes the folder of ``writer`` now."""
    return is_locked(root / writer / "writer.lock")


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole records of one segment, in the order they were appended."""

    writer: str
    segment: int
    from_offset: int
    to_offset: int
    records: list[bytes]

    @property
    def token(self) -> str:
        """Name of the batch: handed out again after a crash, it has the same token."""
        return f"{self.writer}/{self.segment}/{self.from_offset}/{self.to_offset}"


class SpoolReader:
    """The one reader of all folders of a spool. Not thread safe, but for ``pending_bytes``.

    A batch is noted on disk before it is handed out and again when it is committed: after a crash in between, the
    identical batch comes again under the identical token, so that a store which knows tokens takes it exactly once.
    """

    def __init__(self, root: Path) -> None:
        """Open the spool in ``root``, made if it does not exist.

        Raises:
            Held: If another process reads it.
        """
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._root = root
        self._lock_descriptor = lock_file(root / "reader.lock")
        self._positions: dict[str, Position] = {}
        self._last_writer = ""
        self.damaged = 0
        """Damaged places that were skipped since this reader was made."""
        self.last_damage = ""
        """Where the newest one was and what was wrong, for people to read."""

    def close(self) -> None:
        """Give the spool free. May be called twice."""
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def next_batch(self, max_records: int, max_bytes: int) -> Batch | None:
        """Return the next records, or the batch that is not yet committed; ``None`` if there is nothing whole.

        Writers take turns. A batch never spans segments and has at least one record, whatever its size.

        Args:
            max_records: Most records in the batch, at least 1.
            max_bytes: Most bytes of the frames together, unless a single one is larger.

        Raises:
            Incompatible: If a newer program wrote a segment; it is left as it is.
        """
        if max_records < 1:
            raise ValueError(f"max_records must be at least 1, not {max_records}")
        writers = self._writers()
        for writer in writers:
            position = self._position(writer)
            if position is not None and position.pending_offset is not None:
                return self._pending_batch(writer, position, position.pending_offset)
        first = next((i for i, writer in enumerate(writers) if writer > self._last_writer), 0)
        for writer in writers[first:] + writers[:first]:
            batch = self._read_writer(writer, max_records, max_bytes)
            if batch is not None:
                self._last_writer = writer
                return batch
        return None

    def commit(self, batch: Batch) -> None:
        """Note durably that ``batch`` was taken over: it never comes again.

        Raises:
            Conflict: If it is not the batch that was handed out last.
        """
        position = self._positions.get(batch.writer)
        if position is None or (position.segment, position.offset, position.pending_offset) != (
            batch.segment,
            batch.from_offset,
            batch.to_offset,
        ):
            raise Conflict(f"the batch {batch.token} is not the one that was handed out last; take next_batch again")
        self._save(batch.writer, Position(batch.segment, batch.to_offset, None, position.is_damaged))

    def pending_bytes(self) -> int:
        """Return the bytes on disk that were not committed, frames included. Any thread may ask."""
        pending = 0
        for writer in self._writers():
            position = self._positions.get(writer) or load_checkpoint(self._root / writer)
            for segment in list_segments(self._root / writer):
                size = file_size(segment_path(self._root / writer, segment))
                done = len(HEADER)
                if position is not None and segment <= position.segment:
                    done = position.offset if segment == position.segment else size
                pending += max(0, size - done)
        return pending

    def _writers(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self._root) if entry.is_dir())

    def _read_writer(self, writer: str, max_records: int, max_bytes: int) -> Batch | None:
        """Return the next batch of one writer, after finishing the segments before it."""
        folder = self._root / writer
        while (position := self._position(writer)) is not None:
            path = segment_path(folder, position.segment)
            is_last = not any(segment > position.segment for segment in list_segments(folder))
            if not path.exists():
                if is_last:
                    return None
                self._finish(writer, position)
                continue
            scan = scan_segment(path, position.offset, max_records, max_bytes, is_closed=not is_last)
            for reason in scan.skipped:
                self._report(path, reason)
            position.is_damaged = position.is_damaged or bool(scan.skipped)
            if scan.records:
                self._save(writer, Position(position.segment, position.offset, scan.end_offset, position.is_damaged))
                return Batch(writer, position.segment, position.offset, scan.end_offset, scan.records)
            if is_last:
                return None
            self._finish(writer, Position(position.segment, scan.end_offset, None, position.is_damaged))
        return None

    def _pending_batch(self, writer: str, position: Position, to_offset: int) -> Batch:
        path = segment_path(self._root / writer, position.segment)
        scan = Scan([], position.offset, [])
        if path.exists():
            scan = scan_segment(path, position.offset, None, None, is_closed=True, end=to_offset)
        if not position.is_damaged:
            for reason in scan.skipped:
                self._report(path, reason)
            if scan.end_offset < to_offset:
                self._report(path, f"of the batch up to offset {to_offset}, nothing is whole from {scan.end_offset} on")
        position.is_damaged = position.is_damaged or bool(scan.skipped) or scan.end_offset < to_offset
        return Batch(writer, position.segment, position.offset, to_offset, scan.records)

    def _finish(self, writer: str, position: Position) -> None:
        """Leave a closed segment for the one after it: delete it, or keep it aside if something was skipped."""
        folder = self._root / writer
        path = segment_path(folder, position.segment)
        rest = file_size(path) - position.offset
        if rest > 0:
            self._report(path, f"the last {rest} bytes, from offset {position.offset}, hold no whole record")
        if (position.is_damaged or rest > 0) and path.exists():
            path.replace(path.with_suffix(".damaged"))
        following = next(segment for segment in list_segments(folder) if segment > position.segment)
        self._save(writer, Position(following, len(HEADER)))
        path.unlink(missing_ok=True)

    def _report(self, path: Path, reason: str) -> None:
        self.damaged += 1
        self.last_damage = f"{path}: {reason}"

    def _position(self, writer: str) -> Position | None:
        """Return where reading goes on; ``None`` if the writer has no segment yet."""
        if writer in self._positions:
            return self._positions[writer]
        segments = list_segments(self._root / writer)
        if not segments:
            return None
        folder = self._root / writer
        position = load_checkpoint(folder)
        if position is None:
            position = Position(segments[0], len(HEADER))
            if (folder / CHECKPOINT).exists():
                self._report(folder / CHECKPOINT, "cannot be read; reading starts at the oldest segment")
        for segment in segments:
            if segment < position.segment:
                # A crash came between the checkpoint and the deletion.
                segment_path(folder, segment).unlink()
        self._positions[writer] = position
        return position

    def _save(self, writer: str, position: Position) -> None:
        write_file(self._root / writer / CHECKPOINT, json.dumps(asdict(position)).encode())
        self._positions[writer] = position
