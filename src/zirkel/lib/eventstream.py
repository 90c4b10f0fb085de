"""AWS event stream messages, read incrementally from chunks that may split anywhere.

A message is a prelude (its length, the length of its headers, their checksum), headers, a payload and a checksum of all
of it. Numbers are big-endian.

Source: Smithy, "Amazon Event Stream Specification" (``application/vnd.amazon.eventstream``).
"""

import json
import struct
from binascii import crc32
from collections.abc import Mapping

from zirkel.lib.sse import SseEvent, SseOverflowError

_PRELUDE = struct.Struct("!III")
_CHECKSUM = struct.Struct("!I")
_FRAME_BYTES = _PRELUDE.size + _CHECKSUM.size
_STRING = 7
_VALUE_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Sizes of header values by type, for the types of fixed size."""
_SIZED_TYPES = (6, _STRING)
_TYPE_HEADERS = {"event": ":event-type", "exception": ":exception-type"}


class EventStreamError(ValueError):
    """The bytes are no event stream, or were changed on the way."""


class EventStreamParser:
    """Turns chunks into events. Keeps at most ``max_event_bytes`` of an unfinished message.

    An event's ``data`` is the payload. Its ``event`` is the message's ``:event-type``, for a modelled exception its
    ``:exception-type``, and ``error`` for any other error, whose data is ``{"code": …, "message": …}``.
    """

    def __init__(self, *, max_event_bytes: int = 1 << 20) -> None:
        self._max_event_bytes = max_event_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the events that ``chunk`` completes.

        What came whole before a faulty message is returned first; the next call (or ``finish``) raises.

        Raises:
            EventStreamError: If a checksum or a length is wrong.
            SseOverflowError: If a message is longer than the bound.
        """
        self._buffer += chunk
        events: list[SseEvent] = []
        while True:
            try:
                raw = self._next_message()
                if raw is None:
                    return events
                events.append(_read_message(raw))
            except (EventStreamError, SseOverflowError):
                if events:
                    return events
                raise
            del self._buffer[: len(raw)]

    def finish(self) -> list[SseEvent]:
        """Return what is left at the stream's end; an unfinished message is dropped.

        Raises:
            EventStreamError: If what is left is faulty.
            SseOverflowError: If it says that it is longer than the bound.
        """
        events = self.feed(b"")
        self._buffer.clear()
        return events

    def _next_message(self) -> bytes | None:
        """Return the first message once it is whole; its prelude is checked as soon as it is there."""
        if len(self._buffer) < _PRELUDE.size:
            return None
        length, headers_length, checksum = _PRELUDE.unpack_from(self._buffer)
        if crc32(self._buffer[: _PRELUDE.size - _CHECKSUM.size]) != checksum:
            raise EventStreamError("the checksum of a message's prelude is wrong")
        if length < _FRAME_BYTES + headers_length:
            raise EventStreamError(f"a message of {length} bytes cannot have {headers_length} bytes of headers")
        if length > self._max_event_bytes:
            raise SseOverflowError(f"a message of {length} bytes is over the bound of {self._max_event_bytes}")
        return bytes(self._buffer[:length]) if len(self._buffer) >= length else None


def encode_message(payload: bytes, headers: Mapping[str, str]) -> bytes:
    """Return one message as it goes over the wire, with headers that are strings.

    Raises:
        ValueError: If a header's name is over 255 bytes or its value over 32,767.
    """
    encoded = b"".join(_encode_header(name.encode(), value.encode()) for name, value in headers.items())
    lengths = struct.pack("!II", _FRAME_BYTES + len(encoded) + len(payload), len(encoded))
    message = lengths + _CHECKSUM.pack(crc32(lengths)) + encoded + payload
    return message + _CHECKSUM.pack(crc32(message))


def _encode_header(name: bytes, value: bytes) -> bytes:
    if not 0 < len(name) <= 0xFF or len(value) > 0x7FFF:
        raise ValueError("a header's name has 1 to 255 bytes, its value at most 32,767")
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", _STRING, len(value)) + value


def _read_message(raw: bytes) -> SseEvent:
    if crc32(raw[: -_CHECKSUM.size]) != _CHECKSUM.unpack_from(raw, len(raw) - _CHECKSUM.size)[0]:
        raise EventStreamError("the checksum of a message is wrong")
    payload_start = _PRELUDE.size + _PRELUDE.unpack_from(raw)[1]
    payload = raw[payload_start : -_CHECKSUM.size]
    try:
        headers = _read_headers(raw[_PRELUDE.size : payload_start])
    except (struct.error, IndexError, KeyError, UnicodeDecodeError):
        raise EventStreamError("a message's headers are malformed") from None
    kind = headers.get(":message-type", "event")
    if kind == "error":
        fault = {"code": headers.get(":error-code", ""), "message": headers.get(":error-message", "")}
        return SseEvent(raw=raw, data=json.dumps(fault).encode(), event="error")
    return SseEvent(raw=raw, data=payload, event=headers.get(_TYPE_HEADERS.get(kind, ""), "message"))


def _read_headers(raw: bytes) -> dict[str, str]:
    """Return the headers that are strings; the others say nothing that is read here."""
    headers: dict[str, str] = {}
    at = 0
    while at < len(raw):
        name_end = at + 1 + raw[at]
        name = raw[at + 1 : name_end]
        value_type = raw[name_end]
        at = name_end + 1
        if value_type in _SIZED_TYPES:
            size = struct.unpack_from("!H", raw, at)[0]
            at += 2
        else:
            size = _VALUE_BYTES[value_type]
        if at + size > len(raw):
            raise IndexError
        if value_type == _STRING:
            headers[name.decode()] = raw[at : at + size].decode()
        at += size
    return headers
