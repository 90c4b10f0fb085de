"""How long each part of a call may take, and how it is told apart which one was exceeded."""

import json
import socket
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from tests.unit.gateway.resilience_stage import (
    FINISH,
    PLAIN,
    ROLE,
    add_upstream,
    asked,
    link,
    raw_upstream,
    says,
    serve,
    streams,
    waits,
)
from zirkel.core import Resilience, Usage
from zirkel.gateway import SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
PINGS = [b": still here\n\n"] * 500


def test_a_connection_that_does_not_come_about_is_given_up_and_free(stage: "Stage") -> None:
    with socket.socket() as full:
        # With the queue of the listener full, the kernel leaves further connections unanswered.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = cast(tuple[str, int], full.getsockname())[1]
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
        add_upstream(stage, "full", port)
        serve(stage, link(SnapshotTarget("full", "m")), link("good"), resilience=Resilience(retries=0, connect_s=0.2))
        assert stage.ask_service().headers["x-zirkel-fallback"] == "1"
        for connection in waiting:
            connection.close()
    failed = stage.only_call()[1]
    assert (failed.error_type, failed.status_message) == ("connect", "connection timed out")
    assert (failed.settlement, failed.usage) == ("free", Usage())


def test_an_upstream_that_sends_the_head_and_then_nothing_is_given_up(stage: "Stage") -> None:
    with raw_upstream(HEAD, is_held=True) as port:
        add_upstream(stage, "raw", port)
        serve(stage, link(SnapshotTarget("raw", "m")), link("good"))
        assert stage.ask_service().headers["x-zirkel-fallback"] == "1"
    assert stage.only_call()[1].error_type == "timeout"


def test_a_silent_upstream_is_given_up(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = waits
    serve(stage, link("m"), link("good"))

    assert stage.ask_service().headers["x-zirkel-fallback"] == "1"
    assert stage.only_call()[1].error_type == "timeout"


@pytest.mark.parametrize(
    "opening",
    [[], [ROLE], [ROLE, *PINGS], [b'data: {"choices": [], "prompt_filter_results": []}\n\n', ROLE, *PINGS]],
    ids=["head", "role", "pings", "azure"],
)
def test_a_stream_without_a_token_in_time_falls_back_though_its_head_has_come(
    stage: "Stage", opening: list[bytes]
) -> None:
    stage.upstream.handlers["m"] = streams(*opening, None)
    serve(stage, link("m"), link("good"), resilience=Resilience(retries=0, first_token_s=0.2))
    reply = stage.ask_service(stream=True)

    assert (reply.text, reply.headers["x-zirkel-fallback"]) == ("Hello wörld", "1")
    failed = stage.only_call()[1]
    assert (failed.error_type, failed.status_message) == ("timeout_first_token", "timed out before its first token")


@pytest.mark.parametrize(
    ("setting", "parts"),
    [("first_token_s", (ROLE, 0.8, says("Hi"), FINISH)), ("between_tokens_s", (says("Hi"), 0.8, FINISH))],
)
def test_a_pause_that_is_allowed_may_be_longer_than_the_gateway_bears_silence(
    stage: "Stage", setting: str, parts: tuple[bytes | float, ...]
) -> None:
    # The stage gives up silent upstreams after half a second.
    stage.upstream.handlers["m"] = streams(*parts)
    serve(stage, link("m"), resilience=msgspec.structs.replace(PLAIN, **{setting: 5.0}))
    body = stage.ask_service(stream=True).body

    assert b"Hi" in body
    assert body.endswith(FINISH)


@pytest.mark.parametrize("rest", [[None], [*PINGS[:100], says("lo"), FINISH]], ids=["silence", "pings"])
@pytest.mark.parametrize("first_token_s", [None, 5.0])
def test_a_stream_that_pauses_too_long_between_two_tokens_ends_with_an_error(
    stage: "Stage", rest: list[bytes | None], first_token_s: float | None
) -> None:
    stage.upstream.handlers["m"] = streams(ROLE, says("Hel"), *rest)
    policy = Resilience(retries=0, between_tokens_s=0.2, first_token_s=first_token_s)
    serve(stage, link("m"), link("good"), resilience=policy)
    reply = stage.ask_service(stream=True)

    error = json.loads(reply.events[-1])["error"]
    assert (error["code"], error["message"]) == (
        "upstream_failed",
        "the upstream failed: timed out between two tokens",
    )
    call, attempt = stage.only_call()
    assert (call.error_type, attempt.error_type) == ("timeout_between_tokens",) * 2
    assert json.loads(call.output) == "Hel"


def test_a_stream_may_take_long_as_long_as_tokens_come(stage: "Stage") -> None:
    words = [says("a"), b": ping\n\n"] * 40
    stage.upstream.handlers["m"] = streams(ROLE, *words, FINISH)
    serve(stage, link("m"), resilience=Resilience(retries=0, between_tokens_s=0.3, first_token_s=0.3))

    assert stage.ask_service(stream=True).text == "a" * 40


def test_the_calls_time_is_that_of_all_tries_together(stage: "Stage") -> None:
    stage.upstream.handlers["slow"] = waits
    serve(stage, link("slow"), link("good"), resilience=Resilience(retries=3, total_s=0.3))
    reply = stage.ask_service()

    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    assert "stub/slow: timed out: the call's time was up" in reply.error["message"]
    assert asked(stage) == ["slow"]
    assert [span.error_type for span in stage.only_call()[1:]] == ["timeout_total"]


def test_a_stream_under_way_ends_with_the_calls_time(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = streams(ROLE, *[says("a")] * 1000)
    serve(stage, link("m"), resilience=Resilience(retries=0, total_s=1.0))
    reply = stage.ask_service(stream=True)

    assert "the call's time was up" in json.loads(reply.events[-1])["error"]["message"]
    assert b"[DONE]" not in reply.body
    assert stage.only_call()[1].error_type == "timeout_total"


def test_a_place_is_not_blamed_for_the_time_that_others_used_up(stage: "Stage") -> None:
    # The first fails late; what is left is not enough for the second, which must not rest for that.
    stage.upstream.handlers["slow"] = waits
    stage.upstream.handlers["m"] = waits
    policy = Resilience(retries=0, total_s=0.7, failures=1, rest_s=600)
    serve(stage, link("slow"), link("m"), resilience=policy)
    assert stage.ask_service().status == 502
    assert asked(stage) == ["slow", "m"]
    assert [span.error_type for span in stage.only_call()[1:]] == ["timeout", "timeout_total"]

    del stage.upstream.handlers["m"]
    assert stage.ask_service().headers["x-zirkel-model"] == "stub/m"


def test_a_call_within_its_times_is_not_disturbed(stage: "Stage") -> None:
    policy = Resilience(connect_s=5, first_token_s=5, between_tokens_s=5, total_s=20)
    serve(stage, link("good"), resilience=policy)

    assert [stage.ask_service(stream=stream).status for stream in (False, True)] == [200, 200]
    assert all(span.status == "ok" for call in stage.sink.calls() for span in call)


def test_without_times_of_its_own_a_call_goes_by_the_gateways(stage: "Stage") -> None:
    stage.upstream.handlers["m"] = streams(ROLE, says("Hel"), None)
    serve(stage, link("m"), resilience=PLAIN)
    reply = stage.ask_service(stream=True)

    assert json.loads(reply.events[-1])["error"]["message"] == "the upstream failed: timed out"
    assert stage.only_call()[1].error_type == "timeout"
