"""Time, price, and people."""

from decimal import Decimal

import pytest

from tests.unit.evaluate.judged import judge_subject, value
from zirkel.core import DatasetItem, EvaluatorSpec, Invalid, JsonObject, Scored, Unscored
from zirkel.evaluate.evaluators.kind import parse_options
from zirkel.evaluate.evaluators.kinds import kind_of
from zirkel.evaluate.subject import Subject

ITEM = DatasetItem(id="1", input={})


def test_time_and_price_are_measured_in_their_units() -> None:
    subject = Subject(ITEM, "", cost_usd=Decimal("0.0015"), duration_ms=250.0)
    assert judge_subject("latency", subject) == Scored(250.0)
    assert judge_subject("cost", subject) == Scored(0.0015)


@pytest.mark.parametrize(("limit", "passes"), [(250.0, 1.0), (249.9, 0.0)])
def test_a_limit_turns_a_measure_into_pass_or_fail(limit: float, passes: float) -> None:
    subject = Subject(ITEM, "", cost_usd=Decimal(250), duration_ms=250.0)
    for kind in ("latency", "cost"):
        score = judge_subject(kind, subject, {"limit": limit})
        assert isinstance(score, Scored)
        assert score.value == passes
        assert score.details == {"measured": 250.0}


def test_what_is_unknown_is_no_zero() -> None:
    assert isinstance(judge_subject("latency", Subject(ITEM, "")), Unscored)
    assert isinstance(judge_subject("cost", Subject(ITEM, "")), Unscored)
    assert value(judge_subject("cost", Subject(ITEM, "", cost_usd=Decimal(0)), {"limit": 0.01})) == 1.0


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_a_limit_that_says_nothing_is_refused(limit: float) -> None:
    with pytest.raises(Invalid, match="limit"):
        judge_subject("latency", Subject(ITEM, ""), {"limit": limit})


@pytest.mark.parametrize(
    ("kind", "options", "is_share"),
    [
        ("latency", {}, False),
        ("latency", {"limit": 1}, True),
        ("cost", {}, False),
        ("cost", {"limit": 1}, True),
        ("length", {}, False),
        ("length", {"minimum": 1}, True),
    ],
)
def test_with_a_limit_a_measure_is_a_share(kind: str, options: JsonObject, is_share: bool) -> None:
    found = kind_of(EvaluatorSpec(name="x", kind=kind))
    assert found.has_limit(parse_options(found, options)) == is_share
    assert found.unit != "share"
    assert not found.is_higher_better


def test_what_people_judge_waits_for_them() -> None:
    assert judge_subject("human", Subject(ITEM, "a"), {"question": "Is it polite?"}) == Unscored("waits for people")
