"""Cursors of lists: opaque texts that say where a page ended, and that no other list accepts. Pure."""

import base64
import binascii

import msgspec

from zirkel.core import Invalid, digest
from zirkel.core.search import Position

_LENGTH = 16


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended, and what must be the same on the next."""

    asked: str
    """Digest of what was asked for."""
    now_ns: int
    """The moment of the first page, which relative times stay relative to."""
    value: int
    key: str
    seen_ns: int

    @property
    def position(self) -> Position:
        """The place, for the store."""
        return Position(self.value, self.key, self.seen_ns)


def question_digest(*parts: str) -> str:
    """Return what tells the pages of one list from those of others."""
    return digest(list(parts))[:_LENGTH]


def encode_cursor(asked: str, now_ns: int, position: Position | None) -> str:
    """Return the cursor for the page behind ``position``; empty if there is none."""
    if position is None:
        return ""
    packed = msgspec.msgpack.encode(Cursor(asked, now_ns, position.value, position.key, position.seen_ns))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(text: str, asked: str) -> Cursor | None:
    """Return what a cursor says; ``None`` for an empty one.

    Raises:
        Invalid: If it is none, or was given for another list.
    """
    if not text:
        return None
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.msgpack.decode(packed, type=Cursor)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise Invalid("the cursor cannot be read; leave it out to begin with the first page", path="cursor") from error
    if cursor.asked != asked:
        raise Invalid(
            "the cursor was given for another list: project, filter, times and order must stay the same while paging; "
            "leave it out to begin with the first page",
            path="cursor",
        )
    return cursor
