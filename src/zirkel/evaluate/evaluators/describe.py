"""What a kind of evaluator says of itself, for lists and reference pages."""

import ast
import inspect
import re
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Union, get_args, get_origin

import msgspec

from zirkel.evaluate.evaluators.kind import EvaluatorKind


@dataclass(frozen=True, slots=True)
class OptionDescription:
    """One option."""

    name: str
    type: str
    default: str
    """As the file would have it; empty if the option must be given."""
    meaning: str


@dataclass(frozen=True, slots=True)
class TableDescription:
    """A table that stands in an option."""

    name: str
    meaning: str
    options: tuple[OptionDescription, ...]


@dataclass(frozen=True, slots=True)
class KindDescription:
    """One kind."""

    name: str
    summary: str
    unit: str
    is_higher_better: bool
    uses_model: bool
    text: tuple[str, ...]
    """Paragraphs: what which value means."""
    options: tuple[OptionDescription, ...]
    tables: tuple[TableDescription, ...]


def describe_kind(kind: EvaluatorKind[msgspec.Struct]) -> KindDescription:
    """Return what a kind's source says; where a package brings no source, meanings are empty."""
    return KindDescription(
        name=kind.name,
        summary=kind.summary,
        unit=kind.unit,
        is_higher_better=kind.is_higher_better,
        uses_model=kind.uses_model,
        text=_paragraphs(inspect.getdoc(kind.score)),
        options=_options(kind.options),
        tables=tuple(_table(found) for found in _structs_in(kind.options)),
    )


def _table(kind: type[msgspec.Struct]) -> TableDescription:
    return TableDescription(kind.__name__, " ".join(_paragraphs(kind.__doc__)[:1]), _options(kind))


def _options(kind: type[msgspec.Struct]) -> tuple[OptionDescription, ...]:
    meanings = {name: text for parent in reversed(kind.__mro__) for name, text in _meanings(parent).items()}
    return tuple(
        OptionDescription(field.name, _type_text(field.type), _default_text(field), meanings.get(field.name, ""))
        for field in msgspec.structs.fields(kind)
    )


def _default_text(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return _value_text(field.default)
    return "" if field.default_factory is msgspec.NODEFAULT else _value_text(field.default_factory())


def _value_text(value: object) -> str:
    return "none" if value is None else msgspec.json.encode(value).decode()


def _type_text(kind: object) -> str:
    """Return a type in the words of a configuration file."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(_value_text(value) for value in inside)
    if origin in (Union, types.UnionType):
        return " | ".join(_type_text(part) for part in inside)
    if origin in (list, tuple):
        return f"list of {_type_text(inside[0])}"
    if origin is dict:
        return "JSON object" if inside[1] is object else f"table of {_type_text(inside[1])}"
    named: dict[object, str] = {
        type(None): "none",
        str: "text",
        bool: "true | false",
        int: "whole number",
        float: "number",
    }
    return named.get(kind) or str(getattr(kind, "__name__", kind))


def _structs_in(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    seen: set[object] = {kind}
    for field in msgspec.structs.fields(kind):
        yield from _structs_of(field.type, seen)


def _structs_of(kind: object, seen: set[object]) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
        seen.add(kind)
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from _structs_of(field.type, seen)
    for part in get_args(kind):
        yield from _structs_of(part, seen)


def _meanings(kind: type) -> dict[str, str]:
    """Return the text below each option that a class declares."""
    if kind is msgspec.Struct or not issubclass(kind, msgspec.Struct):
        return {}
    try:
        parsed = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    except (OSError, TypeError, SyntaxError):
        return {}
    body = parsed.body if isinstance(parsed, ast.ClassDef) else []
    return {
        ast.unparse(statement.target): " ".join(following.value.value.split())
        for statement, following in pairwise(body)
        if isinstance(statement, ast.AnnAssign)
        and isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
        and isinstance(following.value.value, str)
    }


def _paragraphs(text: str | None) -> tuple[str, ...]:
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", inspect.cleandoc(text or ""))]
    # What the function takes and raises is for who calls it.
    return tuple(part for part in parts if part and not part.startswith(("Args:", "Raises:")))
