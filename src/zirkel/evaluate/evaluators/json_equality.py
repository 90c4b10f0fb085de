"""When two JSON values are the same."""

import math
from collections.abc import Iterator, Mapping

from zirkel.core import Json


def equal_json(first: object, second: object) -> bool:
    """Return whether two parsed JSON values are equal: 1 equals 1.0, ``true`` does not equal 1, key order is free."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(equal_json(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(equal_json, first, second))
    return first == second


def near_json(first: object, second: object, tolerance: float) -> bool:
    """Return whether two numbers (or texts of one number each) differ by ``tolerance`` at most."""
    a, b = _number(first), _number(second)
    return a is not None and b is not None and abs(a - b) <= tolerance


def same_text(first: object, second: object) -> bool:
    """Return whether two texts are equal but for case and runs of white space."""
    if not isinstance(first, str) or not isinstance(second, str):
        return equal_json(first, second)
    return first.casefold().split() == second.casefold().split()


def same_members(first: object, second: object) -> bool:
    """Return whether two lists have the same values, in any order and however often."""
    if not isinstance(first, list) or not isinstance(second, list):
        return equal_json(first, second)
    return _within(first, second) and _within(second, first)


def leaves(value: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the values of an object that are no objects themselves (or empty), with paths such as ``customer.name``."""
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from ((f"{key}.{path}", leaf) for path, leaf in leaves(inner))
        else:
            yield key, inner


def short_json(value: object) -> Json:
    """Return a value as it can stand in a score's details: scalars as they are, the rest and long texts cut short."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:200]


def _within(some: list[object], others: list[object]) -> bool:
    return all(any(equal_json(value, other) for other in others) for value in some)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
