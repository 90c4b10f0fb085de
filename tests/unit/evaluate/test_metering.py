"""What judging takes is counted whichever kind judges, and whatever becomes of it."""

from decimal import Decimal

import pytest

from tests.unit.evaluate.scripted_tools import CALL_USD, ScriptedTools, subject_of
from zirkel.core import Errored, Score, Scored, Unscored
from zirkel.evaluate.chat import ChatMessage, ChatRequest, TransientFailure
from zirkel.evaluate.evaluators.metering import MeteredTools

ASK = ChatRequest("", "up/m", (ChatMessage("user", "Q"),))


def fail(_: ChatRequest) -> str:
    raise TransientFailure("busy", cost_usd=None)


def metered(tools: ScriptedTools) -> MeteredTools:
    return MeteredTools(tools, "polite", subject_of("x"))


@pytest.mark.parametrize("own", [Decimal(0), Decimal("0.5"), None])
def test_calls_are_added_to_what_the_kind_itself_says_it_cost(own: Decimal | None) -> None:
    meter = metered(ScriptedTools("A"))
    meter.chat(ASK)
    meter.chat(ASK)
    total = None if own is None else own + 2 * CALL_USD
    scores: list[Score] = [Scored(1.0, cost_usd=own), Unscored("?", own), Errored("!", own)]
    assert [meter.charge(score).cost_usd for score in scores] == [total] * 3


def test_a_score_says_where_its_calls_are_recorded() -> None:
    meter = metered(ScriptedTools("A"))
    meter.chat(ASK)
    charged = meter.charge(Scored(1.0, details={"own": 1}))
    assert isinstance(charged, Scored)
    assert charged.details == {"own": 1, "calls": [{"trace_id": f"{1:032x}", "is_cached": False}]}


def test_a_score_without_calls_stays_as_it_is() -> None:
    assert metered(ScriptedTools("A")).charge(Scored(1.0)) == Scored(1.0)


def test_a_call_that_failed_counts_too() -> None:
    meter = metered(ScriptedTools("A", fail))
    meter.chat(ASK)
    with pytest.raises(TransientFailure):
        meter.chat(ASK)
    assert meter.failed("busy") == Errored("busy", None)


def test_a_call_bears_the_evaluators_name_unless_it_has_another_purpose() -> None:
    tools = ScriptedTools("A")
    metered(tools).chat(ASK)
    metered(tools).chat(ChatRequest("", "up/m", (), purpose="claims"))
    assert [asked.purpose for asked in tools.asked] == ["polite", "claims"]
