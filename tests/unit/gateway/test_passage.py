"""Requests that are passed through to an upstream as they are."""

import http.client
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiohttp import web

from tests.unit.gateway import provider_stubs as stubs
from zirkel.core import Budget, Json, Limits, Usage
from zirkel.gateway import ModelPrice, PriceTier, SnapshotKey, read_usage

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Reply, Stage
    from tests.unit.gateway.provider_stubs import Asked

SECRET = b"sk-upstream-secret"
BODY = b'{"model": "good",  "messages": [{"role": "user", "content": "Hi"}], "odd": 1.0e0}'
TIERS = [PriceTier(0, "3")]
PRICE = ModelPrice(TIERS, TIERS, output=TIERS, reasoning=TIERS, digest="p" * 64)


def _pass(stage: "Stage", path: str, body: bytes = BODY, *, method: str = "POST", **headers: str) -> "Reply":
    return stage.send(method, f"/providers/{path}", body, **headers)


def _asked(stage: "Stage") -> "Asked":
    return stage.upstream.providers.asked[-1]


def _limit(stage: "Stage", limits: Limits) -> None:
    keys: dict[str, SnapshotKey] = {
        secret: msgspec.structs.replace(key, limits=limits) for secret, key in stage.source.snapshot.keys.items()
    }
    stage.configure(keys=keys)


def test_the_request_is_passed_on_byte_for_byte_with_the_upstreams_credential(stage: "Stage") -> None:
    reply = _pass(stage, "anthropic/v1/messages?beta=true", anthropic_beta="b1", x_secret="mine")

    sent = _asked(stage)
    assert (reply.status, sent.method, sent.path, sent.body) == (200, "POST", "/anthropic/v1/messages?beta=true", BODY)
    assert sent.headers["x-api-key"] == "sk-upstream-secret-0123456789"
    assert sent.headers["anthropic-beta"] == "b1"
    assert "call-key" not in json.dumps(sent.headers)
    assert "x-secret" not in sent.headers
    assert "zirkel" in sent.headers["user-agent"]


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("anthropic/v1/messages", "good"),
        ("gemini/models/good:generateContent", "good"),
        ("gemini/models/good:streamGenerateContent?alt=sse", "good"),
        ("bedrock/model/good/converse", "good"),
        ("bedrock/model/good/converse-stream", "good"),
        ("stub/responses", "good"),
    ],
)
def test_what_it_used_is_read_and_priced_in_every_format(stage: "Stage", path: str, model: str) -> None:
    stage.configure(prices={f"p1/{path.partition('/')[0]}/good": [PRICE]})
    reply = _pass(stage, path)

    call, attempt = stage.only_call()
    total = (attempt.usage.output_tokens or 0) + (attempt.usage.reasoning_tokens or 0)
    assert reply.status == 200
    assert (attempt.usage.input_tokens, attempt.usage.cache_read_tokens, total) == (30, 12, 17)
    assert (attempt.settlement, attempt.request_model, attempt.attempt_reason) == ("reported", model, "first")
    assert attempt.cost_usd is not None
    assert attempt.reserved_usd is not None
    assert attempt.cost_usd <= attempt.reserved_usd
    assert (call.name, attempt.parent_span_id) == (f"passage {path.partition('/')[0]}", call.span_id)
    assert _asked(stage).headers["traceparent"].endswith(f"-{attempt.span_id}-01")


def test_geminis_stream_as_one_array_is_read_too(stage: "Stage") -> None:
    async def own(request: web.Request, asked: "Asked") -> web.StreamResponse:
        parts = [stubs.gemini_answer(text="Hel", is_last=False), stubs.gemini_answer(text="lo")]
        return web.json_response(parts)

    stage.upstream.providers.own[":streamGenerateContent"] = own
    _pass(stage, "gemini/models/good:streamGenerateContent")

    attempt = stage.only_call()[1]
    assert attempt.settlement == "reported"
    assert json.loads(attempt.output)["content"] == "Hello"


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_is_passed_back_byte_for_byte(stage: "Stage", stream: bool) -> None:
    whole = json.dumps(stubs.anthropic_answer(), indent=3).encode()
    parts = [b": hi\n\n", *stubs.anthropic_events(), b"data: half of an ev"]

    async def own(request: web.Request, asked: "Asked") -> web.StreamResponse:
        if stream:
            return await stubs.stream(request, parts)
        return web.Response(body=whole, content_type="application/json", headers={"request-id": "r1", "x-own": "1"})

    stage.upstream.providers.own["/messages"] = own
    reply = _pass(stage, "anthropic/v1/messages")

    assert reply.body == (b"".join(parts) if stream else whole)
    if not stream:
        assert (reply.headers["request-id"], "x-own" in reply.headers) == ("r1", False)
    assert len(reply.headers["x-zirkel-trace-id"]) == 32


@pytest.mark.parametrize(
    "path",
    ["anthropic/v1/messages/count_tokens", "gemini/models/good:countTokens", "stub/responses/input_tokens"],
)
def test_counting_tokens_is_free(stage: "Stage", path: str) -> None:
    _limit(stage, Limits(budget=[Budget(window="day", hard_usd="1")]))
    reply = _pass(stage, path)

    attempt = stage.only_call()[1]
    assert reply.status == 200
    assert (attempt.settlement, attempt.usage, str(attempt.cost_usd)) == ("free", Usage(), "0")


