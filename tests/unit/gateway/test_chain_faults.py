"""What upstreams do wrong on the wire, and what becomes of it."""

from typing import TYPE_CHECKING

import pytest

from tests.unit.gateway.resilience_stage import FINISH, ROLE, add_upstream, asked, link, raw_upstream, says, serve
from zirkel.core import Resilience
from zirkel.gateway import SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


FAULTS = {
    "closes at once": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-ty",
    "bad header": b"HTTP/1.1 200 OK\r\nbad header\x00: 1\r\n\r\n",
    "short body": JSON_HEAD + b'content-length: 100\r\n\r\n{"choices"',
    "half a chunk": JSON_HEAD + b"transfer-encoding: chunked\r\n\r\nff\r\n{",
    "bad chunk size": JSON_HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "bad gzip": JSON_HEAD + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope",
    "bad length": JSON_HEAD + b"content-length: many\r\n\r\n{}",
    "half a refusal": b'HTTP/1.1 500 X\r\ncontent-length: 100\r\n\r\n{"error',
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stream", [False, True])
def test_whatever_an_upstream_sends_instead_of_an_answer_the_next_one_answers(
    stage: "Stage", fault: str, stream: bool
) -> None:
    with raw_upstream(FAULTS[fault]) as port:
        add_upstream(stage, "raw", port)
        serve(stage, link(SnapshotTarget("raw", "m")), link("good"))
        reply = stage.ask_service(stream=stream)

    assert (reply.status, reply.headers.get("x-zirkel-fallback")) == (200, "1")
    assert stage.only_call()[1].error_type in ("broken", "not_a_stream", "http_500")


@pytest.mark.parametrize(
    "end",
    [b"", b"ff\r\nda", b"zz\r\n", _chunk(b'data: {"error": {"message": "overloaded"}}\n\n'), b"0\r\n\r\n"],
    ids=["closed", "half a chunk", "bad chunk", "error event", "ended early"],
)
def test_a_stream_that_breaks_after_its_first_token_ends_with_a_whole_error_event(stage: "Stage", end: bytes) -> None:
    with raw_upstream(CHUNKED + _chunk(ROLE) + _chunk(says("Hel")) + _chunk(says("lo")), end) as port:
        add_upstream(stage, "raw", port)
        serve(stage, link(SnapshotTarget("raw", "m")), link("good"))
        reply = stage.ask_service(stream=True)

    assert reply.status == 200
    assert reply.body.endswith(b"\n\n")
    assert [b'"error"' in event for event in reply.events] == [False] * (len(reply.events) - 1) + [True]
    assert b"[DONE]" not in reply.body
    assert len(stage.only_call()) == 2


@pytest.mark.parametrize(
    "end",
    [b"", b"zz\r\n", _chunk(b'data: {"error": {"message": "overloaded"}}\n\n'), b"0\r\n\r\n"],
    ids=["closed", "bad chunk", "error event", "ended early"],
)
def test_a_stream_that_breaks_before_its_first_token_falls_back_unseen(stage: "Stage", end: bytes) -> None:
    with raw_upstream(CHUNKED + _chunk(b": hello\n\n") + _chunk(ROLE) + end) as port:
        add_upstream(stage, "raw", port)
        serve(stage, link(SnapshotTarget("raw", "m")), link("good"))
        reply = stage.ask_service(stream=True)

    assert (reply.text, reply.events[-1], reply.headers["x-zirkel-fallback"]) == ("Hello wörld", b"[DONE]", "1")
    assert b'"role"' not in reply.body
    assert [span.status for span in stage.only_call()] == ["ok", "error", "ok"]


def test_a_stream_without_any_token_is_a_whole_answer_all_the_same(stage: "Stage") -> None:
    with raw_upstream(CHUNKED + _chunk(ROLE) + _chunk(FINISH) + b"0\r\n\r\n") as port:
        add_upstream(stage, "raw", port)
        serve(stage, link(SnapshotTarget("raw", "m")), link("good"))
        reply = stage.ask_service(stream=True)

    assert reply.body == ROLE + FINISH
    assert stage.only_call()[0].status == "ok"


@pytest.mark.parametrize("member", ["reasoning", "reasoning_content", "tool_calls", "audio", "refusal"])
def test_whatever_says_something_is_passed_on_at_once(stage: "Stage", member: str) -> None:
    value = [{"index": 0, "function": {"name": "f"}}] if member == "tool_calls" else {"x": "thinking"}
    first = says("", **{member: value if member in ("tool_calls", "audio") else "thinking"})
    with raw_upstream(CHUNKED + _chunk(ROLE) + _chunk(first)) as port:
        add_upstream(stage, "raw", port)
        serve(stage, link(SnapshotTarget("raw", "m")), link("good"))
        reply = stage.ask_service(stream=True)

    assert reply.headers["x-zirkel-fallback"] == "0"
    assert first in reply.body


def test_a_place_that_breaks_is_counted_and_rests(stage: "Stage") -> None:
    with raw_upstream(*[b"HTTP/1.1 200 OK\r\n"] * 2) as port:
        add_upstream(stage, "raw", port)
        policy = Resilience(retries=0, failures=2, rest_s=600)
        serve(stage, link(SnapshotTarget("raw", "m")), link("good"), resilience=policy)
        attempts = [stage.ask_service().headers.get("x-zirkel-attempts", "1") for _ in range(4)]

    assert attempts == ["2", "2", "1", "1"]
    assert asked(stage) == ["good"] * 4
