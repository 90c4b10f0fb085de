"""Hedged calls from end to end: connections, records and money."""

import logging
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.unit.gateway.resilience_stage import ROLE, Waits, asked, change, link, refuses, says, serve, streams
from zirkel.core import Hedge, Resilience
from zirkel.gateway import SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

HEDGED = Resilience(retries=0, hedge=Hedge(minimum_s=0.02, at_most=1.0))
LATE = SnapshotTarget("stub", "late", weight=1e9)
OTHER = SnapshotTarget("stub", "other", weight=1e-9)


def _learn(stage: "Stage", *, stream: bool = False) -> None:
    """Let ``late`` be known for quick answers."""
    serve(stage, link("late"), resilience=HEDGED)
    for _ in range(20):
        assert stage.ask_service(stream=stream).status == 200
    stage.sink.payloads.clear()
    stage.upstream.requests.clear()
    serve(stage, link(LATE, OTHER), resilience=HEDGED)


def test_the_faster_one_answers_and_the_others_connection_is_closed(stage: "Stage") -> None:
    _learn(stage)
    waiting = stage.upstream.handlers["late"] = Waits()
    reply = stage.ask_service()

    assert (reply.status, reply.headers["x-zirkel-model"], reply.headers["x-zirkel-attempts"]) == (
        200,
        "stub/other",
        "2",
    )
    waiting.wait_until_left(1)
    call, lost, hedge = stage.only_call()
    assert (lost.attempt_reason, lost.status, lost.error_type) == ("first", "error", "hedge_lost")
    assert (hedge.attempt_reason, hedge.status, hedge.provider) == ("hedge", "ok", "stub")
    assert call.status == "ok"


def test_both_are_settled_and_what_the_caller_is_told_is_their_sum(stage: "Stage") -> None:
    _learn(stage)
    change(stage, "releases", chain=[link(_priced(LATE), _priced(OTHER))])
    stage.upstream.handlers["late"] = Waits()
    reply = stage.ask_service()

    _, lost, hedge = stage.only_call()
    assert (lost.settlement, hedge.settlement) == ("counted", "reported")
    assert lost.usage.is_estimated
    assert lost.usage.output_tokens == 0
    assert lost.cost_usd is not None
    assert hedge.cost_usd is not None
    assert Decimal(reply.headers["x-zirkel-cost-usd"]) == lost.cost_usd + hedge.cost_usd


def _priced(target: SnapshotTarget) -> SnapshotTarget:
    from tests.unit.gateway.conftest import PRICE  # noqa: PLC0415 (pytest imports it under another name)

    return SnapshotTarget(target.upstream, target.model, prices=[PRICE], weight=target.weight)


def test_a_late_stream_is_hedged_until_its_first_token(stage: "Stage") -> None:
    _learn(stage, stream=True)
    stage.upstream.handlers["late"] = streams(ROLE, b": still thinking\n\n", None)
    reply = stage.ask_service(stream=True)

    assert (reply.text, reply.events[-1]) == ("Hello wörld", b"[DONE]")
    assert stage.upstream.was_left.wait(10)
    assert [(span.attempt_reason, span.error_type) for span in stage.only_call()[1:]] == [
        ("first", "hedge_lost"),
        ("hedge", ""),
    ]


def test_a_stream_that_has_begun_is_not_hedged(stage: "Stage") -> None:
    _learn(stage, stream=True)
    finish = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    stage.upstream.handlers["late"] = streams(says("a"), *[b": slow\n\n"] * 10, says("b"), finish)

    assert b'"b"' in stage.ask_service(stream=True).body
    assert asked(stage) == ["late"]


def test_if_both_fail_the_next_link_is_tried(stage: "Stage", caplog: pytest.LogCaptureFixture) -> None:
    _learn(stage)
    waiting = Waits(then=500)
    stage.upstream.handlers["late"] = waiting
    stage.upstream.handlers["other"] = refuses(503)
    serve(stage, link(LATE, OTHER), link("good"), resilience=HEDGED)
    waiting.let_go()
    with caplog.at_level(logging.WARNING):
        assert stage.ask_service().headers["x-zirkel-model"] == "stub/good"
    assert caplog.records == []


def test_a_client_that_leaves_cancels_both(stage: "Stage") -> None:
    _learn(stage)
    waiting = stage.upstream.handlers["late"] = stage.upstream.handlers["other"] = Waits()
    with stage.open_call({"authorization": "Bearer call-key"}, is_stream=False):
        waiting.wait_until_asked(2)
    waiting.wait_until_left(2)
    waiting.wait_until(lambda: bool(stage.sink.payloads))

    call, first, hedge = stage.only_call()
    assert [span.error_type for span in (call, first, hedge)] == ["client_disconnected"] * 3
    assert [first.attempt_reason, hedge.attempt_reason] == ["first", "hedge"]
