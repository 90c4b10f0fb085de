"""Which answers of an upstream are final, and which lead to the next target."""

from typing import TYPE_CHECKING

import pytest

from zirkel.gateway import SnapshotTarget, SnapshotUpstream

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

SECRET = "sk-upstream-secret"


@pytest.mark.parametrize(
    ("upstream", "model", "error_type"),
    [
        ("dead", "good", "connect"),
        ("nowhere", "good", "not_configured"),
        ("stub", "http-500", "http_500"),
        ("stub", "http-429", "http_429"),
        ("stub", "http-302", "http_302"),
        ("stub", "garbage", "not_an_answer"),
        ("stub", "hangs", "timeout"),
    ],
)
def test_a_failed_target_leads_to_the_next(stage: "Stage", upstream: str, model: str, error_type: str) -> None:
    stage.configure(_target(model, upstream), _target("good"))
    reply = stage.ask_service()

    assert (reply.status, reply.headers["x-zirkel-fallback"]) == (200, "1")
    call, failed, good = stage.only_call()
    assert (call.status, failed.status, failed.error_type, good.status) == ("ok", "error", error_type, "ok")
    assert (failed.attempt, good.attempt) == (0, 1)
    assert failed.span_id != good.span_id


def test_if_all_fail_each_reason_is_told_without_secrets(stage: "Stage") -> None:
    stage.configure(_target("http-500"), _target("good", "dead"), _target("http-429"))
    reply = stage.ask_service()

    assert (reply.status, reply.error["code"], reply.error["type"]) == (502, "upstream_failed", "upstream_error")
    for part in ("stub/http-500: HTTP 500", "dead/good: connection failed", "stub/http-429: HTTP 429"):
        assert part in reply.error["message"]
    assert "127.0.0.1" not in reply.error["message"]
    assert "x-zirkel-model" not in reply.headers
    assert [span.status for span in stage.only_call()] == ["error"] * 4
    assert SECRET.encode() not in reply.body + stage.sink.payloads[0]


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_the_callers_and_is_not_retried(stage: "Stage", stream: bool) -> None:
    stage.configure(_target("http-422"), _target("good"))
    reply = stage.ask_service(stream=stream)

    assert (reply.status, reply.headers["x-zirkel-fallback"]) == (422, "0")
    assert reply.error == {"message": "no [credential]"}
    assert len(stage.upstream.requests) == 1
    call, attempt = stage.only_call()
    assert (call.status, call.error_type, attempt.error_type) == ("error", "http_422", "http_422")
    assert SECRET.encode() not in stage.sink.payloads[0]


@pytest.mark.parametrize(
    ("address", "sealed", "error_type"),
    [
        ("http://127.0.0.1:1/v1", "tampered", "credential"),
        ("http://127.0.0.1:{port}/v1", "malformed", "malformed"),
        ("127.0.0.1:1/v1", "sealed", "malformed"),
        ("http://[/v1", "sealed", "malformed"),
    ],
)
def test_a_misconfigured_upstream_fails_its_attempt_only(
    stage: "Stage", address: str, sealed: str, error_type: str
) -> None:
    stage.configure(_target("good"), _target("good", "stand-in"))
    stage.source.snapshot.upstreams["p1/stub"] = SnapshotUpstream(
        "stub", address.format(port=stage.upstream.port), sealed
    )
    reply = stage.ask_service()

    assert (reply.status, reply.headers["x-zirkel-model"]) == (200, "stand-in/good")
    assert stage.only_call()[1].error_type == error_type
    assert SECRET.encode() not in stage.sink.payloads[0]


def test_a_kept_alive_connection_that_the_upstream_closes_is_replaced(stage: "Stage") -> None:
    stage.configure(_target("aborts-when-reused"))

    assert [stage.ask_service().status for _ in range(2)] == [200, 200]
    assert len(stage.upstream.requests) == 3
    assert [len(call) for call in stage.sink.calls()] == [2, 2]


def test_a_fresh_connection_that_breaks_is_not_tried_again(stage: "Stage") -> None:
    stage.configure(_target("aborts"))

    assert stage.ask_service().status == 502
    assert len(stage.upstream.requests) == 1
    assert stage.only_call()[1].error_type == "broken"


def _target(model: str, upstream: str = "stub") -> SnapshotTarget:
    return SnapshotTarget(upstream=upstream, model=model)
