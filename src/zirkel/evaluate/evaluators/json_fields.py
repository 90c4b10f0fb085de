"""JSON output and JSON expected output, compared field by field."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from zirkel.core import Json, Score, Scored, Unscored
from zirkel.evaluate.evaluators.fields import NotJson, parse_json
from zirkel.evaluate.evaluators.json_equality import (
    equal_json,
    leaves,
    near_json,
    same_members,
    same_text,
    short_json,
)
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject


class JsonFieldsOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``json_fields``. Fields of inner objects are named with points, e.g. `customer.name`."""

    fields: list[str] = []
    """Fields that are compared; empty means all of the expected output."""
    ignore: list[str] = []
    """Fields that are not compared, with all that is in them."""
    required: list[str] = []
    """Fields of which each must be right: if one is not, the score is 0."""
    compare: dict[str, Literal["exact", "number", "text", "set"]] = {}
    """By field: equal (`exact`, if nothing is said), a number within the tolerance, a text but for case and spacing, or
    a list whose order and repetitions do not matter."""
    tolerance: float = 0.0
    """Largest difference of fields compared as `number`."""
    allow_extra: bool = True
    """Whether the output may have fields that the expected output has not; otherwise each counts as a wrong field."""


def score(options: JsonFieldsOptions, subject: Subject, _: Tools) -> Score:
    """Return the share of fields that are right, from 0 to 1; details name those that are not, with both values.

    Objects are compared by their inner fields, lists as a whole. Output that is no JSON object is 0. An item without an
    expected output is unscored, and so is one whose expected output is no JSON object or has none of the fields.
    """
    if subject.item.expected is None:
        return Unscored("the item has no expected output")
    expected = _object(subject.item.expected)
    if expected is None:
        return Unscored("the expected output is no JSON object")
    wanted = {path: value for path, value in leaves(expected) if _is_compared(path, options)}
    if not wanted:
        return Unscored("the expected output has none of the fields that are compared")
    output = _object(subject.output)
    if output is None:
        return Scored(0.0, reason="the output is no JSON object")
    try:
        return _compare(options, wanted, output)
    except RecursionError:
        return Scored(0.0, reason="the output is nested too deep")


def _compare(options: JsonFieldsOptions, wanted: Mapping[str, object], output: Mapping[str, object]) -> Score:
    found = {path: value for path, value in leaves(output) if _is_compared(path, options)}
    wrong: dict[str, Json] = {}
    for path, value in wanted.items():
        # An object where a single value is expected has no leaf of that name.
        given = found.get(path, msgspec.UNSET)
        if given is msgspec.UNSET:
            wrong[path] = {"expected": short_json(value)}
        elif not _is_same(options, path, value, given):
            wrong[path] = {"expected": short_json(value), "found": short_json(given)}
    extra = [] if options.allow_extra else sorted(set(found) - set(wanted))
    wrong.update({path: {"found": short_json(found[path])} for path in extra})
    compared = len(wanted) + len(extra)
    failed = sorted(path for path in wrong if _is_named(path, options.required))
    value = 0.0 if failed else (compared - len(wrong)) / compared
    reason = f"required and wrong: {', '.join(failed)}" if failed else ""
    return Scored(value, reason=reason, details={"compared": compared, "different": wrong})


def _is_same(options: JsonFieldsOptions, path: str, expected: object, given: object) -> bool:
    match options.compare.get(path, "exact"):
        case "number":
            return near_json(expected, given, options.tolerance)
        case "text":
            return same_text(expected, given)
        case "set":
            return same_members(expected, given)
        case _:
            return equal_json(expected, given)


def _is_compared(path: str, options: JsonFieldsOptions) -> bool:
    return (not options.fields or _is_named(path, options.fields)) and not _is_named(path, options.ignore)


def _is_named(path: str, names: list[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in names)


def _object(text: str) -> Mapping[str, object] | None:
    try:
        value = parse_json(text)
    except NotJson:
        return None
    return value if isinstance(value, dict) else None


def _check(options: JsonFieldsOptions) -> str:
    if not 0 <= options.tolerance < float("inf"):
        return f"tolerance {options.tolerance} is not a number of at least 0"
    lost = [name for name in (*options.required, *options.compare) if not _is_compared(name, options)]
    return f"{lost[0]!r} is named, and is not among the fields that are compared" if lost else ""


KIND = EvaluatorKind(
    "json_fields", "is JSON with the expected fields, by their share", JsonFieldsOptions, score, check=_check
)
