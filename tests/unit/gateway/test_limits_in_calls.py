"""Limits and budgets as callers and operators meet them."""

import json
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from zirkel.core import Budget, Json, KeyPolicy, Limits, Resilience
from zirkel.gateway import (
    ModelPrice,
    PriceTier,
    SnapshotLink,
    SnapshotModel,
    SnapshotProject,
    SnapshotTarget,
    read_usage,
)

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Reply, Stage

MESSAGES: Json = [{"role": "user", "content": "Hi"}]
PLAIN = Resilience(retries=0)
CALL = {"authorization": "Bearer call-key"}
TIERS = [PriceTier(0, "1000000")]
DEAR = ModelPrice(TIERS, TIERS, output=TIERS, reasoning=TIERS, digest="d" * 64)
"""One USD per token."""


def _project(**fields: object) -> SnapshotProject:
    return msgspec.structs.replace(SnapshotProject(resilience=PLAIN), **fields)


def _limit_key(stage: "Stage", limits: Limits, **fields: object) -> None:
    keys = {
        secret: msgspec.structs.replace(key, limits=limits, **fields)
        for secret, key in stage.source.snapshot.keys.items()
    }
    stage.configure(keys=keys)


def _ask(stage: "Stage", model: str = "stub/good", **members: Json) -> "Reply":
    return stage.ask({"model": model, "messages": MESSAGES} | members)


def _limit_user(stage: "Stage", limits: Limits) -> None:
    stage.configure(project=_project(users={"*": limits}))


def _limit_service(stage: "Stage", limits: Limits) -> None:
    stage.configure(project=_project(services={"triage": limits}))


def _limit_project(stage: "Stage", limits: Limits) -> None:
    stage.configure(project=_project(limits=limits))


