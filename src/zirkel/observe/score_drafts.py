"""What people and programs send as a score, checked and made a record. Pure."""

import math
import re
from typing import TypeVar

import msgspec

from zirkel.core import Invalid, Principal, ScoreKind, ScoreOrigin, ScoreRecord, canonical_json, digest

LONGEST_NAME = 200
"""Characters, of names, categories and ids."""
LONGEST_TEXT = 10_000
"""Characters, of texts, comments and all metadata together."""
MOST_METADATA = 50
DERIVED_PREFIX = "score-"
FURTHEST_AHEAD_NS = 86_400 * 10**9
"""How far another machine's clock may be ahead."""

_ID = re.compile(r"[A-Za-z0-9._:@-]{1,200}")
_DERIVED_ID = re.compile(DERIVED_PREFIX + "[0-9a-f]{32}")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_FAULT = re.compile(r"(?P<said>.*?)(?: - at `\$(?P<at>[^`]*)`)?", re.DOTALL)
_NAMED_FIELD = re.compile(r"field `([^`]*)`")
_NAMES = ("name", "session_id", "experiment_id", "item_id", "author", "evaluator", "user_id")


class ScoreDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A score as it is sent."""

    name: str
    value: float | bool | None = None
    """Of a numeric or boolean score."""
    label: str = ""
    """Of a categorical or text score."""
    kind: ScoreKind | None = None
    """If not given: boolean for true and false, numeric for a number, categorical for a label."""
    score_id: str = ""
    """If not given: for code and judges one that belongs to subject, name and evaluator; else a new one."""
    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    experiment_id: str = ""
    item_id: str = ""
    origin: ScoreOrigin = ScoreOrigin.CODE
    author: str = ""
    """Of a judge: its model. Other authors are who sends the score."""
    evaluator: str = ""
    comment: str = ""
    user_id: str = ""
    time_ns: int = 0
    """When it was given, UTC nanoseconds; 0 is now."""
    metadata: dict[str, msgspec.Raw] = {}


class FeedbackDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Feedback as a web page sends it."""

    name: str
    value: float | bool | None = None
    label: str = ""
    trace_id: str = ""
    session_id: str = ""
    comment: str = ""
    user_id: str = ""
    score_id: str = ""


Draft = TypeVar("Draft", ScoreDraft, FeedbackDraft)


def read_score(text: bytes, sender: Principal, now_ns: int) -> ScoreRecord:
    """Return the record of a score in JSON: its id is empty if it needs a new one, its time 0 if that is now.

    Raises:
        Invalid: With the path of the faulty field.
    """
    draft = _decode(text, ScoreDraft)
    if draft.author and draft.origin is not ScoreOrigin.JUDGE:
        raise _fault("author", "only a judge's is sent, its model; else the author is who sends the score")
    if not 0 <= draft.time_ns <= now_ns + FURTHEST_AHEAD_NS:
        raise _fault("time_ns", f"{draft.time_ns} is not from 0 (now) to a day ahead, in UTC nanoseconds since 1970")
    record = _record(draft, sender)
    if not record.score_id and record.origin in (ScoreOrigin.CODE, ScoreOrigin.JUDGE):
        return msgspec.structs.replace(record, score_id=derived_score_id(record))
    return record


def read_feedback(text: bytes, sender: Principal) -> ScoreRecord:
    """Return the record of an end user's feedback in JSON; see ``read_score``.

    Raises:
        Invalid: With the path of the faulty field.
    """
    feedback = _decode(text, FeedbackDraft)
    if _DERIVED_ID.fullmatch(feedback.score_id):
        raise _fault("score_id", f"ids like {DERIVED_PREFIX}… are those of code and judges; take a random UUID")
    draft = ScoreDraft(
        name=feedback.name,
        value=feedback.value,
        label=feedback.label,
        score_id=feedback.score_id,
        trace_id=feedback.trace_id,
        session_id=feedback.session_id,
        origin=ScoreOrigin.END_USER,
        comment=feedback.comment,
        user_id=feedback.user_id,
    )
    return _record(draft, sender)


def derived_score_id(record: ScoreRecord) -> str:
    """Return the id that belongs to subject, name and evaluator: judged again, a score is corrected and not doubled."""
    return DERIVED_PREFIX + digest([*subject_of(record), record.name, record.evaluator])[:32]


def subject_of(record: ScoreRecord) -> tuple[str, ...]:
    """Return what a score is about: trace, span, session, experiment and item, those that do not apply empty."""
    return record.trace_id, record.span_id, record.session_id, record.experiment_id, record.item_id


def _decode(text: bytes, kind: type[Draft]) -> Draft:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise _validation_fault(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"it is not JSON in UTF-8, or has half of a surrogate pair: {error}") from error


