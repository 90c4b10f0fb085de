"""Filters as SQL: every field is known, and what a caller wrote is never in the SQL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Invalid
from zirkel.core.aggregates import DIMENSION_TYPES
from zirkel.core.filter_fields import FIELDS, OPERATORS, FieldType
from zirkel.core.filter_parser import parse_filter
from zirkel.core.filters import Compare, FieldRef, Flag, Number, Operator, Text
from zirkel.store.telemetry.dimension_sql import dimension
from zirkel.store.telemetry.field_sql import EXPRESSIONS, JSON_COLUMNS, TOTALS
from zirkel.store.telemetry.filter_sql import compile_filter
from zirkel.store.telemetry.sql_text import filled

MARK = "zqx"
HOSTILE = st.sampled_from(
    [
        "' OR 1=1 --",
        "'; DROP TABLE spans; --",
        "\\'",
        '"',
        "`",
        "{project_id:String}",
        "%s",
        "*/",
        "\x00",
        "\n",
        "WINDOW",
    ]
) | st.text(st.characters(codec="utf-8"), max_size=10)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def test_each_field_has_sql_and_nothing_else_has() -> None:
    special = {name for name, spec in FIELDS.items() if spec.type is FieldType.SCORE}
    assert {*EXPRESSIONS, *JSON_COLUMNS, *TOTALS, *special} == set(FIELDS)
    assert {name for name, spec in FIELDS.items() if spec.is_total} == set(TOTALS)


@given(HOSTILE, HOSTILE, st.sampled_from(sorted(name for name, spec in FIELDS.items() if "~" in OPERATORS[spec.type])))
def test_no_text_of_a_caller_is_ever_in_the_sql(text: str, key: str, name: str) -> None:
    is_keyed = FIELDS[name].type in (FieldType.JSON, FieldType.SCORE)
    field = f"{name}[{quoted(MARK + key)}]" if is_keyed else name
    value = quoted(MARK + text)
    line = f"{field} = {value} or not {field} ~ {value} or {field} in ({value}, {value}) or exists {field}"
    compiled = compile_filter(parse_filter(line), now_ns=0, near="1")
    assert MARK not in compiled.sql
    bound = str(list(compiled.parameters.values()))
    assert MARK in bound


@given(HOSTILE)
def test_a_key_to_split_by_is_bound_too(key: str) -> None:
    expression, parameters = dimension(FieldRef("attributes", MARK + key), "d0")
    assert MARK not in expression
    assert parameters == {"d0": MARK + key}


def test_numbers_and_times_are_bound_as_well() -> None:
    compiled = compile_filter(parse_filter("cost_usd > 31337 and start > -31337s"), now_ns=10**18, near="1")
    assert "31337" not in compiled.sql
    assert list(compiled.parameters.values()) == ["31337", 10**18 - 31337 * 10**9]


def test_a_filter_that_no_parser_made_is_refused_if_it_makes_no_sense() -> None:
    for part in (
        Compare(FieldRef("nothing"), Operator.EQUAL, Text("x")),
        Compare(FieldRef("cost_usd"), Operator.EQUAL, Text("x")),
        Compare(FieldRef("service"), Operator.EQUAL, Flag(True)),
        Compare(FieldRef("attributes"), Operator.EQUAL, Text("x")),
        Compare(FieldRef("root"), Operator.EQUAL, Number(1)),  # type: ignore[arg-type]
    ):
        with pytest.raises(Invalid):
            compile_filter(part, now_ns=0, near="1")


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_only_fields_of_texts_split(name: str) -> None:
    field = FieldRef(name, "k" if FIELDS[name].type in (FieldType.JSON, FieldType.SCORE) else "")
    if FIELDS[name].type in DIMENSION_TYPES:
        assert dimension(field, "d0")[0]
    else:
        with pytest.raises(Invalid):
            dimension(field, "d0")


def test_parts_are_filled_in_once_and_not_looked_into() -> None:
    assert filled("A FROM AB WHERE AB", {"AB": "AB OR CD", "CD": "x"}) == "A FROM AB OR CD WHERE AB OR CD"
