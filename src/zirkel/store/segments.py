"""The form of the spool on disk: segments of frames, and the checkpoint of the reader.

``<root>/<writer>/<sequence:020d>.spool`` is a segment: a header of 12 bytes (magic, format version), then frames of
``u32 length, u32 crc32, payload``, little-endian, where the checksum covers the length and the payload, so that a
stretch of zeros is no frame.
"""

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from zirkel.core import Incompatible

FORMAT = 1
MAX_RECORD_BYTES = 64 * 1024 * 1024
CHECKPOINT = "checkpoint"
_MAGIC = b"ZIRKELSP"
HEADER = _MAGIC + struct.pack("<I", FORMAT)
_FRAME = struct.Struct("<II")


def frame(payload: bytes) -> bytes:
    """Return the record as it is written."""
    length = struct.pack("<I", len(payload))
    return length + struct.pack("<I", zlib.crc32(payload, zlib.crc32(length))) + payload


def list_segments(folder: Path) -> list[int]:
    """Return the sequence numbers of a writer's segments, oldest first."""
    return sorted(int(path.stem) for path in folder.glob("*.spool"))


def segment_path(folder: Path, segment: int) -> Path:
    """Return the file of a segment."""
    return folder / f"{segment:020d}.spool"


def file_size(path: Path) -> int:
    """Return the size of a file in bytes, 0 if the other side removed it meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@dataclass(slots=True)
class Position:
    """How far a writer's folder was taken over, as kept in its file ``checkpoint``."""

    segment: int
    offset: int
    pending_offset: int | None = None
    """End of the batch that was handed out and not committed."""
    is_damaged: bool = False
    """Whether something in this segment was skipped."""


def load_checkpoint(folder: Path) -> Position | None:
    """Return how far a folder was taken over; ``None`` if nothing was, or if the file cannot be read.

    In the second case records are taken over twice, which a store with one row per span bears; not starting is worse.
    """
    try:
        return Position(**json.loads((folder / CHECKPOINT).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found between two offsets of a segment."""

    records: list[bytes]
    end_offset: int
    skipped: list[str]
    """A reason per damaged record that was stepped over."""


def scan_segment(
    path: Path, offset: int, max_records: int | None, max_bytes: int | None, *, is_closed: bool, end: int | None = None
) -> Scan:
    """Return the whole records of a segment from ``offset`` on.

    In a segment that is still written, everything that is not whole means *not yet*. In a closed one a damaged record
    is stepped over if its length leads to a sound record or to the end; otherwise the scan ends before it.

    Raises:
        Incompatible: If a newer program wrote the segment.
    """
    records: list[bytes] = []
    skipped: list[str] = []
    with path.open("rb") as file:
        if not _has_sound_header(path, file.read(len(HEADER))):
            return Scan([], 0, [])
        stop = min(os.fstat(file.fileno()).st_size, end if end is not None else 1 << 62)
        position = offset
        while position < stop and (max_records is None or len(records) < max_records):
            frame = _read_frame(file.fileno(), position, stop)
            if frame is None:
                break
            payload, next_position = frame
            if max_bytes is not None and records and next_position - offset > max_bytes:
                break
            if payload is None:
                leads_on = next_position == stop or (_read_frame(file.fileno(), next_position, stop) or (None,))[0]
                if not is_closed or not leads_on:
                    break
                skipped.append(f"the record at offset {position} fails its checksum")
            else:
                records.append(payload)
            position = next_position
    return Scan(records, position, skipped)


def _has_sound_header(path: Path, header: bytes) -> bool:
    if header[: len(_MAGIC)] == _MAGIC and len(header) == len(HEADER):
        version = struct.unpack("<I", header[len(_MAGIC) :])[0]
        if version > FORMAT:
            raise Incompatible(f"{path} has spool format {version}, this program reads {FORMAT}; use a newer program")
        return bool(version == FORMAT)
    return False


def _read_frame(descriptor: int, position: int, stop: int) -> tuple[bytes | None, int] | None:
    """Return payload (``None`` if it fails its checksum) and end of a frame; ``None`` if it is not whole."""
    header = os.pread(descriptor, _FRAME.size, position)
    if len(header) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(header)
    end = position + _FRAME.size + length
    if not 0 < length <= MAX_RECORD_BYTES or end > stop:
        return None
    payload = os.pread(descriptor, length, position + _FRAME.size)
    if len(payload) < length:
        return None
    is_sound = zlib.crc32(payload, zlib.crc32(header[:4])) == checksum
    return (payload if is_sound else None), end
