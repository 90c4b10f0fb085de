"""Reading a JSON output and fields of it."""

import json
from typing import NoReturn

import msgspec


class NotJson(ValueError):
    """A text is no JSON."""


def read_field(output: str, field: str) -> str | None:
    """Return the output's field as text (the whole output if ``field`` is empty), or None if it has none.

    A field that begins with ``/`` is a path into nested objects and lists: a JSON Pointer, e.g. ``/items/0/name``.

    Source: RFC 6901.
    """
    if not field:
        return output.strip()
    try:
        value = find_value(parse_json(output), field)
    except NotJson:
        return None
    if value is msgspec.UNSET:
        return None
    return value if isinstance(value, str) else json.dumps(value)


def parse_json(text: str) -> object:
    """Return the value of a JSON text.

    Raises:
        NotJson: If it is none; NaN and infinity are none, and neither is what is nested too deep.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise NotJson("it is nested too deep") from None
    except ValueError as error:
        raise NotJson(str(error)) from None


def find_value(value: object, field: str) -> object:
    """Return the field (or path) of a parsed value, or ``msgspec.UNSET`` if it has none."""
    if not field.startswith("/"):
        return value[field] if isinstance(value, dict) and field in value else msgspec.UNSET
    for step in field[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return msgspec.UNSET
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is no JSON")
