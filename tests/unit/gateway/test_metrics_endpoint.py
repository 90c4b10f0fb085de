"""``/metrics`` and ``/healthz``: who may look, and that what happened is counted."""

import json
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import pytest

from zirkel.core import Budget, CachePolicy, FallbackReason, Hedge, Json, Limits, Overloaded, Resilience
from zirkel.gateway import SnapshotKey, SnapshotLink, SnapshotRelease, SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

CALL = {"authorization": "Bearer call-key"}


def _value(stage: "Stage", name: str, **labels: str) -> float:
    """Return a metric as ``/metrics`` tells it: the sum over all its label sets that have ``labels``."""
    stage.gateway._exchanges.metrics.dump(stage.clock.now_ns())
    text = stage.send("GET", "/metrics", key="read-key").body.decode()
    total = 0.0
    for line in text.splitlines():
        found = re.fullmatch(r"zirkel_gateway_(\w+)(?:\{(.*)\})? (\S+)", line)
        if found is None or found[1] != name:
            continue
        told = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
        if all(told.get(label) == value for label, value in labels.items()):
            total += float(found[3])
    return total


def _release(stage: "Stage", **fields: object) -> None:
    releases: dict[str, SnapshotRelease] = {
        name: msgspec.structs.replace(release, **fields) for name, release in stage.source.snapshot.releases.items()
    }
    stage.source.snapshot = msgspec.structs.replace(stage.source.snapshot, releases=releases)


def _chain(*models: str, on: tuple[FallbackReason, ...] = ("failure",)) -> list[SnapshotLink]:
    return [SnapshotLink([SnapshotTarget("stub", model)], on) for model in models]


@pytest.mark.parametrize(("key", "status"), [("read-key", 200), ("admin-key", 200), ("call-key", 403), ("", 401)])
def test_metrics_are_for_keys_that_may_read(stage: "Stage", key: str, status: int) -> None:
    assert stage.send("GET", "/metrics", key=key).status == status


def test_health_is_open_and_tells_nothing_of_people(stage: "Stage") -> None:
    reply = stage.send("GET", "/healthz", key="")

    assert reply.status == 200
    assert set(json.loads(reply.body)) == {"status", "worker", "snapshot_version", "calls", "records_lost"}


def test_health_says_if_there_is_no_configuration(stage: "Stage") -> None:
    stage.source.is_missing = True
    reply = stage.send("GET", "/healthz", key="")

    assert (reply.status, reply.headers["retry-after"]) == (503, "1")


def test_calls_and_what_they_cost_are_counted_by_service(stage: "Stage") -> None:
    stage.ask_service()
    stage.ask_service(stream=True)
    stage.ask({"model": "stub/http-422", "messages": []})

    good = {"project": "p1", "service_or_model": "service:triage", "status_class": "2xx", "error_type": ""}
    assert _value(stage, "calls_total", **good) == 2
    assert _value(stage, "calls_total", status_class="4xx", error_type="http_422", service_or_model="") == 1
    assert _value(stage, "cost_usd_total", service_or_model="service:triage") == pytest.approx(2 * 0.00026)
    assert _value(stage, "call_duration_seconds_count", service_or_model="service:triage") == 2
    assert _value(stage, "time_to_first_token_seconds_count", service_or_model="service:triage") == 1
    assert _value(stage, "time_per_output_token_seconds_count", service_or_model="service:triage") == 1
    assert _value(stage, "tokens_total", model="stub/good", bucket="cache_read") == 24
    assert _value(stage, "attempts_total", model="http-422", outcome="http_422") == 1


def test_retries_and_fallbacks_are_counted(stage: "Stage") -> None:
    _release(stage, chain=_chain("http-500", "good"), resilience=Resilience(retries=2, backoff_s=0.001))
    stage.ask_service()

    assert _value(stage, "retries_total") == 2
    assert _value(stage, "fallbacks_total", reason="failure") == 1
    assert _value(stage, "attempts_total", reason="retry", outcome="http_500") == 2


def test_hedges_are_counted(stage: "Stage") -> None:
    pool = [SnapshotTarget("stub", "good"), SnapshotTarget("stand-in", "good")]
    policy = Resilience(retries=0, hedge=Hedge(minimum_s=0.0000001, percentile=0.01, at_most=1.0))
    _release(stage, chain=[SnapshotLink(pool)], resilience=policy)
    for _ in range(60):
        stage.ask_service()

    hedged = sum(len(call) == 3 for call in stage.sink.calls())
    assert hedged > 0
    assert _value(stage, "hedges_total") == hedged


