"""Any Python value as JSON text of bounded length: what ``observe`` records of arguments and results."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from uuid import UUID

from zirkel.client.json_value import JsonValue

LONGEST_TEXT = 32 * 1024
"""Characters of one captured value, all of its texts and keys together."""
DEEPEST = 8
MOST_ITEMS = 200
CUT = "…"
_ITEM_COST = 4
_WRITTEN_AS_TEXT = (datetime, date, time, Decimal, UUID, PurePath)


def capture_json(value: object, limit: int = LONGEST_TEXT) -> str:
    """Return ``value`` as JSON text with about ``limit`` characters at most; where something is left out stands ``…``.

    Dataclasses, mappings, sequences, sets, enumerations, times, and objects with ``model_dump`` (Pydantic) or
    ``__struct_fields__`` (msgspec) are opened; of anything else only the type is told, as ``<module.Type>``: its
    ``repr`` might be slow, secret or of any length.
    """
    return json.dumps(_Capture(limit).value(value, 0), ensure_ascii=False, separators=(",", ":"))


class _Capture:
    """Walks one value; counts down what may still be written."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def value(self, value: object, depth: int) -> JsonValue:
        self._left -= _ITEM_COST
        match value:
            case Enum():
                return self.value(value.value, depth)
            case None | bool() | int():
                return value if not isinstance(value, int) or abs(value) < 2**63 else self._text(str(value))
            case float():
                return value if math.isfinite(value) else str(value)
            case str():
                return self._text(value)
            case bytes() | bytearray() | memoryview():
                return f"<{len(value)} bytes>"
            case _ if isinstance(value, _WRITTEN_AS_TEXT):
                return self._text(str(value))
            case _:
                return self._opened(value, depth)

    def _opened(self, value: object, depth: int) -> JsonValue:
        if depth >= DEEPEST or self._left <= 0:
            return CUT
        if isinstance(value, Mapping):
            return self._mapping(value.items(), depth)
        if isinstance(value, Sequence | Set):
            return self._items(value, depth)
        fields = _fields(value)
        return f"<{type(value).__module__}.{type(value).__qualname__}>" if fields is None else self.value(fields, depth)

    def _mapping(self, pairs: Iterable[tuple[object, object]], depth: int) -> JsonValue:
        found: dict[str, JsonValue] = {}
        for position, (key, item) in enumerate(pairs):
            if position == MOST_ITEMS or self._left <= 0:
                found[CUT] = CUT
                break
            found[self._text(str(key))] = self.value(item, depth + 1)
        return found

    def _items(self, items: Iterable[object], depth: int) -> JsonValue:
        found: list[JsonValue] = []
        for position, item in enumerate(items):
            if position == MOST_ITEMS or self._left <= 0:
                found.append(CUT)
                break
            found.append(self.value(item, depth + 1))
        return found

    def _text(self, text: str) -> str:
        # Half a surrogate pair cannot be written as UTF-8.
        kept = text[: max(self._left, 0)].encode("utf-8", "replace").decode()
        self._left -= len(kept)
        return kept if len(kept) == len(text) else kept + CUT


def _fields(value: object) -> Mapping[str, object] | None:
    """Return the fields of an object that says what they are."""
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    names = getattr(value, "__struct_fields__", None)
    if isinstance(names, tuple):
        return {name: getattr(value, name, None) for name in names}
    dump = getattr(value, "model_dump", None)
    dumped = dump() if callable(dump) else None
    return dumped if isinstance(dumped, Mapping) else None
