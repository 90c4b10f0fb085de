"""A client that leaves: everything that was begun for it ends at once, and is recorded."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.unit.gateway.resilience_stage import ROLE, Waits, asked, link, refuses, says, serve, streams
from zirkel.core import Resilience

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

CALL = {"authorization": "Bearer call-key"}


@pytest.fixture
def quiet_stage(stage: "Stage") -> "Iterator[Stage]":
    """A stage on which every test leaves as many background tasks as it found."""
    before = len(stage.gateway._tasks)
    yield stage
    Waits().wait_until(lambda: len(stage.gateway._tasks) == before)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_while_it_waits_cancels_the_upstream(quiet_stage: "Stage", stream: bool) -> None:
    stage = quiet_stage
    waiting = stage.upstream.handlers["m"] = Waits()
    serve(stage, link("m"), link("good"), resilience=Resilience())
    with stage.open_call(CALL, is_stream=stream):
        waiting.wait_until_asked(1)
    waiting.wait_until_left(1)
    waiting.wait_until(lambda: bool(stage.sink.payloads))

    call, attempt = stage.only_call()
    assert (call.error_type, attempt.error_type, attempt.settlement) == (*["client_disconnected"] * 2, "counted")
    assert asked(stage) == ["m"]


def test_a_client_that_leaves_before_the_first_token_cancels_a_stream_that_has_a_head(quiet_stage: "Stage") -> None:
    stage = quiet_stage
    stage.upstream.handlers["m"] = streams(ROLE, None)
    serve(stage, link("m"))
    with stage.open_call(CALL):
        Waits().wait_until(lambda: bool(stage.upstream.requests))
    assert stage.upstream.was_left.wait(10)
    Waits().wait_until(lambda: bool(stage.sink.payloads))

    assert [span.error_type for span in stage.only_call()] == ["client_disconnected"] * 2


def test_a_client_that_leaves_a_stream_is_recorded_with_what_came(quiet_stage: "Stage") -> None:
    stage = quiet_stage
    stage.upstream.handlers["m"] = streams(ROLE, says("Hel"), says("lo"), None)
    serve(stage, link("m"))
    with stage.open_call(CALL) as connection:
        seen = b""
        while b'"lo"' not in seen:
            seen += connection.recv(65536)
    assert stage.upstream.was_left.wait(10)
    Waits().wait_until(lambda: bool(stage.sink.payloads))

    call, attempt = stage.only_call()
    assert (json.loads(call.output), attempt.usage.is_estimated) == ("Hello", True)


def test_a_client_that_leaves_during_a_pause_is_not_retried_for(quiet_stage: "Stage") -> None:
    stage = quiet_stage
    stage.upstream.handlers["m"] = refuses(429, retry_after="4")
    serve(stage, link("m"), resilience=Resilience(retries=3))
    with stage.open_call(CALL, is_stream=False):
        Waits().wait_until(lambda: bool(stage.upstream.requests))
    Waits().wait_until(lambda: bool(stage.sink.payloads))

    call, attempt = stage.only_call()
    assert (call.error_type, attempt.error_type) == ("client_disconnected", "http_429")
    assert asked(stage) == ["m"]


def test_a_probe_whose_client_leaves_is_made_by_the_next_call(quiet_stage: "Stage") -> None:
    stage = quiet_stage
    stage.upstream.handlers["m"] = refuses(500)
    serve(stage, link("m"), link("good"), resilience=Resilience(retries=0, failures=1, rest_s=0.05))
    stage.ask_service()
    waiting = stage.upstream.handlers["m"] = Waits()
    waiting.wait_for_s(0.1)
    with stage.open_call(CALL, is_stream=False):
        waiting.wait_until_asked(1)
        assert stage.ask_service().headers["x-zirkel-fallback"] == "1"
    waiting.wait_until_left(1)
    del stage.upstream.handlers["m"]
    waiting.wait_until(lambda: stage.ask_service().headers["x-zirkel-model"] == "stub/m")
