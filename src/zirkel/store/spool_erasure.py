"""Taking out of the spool's files what was taken over already, and what was kept aside."""

import os
import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from zirkel.core import Batch, LogRecord, ScoreRecord, Span, decode_batch, encode_batch
from zirkel.store.durable import sync_folder, write_file
from zirkel.store.segments import HEADER, frame, load_checkpoint, segment_path

# A map of one pair: an empty key, which no batch has, and the head of a binary value with a length of 32 bits.
_EMPTY_BATCH = b"\x81\xa0\xc6"
_LENGTH = struct.Struct(">I")
_OVERHEAD_BYTES = len(frame(b"")) + len(_EMPTY_BATCH) + _LENGTH.size
_MOST_BYTES = 16 * 1024 * 1024
_TRACE_IDS = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_TELLING_BYTES = 8
"""A shorter id is looked for as msgpack writes it, with its length: its letters alone could be anything."""


@dataclass(frozen=True, slots=True)
class KeptAside:
    """What was done to files that were kept because they could not be stored."""

    deleted: int
    rewritten: int
    """Files that hold only what belongs to others now."""


def blank_consumed(root: Path) -> int:
    """Overwrite what the reader has taken over and the files still hold; return how many bytes that were.

    A segment is deleted when its writer has begun the next one. Until then what was taken over stays in it. It is
    overwritten by frames of empty batches, so that a reader that has lost its checkpoint could still read the segment.
    """
    return sum(_blank_writer(folder) for folder in sorted(root.iterdir()) if folder.is_dir()) if root.exists() else 0


def erase_kept_aside(root: Path, set_aside: Path, ids: Collection[str], *, dry_run: bool) -> KeptAside:
    """Remove what belongs to ``ids`` from damaged segments and from records that were set aside.

    A damaged segment goes as a whole if it names one of them: what could be read of it was stored. Of a record that can
    be read only what is theirs goes.

    Args:
        root: The spool's folder.
        set_aside: The folder of records that could not be stored.
        ids: Of the user, sessions and traces.
        dry_run: Only say what would be done.
    """
    wanted = frozenset(ids)
    deleted = [path for path in sorted(root.glob("*/*.damaged")) if _names_one(path.read_bytes(), wanted)]
    rewritten: dict[Path, bytes] = {}
    for path in sorted(set_aside.iterdir()) if set_aside.is_dir() else ():
        data = path.read_bytes()
        left = _without(data, wanted)
        if not left:
            deleted.append(path)
        elif left != data:
            rewritten[path] = left
    if not dry_run:
        for path, left in rewritten.items():
            write_file(path, left)
        for path in deleted:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
    return KeptAside(len(deleted), len(rewritten))


def _blank_writer(folder: Path) -> int:
    position = load_checkpoint(folder)
    if position is None:
        return 0
    try:
        descriptor = os.open(segment_path(folder, position.segment), os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        written = len(HEADER)
        for filler in _fillers(position.offset - len(HEADER)):
            written += os.pwrite(descriptor, filler, written)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return written - len(HEADER)


def _fillers(size_bytes: int) -> Iterator[bytes]:
    """Yield frames that take ``size_bytes`` together."""
    while size_bytes >= _OVERHEAD_BYTES:
        size = size_bytes if size_bytes <= _MOST_BYTES else _MOST_BYTES // 2
        zeros = bytes(size - _OVERHEAD_BYTES)
        yield frame(_EMPTY_BATCH + _LENGTH.pack(len(zeros)) + zeros)
        size_bytes -= size


def _without(record: bytes, ids: frozenset[str]) -> bytes:
    """Return a record without what belongs to ``ids``, empty if nothing is left."""
    try:
        batch = decode_batch(record)
    except msgspec.DecodeError:
        return b"" if _names_one(record, ids) else record
    left = Batch(
        spans=[span for span in batch.spans if not _is_theirs(span, ids)],
        logs=[log for log in batch.logs if not _is_theirs(log, ids)],
        points=batch.points,
        scores=[score for score in batch.scores if not _is_theirs(score, ids)],
    )
    if left == batch:
        return record
    return encode_batch(left) if left else b""


def _is_theirs(row: Span | LogRecord | ScoreRecord, ids: frozenset[str]) -> bool:
    return not ids.isdisjoint((row.trace_id, row.session_id, row.user_id))


def _names_one(data: bytes, ids: frozenset[str]) -> bool:
    if not ids.isdisjoint(found.group().decode() for found in _TRACE_IDS.finditer(data)):
        return True
    # Traces are many, and were looked for.
    return any(_needle(name) in data for name in ids if not _TRACE_IDS.fullmatch(name.encode()))


def _needle(name: str) -> bytes:
    plain = name.encode()
    return plain if len(plain) >= _TELLING_BYTES else msgspec.msgpack.encode(name)
