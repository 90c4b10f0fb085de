"""The wire format of protobuf, as far as one message can be kept apart from the next.

A request is split into its items before any of them is read, so that a broken one costs only itself, and so that no
more than one is in memory in its decoded form. Source: protobuf documentation, "Encoding"; ``*_service.proto``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]

from zirkel.lib.otlp.collect import Notes
from zirkel.lib.otlp.errors import Malformed, TooLarge

MAX_ITEMS = 500_000
"""Most spans, log records or metrics of a request: even empty ones take memory."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_DEPTH = 100
"""Protobuf's own limit of nested messages."""

Place = tuple[int, int]
"""Where a value begins and ends in the body."""
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class WireScope:
    """The items of one scope of one resource, unread."""

    resource: bytes
    scope: bytes
    items: list[Place]


def split_request(body: bytes) -> list[WireScope]:
    """Return the parts of an ``Export…ServiceRequest``; the three signals number their fields alike.

    Raises:
        Malformed: If the body is not such a message down to its items.
        TooLarge: If it has more than ``MAX_ITEMS`` items.
    """
    scopes: list[WireScope] = []
    count = 0
    for outer in _parts(body, 0, len(body), 1):
        resource = b"".join(body[start:end] for start, end in _parts(body, *outer, 1))
        for middle in _parts(body, *outer, 2):
            scope = b"".join(body[start:end] for start, end in _parts(body, *middle, 1))
            items = list(_parts(body, *middle, 2))
            count += len(items)
            if count > MAX_ITEMS:
                raise TooLarge(f"the request has more than {MAX_ITEMS} items; send smaller batches")
            scopes.append(WireScope(resource, scope, items))
    return scopes


def read_message(kind: type[M], data: bytes, notes: Notes) -> M:
    """Return a message; text in it that is not UTF-8 is read with U+FFFD and noted.

    Raises:
        Malformed: If the bytes are not such a message.
    """
    message: M = kind()
    try:
        message.ParseFromString(data)
        return message
    except DecodeError:
        repaired = _with_sound_text(data, kind.DESCRIPTOR, 0)
    try:
        message.ParseFromString(repaired)
    except DecodeError as error:
        raise Malformed(f"not a {kind.DESCRIPTOR.full_name} in protobuf: {error}") from error
    notes.warn("text that is not UTF-8 was read with U+FFFD in its place")
    return message


def count_parts(data: bytes, *path: int) -> int:
    """Return how many submessages there are at a path of field numbers; at least 1, also if nothing can be read."""
    places = [(0, len(data))]
    try:
        for number in path:
            places = [inner for start, end in places for inner in _parts(data, start, end, number)]
    except Malformed:
        return 1
    return max(1, len(places))


def _parts(data: bytes, start: int, end: int, number: int) -> Iterator[Place]:
    """Yield where the submessages of one field are."""
    for found, wire_type, begins, ends in _fields(data, start, end):
        if found == number and wire_type == _BYTES:
            yield begins, ends


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, and beginning and end of the value of each field of the message in ``data``."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _BYTES:
            size, at = _varint(data, at, end)
        elif wire_type == _VARINT:
            size = _varint(data, at, end)[1] - at
        elif wire_type in _SIZES:
            size = _SIZES[wire_type]
        else:
            raise Malformed(f"the body is not protobuf: wire type {wire_type} at byte {at}")
        if number == 0 or size > end - at:
            raise Malformed(f"the body is not protobuf: field {number} at byte {at} is cut short or has no number")
        yield number, wire_type, at, at + size
        at += size


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a varint and where the next value begins."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise Malformed(f"the body is not protobuf: a number at byte {at} has no end")


def _with_sound_text(data: bytes, message: Descriptor, depth: int) -> bytes:
    """Return a message with U+FFFD for every byte of its strings that is not UTF-8, at every level."""
    if depth > _MAX_DEPTH:
        raise Malformed(f"messages are nested more than {_MAX_DEPTH} deep")
    out = bytearray()
    for number, wire_type, start, end in _fields(data, 0, len(data)):
        value = data[start:end]
        out += _spell_varint(number << 3 | wire_type)
        if wire_type == _BYTES:
            field = message.fields_by_number.get(number)
            if field is not None and field.type == FieldDescriptor.TYPE_STRING:
                value = value.decode("utf-8", "replace").encode()
            elif field is not None and field.message_type is not None:
                value = _with_sound_text(value, field.message_type, depth + 1)
            out += _spell_varint(len(value))
        out += value
    return bytes(out)


def _spell_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
