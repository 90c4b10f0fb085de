"""When a score is new, the same, or a correction; and what was written too recently to be read. Pure but for a lock."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal

import msgspec

from zirkel.core import Conflict, ScoreRecord
from zirkel.observe.score_drafts import subject_of

Outcome = Literal["accepted", "unchanged", "corrected", "withdrawn"]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ScoreRecord)


def next_version(wanted: ScoreRecord, current: ScoreRecord | None, now_ns: int) -> tuple[ScoreRecord | None, Outcome]:
    """Return the version to write, None if the current one says the same, and what became of the score.

    The times of a score's versions grow strictly, so that the newest is known by it: a correction that was given at an
    earlier time gets the next nanosecond. A score stays on what it was given on.

    Args:
        wanted: What was sent; its time is 0 if it is now. Time alone makes no correction.
        current: The newest version that is known, withdrawn or not.
        now_ns: UTC nanoseconds.

    Raises:
        Conflict: If the id belongs to a score of another name or on something else.
    """
    if current is None:
        return msgspec.structs.replace(wanted, time_ns=wanted.time_ns or now_ns), "accepted"
    if (current.name, subject_of(current)) != (wanted.name, subject_of(wanted)):
        raise Conflict(
            f"score_id: {wanted.score_id!r} is a score of another name, or on something else; take another id",
            path="score_id",
        )
    if msgspec.structs.replace(wanted, time_ns=current.time_ns) == current:
        return None, "unchanged"
    return msgspec.structs.replace(wanted, time_ns=max(wanted.time_ns or now_ns, current.time_ns + 1)), "corrected"


def withdrawal(current: ScoreRecord, author: str, now_ns: int) -> ScoreRecord | None:
    """Return the version that takes a score back; None if that was done already."""
    if current.is_withdrawn:
        return None
    time_ns = max(now_ns, current.time_ns + 1)
    return msgspec.structs.replace(current, is_withdrawn=True, author=author, time_ns=time_ns)


def newest_versions(records: Iterable[ScoreRecord]) -> dict[str, ScoreRecord]:
    """Return the newest of each score's versions by score id."""
    found: dict[str, ScoreRecord] = {}
    for record in records:
        known = found.get(record.score_id)
        if known is None or known.time_ns <= record.time_ns:
            found[record.score_id] = record
    return found


class RecentScores:
    """The scores written last, which a reader may not see yet. Holds a bounded number of bytes. Thread safe."""

    def __init__(self, most_bytes: int = 16 * 1024 * 1024) -> None:
        self._most_bytes = most_bytes
        self._size_bytes = 0
        self._encoded: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, records: Iterable[ScoreRecord]) -> None:
        """Keep versions that are on disk, in the order of their times; the oldest ones make place."""
        with self._lock:
            for record in records:
                key = record.project_id, record.score_id
                self._size_bytes -= len(self._encoded.pop(key, b""))
                self._encoded[key] = _encoder.encode(record)
                self._size_bytes += len(self._encoded[key])
            while self._size_bytes > self._most_bytes:
                _, dropped = self._encoded.popitem(last=False)
                self._size_bytes -= len(dropped)

    def find(self, project_id: str, score_ids: Iterable[str]) -> list[ScoreRecord]:
        """Return the newest versions of those scores that are kept."""
        with self._lock:
            found = [self._encoded.get((project_id, score_id)) for score_id in score_ids]
        return [_decoder.decode(encoded) for encoded in found if encoded is not None]
