"""What is taken as a score, and what is refused with which path."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Invalid, Json, Principal, Role, ScoreKind, ScoreOrigin
from zirkel.observe.score_drafts import derived_score_id, read_feedback, read_score, subject_of

SENDER = Principal("p", "k1", "ann's key", frozenset({Role.INGEST}))
NOW_NS = 1_790_000_000_000_000_000
TRACE, SPAN = "ab" * 16, "cd" * 8
GOOD: dict[str, Json] = {"name": "helpful", "value": 0.5, "trace_id": TRACE}


def text(*left_out: str, **fields: Json) -> bytes:
    merged = {name: value for name, value in {**GOOD, **fields}.items() if name not in left_out}
    return json.dumps(merged).encode()


@pytest.mark.parametrize(
    ("fields", "left_out", "kind", "value", "label"),
    [
        ({"value": 3}, "", ScoreKind.NUMERIC, 3.0, ""),
        ({"value": -0.25}, "", ScoreKind.NUMERIC, -0.25, ""),
        ({"value": True}, "", ScoreKind.BOOLEAN, 1.0, ""),
        ({"value": False}, "", ScoreKind.BOOLEAN, 0.0, ""),
        ({"value": 1, "kind": "boolean"}, "", ScoreKind.BOOLEAN, 1.0, ""),
        ({"label": "good"}, "value", ScoreKind.CATEGORICAL, None, "good"),
        ({"label": "two\nlines", "kind": "text"}, "value", ScoreKind.TEXT, None, "two\nlines"),
    ],
)
def test_the_kind_is_what_is_said_or_what_the_value_is(
    fields: dict[str, Json], left_out: str, kind: ScoreKind, value: float | None, label: str
) -> None:
    record = read_score(text(left_out, **fields), SENDER, NOW_NS)
    assert (record.kind, record.value, record.label) == (kind, value, label)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"kind": "numeric", "value": True}, "value"),
        ({"kind": "boolean", "value": 2}, "value"),
        ({"kind": "boolean", "value": 0.5}, "value"),
        ({"kind": "categorical"}, "value"),
        ({"kind": "text"}, "value"),
        ({"value": None}, "label"),
        ({"value": None, "label": "  "}, "label"),
        ({"value": None, "kind": "numeric"}, "value"),
        ({"value": None, "kind": "numeric", "label": "good"}, "label"),
        ({"label": "good"}, "label"),
        ({"value": None, "label": "x" * 201}, "label"),
        ({"value": None, "label": "two\nlines"}, "label"),
        ({"value": None, "label": "x" * 10_001, "kind": "text"}, "label"),
        ({"value": "0.5"}, "value"),
        ({"kind": "stars"}, "kind"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": " helpful"}, "name"),
        ({"name": "help\u0000ful"}, "name"),
        ({"name": 3}, "name"),
        ({"trace_id": TRACE[1:]}, "trace_id"),
        ({"trace_id": "0" * 32}, "trace_id"),
        ({"trace_id": "g" * 32}, "trace_id"),
        ({"trace_id": TRACE + "\n"}, "trace_id"),
        ({"span_id": "0" * 16}, "span_id"),
        ({"span_id": TRACE}, "span_id"),
        ({"trace_id": "", "span_id": SPAN, "session_id": "s"}, "trace_id"),
        ({"trace_id": ""}, "trace_id"),
        ({"session_id": "s"}, "session_id"),
        ({"experiment_id": "e"}, "experiment_id"),
        ({"item_id": "7"}, "experiment_id"),
        ({"trace_id": "", "session_id": "s" * 201}, "session_id"),
        ({"score_id": "a b"}, "score_id"),
        ({"score_id": "a/b"}, "score_id"),
        ({"score_id": "x" * 201}, "score_id"),
        ({"comment": "x" * 10_001}, "comment"),
        ({"user_id": "x" * 201}, "user_id"),
        ({"evaluator": "x" * 201}, "evaluator"),
        ({"author": "gpt"}, "author"),
        ({"origin": "person", "author": "bob"}, "author"),
        ({"origin": "robot"}, "origin"),
        ({"time_ns": -1}, "time_ns"),
        ({"time_ns": NOW_NS + 2 * 86_400 * 10**9}, "time_ns"),
        ({"metadata": {f"k{n}": n for n in range(51)}}, "metadata"),
        ({"metadata": {"k": "x" * 10_000}}, "metadata"),
        ({"metadata": 3}, "metadata"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_path_of_the_fault(fields: dict[str, Json], path: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_score(text(**fields), SENDER, NOW_NS)
    assert refused.value.path == path
    assert str(refused.value).startswith(f"{path}: ")


@pytest.mark.parametrize("value", ["1e999", "-1e999", "9" * 400])
def test_a_number_that_is_not_finite_is_refused(value: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_score(b'{"name":"n","trace_id":"%s","value":%s}' % (TRACE.encode(), value.encode()), SENDER, NOW_NS)
    assert refused.value.path == "value"


@pytest.mark.parametrize("body", [b"", b"{", b"3", b"null", b"NaN", b'"\\ud800"', b'{"name":"\xff"}', b"[" * 5000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        read_score(body, SENDER, NOW_NS)


def test_a_score_is_on_a_span_a_trace_a_session_an_experiment_or_an_item_of_one() -> None:
    subjects: list[dict[str, Json]] = [
        {"trace_id": TRACE.upper(), "span_id": SPAN.upper()},
        {"trace_id": TRACE},
        {"session_id": "s 1"},
        {"experiment_id": "e1"},
        {"experiment_id": "e1", "item_id": "7"},
    ]
    found = [subject_of(read_score(text(**{"trace_id": "", **subject}), SENDER, NOW_NS)) for subject in subjects]
    assert found == [
        (TRACE, SPAN, "", "", ""),
        (TRACE, "", "", "", ""),
        ("", "", "s 1", "", ""),
        ("", "", "", "e1", ""),
        ("", "", "", "e1", "7"),
    ]


@pytest.mark.parametrize(
    ("fields", "author"),
    [
        ({"origin": "person"}, "ann's key"),
        ({"origin": "code"}, "k1"),
        ({"origin": "end_user"}, "k1"),
        ({"origin": "judge"}, "k1"),
        ({"origin": "judge", "author": "gpt-4o"}, "gpt-4o"),
    ],
)
def test_the_author_is_who_sends_it_and_a_judges_model(fields: dict[str, Json], author: str) -> None:
    assert read_score(text(**fields), SENDER, NOW_NS).author == author


def test_code_and_judges_get_the_id_of_subject_name_and_evaluator_and_others_none() -> None:
    judged = read_score(text(origin="judge", evaluator="tone@3", value=0.1), SENDER, NOW_NS)
    again = read_score(text(origin="judge", evaluator="tone@3", value=0.9, comment="better"), SENDER, NOW_NS)
    assert judged.score_id == again.score_id == derived_score_id(judged)
    others = [
        read_score(text(**fields), SENDER, NOW_NS).score_id
        for fields in (
            {"evaluator": "tone@4"},
            {"evaluator": "tone@3", "name": "polite"},
            {"evaluator": "tone@3", "span_id": SPAN},
            {"evaluator": "tone@3", "trace_id": "cd" * 16},
        )
    ]
    assert len({judged.score_id, *others}) == 5
    assert [read_score(text(origin=o), SENDER, NOW_NS).score_id for o in ("person", "end_user")] == ["", ""]
    assert read_score(text(score_id="mine"), SENDER, NOW_NS).score_id == "mine"


@given(st.dictionaries(st.text(max_size=5), st.recursive(st.integers() | st.text(max_size=5), st.lists), max_size=5))
def test_metadata_is_the_same_text_for_the_same_values(metadata: dict[str, Json]) -> None:
    body = {**GOOD, "metadata": metadata}
    spaced = json.dumps(body, indent=3).encode()
    record = read_score(json.dumps(body).encode(), SENDER, NOW_NS)
    assert read_score(spaced, SENDER, NOW_NS) == record
    assert {name: json.loads(value) for name, value in record.metadata.items()} == metadata


def test_feedback_is_an_end_users_whoever_sends_it() -> None:
    body = {"name": "thumb", "value": True, "trace_id": TRACE, "comment": "c", "user_id": "u", "score_id": "f-1"}
    record = read_feedback(json.dumps(body).encode(), SENDER)
    assert (record.origin, record.author, record.user_id) == (ScoreOrigin.END_USER, "k1", "u")
    assert (record.score_id, record.value, record.kind, record.time_ns) == ("f-1", 1.0, ScoreKind.BOOLEAN, 0)


@pytest.mark.parametrize(
    "field", ["origin", "author", "evaluator", "metadata", "time_ns", "span_id", "experiment_id", "item_id", "kind"]
)
def test_feedback_has_none_of_the_other_fields(field: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_feedback(text(**{field: "person"}), SENDER)
    assert refused.value.path == field


def test_feedback_cannot_take_the_id_that_a_judge_will_have() -> None:
    judged = read_score(text(origin="judge", evaluator="tone@3"), SENDER, NOW_NS)
    with pytest.raises(Invalid) as refused:
        read_feedback(text(score_id=judged.score_id), SENDER)
    assert refused.value.path == "score_id"
