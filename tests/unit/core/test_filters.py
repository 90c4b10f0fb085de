"""The filter language: reading it, writing it, and what its errors say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Invalid
from zirkel.core.filter_fields import FIELDS, OPERATORS, FieldSpec, FieldType
from zirkel.core.filter_parser import parse_field, parse_filter
from zirkel.core.filter_values import moment_of, parse_duration, parse_moment
from zirkel.core.filters import (
    EVERYTHING,
    MAX_DEPTH,
    MAX_TEXT_LENGTH,
    MAX_VALUES,
    And,
    Compare,
    Condition,
    Duration,
    Exists,
    FieldRef,
    Filter,
    Flag,
    Not,
    Number,
    OneOf,
    Operator,
    Or,
    Text,
    Value,
    conditions,
    format_filter,
)

HOUR_NS = 3_600_000_000_000
MARCH_NS = 1_772_366_400_000_000_000

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8).map(Text)
NUMBERS = st.decimals(-(10**14), 10**14, places=12).map(Number)
DURATIONS = st.integers(-(10**18), 10**18).map(Duration)
TIMES = st.sampled_from(["2026-03-01T12:00Z", "2026-03-01", "2026-03-01T12:00:00.5+02:00"]).map(Text) | DURATIONS
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from(["a", "a.b", "gen_ai.system"])


def values_of(spec: FieldSpec, operator: Operator) -> st.SearchStrategy[Value]:
    """Values that may stand behind an operator."""
    by_type: dict[FieldType, st.SearchStrategy[Value]] = {
        FieldType.CHOICE: st.sampled_from(spec.choices or ("",)).map(Text),
        FieldType.FLAG: st.booleans().map(Flag),
        FieldType.NUMBER: NUMBERS,
        FieldType.DURATION: DURATIONS,
        FieldType.TIME: TIMES,
    }
    if spec.type not in (FieldType.JSON, FieldType.SCORE):
        return by_type.get(spec.type, TEXTS)
    if operator in (Operator.CONTAINS, Operator.LACKS):
        return TEXTS
    if operator in (Operator.EQUAL, Operator.UNEQUAL):
        return st.one_of(TEXTS, NUMBERS, st.booleans().map(Flag))
    return NUMBERS


@st.composite
def some_condition(draw: Callable[..., object]) -> Condition:
    spec = draw(st.sampled_from(sorted(FIELDS.values(), key=lambda spec: spec.name)))
    assert isinstance(spec, FieldSpec)
    key = draw(KEYS) if spec.type in (FieldType.JSON, FieldType.SCORE) else ""
    field = FieldRef(spec.name, str(key))
    form = draw(st.sampled_from(["compare", "in", "exists"]))
    if form == "exists":
        return Exists(field)
    if form == "in":
        found = draw(st.lists(values_of(spec, Operator.EQUAL), min_size=1, max_size=3))
        assert isinstance(found, list)
        return OneOf(field, tuple(found))
    operator = draw(st.sampled_from(sorted(OPERATORS[spec.type])))
    assert isinstance(operator, Operator)
    value = draw(values_of(spec, operator))
    assert isinstance(value, Text | Number | Flag | Duration)
    return Compare(field, operator, value)


def _joined(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(several.map(And), several.map(Or), inner.map(Not))


FILTERS: st.SearchStrategy[Filter] = st.just(EVERYTHING) | st.recursive(some_condition(), _joined, max_leaves=6)


@given(FILTERS)
def test_the_canonical_text_of_a_filter_reads_as_the_same_filter(part: Filter) -> None:
    assert parse_filter(format_filter(part)) == part


@given(FILTERS)
def test_a_filter_survives_json(part: Filter) -> None:
    assert msgspec.json.decode(msgspec.json.encode(part), type=Filter) == part


@given(st.text(max_size=60) | st.text("()\"'=<>!~ andornotinexiscost_usd.0123456789[],\\", max_size=60))
def test_any_text_is_a_filter_or_a_clear_refusal(text: str) -> None:
    try:
        part = parse_filter(text)
    except Invalid as error:
        said = f"{error.path}: {error}"
    else:
        said = "filter: column"
        assert parse_filter(format_filter(part)) == part
    assert said.startswith("filter:")
    assert "column" in said


def test_and_binds_tighter_than_or_and_not_tightest() -> None:
    a, b, c = (Exists(FieldRef(name)) for name in ("user", "session", "key"))
    assert parse_filter("exists user or exists session and not exists key") == Or((a, And((b, Not(c)))))
    assert parse_filter("(exists user or exists session) AND not (exists key)") == And((Or((a, b)), Not(c)))


def test_a_whole_line_reads_as_it_is_said() -> None:
    assert parse_filter('service = "x" and cost_usd > 0.01 and output ~ "refund"') == And(
        (
            Compare(FieldRef("service"), Operator.EQUAL, Text("x")),
            Compare(FieldRef("cost_usd"), Operator.MORE, Number(Decimal("0.01"))),
            Compare(FieldRef("output"), Operator.CONTAINS, Text("refund")),
        )
    )


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("latency>2000ms", "latency > 2s"),
        ("latency > 1.5s", "latency > 1500ms"),
        ("start > -24h", "start > -1d"),
        ("cost_usd < 1e-3", "cost_usd < 0.001"),
        ("service = 'it''s' ", None),
        (r"service = 'it\'s' ", 'service = "it\'s"'),
        ('attributes.gen_ai.system = "x"', 'attributes["gen_ai.system"] = "x"'),
        ('score["helpfulness"] < 0.5', "score.helpfulness < 0.5"),
        ('score["x y"] = "bad"', 'score["x y"] = "bad"'),
        ('service not in ("a")', 'not service in ("a")'),
        ("", ""),
    ],
)
def test_ways_to_write_the_same(text: str, canonical: str | None) -> None:
    if canonical is None:
        with pytest.raises(Invalid):
            parse_filter(text)
    else:
        assert format_filter(parse_filter(text)) == canonical


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ('servise = "x"', 1, "did you mean service"),
        ("tokens > 3", 1, "tokens.total"),
        ('cost_usd > "1"', 12, "expected a number"),
        ("latency > 2", 11, "expected a duration"),
        ('start > "soon"', 9, "expected a time"),
        ('kind = "chatt"', 8, "expected one of call, chat"),
        ('kind ~ "chat"', 6, "expected one of =, !="),
        ("root = 1", 8, "expected true or false"),
        ("service = ", 11, "expected a value"),
        ('service "x"', 9, "expected = != <"),
        ('service = "x', 11, "no closing"),
        (r'service = "\q"', 12, "no escape"),
        ('service = "a" user = "b"', 15, "expected 'and', 'or' or the end"),
        ("(exists user", 13, "expected ')'"),
        ("exists user and", 16, "expected the name of a field"),
        ("attributes = 3", 1, 'attributes["KEY"]'),
        ('name["x"] = "y"', 1, "has no key"),
        ('attributes["a"] > "x"', 19, "expected a number"),
        ("cost_usd > 1e400", 12, "below 10^15"),
        ("latency > 3 parsecs", 11, "expected a duration"),
        ("latency > 3parsecs", 11, "not a duration"),
        ("cost_usd = $1", 12, "not understood"),
        ('service in ("a" "b")', 17, "expected ',' or ')'"),
    ],
)
def test_an_error_names_the_column_and_what_was_expected(text: str, column: int, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_filter(text)
    assert f"column {column}:" in str(caught.value)
    assert said in str(caught.value)


def test_depth_length_and_number_of_values_are_bounded() -> None:
    deepest = "(" * MAX_DEPTH + "exists user" + ")" * MAX_DEPTH
    assert parse_filter(deepest) == Exists(FieldRef("user"))
    many = f"trial in ({', '.join('1' for _ in range(MAX_VALUES))})"
    assert isinstance(parse_filter(many), OneOf)
    for text in (f"({deepest})", f"{many} and trial = 1", " " * (MAX_TEXT_LENGTH + 1), "not " * 500 + "exists user"):
        with pytest.raises(Invalid):
            parse_filter(text)


def test_conditions_are_found_from_left_to_right() -> None:
    part = parse_filter('not (exists user or service = "a") and trial in (1, 2)')
    assert [condition.field.name for condition in conditions(part)] == ["user", "service", "trial"]


def test_a_field_alone_can_be_read() -> None:
    assert parse_field('attributes["a.b"]') == FieldRef("attributes", "a.b")
    assert parse_field("score.helpfulness") == FieldRef("score", "helpfulness")
    for text in ("", "nothing", "service x", "attributes", '"service"'):
        with pytest.raises(Invalid):
            parse_field(text)


def test_times_are_absolute_in_utc_or_relative_to_now() -> None:
    assert parse_moment("2026-03-01T12:00Z", 0) == MARCH_NS
    assert parse_moment("2026-03-01T14:00:00+02:00", 0) == MARCH_NS
    assert parse_moment("2026-03-01 12:00", 0) == MARCH_NS
    assert parse_moment("-24h", MARCH_NS) == MARCH_NS - 24 * HOUR_NS
    assert moment_of(Duration(-HOUR_NS), MARCH_NS) == MARCH_NS - HOUR_NS
    assert moment_of(Duration(-HOUR_NS), 5) == 0
    for text in ("yesterday", "1969-01-01", "2200-01-01", "", "12:00"):
        with pytest.raises(Invalid):
            parse_moment(text, MARCH_NS)


@given(st.integers(0, 5_000_000_000_000_000))
def test_microseconds_of_a_time_are_kept_exactly(microseconds: int) -> None:
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()
    assert parse_moment(text, 0) == microseconds * 1000


def test_durations_are_whole_nanoseconds() -> None:
    assert parse_duration("250ms") == 250_000_000
    assert parse_duration("0.5us") == 500
    for text in ("0.5ns", "5", "s", "1h30m", "5 s", "99999999999999d"):
        with pytest.raises(Invalid):
            parse_duration(text)
