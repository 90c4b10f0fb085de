"""promptfoo's assertions as evaluators: of all items where all tests say the same, else of each item's own.

Source: promptfoo's documentation, "Assertions and metrics".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from zirkel.core import Json, JsonObject

METADATA = "promptfoo"
"""Where an item has assertions of its own."""
_MANY = frozenset({"contains-all", "contains-any", "icontains-all", "icontains-any"})
CHECKED = frozenset({"equals", "contains", "icontains", "starts-with", "regex", "is-json", "contains-json"}) | _MANY
"""Assertions that the generated evaluator can check item by item; each also with ``not-`` in front."""
RUBRICS = frozenset({"llm-rubric", "model-graded-closedqa", "g-eval"})
_REASONS: Mapping[str, str] = {
    "javascript": "write it in Python, as an evaluator of the kind python",
    "python": "its functions take other arguments; rewrite it as an evaluator of the kind python",
    "webhook": "write an evaluator of the kind http",
    "select-best": "use an evaluator of the kind pairwise, which compares with the baseline",
    "max-score": "use an evaluator of the kind pairwise, which compares with the baseline",
    "human": "use an evaluator of the kind human",
    "perplexity": "it needs token probabilities, which are not recorded",
    "moderation": "use the guardrails of the service",
    "assert-set": "list its assertions beside the others",
}
OWN_CODE = """\
import json
import re


def holds(kind, value, output):
    if kind.startswith("not-"):
        return not holds(kind[4:], value, output)
    texts = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    text = output
    if kind.startswith("icontains"):
        kind, texts, text = kind[1:], [one.lower() for one in texts], output.lower()
    if kind == "equals":
        return output.strip() == texts[0].strip()
    if kind in ("contains", "contains-all"):
        return all(one in text for one in texts)
    if kind == "contains-any":
        return any(one in text for one in texts)
    if kind == "starts-with":
        return output.startswith(texts[0])
    if kind == "regex":
        return re.search(texts[0], output) is not None
    if kind == "contains-json":
        starts = [at for at in (output.find("{"), output.find("[")) if at >= 0]
        output = output[min(starts) : max(output.rfind("}"), output.rfind("]")) + 1] if starts else ""
    try:
        json.loads(output)
    except ValueError:
        return False
    return True


def score(item, output, context):
    wanted = item.get("metadata", {}).get("promptfoo", [])
    if not wanted:
        return {"unscored": "the item has no assertions of its own"}
    failed = [one["type"] for one in wanted if not holds(one["type"], one.get("value", ""), output)]
    return {"value": float(not failed), "reason": ", ".join(failed)}
"""
"""The evaluator of items' own assertions."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion of one test."""

    kind: str
    value: Json = None
    threshold: float | None = None
    metric: str = ""
    place: str = ""
    """Where it stands, e.g. ``tests[3].assert[0]``."""

    @property
    def same(self) -> tuple[str, str, float | None]:
        """What makes two of them the same."""
        return self.kind, repr(self.value), self.threshold


@dataclass(slots=True)
class Mapped:
    """Evaluators, and what becomes of the items."""

    evaluators: list[JsonObject] = field(default_factory=list)
    expected: dict[int, str] = field(default_factory=dict)
    """Expected outputs by test."""
    own: dict[int, list[Json]] = field(default_factory=dict)
    """Assertions of single tests."""
    lost: list[tuple[str, str]] = field(default_factory=list)
    """Place and reason of what could not be taken over."""


def map_assertions(tests: Sequence[Sequence[Assertion]], judge: str) -> Mapped:
    """Return evaluators for tests' assertions.

    Args:
        tests: The assertions of each test, the common ones included.
        judge: ``UPSTREAM/MODEL`` that judges rubrics; empty if none was named.
    """
    found = Mapped()
    common = _common(tests)
    for assertion in common:
        table = _table(assertion, judge)
        if table is None:
            found.lost.append((assertion.place, _reason(assertion, judge)))
        else:
            _add(found, assertion, table)
    shared = {assertion.same for assertion in common}
    for number, assertions in enumerate(tests):
        _map_own(found, number, [one for one in assertions if one.same not in shared], judge)
    return found


