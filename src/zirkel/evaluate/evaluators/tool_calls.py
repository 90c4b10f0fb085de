"""Does the answer ask for the tool calls that it should?"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from zirkel.core import Json, Score, Scored, Unscored
from zirkel.evaluate.evaluators.alignment import match_any_order, match_in_order
from zirkel.evaluate.evaluators.fields import NotJson, parse_json
from zirkel.evaluate.evaluators.json_equality import equal_json
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject, ToolCall


class ToolCallsOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``tool_calls``.

    The expected calls are a list of objects with a `name`, and `arguments` where they matter.
    """

    source: Literal["metadata", "expected"] = "metadata"
    """Where the item has them: in its metadata under `key`, or as its expected output (JSON)."""
    key: str = "tool_calls"
    """Name in the metadata."""
    arguments: Literal["subset", "equal", "ignore"] = "subset"
    """Whether the expected arguments must be among those of the call, be all of them, or do not matter."""
    order: Literal["any", "strict"] = "any"
    """Whether the calls must come in the expected order."""
    allow_extra: bool = False
    """Whether further calls are right too."""
    partial: bool = False
    """Whether a part counts: the score is F1 then (recall, if further calls are right), and not 1 or 0."""


class _Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, object] | None = None


def score(options: ToolCallsOptions, subject: Subject, _: Tools) -> Score:
    """Return 1 if every expected call is there and (unless allowed) no other, else 0.

    Details have precision and recall, and the names of what is missing and what is too much. Calls are paired so that
    as many as possible match. An expected call without ``arguments`` matches by name alone; a call whose arguments are
    no JSON object matches only such. No call expected and none made is 1. An item that says nothing about calls is
    unscored; one whose expected calls are malformed is an error.
    """
    listed = _listed(options, subject)
    if listed is None:
        return Unscored(f"the item has no expected calls ({_place(options)})")
    try:
        expected = msgspec.convert(listed, list[_Expected])
    except msgspec.ValidationError as error:
        raise ValueError(f"the expected calls ({_place(options)}) of item {subject.item.id!r}: {error}") from error
    calls = [(call.name, _arguments(call)) for call in subject.tool_calls]
    fits = [[_fits(options, want, name, given) for name, given in calls] for want in expected]
    pairs = match_in_order(fits) if options.order == "strict" else match_any_order(fits)
    return _judge(options, expected, subject.tool_calls, pairs)


def _judge(
    options: ToolCallsOptions, expected: Sequence[_Expected], calls: Sequence[ToolCall], pairs: Mapping[int, int]
) -> Score:
    recall = len(pairs) / len(expected) if expected else 1.0
    precision = len(pairs) / len(calls) if calls else 1.0
    missing: list[Json] = [want.name for index, want in enumerate(expected) if index not in pairs]
    extra: list[Json] = [call.name for index, call in enumerate(calls) if index not in pairs.values()]
    if options.partial:
        f1 = 2 * len(pairs) / (len(expected) + len(calls)) if expected or calls else 1.0
        value = recall if options.allow_extra else f1
    else:
        value = float(not missing and (options.allow_extra or not extra))
    details: dict[str, Json] = {"precision": precision, "recall": recall, "missing": missing, "extra": extra}
    return Scored(value, details=details)


def _listed(options: ToolCallsOptions, subject: Subject) -> object:
    if options.source == "metadata":
        return subject.item.metadata.get(options.key)
    if subject.item.expected is None:
        return None
    try:
        return parse_json(subject.item.expected)
    except NotJson as error:
        raise ValueError(f"the expected output of item {subject.item.id!r} is no JSON: {error}") from error


def _place(options: ToolCallsOptions) -> str:
    return f"metadata.{options.key}" if options.source == "metadata" else "expected"


def _arguments(call: ToolCall) -> Mapping[str, object] | None:
    try:
        value = parse_json(call.arguments or "{}")
    except NotJson:
        return None
    return value if isinstance(value, dict) else None


def _fits(options: ToolCallsOptions, want: _Expected, name: str, given: Mapping[str, object] | None) -> bool:
    if want.name != name:
        return False
    if options.arguments == "ignore" or want.arguments is None:
        return True
    if given is None:
        return False
    if options.arguments == "equal":
        return equal_json(want.arguments, given)
    return all(key in given and equal_json(value, given[key]) for key, value in want.arguments.items())


KIND = EvaluatorKind("tool_calls", "asks for the expected tool calls", ToolCallsOptions, score)
