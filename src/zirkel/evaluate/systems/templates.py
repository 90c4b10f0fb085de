"""Filling an item's input into a request. Pure."""

import json
import re
from collections.abc import Mapping

_PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def fill(template: object, variables: Mapping[str, object]) -> object:
    """Return a JSON value in whose texts ``{{ name }}`` is replaced by a variable.

    A text that is nothing but one place becomes the variable's value, whatever its type; within a text a value that is
    no text stands as JSON. A name that the input does not have stays as it is, so that it is seen.
    """
    if isinstance(template, str):
        whole = _PLACE.fullmatch(template)
        if whole and whole[1] in variables:
            return variables[whole[1]]
        return _PLACE.sub(lambda place: _text(variables[place[1]]) if place[1] in variables else place[0], template)
    if isinstance(template, Mapping):
        return {name: fill(value, variables) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, variables) for value in template]
    return template


def missing_places(template: object, variables: Mapping[str, object]) -> set[str]:
    """Return the names that a template asks for and an input does not have."""
    return set(_PLACE.findall(json.dumps(template))) - set(variables)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