def test_a_place_that_rests_is_told_until_it_may_be_asked_again(stage: "Stage") -> None:
    _release(stage, chain=_chain("http-500", "good"), resilience=Resilience(retries=0, failures=1, rest_s=30))
    stage.ask_service()
    stage.gateway._note_rests()
    resting = _value(stage, "resting", upstream="stub", model="http-500")
    stage.clock.ahead_ns = 31 * 10**9
    stage.gateway._note_rests()

    assert (resting, _value(stage, "resting")) == (1, 0)
    assert _value(stage, "cooldowns_total", upstream="stub", model="http-500") == 1


def test_cache_and_guardrails_are_counted(stage: "Stage") -> None:
    guard: Json = {"kind": "words", "name": "w", "stage": "output", "action": "flag", "words": ["wörld"]}
    _release(stage, cache=CachePolicy(ttl_s=60), guardrails=msgspec.Raw(msgspec.json.encode({"guardrail": [guard]})))
    for _ in range(3):
        stage.ask_service()

    assert (_value(stage, "cache_total", result="miss"), _value(stage, "cache_total", result="hit")) == (1, 2)
    assert _value(stage, "guardrail_verdicts_total", guardrail="w", action="flag") == 3


def test_refusals_and_soft_budgets_are_counted(stage: "Stage") -> None:
    limits = Limits(requests_per_minute=1, budget=[Budget(window="day", soft_usd="0.0000001")])
    keys: dict[str, SnapshotKey] = {
        secret: msgspec.structs.replace(key, limits=limits) for secret, key in stage.source.snapshot.keys.items()
    }
    stage.configure(keys=keys)
    for _ in range(3):
        stage.ask_service()

    assert _value(stage, "limit_refusals_total", limit="key.requests_per_minute") == 2
    assert _value(stage, "calls_total", status_class="4xx", error_type="rate_limited") == 2
    assert _value(stage, "budget_soft_passed_total") == 1


@pytest.mark.parametrize(("error", "refusals"), [(OSError("disk full"), 0), (Overloaded("the spool is full"), 1)])
def test_records_that_are_lost_are_counted_and_their_callers_answered(
    stage: "Stage", error: Exception, refusals: int
) -> None:
    stage.sink.error = error
    assert stage.ask_service().status == 200
    assert stage.ask_service(stream=True).text == "Hello wörld"

    assert _value(stage, "records_lost_total") == 2
    assert _value(stage, "spool_refusals_total") == 2 * refusals
    assert json.loads(stage.send("GET", "/healthz", key="").body)["records_lost"] == 2


def test_calls_in_flight_are_counted_and_back_to_none_at_the_end(stage: "Stage") -> None:
    stage.configure(SnapshotTarget("stub", "gated"))
    with stage.open_call(CALL):
        assert stage.upstream.is_waiting.wait(10)
        assert _value(stage, "in_flight") == 1
    assert stage.upstream.was_left.wait(10)
    stage.upstream.may_go_on.set()
    for ask in _every_way_to_end(stage):
        stage.send("POST", *ask)

    pause = threading.Event()
    for _ in range(500):
        if _value(stage, "in_flight") == 0:
            break
        pause.wait(0.01)
    assert _value(stage, "in_flight") == 0
    assert _value(stage, "calls_total", status_class="4xx", error_type="client_disconnected") == 1
    assert _value(stage, "calls_total") == 1 + len(_every_way_to_end(stage))


def _every_way_to_end(stage: "Stage") -> list[tuple[str, bytes]]:
    chat, messages = "/v1/chat/completions", "/v1/messages"
    asked: Mapping[str, Json] = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}

    def body(model: str, **more: Json) -> bytes:
        return json.dumps({"model": model, **asked, **more}).encode()

    failing = [(chat, body(f"stub/http-{status}")) for status in (422, 500)]
    counting = [("/v1/messages/count_tokens", body(model)) for model in ("anthropic/good", "stub/good")]
    passages = [
        ("/providers/stub/chat/completions", body("good")),
        ("/providers/none/x", b""),
        ("/providers/stub/f", b"x"),
    ]
    streams = [(chat, body(f"stub/{model}", stream=True)) for model in ("good", "breaks-midway")]
    refused = [(chat, body("service:none")), (chat, b"{")]
    return [
        (chat, body("stub/good")),
        (messages, body("anthropic/good")),
        *failing,
        *counting,
        *passages,
        *streams,
        *refused,
    ]
