"""Tries at the same place again: when, after which pause, and how often at most."""

from typing import TYPE_CHECKING

import pytest

from tests.unit.gateway.resilience_stage import add_upstream, asked, change, link, refuses, serve
from zirkel.core import Resilience
from zirkel.gateway import SnapshotModel, SnapshotProject, SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

QUICK = Resilience(retries=2, backoff_s=0.001, failures=0)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_that_passes_is_retried_and_each_try_is_recorded(stage: "Stage", status: int, stream: bool) -> None:
    stage.upstream.handlers["m"] = refuses(status, times=2)
    serve(stage, link("m"), link("good"), resilience=QUICK)
    reply = stage.ask_service(stream=stream)

    assert (reply.status, reply.headers["x-zirkel-attempts"], reply.headers["x-zirkel-fallback"]) == (200, "3", "0")
    call, *attempts = stage.only_call()
    assert [span.attempt_reason for span in attempts] == ["first", "retry", "retry"]
    assert [span.error_type for span in attempts] == [f"http_{status}", f"http_{status}", ""]
    assert {span.parent_span_id for span in attempts} == {call.span_id}
    assert len({span.span_id for span in attempts}) == 3


@pytest.mark.parametrize("status", [401, 402, 403, 501])
def test_a_failure_that_will_not_pass_leads_to_the_next_link_at_once(stage: "Stage", status: int) -> None:
    stage.upstream.handlers["m"] = refuses(status)
    serve(stage, link("m"), link("good"), resilience=QUICK)

    assert stage.ask_service().status == 200
    assert asked(stage) == ["m", "good"]


@pytest.mark.parametrize("headers", [{"retry_after": "1"}, {"retry_after_ms": "400", "retry_after": "60"}])
def test_what_the_upstream_asks_for_is_waited_for(stage: "Stage", headers: dict[str, str]) -> None:
    stage.upstream.handlers["m"] = refuses(429, times=1, **headers)
    serve(stage, link("m"), resilience=QUICK)

    assert stage.ask_service().status == 200
    _, refused, retry = stage.only_call()
    least_ns = int(headers.get("retry_after_ms", "1000")) * 1_000_000
    assert least_ns <= retry.start_ns - refused.end_ns < 10 * least_ns


def test_an_upstream_that_asks_for_too_long_a_pause_is_not_retried(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(429, retry_after="6")
    serve(stage, link("m"), link("good"), resilience=QUICK)

    assert stage.ask_service().headers["x-zirkel-fallback"] == "1"
    assert asked(stage) == ["m", "good"]


def test_if_nobody_answers_the_caller_is_told_when_to_come_back(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(429, retry_after="17")
    serve(stage, link("m"), resilience=QUICK)
    reply = stage.ask_service()

    assert (reply.status, reply.headers["retry-after"]) == (502, "17")


def test_a_pause_that_the_calls_time_does_not_allow_is_not_begun(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(429, retry_after="4")
    serve(stage, link("m"), link("good"), resilience=Resilience(retries=3, total_s=3.0))

    assert stage.ask_service().headers["x-zirkel-attempts"] == "2"


def test_each_place_of_a_pool_is_retried_for_its_own_failure(stage: "Stage") -> None:
    # Tried first for its weight; that the other's failure will not pass says nothing about it.
    stage.upstream.handlers["passing"] = refuses(503, times=1)
    stage.upstream.handlers["lasting"] = refuses(401)
    pool = link(SnapshotTarget("stub", "passing", weight=1e9), SnapshotTarget("stub", "lasting", weight=1e-9))
    serve(stage, pool, resilience=QUICK)

    assert stage.ask_service().status == 200
    assert asked(stage) == ["passing", "lasting", "passing"]
    assert [span.attempt_reason for span in stage.only_call()[1:]] == ["first", "pool", "retry"]


def test_in_a_total_outage_the_extra_requests_are_the_share_and_a_burst_of_ten(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(500)
    serve(stage, link("m"), resilience=Resilience(retries=3, retry_share=0.1, backoff_s=0.0, failures=0))
    for _ in range(80):
        assert stage.ask_service().status == 502

    extra = len(stage.upstream.requests) - 80
    assert 10 <= extra <= 10 + 0.1 * 80
    reasons = [span.attempt_reason for call in stage.sink.calls() for span in call[1:]]
    assert reasons.count("retry") == extra


def test_a_share_of_nothing_switches_retries_off(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(500)
    serve(stage, link("m"), resilience=Resilience(retries=3, retry_share=0.0))
    stage.ask_service()

    assert asked(stage) == ["m"]


def test_a_release_that_says_nothing_goes_by_its_project(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(500, times=1)
    stage.configure(project=SnapshotProject(resilience=QUICK))
    serve(stage, link("m"), resilience=None)

    assert stage.ask_service().headers["x-zirkel-attempts"] == "2"


def test_a_model_of_the_configuration_has_a_chain_and_rules_of_its_own(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(500, times=1)
    stage.upstream.handlers["sick"] = refuses(500)
    models = {
        "p1/steady": SnapshotModel("steady", [link("m")], QUICK),
        "p1/plain": SnapshotModel("plain", [link("sick"), link("good")]),
    }
    stage.configure(models=models)
    for name in ("steady", "plain"):
        assert stage.ask({"model": name, "messages": [{"role": "user", "content": "Hi"}]}).status == 200

    assert asked(stage) == ["m", "m", "sick", "good"]


def test_a_direct_call_is_retried_by_its_projects_rules(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(500, times=1)
    stage.configure(project=SnapshotProject(resilience=QUICK))

    assert stage.ask({"model": "stub/m", "messages": [{"role": "user", "content": "Hi"}]}).status == 200
    assert asked(stage) == ["m", "m"]


def test_a_place_that_cannot_be_reached_is_retried(stage: "Stage") -> None:
    add_upstream(stage, "gone", 1)
    serve(stage, link(SnapshotTarget("gone", "m")), link("good"), resilience=QUICK)

    assert stage.ask_service().headers["x-zirkel-attempts"] == "4"
    assert [span.error_type for span in stage.only_call()[1:]] == ["connect"] * 3 + [""]


def test_a_place_that_rests_by_now_is_not_retried(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(500)
    serve(stage, link("m"), link("good"), resilience=Resilience(retries=5, backoff_s=0.0, failures=2))

    assert stage.ask_service().headers["x-zirkel-attempts"] == "3"
    assert asked(stage) == ["m", "m", "good"]


def test_retries_can_be_switched_off(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = refuses(500, times=1)
    change(stage, "projects", resilience=Resilience(retries=0))
    serve(stage, link("m"), resilience=None)

    assert stage.ask_service().status == 502
