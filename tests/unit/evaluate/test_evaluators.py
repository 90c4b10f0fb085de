"""Evaluators: what each kind says of an output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import DatasetItem, EvaluatorSpec, Score, Scored, Unscored
from zirkel.evaluate import NoTools
from zirkel.evaluate.evaluators import score_subject
from zirkel.evaluate.subject import Subject


def item(expected: str | None = "good") -> DatasetItem:
    return DatasetItem(id="1", input={}, expected=expected)


def score_output(spec: EvaluatorSpec, of: DatasetItem, output: str) -> Score:
    return score_subject(spec, Subject(of, output), NoTools())


def exact(field: str = "") -> EvaluatorSpec:
    return EvaluatorSpec(name="match", kind="exact", options={"field": field})


def json_field(*one_of: str) -> EvaluatorSpec:
    return EvaluatorSpec(name="valid", kind="json_field", options={"field": "label", "one_of": list(one_of)})


@pytest.mark.parametrize(
    ("spec", "expected", "output", "value"),
    [
        (exact(), "good", "good", 1),
        (exact(), "good", "  good\n", 1),
        (exact(), " good ", "good", 1),
        (exact(), "good", "Good", 0),
        (exact(), "good", "", 0),
        (exact(), "", "", 1),
        (exact("label"), "good", '{"label": "good"}', 1),
        (exact("label"), "good", '{"label": " good "}', 1),
        (exact("label"), "3", '{"label": 3}', 1),
        (exact("label"), "true", '{"label": true}', 1),
        (exact("label"), "null", '{"label": null}', 1),
        (exact("label"), "good", '{"other": "good"}', 0),
        (exact("label"), "good", "good", 0),
        (exact("label"), "good", '["good"]', 0),
        (exact("label"), "good", '{"label": "good"', 0),
        (exact("label"), "good", "[" * 100_000, 0),
        (json_field(), None, '{"label": 1}', 1),
        (json_field("good", "bad"), None, '{"label": "bad"}', 1),
        (json_field("good", "bad"), None, '{"label": "ugly"}', 0),
        (json_field("good", "bad"), None, "bad", 0),
    ],
)
def test_an_output_is_judged(spec: EvaluatorSpec, expected: str | None, output: str, value: float) -> None:
    assert score_output(spec, item(expected), output) == Scored(float(value))


def test_without_an_expected_output_there_is_nothing_to_match() -> None:
    assert score_output(exact(), item(None), "good") == Unscored("the item has no expected output")


@given(st.sampled_from(["exact", "json_field"]), st.sampled_from(["", "label"]), st.none() | st.text(), st.text())
def test_every_kind_scores_zero_or_one_or_says_why_not(
    kind: str, field: str, expected: str | None, output: str
) -> None:
    spec = EvaluatorSpec(name="x", kind=kind, options={"field": field})
    score: Score = score_output(spec, item(expected), output)
    assert score in (Scored(0.0), Scored(1.0)) or isinstance(score, Unscored)
