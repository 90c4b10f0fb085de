"""JSON bodies as their parts, whatever bytes were sent.

A request is split into its items before any of them is read, so that a broken one costs only itself, and so that no
more than one is in memory in its decoded form.
"""

import re
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from zirkel.lib.otlp.errors import Malformed, TooLarge
from zirkel.lib.otlp.wire import MAX_ITEMS

_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_object_decoder = msgspec.json.Decoder(dict[str, object])
_parts_decoder = msgspec.json.Decoder(dict[str, Raw])
_list_decoder = msgspec.json.Decoder(list[dict[str, Raw]] | None)
_items_decoder = msgspec.json.Decoder(list[Raw] | None)


@dataclass(frozen=True, slots=True)
class JsonScope:
    """The items of one scope of one resource, unread; ``resource`` and ``scope`` are JSON text, maybe ``null``."""

    resource: bytes
    scope: bytes
    items: list[Raw]


def split_json(body: bytes, outer: str, middle: str, inner: str) -> list[JsonScope]:
    """Return the parts of a request with the items at ``outer`` / ``middle`` / ``inner``; the body may be empty.

    Raises:
        Malformed: If the body is not UTF-8, not JSON, not an object, or has no arrays of objects at those fields.
        TooLarge: If it has more than ``MAX_ITEMS`` items.
    """
    if not body:
        return []
    try:
        scopes = _split(body, outer, middle, inner)
    except Malformed:
        repaired = with_sound_text(body)
        if repaired == body:
            raise
        scopes = _split(repaired, outer, middle, inner)
    if sum(len(scope.items) for scope in scopes) > MAX_ITEMS:
        raise TooLarge(f"the request has more than {MAX_ITEMS} items; send smaller batches")
    return scopes


def parse_object(text: bytes) -> dict[str, object]:
    """Return one JSON object; bytes that are not UTF-8 and lone surrogates in its strings become U+FFFD.

    Raises:
        Malformed: If it is no object, no JSON, or nested beyond the interpreter's depth.
    """
    try:
        return _object_decoder.decode(text)
    except (ValueError, RecursionError):
        pass
    try:
        return _object_decoder.decode(with_sound_text(text))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not a JSON object that can be read: {error}") from error


def with_sound_text(text: bytes) -> bytes:
    """Return JSON text in UTF-8 whose strings hold no half of a surrogate pair.

    JavaScript senders cut strings in the middle of a pair; the parser refuses what is left of it.
    """
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode("utf-8", "replace").encode()
    return _ESCAPES.sub(lambda found: b"\\ufffd" if found["half"] else found[0], text)


def _split(body: bytes, outer: str, middle: str, inner: str) -> list[JsonScope]:
    scopes: list[JsonScope] = []
    place = "the body"
    try:
        request = _parts_decoder.decode(body)
        place = outer
        for owner in _list_decoder.decode(request.get(outer, b"null")) or []:
            place = f"{outer}.{middle}"
            for scope in _list_decoder.decode(owner.get(middle, b"null")) or []:
                place = f"{outer}.{middle}.{inner}"
                items = _items_decoder.decode(scope.get(inner, b"null")) or []
                resource, about = owner.get("resource", b"null"), scope.get("scope", b"null")
                scopes.append(JsonScope(bytes(resource), bytes(about), items))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{place} cannot be read as JSON: {error}") from error
    return scopes
