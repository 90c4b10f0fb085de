"""Measures as they are written."""

from decimal import Decimal

import pytest

from zirkel.core import Invalid
from zirkel.core.aggregates import MEASURES, Measure, Statistic, is_money, nothing, parse_dimension, parse_measure
from zirkel.core.filter_fields import FIELDS
from zirkel.core.filters import FieldRef


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("count", Measure(Statistic.COUNT)),
        ("count()", Measure(Statistic.COUNT)),
        ("p95(latency)", Measure(Statistic.P95, FieldRef("latency"))),
        (" sum ( cost_usd ) ", Measure(Statistic.SUM, FieldRef("cost_usd"))),
        ("mean(error)", Measure(Statistic.MEAN, FieldRef("error"))),
        ('mean(score["x y"])', Measure(Statistic.MEAN, FieldRef("score", "x y"))),
        ("distinct(user)", Measure(Statistic.DISTINCT, FieldRef("user"))),
    ],
)
def test_a_measure_reads_as_it_is_said_and_writes_itself_back(text: str, measure: Measure) -> None:
    assert parse_measure(text) == measure
    assert parse_measure(str(measure)) == measure


@pytest.mark.parametrize(
    "text", ["", "p42(latency)", "count(user)", "sum()", "sum", "sum(service)", "distinct(cost_usd)", "distinct()", "x"]
)
def test_what_is_no_measure_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_measure(text)


def test_every_measure_but_the_error_is_a_field_too() -> None:
    assert set(MEASURES) - set(FIELDS) == {"error"}


def test_each_measure_has_its_unit() -> None:
    assert parse_measure("p50(latency)").unit == "ms"
    assert parse_measure("sum(cost_usd)").unit == "USD"
    assert parse_measure("distinct(user)").unit == ""
    assert parse_measure("count").unit == ""


def test_nothing_is_zero_of_what_is_summed_and_unknown_of_the_rest() -> None:
    assert nothing(parse_measure("count")) == 0
    assert isinstance(nothing(parse_measure("sum(cost_usd)")), Decimal)
    assert nothing(parse_measure("p95(latency)")) is None
    assert is_money(parse_measure("max(cost_usd)"))
    assert not is_money(parse_measure("mean(cost_usd)"))


def test_only_fields_with_names_split() -> None:
    assert parse_dimension('attributes["region"]') == FieldRef("attributes", "region")
    for text in ("latency", "cost_usd", "input", "start", "score.x", "trace.spans"):
        with pytest.raises(Invalid):
            parse_dimension(text)
