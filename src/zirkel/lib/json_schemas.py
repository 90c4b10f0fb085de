"""JSON Schema that fetches nothing and takes linear time for its patterns."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import jsonschema
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from referencing import Registry, Specification
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, UnknownDialect, specification_with
from referencing.jsonschema import Schema as AnySchema

from zirkel.lib.patterns import Pattern, PatternFault, compile_pattern

_MAX_PROBLEMS = 10
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES = frozenset({"$ref", "$dynamicRef"})
_LITERAL = frozenset({"const", "enum", "default", "examples"})
_NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions", "dependentSchemas", "dependencies"})
_REFUSED: Mapping[str, str] = {
    "patternProperties": "name the properties",
    # With them, a part of the schema would be read by other rules than these.
    "$schema": "name it at the top, and one that is known",
    "$id": "leave it out",
}


class SchemaFault(ValueError):
    """A schema cannot be used. ``str()`` says why."""

    def __init__(self, message: str, at: str) -> None:
        super().__init__(message)
        self.at = at
        """Where in the schema, e.g. ``.properties.label``; empty for the whole."""


class Schema:
    """A compiled schema."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator

    def problems(self, value: object) -> list[tuple[str, str, str]]:
        """Return up to ten ways in which a value breaks the schema: where, the keyword, and what is wrong.

        ``where`` is a JSON path such as ``$.items[2]``; what is wrong may quote the value.
        """
        try:
            errors = list(islice(self._validator.iter_errors(value), _MAX_PROBLEMS))  # type: ignore[arg-type]
        except RecursionError:
            return [("$", "depth", "the value is nested too deep")]
        return [(error.json_path, str(error.validator), error.message[:300]) for error in errors]


def compile_schema(schema: Mapping[str, object]) -> Schema:
    """Return a schema ready to validate with. ``format`` is not checked.

    Raises:
        SchemaFault: If it is not a schema of draft 2020-12, refers to something outside of itself, has a pattern that
            RE2 does not take, or uses ``patternProperties``, which is not supported.

    Source: https://json-schema.org/draft/2020-12/json-schema-validation
    """
    own = {name: value for name, value in schema.items() if (name, value) != ("$schema", _DIALECT)}
    if "$schema" in own:
        raise SchemaFault(f"$schema is not supported; only {_DIALECT} is, at the top", ".$schema")
    return _compile(own, jsonschema.Draft202012Validator, DRAFT202012)


def compile_any_draft(schema: Mapping[str, object]) -> Schema:
    """Return a schema ready to validate with, by the draft that its ``$schema`` names; 2020-12 if it names none.

    Raises:
        SchemaFault: If the draft is unknown, or as ``compile_schema``.
    """
    dialect = str(schema.get("$schema", _DIALECT))
    try:
        draft = specification_with(dialect)
    except UnknownDialect:
        raise SchemaFault(f"the draft {dialect!r} is unknown; the newest known is {_DIALECT}", ".$schema") from None
    kind = jsonschema.validators.validator_for({"$schema": dialect})
    return _compile({name: value for name, value in schema.items() if name != "$schema"}, kind, draft)


def _compile(own: Mapping[str, object], kind: type[Validator], draft: Specification[AnySchema]) -> Schema:
    try:
        kind.check_schema(dict(own))
        patterns = _check_keywords(own, draft)
    except SchemaError as error:
        raise SchemaFault(error.message[:300], error.json_path.removeprefix("$")) from None
    except RecursionError:
        raise SchemaFault("the schema is nested too deep", "") from None
    keywords = {"pattern": _PatternKeyword(patterns)}
    extended = jsonschema.validators.extend(kind, keywords)  # type: ignore[no-untyped-call]
    return Schema(extended(own, registry=Registry()))


def _check_keywords(schema: Mapping[str, object], draft: Specification[AnySchema]) -> Mapping[str, Pattern]:
    """Return the schema's patterns, compiled, if all else that it says can be done."""
    resolver = Registry().with_resource("", draft.create_resource(dict(schema))).resolver()
    patterns: dict[str, Pattern] = {}
    for at, name, value in _keywords(schema, ""):
        if name in _REFUSED:
            raise SchemaFault(f"{name} is not supported; {_REFUSED[name]}", at)
        if name in _REFERENCES and isinstance(value, str):
            try:
                resolver.lookup(value)
            except (Unresolvable, ValueError):
                raise SchemaFault(
                    f"{name} {value!r} names nothing in this schema; others are not fetched", at
                ) from None
        elif name == "pattern" and isinstance(value, str):
            try:
                patterns[value] = compile_pattern(value)
            except PatternFault as error:
                raise SchemaFault(f"pattern {value!r}: {error}", at) from None
    return patterns


def _keywords(schema: Mapping[str, object], at: str) -> Iterator[tuple[str, str, object]]:
    """Return each keyword of a schema and of those in it, with its path."""
    for name, value in schema.items():
        place = f"{at}.{name}"
        yield place, name, value
        if name in _LITERAL:
            continue
        if isinstance(value, Mapping) and name not in _NAMED_SCHEMAS:
            yield from _keywords(value, place)
        elif isinstance(value, Mapping):
            for inner, schema_of_it in value.items():
                if isinstance(schema_of_it, Mapping):
                    yield from _keywords(schema_of_it, f"{place}.{inner}")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for index, item in enumerate(value):
                if isinstance(item, Mapping):
                    yield from _keywords(item, f"{place}[{index}]")


class _PatternKeyword:
    """The keyword ``pattern``, in linear time."""

    def __init__(self, patterns: Mapping[str, Pattern]) -> None:
        self._patterns = patterns

    def __call__(
        self, validator: Validator, pattern: str, instance: object, schema: Mapping[str, object]
    ) -> Iterator[ValidationError]:
        del validator, schema
        if isinstance(instance, str):
            data = instance.encode("utf-8", "surrogatepass")
            if self._patterns[pattern].search(data, 0) is None:
                yield ValidationError(f"{instance!r} does not match {pattern!r}")
