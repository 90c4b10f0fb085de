"""What can be measured of spans, and by what it can be split: ``p95(latency)`` by ``model``."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from zirkel.core.errors import Invalid
from zirkel.core.filter_fields import FIELDS, FieldType
from zirkel.core.filter_parser import parse_field
from zirkel.core.filters import FieldRef, format_field

_CALL = re.compile(r"\s*(?P<statistic>[a-z0-9]+)\s*(?:\((?P<of>.*)\))?\s*\Z", re.DOTALL)


class Statistic(StrEnum):
    """What is made of the values."""

    COUNT = "count"
    """Spans."""
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    P50 = "p50"
    """Quantiles are exact, with linear interpolation between the two values beside (Hyndman and Fan's type 7)."""
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"
    DISTINCT = "distinct"
    """Different values that are not empty, counted exactly."""


class MeasureSpec(msgspec.Struct, frozen=True):
    """A number that spans have."""

    name: str
    unit: str
    meaning: str


_MEASURES = (
    MeasureSpec("latency", "ms", "from start to end"),
    MeasureSpec("first_token", "ms", "from start to the first token, of model calls and calls to the gateway"),
    MeasureSpec("cost_usd", "USD", "cost of leaf model spans: each counts once"),
    MeasureSpec("tokens.input", "tokens", "input tokens of leaf model spans, cached ones included"),
    MeasureSpec("tokens.cache_read", "tokens", "input tokens of leaf model spans read from a cache"),
    MeasureSpec("tokens.cache_write", "tokens", "input tokens of leaf model spans written to a cache"),
    MeasureSpec("tokens.output", "tokens", "output tokens of leaf model spans, reasoning included"),
    MeasureSpec("tokens.reasoning", "tokens", "output tokens of reasoning of leaf model spans"),
    MeasureSpec("tokens.total", "tokens", "input and output tokens of leaf model spans"),
    MeasureSpec("input_length", "characters", "length of the input"),
    MeasureSpec("output_length", "characters", "length of the output"),
    MeasureSpec("error", "", "1 for a span in error, else 0: the mean is the error rate"),
    MeasureSpec("score", "", "numbers of the scores of one name, as score.NAME: each score counts once"),
)

MEASURES: Mapping[str, MeasureSpec] = {spec.name: spec for spec in _MEASURES}
"""By name."""

DIMENSION_TYPES = frozenset({FieldType.TEXT, FieldType.CHOICE, FieldType.FLAG, FieldType.LIST, FieldType.JSON})
"""Types of the fields that spans can be split by; a span counts under each element of a list."""


class Measure(msgspec.Struct, frozen=True):
    """A statistic of a measure; of a field for ``DISTINCT``, of nothing for ``COUNT``."""

    statistic: Statistic
    of: FieldRef | None = None

    def __str__(self) -> str:
        """Return it as it is written, e.g. ``p95(latency)``."""
        return f"{self.statistic.value}({format_field(self.of)})" if self.of else self.statistic.value

    @property
    def unit(self) -> str:
        """The unit of the values."""
        is_number = self.of is None or self.statistic is Statistic.DISTINCT
        return "" if is_number or self.of is None else MEASURES[self.of.name].unit


def is_money(measure: Measure) -> bool:
    """Return whether the values are exact decimals: sums and extremes of cost. Means and quantiles are floats."""
    is_exact = measure.statistic in (Statistic.SUM, Statistic.MIN, Statistic.MAX)
    return is_exact and measure.of is not None and measure.of.name == "cost_usd"


def nothing(measure: Measure) -> Decimal | float | None:
    """Return the value where there are no spans: 0 of what is counted and summed, ``None`` of the rest."""
    if measure.statistic not in (Statistic.COUNT, Statistic.SUM, Statistic.DISTINCT):
        return None
    return Decimal(0) if is_money(measure) else 0.0


def parse_measure(text: str) -> Measure:
    """Return the measure that a text such as ``p95(latency)`` or ``count`` says.

    Raises:
        Invalid: If there is no such statistic or measure.
    """
    match = _CALL.match(text)
    known = {statistic.value: statistic for statistic in Statistic}
    statistic = known.get(match["statistic"]) if match else None
    if match is None or statistic is None:
        raise Invalid(f"{text!r} is no measure; write e.g. count or p95(latency), with one of {', '.join(known)}")
    inside = (match["of"] or "").strip()
    if statistic is Statistic.COUNT:
        if inside:
            raise Invalid(f"{text!r}: count counts spans and takes nothing; distinct(…) counts values")
        return Measure(statistic)
    if statistic is Statistic.DISTINCT:
        return Measure(statistic, parse_dimension(inside))
    if inside == "error":
        return Measure(statistic, FieldRef("error"))
    field = _measured(text, inside)
    return Measure(statistic, field)


def parse_dimension(text: str) -> FieldRef:
    """Return the field that spans are split by.

    Raises:
        Invalid: If there is no such field, or it has too many values to split by.
    """
    field = parse_field(text)
    if FIELDS[field.name].type not in DIMENSION_TYPES:
        raise Invalid(f"{text!r} is a {FIELDS[field.name].type.value}, which nothing can be split by")
    return field


def _measured(text: str, inside: str) -> FieldRef:
    try:
        field = parse_field(inside)
    except Invalid as error:
        raise Invalid(f"{text!r}: there is no such measure; known are {', '.join(MEASURES)}") from error
    if field.name not in MEASURES:
        raise Invalid(f"{text!r}: {field.name!r} is no measure; known are {', '.join(MEASURES)}")
    return field
