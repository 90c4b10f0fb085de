"""What users' code and web addresses are told of an answer, and what they say of it, as JSON."""

import json
import math
from collections.abc import Mapping
from typing import cast

import msgspec

from zirkel.core import Errored, Json, JsonObject, Score, Scored, Unscored
from zirkel.evaluate.subject import Subject


class _Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: bool | float | None = None
    label: str = ""
    reason: str = ""
    details: JsonObject = {}
    unscored: str = ""


def encode_subject(subject: Subject) -> bytes:
    """Return ``item``, ``output`` and ``context`` as one line of JSON.

    ``context`` has ``tool_calls``, ``steps``, ``contexts``, ``other_output``, ``cost_usd`` (decimal text),
    ``duration_ms`` and ``trial``; what is unknown is null or empty.
    """
    calls = [{"name": call.name, "arguments": call.arguments, "id": call.call_id} for call in subject.tool_calls]
    steps = [
        {
            "kind": step.kind.value,
            "name": step.name,
            "input": step.input,
            "output": step.output,
            "is_error": step.is_error,
        }
        for step in subject.steps
    ]
    context = {
        "tool_calls": calls,
        "steps": steps,
        "contexts": list(subject.contexts),
        "other_output": subject.other_output,
        "cost_usd": None if subject.cost_usd is None else str(subject.cost_usd),
        "duration_ms": subject.duration_ms,
        "trial": subject.trial,
    }
    told = {"item": msgspec.to_builtins(subject.item), "output": subject.output, "context": context}
    # Escaped, so that halves of surrogate pairs get through.
    return json.dumps(told, ensure_ascii=True).encode()


def read_judgement(answer: bytes, values: Mapping[str, float] | None = None) -> Score:
    """Return the score that an answer stands for; an answer that is none is ``Errored``.

    An answer is a number, ``true`` (1) or ``false`` (0), or an object with ``value`` or ``label``, and perhaps
    ``reason`` and ``details``; or with ``unscored``, the reason why there is nothing to judge.

    Args:
        answer: JSON text.
        values: What each label stands for, where there is no ``value``.
    """
    try:
        said = msgspec.json.decode(answer, type=bool | float | _Judgement)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Errored(f"answered no judgement: {error}")
    judged = said if isinstance(said, _Judgement) else _Judgement(value=said)
    if judged.unscored:
        return Unscored(judged.unscored)
    value = judged.value
    if value is None and judged.label in (values or {}):
        value = (values or {})[judged.label]
    if value is None:
        known = f" and the label {judged.label!r}, which stands for no value" if judged.label else ""
        return Errored(f"answered no value{known}")
    if not math.isfinite(value):
        return Errored(f"answered {value}, which is no number to count with")
    return Scored(float(value), judged.label, judged.reason, cast(Mapping[str, Json], judged.details))
