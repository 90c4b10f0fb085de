"""Two answers compared in both orders: only a verdict that stays the same counts."""

import json
from decimal import Decimal

import pytest

from tests.unit.evaluate.scripted_tools import CALL_USD, ScriptedTools, judge, sections, subject_of
from zirkel.core import Errored, EvaluatorSpec, Invalid, Scored, Unscored
from zirkel.evaluate import check_evaluator
from zirkel.evaluate.chat import ChatRequest


def said(better: str) -> str:
    return json.dumps({"reason": f"{better} it is", "better": better})


def longer(request: ChatRequest) -> str:
    """Prefer the longer answer, wherever it stands."""
    shown = sections(request)
    return said(max(("first", "second"), key=lambda place: len(shown[place])))


@pytest.mark.parametrize(
    ("in_first_order", "in_second_order", "value", "label"),
    [
        ("first", "second", 1.0, "win"),
        ("second", "first", 0.0, "loss"),
        ("first", "first", 0.5, "tie"),
        ("second", "second", 0.5, "tie"),
        ("tie", "tie", 0.5, "tie"),
        ("first", "tie", 0.5, "tie"),
        ("tie", "first", 0.5, "tie"),
    ],
)
def test_both_orders_have_to_agree(in_first_order: str, in_second_order: str, value: float, label: str) -> None:
    tools = ScriptedTools(said(in_first_order), said(in_second_order))
    found = judge("pairwise", subject_of("mine", other="theirs"), tools)
    assert isinstance(found, Scored)
    assert (found.value, found.label, found.cost_usd) == (value, label, 2 * CALL_USD)
    orders = found.details["orders"]
    assert isinstance(orders, list)
    assert [(order["first"], order["said"]) for order in orders] == [
        ("output", in_first_order),
        ("other", in_second_order),
    ]
    assert (found.details["output_length"], found.details["other_length"]) == (4, 6)


def test_the_second_order_shows_the_same_answers_the_other_way_round() -> None:
    tools = ScriptedTools(said("tie"))
    judge("pairwise", subject_of("mine", other="theirs", expected="Germany"), tools, criteria="It is kind.")
    first, second = tools.asked
    assert sections(first) == {"input": "Where is Bonn?", "reference": "Germany", "first": "mine", "second": "theirs"}
    assert sections(second) == sections(first) | {"first": "theirs", "second": "mine"}
    assert "It is kind." in first.messages[1].content


@pytest.mark.parametrize(("mine", "theirs", "value"), [("long answer", "short", 1.0), ("short", "long answer", 0.0)])
def test_a_judge_that_looks_at_the_answers_is_followed(mine: str, theirs: str, value: float) -> None:
    found = judge("pairwise", subject_of(mine, other=theirs), ScriptedTools(longer))
    assert isinstance(found, Scored)
    assert found.value == value
    orders = found.details["orders"]
    assert isinstance(orders, list)
    assert {order["winner"] for order in orders} == {"output" if value else "other"}


def test_the_same_answer_twice_is_a_tie_that_nobody_is_asked_about() -> None:
    tools = ScriptedTools("never asked")
    found = judge("pairwise", subject_of("same", other=" same\n"), tools)
    assert isinstance(found, Scored)
    assert (found.value, found.cost_usd) == (0.5, Decimal(0))
    assert not tools.asked


def test_without_a_baselines_answer_there_is_nothing_to_compare() -> None:
    found = judge("pairwise", subject_of("mine"), ScriptedTools("never asked"))
    assert found == Unscored("there is no baseline's answer to compare with")
    required = judge("pairwise", subject_of("mine", other="x"), ScriptedTools("never asked"), reference="required")
    assert required == Unscored("the item has no expected output")


def test_one_order_that_cannot_be_read_is_an_error_with_the_cost_of_all_calls() -> None:
    found = judge("pairwise", subject_of("mine", other="theirs"), ScriptedTools(said("first"), "hm", "hm"))
    assert isinstance(found, Errored)
    assert found.cost_usd == 3 * CALL_USD


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"criteria": " "}, "criteria: they say what makes an answer better"),
        ({"instructions": "{{ first }}"}, "{{ second }} must be one of them"),
        ({"instructions": "{{ answer }}"}, "{{ answer }} is unknown"),
    ],
)
def test_wrong_options_are_told(options: dict[str, object], problem: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_evaluator(EvaluatorSpec(name="e", kind="pairwise", options={"model": "up/judge"} | options))
    assert problem in str(raised.value)
