"""Typed reading of attributes that anybody may have written: a value of the wrong kind reads as absent."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from zirkel.lib.otlp import JsonLike

_T = TypeVar("_T")
_MAX_COUNT = 2**53
"""Larger token counts are no counts."""
_EMPTY: tuple[JsonLike, ...] = ("", [], {}, "[]", "{}", "null")
_MAX_USD = Decimal(10**9)
_MAX_SEGMENTS = 12
"""Flattened keys are split into so many levels at most; no convention uses more than 8."""
_encode = msgspec.json.Encoder().encode


class Fields:
    """Fields, and the names that each may come under, the most preferred first; a name belongs to one field."""

    __slots__ = ("field_of", "names")

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self.names = {field: tuple(of_field) for field, of_field in names.items()}
        self.field_of = {name: field for field, of_field in names.items() for name in of_field}


class Attributes:
    """The attributes of one span or resource, asked for by one or several names, the first that answers wins.

    What was asked for and has a value of the kind asked for is *used*, an older name beside a newer one included; what
    is left over was understood by nobody.
    """

    __slots__ = ("_names", "_used", "_values", "families")

    def __init__(self, values: Mapping[str, JsonLike]) -> None:
        self._values = values
        self._names = values.keys()
        self._used: set[str] = set()
        self.families = frozenset([key.partition(".")[0] for key in values])
        """First segments of the keys, e.g. ``gen_ai``: which dialects can be in here at all."""

    def __contains__(self, key: str) -> bool:
        if key in self._values:
            self._used.add(key)
            return True
        return False

    def has_any(self, names: frozenset[str]) -> bool:
        """Return whether one of the names is there; it counts as used only when it is read."""
        return not self._names.isdisjoint(names)

    def counts_of(self, fields: Fields) -> dict[str, int]:
        """Return the whole numbers of the fields that are there, each as ``count`` reads it."""
        return self._all_of(fields, as_count)

    def raw_of(self, fields: Fields) -> dict[str, JsonLike]:
        """Return the values that are not null of the fields that are there."""
        return self._all_of(fields, _as_sent)

    def unused(self) -> Iterator[str]:
        """Yield the names that have a value which nobody used."""
        for key, value in self._values.items():
            if key not in self._used and value is not None and value not in _EMPTY:
                yield key

    def starting_with(self, prefix: str) -> Iterator[tuple[str, JsonLike]]:
        """Yield what follows ``prefix`` in each key that has it, with the value."""
        if prefix.partition(".")[0] not in self.families:
            return
        for key, value in self._values.items():
            if key.startswith(prefix):
                self._used.add(key)
                yield key[len(prefix) :], value

    def raw(self, *keys: str) -> JsonLike:
        """Return the first value that is not null."""
        return self._first(keys, _as_sent)

    def text(self, *keys: str) -> str:
        """Return the first non-empty text; numbers count as text, JSON-quoted text loses its quotes."""
        return self._first(keys, _as_non_empty) or ""

    def count(self, *keys: str) -> int | None:
        """Return the first whole number from 0 to 2^53."""
        return self._first(keys, as_count)

    def number(self, *keys: str) -> float | None:
        """Return the first finite number."""
        return self._first(keys, as_number)

    def usd(self, *keys: str) -> Decimal | None:
        """Return the first amount from 0 to a billion USD."""
        return self._first(keys, as_usd)

    def flag(self, *keys: str) -> bool | None:
        """Return the first boolean, written as such or as text."""
        return self._first(keys, as_flag)

    def json(self, *keys: str) -> JsonLike:
        """Return the first value that is not empty, parsed if it is JSON text of an array, object or string."""
        return self._first(keys, _as_content)

    def mapping(self, *keys: str) -> dict[str, JsonLike]:
        """Return the first value that is (JSON text of) a non-empty object, or an empty one."""
        return self._first(keys, _as_object) or {}

    def texts(self, *keys: str) -> list[str]:
        """Return the first non-empty list of texts; a single text counts as a list of one."""
        return self._first(keys, _as_texts) or []

    def unflatten(self, prefix: str) -> list[JsonLike]:
        """Return what was flattened into ``prefix`` + ``N.…`` keys, in order of N; digits mean arrays at every level.

        Where a key is both a value and a prefix, what came first stays.
        """
        if prefix.partition(".")[0] not in self.families:
            return []
        tree: dict[str, JsonLike] = {}
        for key, value in self._values.items():
            if key.startswith(prefix):
                path = key[len(prefix) :].split(".", _MAX_SEGMENTS)
                if path[0].isdecimal():
                    self._used.add(key)
                    plant(tree, path, value)
        items = _arrays(tree)
        return items if isinstance(items, list) else []

    def _all_of(self, fields: Fields, read: Callable[[JsonLike], _T | None]) -> dict[str, _T]:
        # Asking by what is there, not by what could be: of some seventy names a span has a handful.
        field_of = fields.field_of
        there = dict.fromkeys([field_of[name] for name in self._values if name in field_of])
        read_of = ((field, self._first(fields.names[field], read)) for field in there)
        return {field: value for field, value in read_of if value is not None}

    def _first(self, keys: tuple[str, ...], read: Callable[[JsonLike], _T]) -> _T | None:
        """Return what ``read`` makes of the first key it can read; it and its later names are used then."""
        # Most names that are asked for are in no span.
        if self._names.isdisjoint(keys):
            return None
        found: _T | None = None
        for key in keys:
            value = self._values.get(key)
            if value is None:
                continue
            if found is None:
                found = read(value)
                if found is None:
                    continue
            self._used.add(key)
        return found


def parse_json(value: JsonLike) -> JsonLike:
    """Return what JSON text of an array, object or string stands for; anything else as it is."""
    if not isinstance(value, str) or value[:1] not in ("[", "{", '"', " ", "\n"):
        return value
    try:
        parsed: JsonLike = msgspec.json.decode(value)
    except RecursionError:
        return value
    except ValueError:
        return _parse_leniently(value) if "\\u" in value else value
    return parsed


def json_text(value: JsonLike) -> str:
    """Return a value as JSON text; empty if it is nested too deeply to write."""
    try:
        return _encode(value).decode()
    except (ValueError, RecursionError):
        return ""


def as_text(value: JsonLike) -> str:
    """Return text or a number as text; JSON-quoted text (MLflow, Langfuse) without its quotes; else empty."""
    if isinstance(value, str):
        if len(value) > 1 and value[0] == '"' == value[-1]:
            inner = parse_json(value)
            return inner if isinstance(inner, str) else value
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def as_number(value: JsonLike) -> float | None:
    """Return a finite number, also one written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_count(value: JsonLike) -> int | None:
    """Return a whole number from 0 to 2^53, also one written as text."""
    if type(value) is int:
        return value if 0 <= value <= _MAX_COUNT else None
    number = as_number(value)
    if number is None or not number.is_integer() or not 0 <= number <= _MAX_COUNT:
        return None
    return int(number)


