"""Values of the filter language as text: durations, points in time, and what a field can be compared with."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from zirkel.core.errors import Invalid
from zirkel.core.filter_fields import OPERATORS, FieldSpec, FieldType
from zirkel.core.filters import DURATION_UNITS, MAX_NUMBER, Duration, Flag, Number, Operator, Text, Value

_DURATION = re.compile(r"(?P<number>-?\d{1,20}(?:\.\d{1,9})?)(?P<unit>ns|us|ms|s|m|h|d)\Z", re.ASCII)
_LAST_NS = 5_662_224_000 * 1_000_000_000
_MAX_DURATION_NS = _LAST_NS
_SECOND_NS = 1_000_000_000


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration such as ``250ms``, ``1.5h`` or ``-24h``.

    Raises:
        Invalid: If it is none, is no whole number of nanoseconds, or is longer than 179 years.
    """
    match = _DURATION.match(text)
    ns = Decimal(match["number"]) * DURATION_UNITS[match["unit"]] if match else Decimal("0.5")
    if ns != int(ns) or abs(ns) > _MAX_DURATION_NS:
        units = ", ".join(DURATION_UNITS)
        raise Invalid(f"{text!r} is not a duration; write a number and one of {units}, e.g. 250ms or 24h")
    return int(ns)


def parse_moment(text: str, now_ns: int) -> int:
    """Return the UTC nanoseconds of a point in time: ISO 8601, UTC where no offset is given, or ``-24h`` from now.

    Raises:
        Invalid: If it is neither, or before 1970 or after 2149.
    """
    if _DURATION.match(text):
        return max(0, now_ns + parse_duration(text))
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC)
        since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f'{text!r} is not a time; write e.g. "2026-03-01T12:00Z" or -24h') from error
    ns = (since.days * 86_400 + since.seconds) * _SECOND_NS + since.microseconds * 1000
    if not 0 <= ns <= _LAST_NS:
        raise Invalid(f"{text!r} lies outside of the years 1970 to 2149")
    return ns


def moment_of(value: Value, now_ns: int) -> int:
    """Return the UTC nanoseconds that a value stands for beside a field of type ``TIME``.

    Raises:
        Invalid: If it is no time.
    """
    if isinstance(value, Duration):
        return max(0, min(now_ns + value.ns, _LAST_NS))
    if isinstance(value, Text):
        return parse_moment(value.value, now_ns)
    raise Invalid('a time is needed, e.g. "2026-03-01T12:00Z" or -24h')


def expected_value(spec: FieldSpec, operator: Operator, value: Value) -> str:
    """Return what should stand in place of ``value``; empty if it can be compared with the field."""
    kind = spec.type
    if kind is FieldType.CHOICE:
        return "" if isinstance(value, Text) and value.value in spec.choices else _one_of(spec.choices)
    if kind is FieldType.FLAG:
        return "" if isinstance(value, Flag) else "true or false"
    if kind is FieldType.NUMBER:
        return "" if isinstance(value, Number) else "a number"
    if kind is FieldType.DURATION:
        return "" if isinstance(value, Duration) else "a duration, e.g. 2s or 250ms"
    if kind is FieldType.TIME:
        return _expected_time(value)
    if kind in (FieldType.JSON, FieldType.SCORE):
        return _expected_mixed(operator, value)
    return "" if isinstance(value, Text) else "a text in quotes"


def expected_operator(spec: FieldSpec, operator: Operator) -> str:
    """Return which operators the field allows; empty if ``operator`` is one of them."""
    allowed = OPERATORS[spec.type]
    return "" if operator in allowed else _one_of(tuple(known.value for known in Operator if known in allowed))


def is_number(value: Decimal) -> bool:
    """Return whether a number lies in the bounds of the language: below 10¹⁵, with at most 12 decimals."""
    return abs(value) < MAX_NUMBER and value == value.quantize(Decimal("1e-12"))


def _expected_time(value: Value) -> str:
    try:
        moment_of(value, 0)
    except Invalid:
        return 'a time, e.g. "2026-03-01T12:00Z" or -24h'
    return ""


def _expected_mixed(operator: Operator, value: Value) -> str:
    if operator in (Operator.CONTAINS, Operator.LACKS):
        return "" if isinstance(value, Text) else "a text in quotes"
    if operator in (Operator.EQUAL, Operator.UNEQUAL):
        return "a text in quotes, a number, true or false" if isinstance(value, Duration) else ""
    return "" if isinstance(value, Number) else "a number"


def _one_of(names: tuple[str, ...]) -> str:
    return "one of " + ", ".join(names)
