"""Measures as SQL: the value of a span, which spans have one, and the statistics over them."""

from collections.abc import Mapping

import msgspec

from zirkel.core.aggregates import Measure, Statistic
from zirkel.store.telemetry.dimension_sql import dimension
from zirkel.store.telemetry.engine import Parameter
from zirkel.store.telemetry.field_sql import EXPRESSIONS, LATENCY

_OF_LEAVES = "is_leaf"


class MeasureSql(msgspec.Struct, frozen=True):
    """How a measure is computed."""

    value: str
    """Of a span; null where it is unknown, or not asked for."""
    is_told: str
    """Whether a span should tell it: one that should and does not is *unknown*."""
    parameters: Mapping[str, Parameter]
    needs_leaves: bool
    """Whether ``is_leaf`` is used."""


def measure_sql(measure: Measure, name: str) -> MeasureSql:
    """Return how a measure is computed; a parameter that it binds is called ``name``."""
    if measure.of is None:
        return MeasureSql("1", "0", {}, False)
    if measure.statistic is Statistic.DISTINCT:
        expression, parameters = dimension(measure.of, name)
        return MeasureSql(f"nullIf(toString({expression}), '')", "0", parameters, False)
    field = measure.of.name
    if field == "error":
        return MeasureSql("toUInt8(status = 'error')", "1", {}, False)
    if field == "score":
        return MeasureSql("score_value", "1", {}, False)
    if field == "latency":
        return MeasureSql(f"{LATENCY} / 1e6", "1", {}, False)
    if field == "first_token":
        return MeasureSql("time_to_first_token_ns / 1e6", "(is_model OR is_call)", {}, False)
    if field in ("input_length", "output_length"):
        return MeasureSql(EXPRESSIONS[field][0], "1", {}, False)
    return MeasureSql(f"if(is_leaf, {EXPRESSIONS[field][0]}, NULL)", _OF_LEAVES, {}, True)


def statistic_sql(measure: Measure, suffix: str, argument: str) -> str:
    """Return the aggregate function of a measure over ``argument``, with ``suffix`` ``State`` or ``Merge``."""
    statistic = measure.statistic
    if statistic is Statistic.DISTINCT:
        return f"uniqExact{suffix}({argument})"
    if statistic in (Statistic.SUM, Statistic.MIN, Statistic.MAX, Statistic.COUNT):
        return f"{statistic.value}{suffix}({argument})"
    number = argument if suffix == "Merge" else f"toFloat64({argument})"
    if statistic is Statistic.MEAN:
        return f"avg{suffix}({number})"
    return f"quantileExactInclusive{suffix}({int(statistic.value[1:]) / 100})({number})"