def as_usd(value: JsonLike) -> Decimal | None:
    """Return an amount from 0 to a billion USD, also one written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount <= _MAX_USD else None


def as_flag(value: JsonLike) -> bool | None:
    """Return a boolean, also one written as text."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, bool) else None


def as_list(value: JsonLike) -> list[JsonLike]:
    """Return a value if it is (JSON text of) a list, else an empty one."""
    parsed = parse_json(value)
    return parsed if isinstance(parsed, list) else []


def first_count(values: Mapping[str, JsonLike], *keys: str) -> int | None:
    """Return the first of some values that is a whole number from 0 to 2^53."""
    return next((count for key in keys if (count := as_count(values.get(key))) is not None), None)


def as_mapping(value: JsonLike) -> dict[str, JsonLike]:
    """Return a value if it is (JSON text of) an object, else an empty one."""
    parsed = parse_json(value)
    return parsed if isinstance(parsed, dict) else {}


def _as_sent(value: JsonLike) -> JsonLike:
    return value


def _as_non_empty(value: JsonLike) -> str | None:
    return as_text(value) or None


def _as_content(value: JsonLike) -> JsonLike:
    parsed = parse_json(value)
    return None if parsed in ("", [], {}) else parsed


def _as_object(value: JsonLike) -> dict[str, JsonLike] | None:
    return as_mapping(value) or None


def _as_texts(value: JsonLike) -> list[str] | None:
    parsed = parse_json(value)
    return [text for text in map(as_text, parsed if isinstance(parsed, list) else [parsed]) if text] or None


def _parse_leniently(text: str) -> JsonLike:
    """Parse JSON that holds halves of surrogate pairs: JavaScript cuts strings between them."""
    try:
        return _well_formed(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _well_formed(value: JsonLike) -> JsonLike:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_well_formed(item) for item in value]
    if isinstance(value, dict):
        return {str(_well_formed(key)): _well_formed(item) for key, item in value.items()}
    return value


def plant(tree: dict[str, JsonLike], path: list[str], value: JsonLike) -> None:
    """Put a value into nested objects; where a value is on the way, it stays and the new one is dropped."""
    node = tree
    for segment in path[:-1]:
        child = node.setdefault(segment, {})
        if not isinstance(child, dict):
            return
        node = child
    node.setdefault(path[-1], value)


def _arrays(node: JsonLike) -> JsonLike:
    if not isinstance(node, dict):
        return node
    if node and all(key.isascii() and key.isdecimal() and len(key) < 10 for key in node):
        return [_arrays(node[key]) for key in sorted(node, key=int)]
    return {key: _arrays(item) for key, item in node.items()}
