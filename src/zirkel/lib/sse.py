"""Server-sent events, read incrementally from chunks that may split anywhere, even inside a character.

Source: WHATWG HTML, section 9.2 (parsing an event stream).
"""

import re
from dataclasses import dataclass

_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?=[^\n]))")
_LONGEST_BLANK_LINE = 4


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One block of a stream, up to and including its blank line."""

    raw: bytes
    """The bytes as they came; the raws of all blocks joined are the stream."""
    data: bytes | None
    """The ``data`` lines joined by a line feed; ``None`` for a block without data, e.g. a keep-alive comment."""
    event: str
    """The event's type, ``message`` unless the block names another."""


class SseOverflowError(ValueError):
    """One event is longer than the parser's bound."""


class SseParser:
    """Turns chunks into blocks. Keeps at most ``max_event_bytes`` of an unfinished one."""

    def __init__(self, *, max_event_bytes: int = 1 << 20) -> None:
        self._max_event_bytes = max_event_bytes
        self._buffer = bytearray()
        self._is_first = True

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the blocks that ``chunk`` completes.

        A carriage return at the end of a chunk may be half of a CRLF, so the block it would end waits for the next
        byte (or for ``finish``).

        Raises:
            SseOverflowError: If an event is longer than the bound.
        """
        search_from = max(0, len(self._buffer) - _LONGEST_BLANK_LINE)
        buffer = self._buffer
        buffer += chunk
        events: list[SseEvent] = []
        start = 0
        while match := _BLANK_LINE.search(buffer, max(start, search_from)):
            self._check(match.end() - start)
            events.append(self._block(bytes(buffer[start : match.end()])))
            start = match.end()
        del buffer[:start]
        self._check(len(buffer))
        return events

    def finish(self) -> list[SseEvent]:
        """Return the block that ended with the stream's last byte, if any; an unfinished block is dropped."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        if rest.endswith((b"\r\r", b"\n\r")):
            return [self._block(rest)]
        return []

    def _check(self, size: int) -> None:
        if size > self._max_event_bytes:
            raise SseOverflowError(f"an event of {size} bytes is over the bound of {self._max_event_bytes}")

    def _block(self, raw: bytes) -> SseEvent:
        text = raw
        if self._is_first:
            self._is_first = False
            text = raw.removeprefix(_BOM)
        data: list[bytes] = []
        event = ""
        for line in text.splitlines():
            field, _, value = line.partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"event":
                event = value.removeprefix(b" ").decode("utf-8", "replace")
        return SseEvent(raw=raw, data=b"\n".join(data) if data else None, event=event or "message")


def encode_event(data: bytes, *, event: str = "") -> bytes:
    """Return one event as it goes over the wire; ``data`` may have several lines.

    Raises:
        ValueError: If the event's type contains a line break.
    """
    if "\n" in event or "\r" in event:
        raise ValueError(f"an event type is one line, not {event!r}")
    head = f"event: {event}\n".encode() if event else b""
    return head + b"".join(b"data: " + line + b"\n" for line in data.split(b"\n")) + b"\n"
