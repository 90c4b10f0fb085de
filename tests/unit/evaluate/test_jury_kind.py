"""Several judges, one verdict."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.unit.evaluate.scripted_tools import CALL_USD, ScriptedTools, findings, judge, subject_of
from zirkel.core import Errored, EvaluatorSpec, Invalid, Scored, Unscored
from zirkel.evaluate import check_evaluator
from zirkel.evaluate.chat import ChatRequest, TransientFailure

MODELS = ["a/one", "b/two", "c/three"]
RUBRIC = [{"name": "right", "ask": "It is right."}, {"name": "short", "ask": "It is short."}]
CATEGORIES = [{"label": "good", "value": 1.0}, {"label": "bad", "value": 0.0}, {"label": "unclear"}]


def by_model(**answers: str | Exception) -> Callable[[ChatRequest], str]:
    """Answer by what comes behind the slash of the model's name."""

    def answer(request: ChatRequest) -> str:
        said = answers[request.model.partition("/")[2]]
        if isinstance(said, Exception):
            raise said
        return said

    return answer


def scores(*numbers: int) -> Callable[[ChatRequest], str]:
    one, two, three = (json.dumps({"reason": f"{number} it is", "score": number}) for number in numbers)
    return by_model(one=one, two=two, three=three)


def categories(*labels: str) -> Callable[[ChatRequest], str]:
    one, two, three = (json.dumps({"reason": f"{label} it is", "category": label}) for label in labels)
    return by_model(one=one, two=two, three=three)


def test_each_item_of_a_rubric_is_decided_by_more_than_half() -> None:
    script = by_model(
        one=findings("item", True, False), two=findings("item", True, True), three=findings("item", False, False)
    )
    found = judge("jury", subject_of("x"), ScriptedTools(script), models=MODELS, rubric=RUBRIC)
    assert isinstance(found, Scored)
    assert (found.value, found.cost_usd) == (0.5, 3 * CALL_USD)
    items, votes = found.details["items"], found.details["votes"]
    assert isinstance(items, list)
    assert isinstance(votes, list)
    assert [item["satisfied"] for item in items] == [True, False]
    assert [(vote["model"], vote["value"]) for vote in votes] == [("a/one", 0.5), ("b/two", 1.0), ("c/three", 0.0)]


def test_a_tied_item_is_not_satisfied() -> None:
    script = by_model(one=findings("item", True, True), two=findings("item", False, True))
    found = judge("jury", subject_of("x"), ScriptedTools(script), models=MODELS[:2], rubric=RUBRIC)
    assert isinstance(found, Scored)
    assert found.value == 0.5


@pytest.mark.parametrize(
    ("numbers", "combine", "value", "label"),
    [
        ((1, 5, 5), "majority", 1.0, "5"),
        ((1, 2, 5), "majority", 0.25, "2"),
        ((1, 5, 5), "mean", 2 / 3, ""),
    ],
)
def test_a_scale_is_the_median_or_the_mean(numbers: tuple[int, ...], combine: str, value: float, label: str) -> None:
    found = judge("jury", subject_of("x"), ScriptedTools(scores(*numbers)), models=MODELS, scale={}, combine=combine)
    assert isinstance(found, Scored)
    assert found.value == pytest.approx(value)
    assert found.label == label


def test_two_numbers_in_the_middle_are_their_mean() -> None:
    tools = ScriptedTools(scores(2, 5, 1))
    found = judge("jury", subject_of("x"), tools, models=MODELS[:2], scale={})
    assert isinstance(found, Scored)
    assert found.value == pytest.approx((0.25 + 1.0) / 2)
    assert found.label == "2-5"


@pytest.mark.parametrize(
    ("labels", "combine", "value"),
    [
        (("good", "bad", "good"), "majority", 1.0),
        (("good", "bad", "unclear"), "majority", None),
        (("unclear", "unclear", "good"), "majority", None),
        (("good", "bad", "unclear"), "mean", 0.5),
        (("unclear", "unclear", "good"), "mean", None),
    ],
)
def test_categories_need_more_than_half(labels: tuple[str, ...], combine: str, value: float | None) -> None:
    tools = ScriptedTools(categories(*labels))
    found = judge("jury", subject_of("x"), tools, models=MODELS, categories=CATEGORIES, combine=combine)
    if value is None:
        assert isinstance(found, Unscored)
    else:
        assert isinstance(found, Scored)
        assert found.value == value
    assert found.cost_usd == 3 * CALL_USD


def test_a_juror_that_fails_has_no_vote_and_is_named() -> None:
    script = by_model(
        one=findings("item", True, True),
        two=TransientFailure("two is overloaded", cost_usd=Decimal("0.5")),
        three=findings("item", True, False),
    )
    found = judge("jury", subject_of("x"), ScriptedTools(script), models=MODELS, rubric=RUBRIC, combine="mean")
    assert isinstance(found, Scored)
    assert (found.value, found.cost_usd) == (0.75, 2 * CALL_USD + Decimal("0.5"))
    votes = found.details["votes"]
    assert isinstance(votes, list)
    assert votes[1] == {"model": "b/two", "error": "two is overloaded"}


@pytest.mark.parametrize(
    ("failure", "quorum", "begins"),
    [
        (TransientFailure("two is overloaded"), 3, "2 of 3 jurors voted, and 3 must: two is overloaded"),
        ("no verdict", 3, "Unreadable: 2 of 3 jurors voted, and 3 must: b/two was asked twice"),
    ],
)
def test_without_a_quorum_there_is_no_score(failure: str | Exception, quorum: int, begins: str) -> None:
    script = by_model(one=findings("item", True, True), two=failure, three=findings("item", True, True))
    found = judge("jury", subject_of("x"), ScriptedTools(script), models=MODELS, rubric=RUBRIC, quorum=quorum)
    assert isinstance(found, Errored)
    assert found.error.startswith(begins)
    assert found.cost_usd in (2 * CALL_USD, 4 * CALL_USD)


def test_more_than_half_must_vote_unless_the_quorum_says_otherwise() -> None:
    busy = TransientFailure("busy")
    script = by_model(one=findings("item", True, True), two=busy, three=busy)
    alone = judge("jury", subject_of("x"), ScriptedTools(script), models=MODELS, rubric=RUBRIC)
    allowed = judge("jury", subject_of("x"), ScriptedTools(script), models=MODELS, rubric=RUBRIC, quorum=1)
    assert isinstance(alone, Errored)
    assert isinstance(allowed, Scored)


def test_a_model_that_is_named_twice_is_asked_twice_and_not_answered_from_its_first_vote() -> None:
    tools = ScriptedTools(findings("item", True, True))
    judge("jury", subject_of("x"), tools, models=["a/one", "a/one", "b/two"], rubric=RUBRIC)
    assert [(asked.model, asked.attempt) for asked in tools.asked] == [("a/one", 0), ("a/one", 1), ("b/two", 0)]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"models": ["a/one"]}, "models: a jury has at least two"),
        ({"models": MODELS, "quorum": 4}, "quorum: 0 to 3, not 4"),
        ({"models": ["a/one", "two"]}, "UPSTREAM/MODEL, not 'two'"),
        ({"models": MODELS, "scale": {}}, "exactly one of rubric, scale and categories"),
    ],
)
def test_wrong_options_are_told(options: dict[str, object], problem: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_evaluator(EvaluatorSpec(name="e", kind="jury", options={"rubric": RUBRIC} | options))
    assert problem in str(raised.value)