SUBJECTS: dict[str, Callable[["Stage", Limits], None]] = {
    "key": _limit_key,
    "user": _limit_user,
    "service": _limit_service,
    "project": _limit_project,
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_hard_budget_of_any_subject_refuses_what_could_pass_it(stage: "Stage", subject: str) -> None:
    SUBJECTS[subject](stage, Limits(budget=[Budget(window="day", hard_usd="0.0001")]))
    body: Json = {"model": "service:triage", "messages": MESSAGES, "user": "ann"}
    reply = stage.ask(body)

    assert (reply.status, reply.error["code"]) == (402, "budget_exhausted")
    assert reply.headers["x-zirkel-limit"] == f"{subject}.budget.day"
    assert int(reply.headers["retry-after"]) > 0
    assert stage.upstream.requests == []
    call = stage.only_call()[0]
    assert (call.status, call.error_type, call.service) == ("error", "budget_exhausted", "triage")


def test_a_budget_is_charged_what_a_call_cost_and_lets_go_of_what_it_had_reserved(stage: "Stage") -> None:
    _limit_key(stage, Limits(budget=[Budget(window="day", hard_usd="0.30")]))
    replies = [_ask(stage, max_tokens=10).status for _ in range(3)]

    usage = read_usage(stage.gateway._world.limits, "p1/key/k-call", stage.clock.now_ns())
    costs = [attempt.cost_usd for _, attempt in stage.sink.calls()]
    assert replies == [200, 200, 200]
    assert usage.windows["day"].held_usd == 0
    assert usage.windows["day"].spent_usd == sum(cost for cost in costs if cost is not None)


def test_a_model_without_a_price_is_refused_where_a_hard_budget_must_be_kept(stage: "Stage") -> None:
    _limit_project(stage, Limits(budget=[Budget(window="month", hard_usd="100")]))
    reply = _ask(stage, "stub/unpriced")

    assert (reply.status, reply.error["code"]) == (402, "budget_exhausted")
    assert "stub/unpriced" in reply.error["message"]
    assert "set a price" in reply.error["message"]


def test_requests_per_minute_are_refused_with_the_time_to_come_back(stage: "Stage") -> None:
    _limit_key(stage, Limits(requests_per_minute=2))
    replies = [_ask(stage) for _ in range(3)]

    assert [reply.status for reply in replies] == [200, 200, 429]
    assert (replies[2].error["code"], replies[2].error["type"]) == ("rate_limited", "rate_limit_error")
    assert replies[2].headers["x-zirkel-limit"] == "key.requests_per_minute"
    assert 1 <= int(replies[2].headers["retry-after"]) <= 66
    stage.clock.ahead_ns = 66 * 10**9
    assert _ask(stage).status == 200


def test_tokens_per_minute_count_what_was_used_and_not_what_was_reserved(stage: "Stage") -> None:
    _limit_key(stage, Limits(tokens_per_minute=700))
    replies = [_ask(stage, max_tokens=300).status for _ in range(4)]
    refused = _ask(stage, max_tokens=600)

    # Each uses 59 of the 300 and more that are reserved for it.
    assert replies == [200, 200, 200, 200]
    assert (refused.status, refused.headers["x-zirkel-limit"]) == (429, "key.tokens_per_minute")


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_a_limits_refusal_is_told_in_the_callers_shape(stage: "Stage", path: str) -> None:
    _limit_key(stage, Limits(requests_per_minute=0))
    members: dict[str, Json] = {"model": "stub/good", "messages": MESSAGES, "max_tokens": 9, "input": "Hi"}
    reply = stage.send("POST", path, json.dumps(members).encode())

    found = json.loads(reply.body)
    assert (reply.status, reply.headers["x-zirkel-limit"]) == (429, "key.requests_per_minute")
    assert "retry-after" in reply.headers
    assert found["error"]["type"] == "rate_limit_error"
    assert found.get("type") == ("error" if path == "/v1/messages" else None)


def test_the_place_of_a_call_is_freed_when_its_client_leaves(stage: "Stage") -> None:
    _limit_key(stage, Limits(concurrency=1))
    snapshot = stage.source.snapshot
    stage.configure(SnapshotTarget("stub", "gated"), keys=snapshot.keys)
    with stage.open_call(CALL):
        assert stage.upstream.is_waiting.wait(10)
        busy = _ask(stage)
    assert stage.upstream.was_left.wait(10)
    assert stage.sink.is_asked.wait(10)
    stage.upstream.may_go_on.set()
    _until_free(stage)

    assert (busy.status, busy.headers["x-zirkel-limit"]) == (429, "key.concurrency")
    assert _ask(stage).status == 200


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_model_that_is_not_on_the_list_is_forbidden(stage: "Stage", subject: str) -> None:
    SUBJECTS[subject](stage, Limits(models=["service:other", "openai/*"]))
    reply = stage.ask({"model": "service:triage", "messages": MESSAGES, "user": "ann"})

    assert (reply.status, reply.error["code"], reply.error["param"]) == (403, "forbidden", "model")
    assert "openai/*" in reply.error["message"]


def test_a_list_of_models_may_have_patterns(stage: "Stage") -> None:
    _limit_key(stage, Limits(models=["stub/g*"]))

    assert [_ask(stage, model).status for model in ("stub/good", "stub/other")] == [200, 403]


def test_a_soft_budget_warns_its_caller_once_and_tells_the_operator(
    stage: "Stage", caplog: pytest.LogCaptureFixture
) -> None:
    _limit_key(stage, Limits(budget=[Budget(window="month", soft_usd="0.0001")]))
    with caplog.at_level(logging.WARNING, logger="zirkel.gateway"):
        first, second = _ask(stage), _ask(stage)

    assert first.headers["x-zirkel-budget-warning"] == "key.budget.month"
    assert "x-zirkel-budget-warning" not in second.headers
    (passed, _), (later, _) = stage.sink.calls()
    (event,) = passed.events
    assert event.name == "zirkel.budget.soft_passed"
    told = {name: json.loads(value) for name, value in event.attributes.items()}
    assert (told["subject"], told["label"], told["window"], told["soft_usd"]) == ("key", "call", "month", "0.0001")
    assert float(told["total_usd"]) > 0.0001
    assert later.events == []
    assert "key.budget.month of 'call'" in caplog.text


def test_a_fallback_that_the_budget_does_not_allow_is_refused_and_the_first_attempt_is_settled(stage: "Stage") -> None:
    chain = [
        SnapshotLink([SnapshotTarget("stub", "http-500", prices=[])]),
        SnapshotLink([SnapshotTarget("stub", "dear")]),
    ]
    _limit_key(stage, Limits(budget=[Budget(window="day", hard_usd="200")]))
    stage.configure(
        keys=stage.source.snapshot.keys,
        models={"p1/best": SnapshotModel("best", chain)},
        prices={"p1/stub/dear": [DEAR], "p1/stub/http-500": stage.source.snapshot.prices["p1/stub/good"]},
    )
    reply = _ask(stage, "best", max_tokens=500)

    _, attempt = stage.only_call()
    usage = read_usage(stage.gateway._world.limits, "p1/key/k-call", stage.clock.now_ns())
    assert reply.status == 402
    assert attempt.settlement == "free"
    assert usage.windows["day"].held_usd == usage.windows["day"].spent_usd == 0


def test_a_keys_own_user_is_charged_whomever_the_call_names(stage: "Stage") -> None:
    limits = Limits(requests_per_minute=1)
    _limit_key(stage, Limits(), user="bob")
    stage.configure(keys=stage.source.snapshot.keys, project=_project(users={"bob": limits}))

    assert [_ask(stage, user=user).status for user in ("ann", "eve")] == [200, 429]


def test_a_policy_without_limits_counts_nothing(stage: "Stage") -> None:
    assert KeyPolicy().limits == Limits()
    _ask(stage)

    usage = read_usage(stage.gateway._world.limits, "p1/key/k-call", stage.clock.now_ns())
    assert (usage.requests_last_minute, usage.running) == (0, 0)


def _until_free(stage: "Stage") -> None:
    pause = threading.Event()
    for _ in range(1000):
        if not read_usage(stage.gateway._world.limits, "p1/key/k-call", stage.clock.now_ns()).running:
            return
        pause.wait(0.01)
    raise AssertionError("the place was never freed")
