"""What a judge answers: found in whatever it wrote around it, and accepted only in the form it was asked for."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from zirkel.core import Json, JsonObject

T = TypeVar("T")
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_LONGEST = 200_000
_MOST_OBJECTS = 64
_DECODER = json.JSONDecoder()
_TRUE, _FALSE = "yes", "no"


class Unreadable(ValueError):
    """A judge's answer is not what it was asked for; ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """A form of answer."""

    name: str
    schema: JsonObject
    """JSON Schema; every property is required and no other is allowed, as strict structured output wants it."""
    words: str
    """The same for the judge, and no example: weak judges copy examples."""
    read: Callable[[JsonObject], T]
    """Returns what an object says, or raises ``Unreadable``."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One question, answered with yes or no."""

    is_yes: bool
    reason: str


def read_answer(form: Form[T], text: str) -> T:
    """Return what a judge's answer says.

    It may stand among other words or in a code block. If several objects are of the form and do not say the same, none
    counts: one of them may be quoted from what is judged.

    Raises:
        Unreadable: If there is not exactly one reading.
    """
    found: list[T] = []
    problem = "it has no JSON object"
    for candidate in _objects(_THOUGHT.sub("", text[:_LONGEST], count=1)):
        try:
            reading = form.read(candidate)
        except Unreadable as error:
            problem = str(error)
            continue
        if reading not in found:
            found.append(reading)
    if len(found) > 1:
        raise Unreadable("it has several verdicts that contradict each other")
    if not found:
        raise Unreadable(problem)
    return found[0]


def yes_no_form(prefix: str, count: int) -> Form[tuple[Finding, ...]]:
    """Return the form of ``count`` questions, named ``PREFIX_1`` and so on, each with a reason and a yes or no."""
    names = [f"{prefix}_{number}" for number in range(1, count + 1)]
    one = _object_schema({"reason": {"type": "string"}, "answer": {"type": "string", "enum": [_TRUE, _FALSE]}})

    def read(found: JsonObject) -> tuple[Finding, ...]:
        _require_keys(found, names)
        return tuple(_finding(name, found[name]) for name in names)

    return Form(
        "findings",
        _object_schema(dict.fromkeys(names, one)),
        f"Answer with one JSON object. Its fields are {_quoted(names)}. Each is an object with two fields, in this "
        'order: "reason", a text of at most 30 words, and "answer", which is "yes" or "no".',
        read,
    )


def choice_form(field: str, choices: Sequence[str]) -> Form[tuple[str, str]]:
    """Return the form of one choice with a reason; it reads as choice and reason."""

    def read(found: JsonObject) -> tuple[str, str]:
        _require_keys(found, ["reason", field])
        chosen = found[field]
        known = {choice.strip().lower(): choice for choice in choices}
        text = str(chosen) if isinstance(chosen, str | int) and not isinstance(chosen, bool) else ""
        if text.strip().lower() not in known:
            raise Unreadable(f"{field!r} is {json.dumps(chosen)[:80]}, and none of: {', '.join(choices)}")
        return known[text.strip().lower()], _text(found, "reason")

    schema = _object_schema({"reason": {"type": "string"}, field: {"type": "string", "enum": list(choices)}})
    words = (
        'Answer with one JSON object. It has two fields, in this order: "reason", a text of at most 50 words, and '
        f'"{field}", which is one of {_quoted(choices)}.'
    )
    return Form("choice", schema, words, read)


def list_form(field: str, most: int) -> Form[tuple[str, ...]]:
    """Return the form of a list of at most ``most`` texts."""

    def read(found: JsonObject) -> tuple[str, ...]:
        _require_keys(found, [field])
        listed = found[field]
        if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
            raise Unreadable(f"{field!r} is not a list of texts")
        texts = tuple(text.strip() for text in cast(list[str], listed) if text.strip())
        if len(texts) > most:
            raise Unreadable(f"{field!r} has {len(texts)} entries; there may be {most}")
        return texts

    schema = _object_schema({field: {"type": "array", "items": {"type": "string"}}})
    return Form(field, schema, f'Answer with one JSON object. Its only field is "{field}", a list of texts.', read)


def _objects(text: str) -> Iterator[JsonObject]:
    """Yield the JSON objects in a text that are not within another one."""
    place, seen = text.find("{"), 0
    while place >= 0 and seen < _MOST_OBJECTS:
        seen += 1
        try:
            found, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            yield found
        place = text.find("{", end)


def _object_schema(properties: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(json.dumps(name, ensure_ascii=False) for name in names)


def _require_keys(found: JsonObject, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in found]
    if missing:
        raise Unreadable(f"{missing[0]!r} is missing")
    unknown = sorted(found.keys() - set(names))
    if unknown:
        raise Unreadable(f"{unknown[0][:80]!r} was not asked for")


def _finding(name: str, found: object) -> Finding:
    if not isinstance(found, dict):
        raise Unreadable(f"{name!r} is not an object with a reason and an answer")
    _require_keys(found, ["reason", "answer"])
    said = found["answer"]
    word = {True: _TRUE, False: _FALSE}[said] if isinstance(said, bool) else said
    if not isinstance(word, str) or word.strip().lower() not in (_TRUE, _FALSE):
        raise Unreadable(f"the answer of {name!r} is {json.dumps(said)[:80]}, and neither yes nor no")
    return Finding(word.strip().lower() == _TRUE, _text(found, "reason"))


def _text(found: JsonObject, field: str) -> str:
    value = found[field]
    if not isinstance(value, str):
        raise Unreadable(f"{field!r} is no text")
    return value.strip()


def finding_details(name: str, finding: Finding) -> dict[str, Json]:
    """Return the stored form of a finding."""
    return {"name": name, "satisfied": finding.is_yes, "reason": finding.reason}
