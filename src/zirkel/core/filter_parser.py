"""The filter language, one line to read: ``service = "x" and cost_usd > 0.01 and output ~ "refund"``.

Grammar::

    filter    = [ any ]
    any       = all { "or" all }
    all       = one { "and" one }
    one       = "not" one | "(" any ")" | "exists" field | field operator value | field [ "not" ] "in" "(" values ")"
    values    = value { "," value }
    operator  = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
    field     = name | name "[" string "]"            e.g. cost_usd, score.helpfulness, attributes["a.b"]
    value     = string | number | duration | "true" | "false"
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from zirkel.core.errors import Invalid
from zirkel.core.filter_fields import FIELDS, KEYED, FieldSpec, field_spec
from zirkel.core.filter_tokens import Token, TokenKind, fault, tokens
from zirkel.core.filter_values import expected_operator, expected_value, is_number, parse_duration
from zirkel.core.filters import (
    EVERYTHING,
    MAX_DEPTH,
    MAX_TEXT_LENGTH,
    MAX_VALUES,
    And,
    Compare,
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

_OPERATORS = frozenset(operator.value for operator in Operator)
_A_VALUE = 'a value, e.g. "text", 0.5, 2s or true'
_RESERVED = frozenset({"and", "or", "not", "in", "exists", "true", "false"})


def parse_filter(text: str) -> Filter:
    """Return the filter that a line says; ``EVERYTHING`` for an empty one. Pure.

    Raises:
        Invalid: If it cannot be read; the message has the column and what was expected there.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise fault(MAX_TEXT_LENGTH + 1, f"the filter is longer than {MAX_TEXT_LENGTH} characters")
    parser = _Parser(text)
    return parser.filter()


def parse_field(text: str) -> FieldRef:
    """Return the field that a text names, as in a filter.

    Raises:
        Invalid: If there is no such field.
    """
    parser = _Parser(text)
    field, _ = parser.field()
    parser.expect_end("the end")
    return field


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str) -> None:
        self._tokens = list(tokens(text))
        self._place = 0
        self._depth = 0
        self._values = 0

    def filter(self) -> Filter:
        if self._next.kind is TokenKind.END:
            return EVERYTHING
        found = self._any()
        self.expect_end("'and', 'or' or the end")
        return found

    def field(self) -> tuple[FieldRef, FieldSpec]:
        token = self._next
        if token.kind is not TokenKind.WORD or token.text.lower() in _RESERVED:
            raise self._fault("the name of a field")
        self._take()
        field = self._with_key(token.text)
        try:
            return field, field_spec(field)
        except Invalid as error:
            raise fault(token.column, str(error)) from error

    def expect_end(self, expected: str) -> None:
        if self._next.kind is not TokenKind.END:
            raise self._fault(expected)

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += 1
        return token

    def _accept(self, kind: TokenKind, text: str) -> bool:
        is_next = self._next.kind is kind and self._next.text.lower() == text
        self._place += is_next
        return is_next

    def _expect_sign(self, sign: str) -> None:
        if not self._accept(TokenKind.SIGN, sign):
            raise self._fault(repr(sign))

    def _fault(self, expected: str) -> Invalid:
        return fault(self._next.column, f"expected {expected}, found {self._next.shown}")

    def _any(self) -> Filter:
        parts = self._separated(self._all, "or")
        return parts[0] if len(parts) == 1 else Or(parts)

    def _all(self) -> Filter:
        parts = self._separated(self._one, "and")
        return parts[0] if len(parts) == 1 else And(parts)

    def _separated(self, read: Callable[[], Filter], word: str) -> tuple[Filter, ...]:
        parts = [read()]
        while self._accept(TokenKind.WORD, word):
            parts.append(read())
        return tuple(parts)

    def _one(self) -> Filter:
        if self._accept(TokenKind.WORD, "not"):
            return Not(self._deeper(self._one))
        if self._accept(TokenKind.SIGN, "("):
            found = self._deeper(self._any)
            self._expect_sign(")")
            return found
        if self._accept(TokenKind.WORD, "exists"):
            return Exists(self.field()[0])
        return self._condition()

    def _deeper(self, read: Callable[[], Filter]) -> Filter:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise fault(self._next.column, f"more than {MAX_DEPTH} levels of parentheses and 'not'")
        found = read()
        self._depth -= 1
        return found

    def _condition(self) -> Filter:
        field, spec = self.field()
        if self._accept(TokenKind.WORD, "not"):
            if not self._accept(TokenKind.WORD, "in"):
                raise self._fault("'in'")
            return Not(OneOf(field, self._list(spec)))
        if self._accept(TokenKind.WORD, "in"):
            return OneOf(field, self._list(spec))
        if self._next.kind is not TokenKind.SIGN or self._next.text not in _OPERATORS:
            raise self._fault("= != < <= > >= ~ !~ or 'in'")
        token = self._take()
        operator = Operator(token.text)
        if wanted := expected_operator(spec, operator):
            raise fault(token.column, f"{spec.name!r} is a {spec.type.value}: expected {wanted}, found {token.shown}")
        return Compare(field, operator, self._value(spec, operator))

    def _list(self, spec: FieldSpec) -> tuple[Value, ...]:
        self._expect_sign("(")
        values = [self._value(spec, Operator.EQUAL)]
        while self._accept(TokenKind.SIGN, ","):
            values.append(self._value(spec, Operator.EQUAL))
        if not self._accept(TokenKind.SIGN, ")"):
            raise self._fault("',' or ')'")
        return tuple(values)

    def _value(self, spec: FieldSpec, operator: Operator) -> Value:
        token = self._next
        value = self._literal()
        if wanted := expected_value(spec, operator, value):
            raise fault(token.column, f"{spec.name!r} is a {spec.type.value}: expected {wanted}, found {token.shown}")
        self._values += 1
        if self._values > MAX_VALUES:
            raise fault(token.column, f"more than {MAX_VALUES} values")
        return value

    def _literal(self) -> Value:
        token = self._next
        if token.kind is TokenKind.STRING:
            self._take()
            return Text(token.text)
        if token.kind is TokenKind.NUMBER:
            return Number(self._number())
        if token.kind is TokenKind.DURATION:
            self._take()
            try:
                return Duration(parse_duration(token.text))
            except Invalid as error:
                raise fault(token.column, str(error)) from error
        if token.kind is TokenKind.WORD and token.text.lower() in ("true", "false"):
            self._take()
            return Flag(token.text.lower() == "true")
        raise self._fault(_A_VALUE)

    def _number(self) -> Decimal:
        token = self._take()
        try:
            number = Decimal(token.text)
            is_fine = is_number(number)
        except InvalidOperation:
            is_fine = False
        if not is_fine:
            raise fault(token.column, "expected a number below 10^15 with at most 12 decimals")
        return number

    def _with_key(self, word: str) -> FieldRef:
        head, _, tail = word.partition(".")
        name, key = word, ""
        if word not in FIELDS and tail and head in FIELDS and FIELDS[head].type in KEYED:
            name, key = head, tail
        if self._accept(TokenKind.SIGN, "["):
            if key or self._next.kind is not TokenKind.STRING or not self._next.text:
                raise self._fault("a key in quotes")
            key = self._take().text
            self._expect_sign("]")
        return FieldRef(name, key)
