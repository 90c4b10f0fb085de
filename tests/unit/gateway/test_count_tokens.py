"""``POST /v1/messages/count_tokens``: asked of an upstream that counts, else counted here; free either way."""

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from zirkel.core import Budget, Json, Limits, SpanKind
from zirkel.gateway import SnapshotKey, SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Reply, Stage

PATH = "/v1/messages/count_tokens"
BODY: dict[str, Json] = {"messages": [{"role": "user", "content": "one two three"}], "system": "Be brief."}


def _count(stage: "Stage", model: str, **members: Json) -> "Reply":
    return stage.send("POST", PATH, json.dumps(BODY | {"model": model} | members).encode())


def _limit(stage: "Stage", limits: Limits, *targets: SnapshotTarget) -> None:
    keys: dict[str, SnapshotKey] = {
        secret: msgspec.structs.replace(key, limits=limits) for secret, key in stage.source.snapshot.keys.items()
    }
    stage.configure(*targets, keys=keys)


def test_an_upstream_that_counts_is_asked_and_its_answer_is_free(stage: "Stage") -> None:
    _limit(stage, Limits(budget=[Budget(window="day", hard_usd="0.000001")]))
    reply = _count(stage, "anthropic/unpriced")

    (asked,) = stage.upstream.providers.asked
    assert (reply.status, json.loads(reply.body)) == (200, {"input_tokens": 123})
    assert asked.path == "/anthropic/v1/messages/count_tokens"
    assert asked.json == BODY | {"model": "unpriced"}
    call, attempt = stage.only_call()
    assert (call.name, attempt.settlement, str(attempt.cost_usd)) == (
        "count_tokens chat anthropic/unpriced",
        "free",
        "0",
    )
    assert (attempt.kind, attempt.operation, attempt.parent_span_id) == (SpanKind.SPAN, "count_tokens", call.span_id)


@pytest.mark.parametrize("model", ["stub/good", "gemini/good", "bedrock/good", "uncounted/good"])
def test_other_upstreams_are_not_asked(stage: "Stage", model: str) -> None:
    reply = _count(stage, model)

    # 3 + 2 words and a full stop, two roles, and what a chat is framed with.
    assert (reply.status, 9 <= json.loads(reply.body)["input_tokens"] <= 20) == (200, True)
    assert (stage.upstream.requests, stage.upstream.providers.asked) == ([], [])
    (call,) = stage.only_call()
    assert (call.status, call.name) == ("ok", f"count_tokens chat {model}")


def test_tools_count(stage: "Stage") -> None:
    tool: Json = {"name": "weather", "description": "Tells the weather.", "input_schema": {"type": "object"}}
    plain, with_tool = (json.loads(_count(stage, "stub/good", **extra).body) for extra in ({}, {"tools": [tool]}))

    assert with_tool["input_tokens"] > plain["input_tokens"] + 10


@pytest.mark.parametrize("upstream", ["stub", "anthropic"])
def test_of_a_service_its_prompt_is_counted_and_it_is_no_call_of_the_service(stage: "Stage", upstream: str) -> None:
    stage.configure(SnapshotTarget(upstream, "good", msgspec.Raw(b'{"temperature": 0, "max_tokens": 7}')))
    reply = _count(stage, "service:triage")

    assert reply.status == 200
    call = stage.only_call()[0]
    assert (call.service, call.name) == ("", "count_tokens service:triage")
    if upstream == "anthropic":
        (asked,) = stage.upstream.providers.asked
        assert set(asked.json) == {"model", "messages", "system"}
        assert "Sort this: one two three" in json.dumps(asked.json)
    else:
        assert json.loads(reply.body)["input_tokens"] > 15


def test_a_refusal_of_the_upstream_is_passed_on(stage: "Stage") -> None:
    reply = _count(stage, "anthropic/http-400")

    assert (reply.status, json.loads(reply.body)["error"]["message"]) == (400, "no [credential]; too odd")


def test_a_model_that_is_not_on_the_list_is_not_counted_for(stage: "Stage") -> None:
    _limit(stage, Limits(models=["stub/*"]))
    reply = _count(stage, "anthropic/good")

    assert (reply.status, json.loads(reply.body)["error"]["type"]) == (403, "permission_error")


def test_a_malformed_body_is_a_400_in_the_callers_shape(stage: "Stage") -> None:
    reply = stage.send("POST", PATH, b'{"model": "stub/good", "messages": 3}')

    assert (reply.status, json.loads(reply.body)["type"]) == (400, "error")


def test_requests_per_minute_count_what_an_upstream_is_asked(stage: "Stage") -> None:
    _limit(stage, Limits(requests_per_minute=1))

    assert [_count(stage, "anthropic/good").status for _ in range(2)] == [200, 429]
