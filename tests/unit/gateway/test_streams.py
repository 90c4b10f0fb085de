"""Streams through the gateway: pass-through, breaks, disconnects."""

import json
import select
import socket
from typing import TYPE_CHECKING

import pytest

from zirkel.core import Json, Span, Usage
from zirkel.gateway import SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

MESSAGES = [{"role": "user", "content": "Hi"}]
USAGE = Usage(input_tokens=30, cache_read_tokens=12, output_tokens=12, reasoning_tokens=5)
CALL = {"authorization": "Bearer call-key"}
ADMIN = {"authorization": "Bearer admin-key"}


def test_a_stream_is_passed_on_and_recorded_with_the_usage_the_caller_did_not_ask_for(stage: "Stage") -> None:
    reply = stage.ask_service(stream=True)

    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (reply.text, reply.events[-1]) == ("Hello wörld", b"[DONE]")
    assert not any(b'"usage"' in event for event in reply.events)
    call, attempt = stage.only_call()
    assert (attempt.usage, attempt.finish_reason, attempt.is_stream) == (USAGE, "stop", True)
    assert json.loads(attempt.output) == {"role": "assistant", "content": "Hello wörld"}
    assert json.loads(call.output) == "Hello wörld"
    assert attempt.time_to_first_token_ns is not None
    assert call.time_to_first_token_ns is not None
    assert 0 < attempt.time_to_first_token_ns <= call.time_to_first_token_ns <= call.end_ns - call.start_ns


def test_a_caller_who_asks_for_the_usage_chunk_gets_it(stage: "Stage") -> None:
    body: Json = {"model": "stub/good", "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
    reply = stage.ask(body)

    assert any(b'"usage"' in event for event in reply.events)


def test_other_stream_options_are_kept_when_usage_is_added(stage: "Stage") -> None:
    body: Json = {
        "model": "stub/good",
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }
    stage.ask(body)

    assert stage.upstream.requests[0]["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_chunks_are_passed_on_as_they_arrive(stage: "Stage") -> None:
    stage.configure(_target("gated"))
    with stage.open_call(CALL) as connection:
        assert b"Hel" in _read_until(connection, b"Hel")
        assert stage.upstream.is_waiting.wait(10)
        stage.upstream.may_go_on.set()
        assert b"[DONE]" in _read_until(connection, b"0\r\n\r\n")


@pytest.mark.parametrize(("is_stream", "end"), [(True, b"0\r\n\r\n"), (False, b"}")])
def test_the_record_is_written_before_the_last_byte(stage: "Stage", is_stream: bool, end: bytes) -> None:
    stage.sink.may_write.clear()
    with stage.open_call(CALL, is_stream=is_stream) as connection:
        assert stage.sink.is_asked.wait(10)
        early = _read_what_is_there(connection)
        stage.sink.may_write.set()
        late = _read_until(connection, end)
    assert b"finish_reason" in early + late
    assert not early.endswith((b"}", b"[DONE]\n\n", b"0\r\n\r\n"))


def test_a_stream_that_breaks_midway_ends_with_an_error_event(stage: "Stage") -> None:
    stage.configure(_target("breaks-midway"), _target("good"))
    reply = stage.ask_service(stream=True)

    assert reply.status == 200
    assert json.loads(reply.events[-1])["error"]["code"] == "upstream_failed"
    assert b'{"choices": [{"del' not in reply.events
    call, attempt = stage.only_call()
    assert (call.status, attempt.status, attempt.error_type) == ("error", "error", "broken")
    assert json.loads(call.output) == "Hel"


def test_a_stream_that_ends_without_a_finish_is_cut_off(stage: "Stage") -> None:
    stage.configure(_target("cut-off"))
    reply = stage.ask_service(stream=True)

    assert "ended early" in json.loads(reply.events[-1])["error"]["message"]
    assert stage.only_call()[1].error_type == "truncated"


@pytest.mark.parametrize("model", ["breaks-first", "error-first", "garbage", "hangs", "http-500"])
def test_a_stream_that_fails_before_its_first_byte_falls_back(stage: "Stage", model: str) -> None:
    stage.configure(_target(model), _target("good"))
    reply = stage.ask_service(stream=True)

    assert (reply.text, reply.headers["x-zirkel-fallback"]) == ("Hello wörld", "1")
    call, failed, good = stage.only_call()
    assert (call.status, failed.status, good.status) == ("ok", "error", "ok")
    assert (failed.attempt, good.attempt, good.usage) == (0, 1, USAGE)


def test_a_client_that_leaves_a_stream_cancels_the_upstream_and_is_recorded(stage: "Stage") -> None:
    stage.configure(_target("gated"))
    with stage.open_call(CALL) as connection:
        _read_until(connection, b"Hel")
        assert stage.upstream.is_waiting.wait(10)
    assert stage.upstream.was_left.wait(10)
    assert stage.sink.is_asked.wait(10)
    call, attempt = _wait_for_call(stage)
    assert (call.error_type, attempt.error_type) == ("client_disconnected", "client_disconnected")
    assert json.loads(call.output) == "Hel"


def test_a_client_that_leaves_before_the_answer_cancels_the_upstream(stage: "Stage") -> None:
    stage.configure(_target("hangs"), _target("good"))
    with stage.open_call(CALL):
        assert stage.upstream.is_waiting.wait(10)
    assert stage.upstream.was_left.wait(10)
    assert len(_wait_for_call(stage)) == 2


def test_an_experiments_call_is_finished_and_recorded_though_its_client_leaves(stage: "Stage") -> None:
    stage.configure(_target("gated"))
    with stage.open_call(ADMIN | {"x-zirkel-experiment": "e1"}) as connection:
        _read_until(connection, b"Hel")
        assert stage.upstream.is_waiting.wait(10)
    stage.upstream.may_go_on.set()
    assert stage.sink.is_asked.wait(10)
    call, attempt = _wait_for_call(stage)
    assert (call.status, call.experiment_id, json.loads(call.output)) == ("ok", "e1", "Hello wörld")
    assert attempt.usage == USAGE
    assert not stage.upstream.was_left.is_set()


def test_a_shutdown_lets_a_call_under_way_finish(stage: "Stage") -> None:
    stage.configure(_target("gated"))
    with stage.open_call(CALL) as connection:
        assert stage.upstream.is_waiting.wait(10)
        stage.shut_down()
        stage.upstream.may_go_on.set()
        assert b"[DONE]" in _read_until(connection, b"0\r\n\r\n")
    assert stage.only_call()[0].status == "ok"


def _target(model: str) -> SnapshotTarget:
    return SnapshotTarget(upstream="stub", model=model)


def _wait_for_call(stage: "Stage") -> list[Span]:
    for _ in range(1000):
        if stage.sink.payloads:
            break
        select.select([], [], [], 0.01)
    return stage.only_call()


def _read_until(connection: socket.socket, end: bytes) -> bytes:
    found = b""
    while end not in found:
        chunk = connection.recv(65536)
        assert chunk, f"closed after {found!r}"
        found += chunk
    return found


def _read_what_is_there(connection: socket.socket) -> bytes:
    """Return what has been sent; the sender is known to stand still."""
    found = b""
    while select.select([connection], [], [], 0.1)[0]:
        chunk = connection.recv(65536)
        assert chunk
        found += chunk
    return found