def test_looking_at_what_is_there_is_free_even_where_a_hard_budget_must_be_kept(stage: "Stage") -> None:
    _limit(stage, Limits(budget=[Budget(window="day", hard_usd="1")]))
    reply = _pass(stage, "stub/responses/resp_1", b"", method="GET")

    assert (reply.status, _asked(stage).method, _asked(stage).body) == (200, "GET", b"")
    assert stage.only_call()[1].settlement == "free"


def test_what_cannot_be_priced_keeps_its_reservation_and_is_unknown(stage: "Stage") -> None:
    _limit(stage, Limits(budget=[Budget(window="day", hard_usd="1")]))
    reply = _pass(stage, "stub/images/generations", b'{"model": "good", "prompt": "x"}')

    attempt = stage.only_call()[1]
    usage = read_usage(stage.gateway._world.limits, "p1/key/k-call", stage.clock.now_ns())
    assert reply.status == 200
    assert (attempt.settlement, attempt.cost_usd) == ("reserved", None)
    assert usage.windows["day"].held_usd == 0
    assert usage.windows["day"].spent_usd == attempt.reserved_usd
    assert usage.tokens_last_minute > 0


def test_a_request_of_a_model_without_a_price_is_refused_under_a_hard_budget(stage: "Stage") -> None:
    _limit(stage, Limits(budget=[Budget(window="day", hard_usd="1")]))
    reply = _pass(stage, "anthropic/v1/messages", b'{"model": "unpriced"}')

    assert (reply.status, json.loads(reply.body)["type"]) == (402, "error")
    assert stage.upstream.providers.asked == []


@pytest.mark.parametrize("path", ["anthropic/v1/messages", "gemini/models/good:generateContent", "stub/files"])
def test_a_refusal_is_passed_back_as_it_is_but_for_the_credential(stage: "Stage", path: str) -> None:
    reply = _pass(stage, path, b'{"model": "http-429"}')

    assert reply.status == 429
    assert b"no [credential]; too odd" in reply.body
    assert SECRET not in reply.body + stage.sink.payloads[0]
    call, attempt = stage.only_call()
    assert (call.error_type, attempt.error_type, attempt.settlement) == ("http_429", "http_429", "free")
    assert "too odd" in attempt.status_message


@pytest.mark.parametrize(
    "path",
    ["nowhere/v1/messages", "anthropic/../secret", "anthropic/%2e%2e/secret", "anthropic/a%2Fb", "%61nthropic/x"],
)
def test_a_path_that_leads_elsewhere_is_refused(stage: "Stage", path: str) -> None:
    reply = _pass(stage, path)

    assert reply.status in (400, 404)
    assert stage.upstream.providers.asked == []


def test_escapes_of_a_path_are_passed_on_as_they_are(stage: "Stage") -> None:
    reply = _pass(stage, "bedrock/model/eu.claude%3A0/converse")

    assert (reply.status, _asked(stage).path) == (200, "/bedrock/model/eu.claude%3A0/converse")


def test_an_upstream_that_cannot_be_reached_is_a_502_and_free(stage: "Stage") -> None:
    reply = _pass(stage, "dead/chat/completions")

    call, attempt = stage.only_call()
    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    assert b"127.0.0.1" not in reply.body
    assert (call.error_type, attempt.error_type, attempt.settlement) == ("upstream_failed", "connect", "free")


def test_an_answer_that_breaks_midway_is_broken_for_the_caller_too_and_counted(stage: "Stage") -> None:
    async def own(request: web.Request, asked: "Asked") -> web.StreamResponse:
        response = await stubs.stream(request, stubs.anthropic_events()[:4])
        assert request.transport is not None
        request.transport.close()
        return response

    stage.upstream.providers.own["/messages"] = own
    with pytest.raises(http.client.IncompleteRead):
        _pass(stage, "anthropic/v1/messages")

    call, attempt = stage.only_call()
    assert (call.status, attempt.error_type, attempt.settlement) == ("error", "broken", "counted")
    assert json.loads(attempt.output)["content"] == "Hello "


@pytest.mark.parametrize("key", ["read-key", "nobody", "old-key"])
def test_only_a_key_that_may_call_passes(stage: "Stage", key: str) -> None:
    reply = stage.send("POST", "/providers/stub/chat/completions", BODY, key=key)

    assert reply.status in (401, 403)
    assert stage.upstream.requests == []


def test_a_model_that_is_not_on_the_list_is_not_passed_on(stage: "Stage") -> None:
    _limit(stage, Limits(models=["openai/*"]))
    reply = _pass(stage, "stub/chat/completions")

    assert (reply.status, reply.error["code"]) == (403, "forbidden")


def test_a_body_that_is_no_json_is_passed_on_and_not_recorded(stage: "Stage") -> None:
    form: Json = "--x\r\ncontent-disposition: form-data; name=file\r\n\r\nRIFF\r\n--x--\r\n"
    reply = _pass(
        stage, "stub/audio/transcriptions", str(form).encode(), content_type="multipart/form-data; boundary=x"
    )

    assert reply.status == 200
    assert _asked(stage).headers["content-type"] == "multipart/form-data; boundary=x"
    assert "RIFF" not in stage.only_call()[1].input