def _record(draft: ScoreDraft, sender: Principal) -> ScoreRecord:
    """Return a checked record; a person's author is the sender's name, other authors ids."""
    for name in _NAMES:
        _check_name(name, getattr(draft, name))
    _check_text("comment", draft.comment)
    if not draft.name:
        raise _fault("name", "it is empty; say what is judged, e.g. helpfulness")
    if draft.score_id and not _ID.fullmatch(draft.score_id):
        raise _fault("score_id", f"{draft.score_id[:50]!r} is not 1 to 200 of the characters A-Z a-z 0-9 . _ : @ -")
    kind = _kind(draft)
    record = ScoreRecord(
        project_id=sender.project_id,
        score_id=draft.score_id,
        name=draft.name,
        kind=kind,
        value=_value(draft, kind),
        label=draft.label,
        trace_id=draft.trace_id.lower(),
        span_id=draft.span_id.lower(),
        session_id=draft.session_id,
        experiment_id=draft.experiment_id,
        item_id=draft.item_id,
        origin=draft.origin,
        author=sender.label if draft.origin is ScoreOrigin.PERSON else draft.author or sender.principal_id,
        evaluator=draft.evaluator,
        comment=draft.comment,
        user_id=draft.user_id,
        time_ns=draft.time_ns,
        metadata=_metadata(draft),
    )
    _check_subject(record)
    return record


def _kind(draft: ScoreDraft) -> ScoreKind:
    if draft.kind is not None:
        return draft.kind
    if draft.value is None:
        return ScoreKind.CATEGORICAL
    return ScoreKind.BOOLEAN if isinstance(draft.value, bool) else ScoreKind.NUMERIC


def _value(draft: ScoreDraft, kind: ScoreKind) -> float | None:
    """Return the number that belongs to the kind, having checked the label too."""
    if kind in (ScoreKind.CATEGORICAL, ScoreKind.TEXT):
        if draft.value is not None:
            raise _fault("value", f"a {kind} score has none; the category or text goes into label")
        if not draft.label.strip():
            raise _fault("label", f"a {kind} score needs one; or give a value: a number, true or false")
        check = _check_text if kind is ScoreKind.TEXT else _check_name
        check("label", draft.label)
        return None
    if draft.label:
        raise _fault("label", f"a {kind} score has none; its number goes into value, words into comment")
    if draft.value is None:
        raise _fault("value", f"a {kind} score needs one")
    if kind is ScoreKind.BOOLEAN and draft.value not in (0, 1):
        raise _fault("value", f"{draft.value} is not true, false, 1 or 0, and the score is boolean")
    if kind is ScoreKind.NUMERIC and isinstance(draft.value, bool):
        raise _fault("value", "true and false are no numbers, and the score is numeric")
    if not math.isfinite(draft.value):
        raise _fault("value", f"{draft.value} is not a finite number")
    return float(draft.value)


def _check_subject(record: ScoreRecord) -> None:
    if record.span_id and not record.trace_id:
        raise _fault("trace_id", "a span needs the trace that it is in")
    if record.item_id and not record.experiment_id:
        raise _fault("experiment_id", "an item needs the experiment that it was measured in")
    named = [name for name in ("trace_id", "session_id", "experiment_id") if getattr(record, name)]
    if len(named) != 1:
        what = f"{' and '.join(named)} are given" if named else "it says not what it is about"
        raise _fault(named[-1] if named else "trace_id", f"{what}; a score has one of trace, session and experiment")
    if record.trace_id and not _TRACE_ID.fullmatch(record.trace_id):
        raise _fault("trace_id", f"{record.trace_id[:50]!r} is not 32 hex digits, not all of them 0")
    if record.span_id and not _SPAN_ID.fullmatch(record.span_id):
        raise _fault("span_id", f"{record.span_id[:50]!r} is not 16 hex digits, not all of them 0")


def _metadata(draft: ScoreDraft) -> dict[str, str]:
    """Return the values as canonical JSON text, so that the same ones are always the same text."""
    if len(draft.metadata) > MOST_METADATA:
        raise _fault("metadata", f"{len(draft.metadata)} values are too many; at most {MOST_METADATA}")
    found = {name: canonical_json(msgspec.json.decode(value)).decode() for name, value in draft.metadata.items()}
    length = sum(len(name) + len(value) for name, value in found.items())
    if length > LONGEST_TEXT:
        raise _fault("metadata", f"{length} characters are too many; at most {LONGEST_TEXT}")
    return found


def _check_name(path: str, text: str) -> None:
    if len(text) > LONGEST_NAME:
        raise _fault(path, f"{len(text)} characters are too many; at most {LONGEST_NAME}")
    if text != text.strip() or not text.isprintable():
        raise _fault(path, f"{text[:50]!r} has characters that cannot be seen, or spaces at an end")


def _check_text(path: str, text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise _fault(path, f"{len(text)} characters are too many; at most {LONGEST_TEXT}")


def _validation_fault(text: str) -> Invalid:
    found = _FAULT.fullmatch(text)
    said, at = (found["said"], (found["at"] or "").lstrip(".")) if found else (text, "")
    if at == "value":
        said = f"{said}; a category or a text goes into label"
    named = _NAMED_FIELD.search(said)
    path = ".".join(part for part in (at, named.group(1) if named else "") if part)
    return Invalid(f"{path or 'score'}: {said}", path=path or None)


def _fault(path: str, said: str) -> Invalid:
    return Invalid(f"{path}: {said}", path=path)
