"""A score as the REST API takes it. Pure."""

import math
from collections.abc import Mapping
from typing import Literal

from zirkel.core import Clock, Invalid, Json, digest, new_id

ScoreValue = bool | int | float | str
ScoreKindName = Literal["numeric", "boolean", "categorical", "text"]
ScoreOriginName = Literal["code", "judge", "person", "end_user"]


def score_value(name: str, value: ScoreValue, kind: ScoreKindName | None) -> dict[str, Json]:
    """Return name, kind, and value or label. A text is a category, unless ``kind`` says that it is a text.

    Raises:
        Invalid: If there is no name, the number is not finite, or value and kind do not go together.
    """
    if not name.strip():
        raise Invalid("a score needs a name", path="name")
    if isinstance(value, str):
        if kind not in (None, "categorical", "text"):
            raise Invalid(f"score {name!r}: a text is no {kind} value", path="value")
        return {"name": name, "kind": kind or "categorical", "label": value}
    is_boolean = isinstance(value, bool)
    if kind not in (None, "boolean" if is_boolean else "numeric"):
        raise Invalid(f"score {name!r}: {value!r} is no {kind} value", path="value")
    number = float(value)
    if not math.isfinite(number):
        raise Invalid(f"score {name!r}: {value!r} is not a finite number; leave such a score out", path="value")
    return {"name": name, "kind": "boolean" if is_boolean else "numeric", "value": number}


def score_subject(trace_id: str, span_id: str, session_id: str) -> dict[str, str]:
    """Return what a score is about: a session, a trace, or a span with its trace.

    Raises:
        Invalid: If it is nothing, both, or a span without its trace.
    """
    if bool(trace_id) == bool(session_id):
        what = "both a trace and a session" if trace_id else "nothing"
        raise Invalid(
            f"a score is about {what}; give trace_id (with span_id, for a span) or session_id", path="trace_id"
        )
    if span_id and not trace_id:
        raise Invalid("a score of a span needs the trace_id too", path="trace_id")
    return {"trace_id": trace_id, "span_id": span_id, "session_id": session_id}


def score_identity(clock: Clock, origin: ScoreOriginName, subject: Mapping[str, str], name: str, evaluator: str) -> str:
    """Return the id of a score that has none: the server's own rule, so that a copy sent twice is stored once.

    Code and judges have one score per subject, name and evaluator: judged again, it is corrected. Each score of a
    person is one of its own.
    """
    if origin in ("person", "end_user"):
        return new_id(clock)
    parts = [subject["trace_id"], subject["span_id"], subject["session_id"], "", "", name, evaluator]
    return f"score-{digest(parts)[:32]}"


def without_empty(fields: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields that say something."""
    return {key: value for key, value in fields.items() if value not in ("", None, {})}
