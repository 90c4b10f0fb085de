"""What the items of a data set look like: the variables of their inputs, typed. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import msgspec

from zirkel.core import DatasetItem, Invalid, Json, VariableType, canonical_json
from zirkel.core.definitions import variable_kind

VARIABLE_TYPES: tuple[VariableType, ...] = ("string", "number", "boolean", "json")


class DatasetVariable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One variable of the inputs."""

    type: VariableType
    required: bool = True
    """True if every item has it; ``null`` is not having it."""


class DatasetSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The variables that inputs have, by name."""

    variables: dict[str, DatasetVariable]


def encode_schema(schema: DatasetSchema) -> str:
    """Return a schema as canonical JSON."""
    return canonical_json(cast(Json, msgspec.to_builtins(schema))).decode()


def decode_schema(text: str | bytes) -> DatasetSchema:
    """Return the schema of a JSON text.

    Raises:
        Invalid: If it is none.
    """
    try:
        return msgspec.json.decode(text, type=DatasetSchema)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        form = '{"variables": {"NAME": {"type": "string", "required": true}}}'
        raise Invalid(f"that is not a schema of the form {form}: {error}", path="schema") from None


def infer_schema(items: Sequence[DatasetItem]) -> DatasetSchema:
    """Return the narrowest schema that all of ``items`` fit.

    A variable is required if every item has it. One that has values of several types, or never any but ``null``, is
    ``json``.
    """
    kinds: dict[str, set[str]] = {}
    present: dict[str, int] = {}
    for item in items:
        for name, value in item.input.items():
            kinds.setdefault(name, set())
            if value is not None:
                kinds[name].add(variable_kind(value))
                present[name] = present.get(name, 0) + 1
    return DatasetSchema(
        {
            name: DatasetVariable(_only_type(found), required=present.get(name, 0) == len(items))
            for name, found in kinds.items()
        }
    )


def check_items(items: Sequence[DatasetItem], places: Sequence[str], schema: DatasetSchema) -> None:
    """Return if every item fits the schema.

    Args:
        items: To be checked.
        places: Where each comes from, e.g. ``line 3``.
        schema: What they should look like.

    Raises:
        Invalid: With the place and the variable of the first fault.
    """
    for item, place in zip(items, places, strict=True):
        fault = next(_faults(item.input, schema.variables), None)
        if fault is not None:
            name, said = fault
            raise Invalid(f"{place}: input.{name} {said}", path=f"input.{name}")


def _faults(found: Mapping[str, object], variables: Mapping[str, DatasetVariable]) -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if name not in variables:
            known = ", ".join(sorted(variables)) or "none"
            yield name, f"is not in the schema, which knows {known}; to change the schema, push with a new one"
        elif value is not None and not _fits(value, variables[name].type):
            yield name, f"is a {variable_kind(value)}, and the schema says {variables[name].type}"
    for name, variable in variables.items():
        if variable.required and found.get(name) is None:
            yield name, "is missing, and the schema says that it is required"


def _fits(value: object, wanted: VariableType) -> bool:
    return wanted == "json" or variable_kind(value) == wanted


def _only_type(found: set[str]) -> VariableType:
    return next((kind for kind in VARIABLE_TYPES if found == {kind}), "json")
