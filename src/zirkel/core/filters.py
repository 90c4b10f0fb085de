"""Filters over spans as a tree: what the one-line language means, and its canonical text.

A filter is *true or false* for a span. A comparison with something that is unknown is false, and ``!=`` and ``!~`` are
exactly *not* ``=`` and *not* ``~``: a span without a cost satisfies ``not cost_usd > 1`` and ``cost_usd != 1``. A text
that a span does not have is the empty text.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum

import msgspec

MAX_TEXT_LENGTH = 4000
"""Characters of a filter."""
MAX_DEPTH = 20
"""Levels of parentheses and ``not``."""
MAX_VALUES = 200
"""Values to compare with, in all conditions of a filter together."""
MAX_NUMBER = Decimal(10) ** 15
"""Numbers lie below it, on either side, and have at most 12 decimals."""

DURATION_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
"""Nanoseconds of each unit."""

_BARE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\Z", re.ASCII)


class Operator(StrEnum):
    """How a field is compared with a value."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    CONTAINS = "~"
    """Case-insensitively."""
    LACKS = "!~"


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A string in quotes; also a point in time, such as ``"2026-03-01T12:00Z"``."""

    value: str


class Number(msgspec.Struct, frozen=True, tag="number"):
    """A number; equal numbers are equal however they were written."""

    value: Decimal


class Flag(msgspec.Struct, frozen=True, tag="flag"):
    """``true`` or ``false``."""

    value: bool


class Duration(msgspec.Struct, frozen=True, tag="duration"):
    """A duration such as ``250ms``; compared with a time it is relative to now, as ``-24h``."""

    ns: int


Value = Text | Number | Flag | Duration


class FieldRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field, and for maps the key: ``cost_usd``, ``attributes["gen_ai.request.seed"]``."""

    name: str
    key: str = ""


class Compare(msgspec.Struct, frozen=True, tag="compare"):
    """``latency > 2s``."""

    field: FieldRef
    operator: Operator
    value: Value


class OneOf(msgspec.Struct, frozen=True, tag="in"):
    """``service in ("a", "b")``: equal to one of at least one value."""

    field: FieldRef
    values: tuple[Value, ...]


class Exists(msgspec.Struct, frozen=True, tag="exists"):
    """``exists user``: the span has it."""

    field: FieldRef


class Not(msgspec.Struct, frozen=True, tag="not"):
    """``not …``."""

    part: "Filter"


class And(msgspec.Struct, frozen=True, tag="and"):
    """``… and …``, of two parts or more; of none, it is the filter that everything passes."""

    parts: tuple["Filter", ...] = ()


class Or(msgspec.Struct, frozen=True, tag="or"):
    """``… or …``, of two parts or more."""

    parts: tuple["Filter", ...]


Filter = Compare | OneOf | Exists | Not | And | Or
Condition = Compare | OneOf | Exists

EVERYTHING = And()


def conditions(part: Filter) -> Iterator[Condition]:
    """Yield each comparison of a filter, from left to right."""
    if isinstance(part, And | Or):
        for inner in part.parts:
            yield from conditions(inner)
    elif isinstance(part, Not):
        yield from conditions(part.part)
    else:
        yield part


def format_filter(part: Filter) -> str:
    """Return the canonical text of a filter: parsed, it is the same filter again. ``EVERYTHING`` is the empty text."""
    if isinstance(part, And):
        return " and ".join(_inside(inner, And) for inner in part.parts)
    if isinstance(part, Or):
        return " or ".join(_inside(inner, Or) for inner in part.parts)
    if isinstance(part, Not):
        return f"not {_inside(part.part, Not)}"
    field = format_field(part.field)
    if isinstance(part, Exists):
        return f"exists {field}"
    if isinstance(part, OneOf):
        return f"{field} in ({', '.join(format_value(value) for value in part.values)})"
    return f"{field} {part.operator.value} {format_value(part.value)}"


def format_field(field: FieldRef) -> str:
    """Return a field as the language writes it: ``cost_usd``, ``score.helpfulness``, ``attributes["a.b"]``."""
    if not field.key:
        return field.name
    if field.name == "score" and _BARE_KEY.match(field.key):
        return f"score.{field.key}"
    return f"{field.name}[{_quoted(field.key)}]"


def format_value(value: Value) -> str:
    """Return a value as the language writes it."""
    if isinstance(value, Text):
        return _quoted(value.value)
    if isinstance(value, Number):
        return f"{value.value.normalize() + 0:f}"
    if isinstance(value, Flag):
        return "true" if value.value else "false"
    unit = next(unit for unit in reversed(DURATION_UNITS) if value.ns % DURATION_UNITS[unit] == 0)
    return f"{value.ns // DURATION_UNITS[unit]}{unit}" if value.ns else "0s"


def _inside(part: Filter, outer: type[And | Or | Not]) -> str:
    """Return a part of ``outer``, in parentheses where the text would read otherwise without."""
    binds_looser = isinstance(part, Or) or (isinstance(part, And) and outer is not Or)
    return f"({format_filter(part)})" if binds_looser else format_filter(part)


def _quoted(text: str) -> str:
    named = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(named.get(sign, sign) for sign in text) + '"'
