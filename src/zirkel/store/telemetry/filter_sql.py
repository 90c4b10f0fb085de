"""Filters as ClickHouse SQL over the table ``spans``. What a caller wrote is in the parameters only, never in the SQL.

The SQL refers to ``{project_id:String}``, and totals of traces to what ``near`` refers to: the caller binds these.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec

from zirkel.core import Invalid
from zirkel.core.filter_fields import FieldSpec, FieldType, field_spec
from zirkel.core.filter_values import moment_of
from zirkel.core.filters import (
    And,
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
)
from zirkel.store.telemetry.engine import Parameter
from zirkel.store.telemetry.field_sql import EXPRESSIONS, JSON_COLUMNS, TOTALS
from zirkel.store.telemetry.totals_sql import trace_totals

_DECIMALS = frozenset({"cost_usd", "trace.cost_usd"})
_NEGATED = {Operator.UNEQUAL: Operator.EQUAL, Operator.LACKS: Operator.CONTAINS}

_CURRENT_SCORES = """(
    SELECT trace_id, span_id, session_id, experiment_id, item_id, kind, value, label, is_withdrawn
    FROM scores
    WHERE project_id = {{project_id:String}} AND name = {name}
    ORDER BY received_ns DESC, time_ns DESC
    LIMIT 1 BY score_id
)"""

# A score of a trace is one of each of its spans, and so on up; what a score is about is the narrowest thing it names.
_SCORED = """(
    cityHash64(trace_id, span_id) IN (SELECT cityHash64(trace_id, span_id) FROM {scores} WHERE span_id != '' AND {held})
    OR trace_id IN (SELECT trace_id FROM {scores} WHERE trace_id != '' AND span_id = '' AND {held})
    OR session_id IN (SELECT session_id FROM {scores} WHERE session_id != '' AND trace_id = '' AND {held})
    OR (experiment_id, item_id) IN
    (
        SELECT experiment_id, item_id
        FROM {scores}
        WHERE experiment_id != '' AND item_id != '' AND trace_id = '' AND session_id = '' AND {held}
    )
)"""


_OF_TRACES = "trace_id IN (SELECT trace_id FROM ({totals}) WHERE {condition})"

_Kind = TypeVar("_Kind", Text, Number, Flag, Duration)


class CompiledFilter(msgspec.Struct, frozen=True):
    """A condition on a row of ``spans``, 0 or 1 and never null, with the parameters that it binds."""

    sql: str
    parameters: Mapping[str, Parameter]


def compile_filter(part: Filter, *, now_ns: int, near: str, prefix: str = "f") -> CompiledFilter:
    """Return a filter as SQL. Pure.

    Args:
        part: The filter.
        now_ns: What relative times are relative to.
        near: SQL condition on the spans among which the totals of traces are computed.
        prefix: What the names of the parameters begin with.

    Raises:
        Invalid: If the filter was not made by the parser and compares what cannot be compared.
    """
    compiler = _Compiler(now_ns, near, prefix)
    return CompiledFilter(compiler.compile(part), compiler.parameters)


class _Compiler:
    """Collects the parameters of one filter."""

    def __init__(self, now_ns: int, near: str, prefix: str) -> None:
        self.parameters: dict[str, Parameter] = {}
        self._now_ns = now_ns
        self._near = near
        self._prefix = prefix

    def compile(self, part: Filter) -> str:
        if isinstance(part, And):
            return _joined(" AND ", [self.compile(inner) for inner in part.parts]) or "1"
        if isinstance(part, Or):
            return _joined(" OR ", [self.compile(inner) for inner in part.parts]) or "0"
        if isinstance(part, Not):
            return f"NOT {self.compile(part.part)}"
        if isinstance(part, Exists):
            return f"({self._exists(part.field)})"
        if isinstance(part, OneOf):
            return _joined(" OR ", [self._holds(part.field, Operator.EQUAL, value) for value in part.values])
        if part.operator in _NEGATED:
            return f"NOT ({self._holds(part.field, _NEGATED[part.operator], part.value)})"
        return f"({self._holds(part.field, part.operator, part.value)})"

    def _bind(self, value: Parameter, kind: str) -> str:
        name = f"{self._prefix}{len(self.parameters)}"
        self.parameters[name] = value
        return f"{{{name}:{kind}}}"

    def _holds(self, field: FieldRef, operator: Operator, value: Value) -> str:
        spec = field_spec(field)
        if spec.is_total:
            return self._of_traces(self._of_type(spec, TOTALS[field.name], operator, value))
        if spec.type is FieldType.JSON:
            return self._json(field, operator, value)
        if spec.type is FieldType.SCORE:
            return self._score(field, self._score_condition(operator, value))
        found = [self._of_type(spec, expression, operator, value) for expression in EXPRESSIONS[field.name]]
        return _joined(" OR ", found)

    def _of_type(self, spec: FieldSpec, expression: str, operator: Operator, value: Value) -> str:
        if spec.type is FieldType.FLAG:
            return f"({expression}) {operator.value} {int(_typed(value, Flag).value)}"
        if spec.type is FieldType.NUMBER:
            kind = "Decimal(38, 12)" if spec.name in _DECIMALS else "Float64"
            bound = self._bind(_plain(_typed(value, Number).value), kind)
            return f"ifNull({expression} {operator.value} {bound}, 0)"
        if spec.type is FieldType.DURATION:
            return f"ifNull({expression} {operator.value} {self._bind(_typed(value, Duration).ns, 'Int64')}, 0)"
        if spec.type is FieldType.TIME:
            return f"{expression} {operator.value} {self._bind(moment_of(value, self._now_ns), 'Int64')}"
        text = _typed(value, Text).value
        if spec.type is FieldType.LIST:
            inner = self._text("element", operator, text)
            return f"arrayExists(element -> {inner}, {expression})"
        if spec.type is FieldType.CONTENT:
            return _joined(" OR ", [self._text(expression, operator, form) for form in _forms(text, operator)])
        return self._text(expression, operator, text)

    def _text(self, expression: str, operator: Operator, text: str) -> str:
        bound = self._bind(text, "String")
        if operator is Operator.CONTAINS:
            return f"positionCaseInsensitiveUTF8({expression}, {bound}) > 0"
        return f"{expression} = {bound}"

    def _json(self, field: FieldRef, operator: Operator, value: Value) -> str:
        found = f"{JSON_COLUMNS[field.name]}[{self._bind(field.key, 'String')}]"
        if isinstance(value, Number):
            bound = self._bind(_plain(value.value), "Float64")
            return f"ifNull(toFloat64OrNull({found}) {operator.value} {bound}, 0)"
        if isinstance(value, Flag):
            return f"{found} = '{'true' if value.value else 'false'}'"
        text = _typed(value, Text).value
        if operator is Operator.EQUAL:
            return self._text(found, operator, msgspec.json.encode(text).decode())
        return _joined(" OR ", [self._text(found, operator, form) for form in _forms(text, operator)])

    def _score(self, field: FieldRef, condition: str) -> str:
        scores = _CURRENT_SCORES.format(name=self._bind(field.key, "String"))
        return _SCORED.format(scores=scores, held=f"NOT is_withdrawn AND {condition}")

    def _score_condition(self, operator: Operator, value: Value) -> str:
        if isinstance(value, Number):
            return f"ifNull(value {operator.value} {self._bind(_plain(value.value), 'Float64')}, 0)"
        if isinstance(value, Flag):
            return f"kind = 'boolean' AND value = {int(value.value)}"
        return self._text("label", operator, _typed(value, Text).value)

    def _of_traces(self, condition: str) -> str:
        return _OF_TRACES.format(totals=trace_totals(self._near), condition=condition)

    def _exists(self, field: FieldRef) -> str:
        spec = field_spec(field)
        if spec.type is FieldType.JSON:
            return f"mapContains({JSON_COLUMNS[field.name]}, {self._bind(field.key, 'String')})"
        if spec.type is FieldType.SCORE:
            return self._score(field, "1")
        if spec.is_total:
            return self._of_traces(f"{TOTALS[field.name]} IS NOT NULL")
        present: Callable[[str], str] = _PRESENT.get(spec.type, "{} IS NOT NULL").format
        return _joined(" OR ", [present(expression) for expression in EXPRESSIONS[field.name]])


_PRESENT = {
    FieldType.TEXT: "{} != ''",
    FieldType.CHOICE: "{} != ''",
    FieldType.CONTENT: "{} != ''",
    FieldType.LIST: "notEmpty({})",
}


def _typed(value: Value, kind: type[_Kind]) -> _Kind:
    if not isinstance(value, kind):
        raise Invalid(f"a filter compares a field that needs a {kind.__name__.lower()} with {value!r}", path="filter")
    return value


def _joined(word: str, parts: list[str]) -> str:
    return f"({word.join(parts)})" if parts else ""


def _forms(text: str, operator: Operator) -> list[str]:
    """Return the forms in which stored JSON text may have ``text``: as it is, and as it stands in a JSON string."""
    encoded = msgspec.json.encode(text).decode()
    return list(dict.fromkeys([text, encoded[1:-1] if operator is Operator.CONTAINS else encoded]))


def _plain(number: Decimal) -> str:
    return f"{number:f}"
