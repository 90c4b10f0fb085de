"""Scores as the REST API takes them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.client.score_body import ScoreKindName, ScoreValue, score_identity, score_subject, score_value
from zirkel.core import Invalid, ManualClock, Principal, Role
from zirkel.observe.score_drafts import read_score

SENDER = Principal("p1", "k1", "a key", frozenset({Role.INGEST}))
CLOCK = ManualClock()
TRACE, SPAN = "a" * 32, "b" * 16


@given(
    st.sampled_from(["helpful", "naïve", "x" * 200]),
    st.one_of(st.booleans(), st.integers(-5, 5), st.floats(-1e6, 1e6), st.sampled_from(["good", "bad"])),
    st.sampled_from([(TRACE, "", ""), (TRACE, SPAN, ""), ("", "", "session-1")]),
    st.sampled_from(["", "judge-3"]),
)
def test_the_server_takes_it_and_gives_it_the_same_id_as_the_client(
    name: str, value: ScoreValue, subject: tuple[str, str, str], evaluator: str
) -> None:
    fields = {**score_value(name, value, None), **score_subject(*subject), "origin": "code", "evaluator": evaluator}
    record = read_score(json.dumps(fields).encode(), SENDER, CLOCK.now_ns())
    assert record.score_id == score_identity(CLOCK, "code", score_subject(*subject), name, evaluator)
    assert (record.label or record.value) == (value if isinstance(value, str) else float(value))


def test_each_score_of_a_person_is_one_of_its_own() -> None:
    subject = score_subject(TRACE, "", "")
    assert len({score_identity(CLOCK, "end_user", subject, "helpful", "") for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "numeric"), (1, "boolean"), ("good", "numeric"), (0.5, "text"), (float("nan"), None), (float("inf"), None)],
)
def test_a_value_that_is_not_of_its_kind_is_refused(value: ScoreValue, kind: ScoreKindName | None) -> None:
    with pytest.raises(Invalid, match="helpful"):
        score_value("helpful", value, kind)


def test_a_text_is_a_category_unless_it_is_said_to_be_a_text() -> None:
    assert score_value("tone", "kind", None)["kind"] == "categorical"
    assert score_value("tone", "kind words", "text")["kind"] == "text"


@pytest.mark.parametrize("subject", [("", "", ""), (TRACE, "", "session-1"), ("", SPAN, ""), ("", SPAN, "session-1")])
def test_a_score_is_about_one_thing(subject: tuple[str, str, str]) -> None:
    with pytest.raises(Invalid):
        score_subject(*subject)