def _common(tests: Sequence[Sequence[Assertion]]) -> list[Assertion]:
    """Return the assertions that every test has."""
    first = tests[0] if tests else ()
    others = [{assertion.same for assertion in test} for test in tests[1:]]
    return [one for one in first if all(one.same in test for test in others)]


def _map_own(found: Mapped, number: int, assertions: Sequence[Assertion], judge: str) -> None:
    for assertion in assertions:
        kind = assertion.kind.removeprefix("not-")
        is_free = number not in found.expected
        if assertion.kind == "equals" and is_free and isinstance(assertion.value, str | int | float):
            found.expected[number] = _text(assertion.value)
            _add(found, assertion, {"kind": "exact"})
        elif assertion.kind == "similar" and is_free and isinstance(assertion.value, str):
            found.expected[number] = assertion.value
            _add(found, assertion, {"kind": "embedding_similarity", "threshold": assertion.threshold or 0.75})
        elif assertion.kind in RUBRICS and is_free and judge and isinstance(assertion.value, str):
            found.expected[number] = assertion.value
            _add(found, assertion, _rubric("The answer meets all that the expected output demands.", judge, "required"))
        elif kind in CHECKED and (kind != "is-json" or assertion.value is None):
            found.own.setdefault(number, []).append({"type": assertion.kind, "value": assertion.value})
            _add(found, Assertion("own"), {"kind": "python", "code": OWN_CODE}, name="promptfoo")
        else:
            found.lost.append((assertion.place, _reason(assertion, judge)))


def _table(one: Assertion, judge: str) -> JsonObject | None:
    """Return the evaluator that says for all items what an assertion says; None if there is none."""
    is_not, kind = one.kind.startswith("not-"), one.kind.removeprefix("not-")
    texts = [_text(value) for value in one.value] if isinstance(one.value, list) else [_text(one.value)]
    if kind.removeprefix("i") in ("contains", "contains-all", "contains-any"):
        if is_not and kind.endswith("-all"):
            return None
        place = "none_of" if is_not else "any_of" if kind.endswith("-any") else "all_of"
        return {"kind": "contains", place: texts, **({"ignore_case": True} if kind.startswith("i") else {})}
    if kind in ("equals", "starts-with", "regex"):
        escaped = _escape(texts[0])
        pattern = {"equals": f"^\\s*{escaped}\\s*$", "starts-with": f"^{escaped}", "regex": texts[0]}[kind]
        return {"kind": "regex", "pattern": pattern, **({"mode": "absent"} if is_not else {})}
    if is_not:
        return None
    if kind == "is-json":
        return {"kind": "json_schema", "schema": one.value if isinstance(one.value, dict) else {}}
    if kind == "latency" and one.threshold is not None:
        return {"kind": "latency", "limit": one.threshold}
    if kind == "cost" and one.threshold is not None:
        return {"kind": "cost", "limit": one.threshold}
    if kind == "is-refusal":
        return {"kind": "refusal", "should_refuse": True}
    if kind in RUBRICS and judge and isinstance(one.value, str):
        return _rubric(one.value, judge, "if_present")
    return None


def _rubric(text: str, judge: str, reference: Literal["if_present", "required"]) -> JsonObject:
    return {"kind": "judge", "model": judge, "rubric": [{"name": "demand", "ask": text}], "reference": reference}


def _add(found: Mapped, assertion: Assertion, table: JsonObject, name: str = "") -> None:
    if any({**known, "name": ""} == {"name": "", **table} for known in found.evaluators):
        return
    taken = {str(known["name"]) for known in found.evaluators}
    wanted = assertion.metric or name or str(table["kind"])
    free = next(
        n for number in range(len(taken) + 1) if (n := f"{wanted}-{number + 1}" if number else wanted) not in taken
    )
    found.evaluators.append({"name": free, **table})


def _reason(assertion: Assertion, judge: str) -> str:
    kind = assertion.kind.removeprefix("not-")
    if kind in RUBRICS and not judge:
        return "name the model that judges with --judge UPSTREAM/MODEL"
    if kind in RUBRICS or kind in ("equals", "similar"):
        return "the test has another expected output already"
    return _REASONS.get(kind, f"the assertion {assertion.kind!r} has no counterpart")


def _text(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else f"{value}"


def _escape(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "\\.+*?()|[]{}^$" else sign for sign in text)
