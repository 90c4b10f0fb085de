"""The spans of a call: names, times, whose they are, and where they belong."""

import json
from typing import TYPE_CHECKING

import pytest

from zirkel.core import Json, SpanKind
from zirkel.gateway import SnapshotTarget
from zirkel.gateway.facts import Attempt

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

MESSAGES: Json = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("path", "operation", "kind", "members"),
    [
        ("/v1/chat/completions", "chat", SpanKind.CHAT, {"messages": MESSAGES}),
        ("/v1/messages", "chat", SpanKind.CHAT, {"messages": MESSAGES, "max_tokens": 9}),
        ("/v1/responses", "chat", SpanKind.CHAT, {"input": "Hi"}),
        ("/v1/completions", "text_completion", SpanKind.COMPLETION, {"prompt": "Hi"}),
        ("/v1/embeddings", "embeddings", SpanKind.EMBEDDING, {"input": "Hi"}),
    ],
)
def test_spans_are_named_as_the_conventions_say(
    stage: "Stage", path: str, operation: str, kind: SpanKind, members: dict[str, Json]
) -> None:
    body = json.dumps({"model": "stub/good"} | members).encode()
    stage.send("POST", path, body)

    call, attempt = stage.only_call()
    assert (call.kind, call.name) == (SpanKind.CALL, f"{operation} stub/good")
    assert (attempt.kind, attempt.operation, attempt.name) == (kind, operation, f"{operation} good")
    assert (attempt.provider, attempt.request_model) == ("stub", "good")
    assert (call.trace_id, call.span_id) == (attempt.trace_id, attempt.parent_span_id)


def test_a_stream_is_timed_to_its_first_token_and_between_its_tokens(stage: "Stage") -> None:
    stage.ask_service(stream=True)

    call, attempt = stage.only_call()
    assert call.time_to_first_token_ns is not None
    assert attempt.time_to_first_token_ns is not None
    assert 0 < attempt.time_to_first_token_ns <= call.time_to_first_token_ns
    per_token_s = float(attempt.attributes["gen_ai.server.time_per_output_token"])
    assert 0 <= per_token_s < (attempt.end_ns - attempt.start_ns) / 1e9


def test_a_whole_answer_has_no_times_of_tokens(stage: "Stage") -> None:
    stage.ask_service()

    call, attempt = stage.only_call()
    assert (call.time_to_first_token_ns, attempt.time_to_first_token_ns, attempt.attributes) == (None, None, {})


def test_each_attempt_lies_within_its_call_and_has_what_it_was_sent(stage: "Stage") -> None:
    stage.configure(SnapshotTarget("stub", "http-500"), SnapshotTarget("anthropic", "good"))
    stage.ask_service()

    call, first, second = stage.only_call()
    assert call.start_ns <= first.start_ns <= first.end_ns <= second.start_ns <= second.end_ns <= call.end_ns
    assert (first.attempt_reason, second.attempt_reason, first.attempt, second.attempt) == ("first", "fallback", 0, 1)
    assert {span.parent_span_id for span in (first, second)} == {call.span_id}
    assert len({call.span_id, first.span_id, second.span_id}) == 3
    assert json.loads(second.input)[1]["content"] == "Sort this: Ünser"


@pytest.mark.parametrize("weight", [0.25, 0.0])
def test_the_assignments_probability_is_recorded_on_every_span(stage: "Stage", weight: float) -> None:
    stage.configure(weight=weight)
    stage.ask_service()

    spans = stage.only_call()
    expected = {"stable": 1 - weight, "candidate": weight}[spans[0].arm]
    assert {(span.arm, span.arm_probability) for span in spans} == {(spans[0].arm, expected)}


@pytest.mark.parametrize("upstream", ["stub", "anthropic", "gemini", "bedrock"])
def test_the_upstream_gets_the_attempts_span_as_its_parent(stage: "Stage", upstream: str) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    stage.ask({"model": f"{upstream}/good", "messages": MESSAGES}, traceparent=f"00-{trace_id}-b7ad6b7169203331-00")

    call, attempt = stage.only_call()
    sent = stage.upstream.headers or [asked.headers for asked in stage.upstream.providers.asked]
    told = {name.lower(): value for name, value in sent[0].items()}["traceparent"]
    assert told == f"00-{trace_id}-{attempt.span_id}-00"
    assert (call.trace_id, call.parent_span_id) == (trace_id, "b7ad6b7169203331")


@pytest.mark.parametrize(
    "traceparent", ["", "00-xyz", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff-" + "a" * 32 + "-b7ad6b7169203331-01"]
)
def test_a_malformed_trace_is_not_joined(stage: "Stage", traceparent: str) -> None:
    reply = stage.ask({"model": "stub/good", "messages": MESSAGES}, traceparent=traceparent)

    call = stage.only_call()[0]
    assert call.parent_span_id == ""
    assert reply.headers["x-zirkel-trace-id"] == call.trace_id != "0" * 32


def test_a_name_of_any_length_is_cut_in_the_record(stage: "Stage") -> None:
    stage.ask({"model": "x" * 100_000, "messages": MESSAGES})
    stage.ask({"model": "service:" + "x" * 100_000, "messages": MESSAGES})

    assert max(len(payload) for payload in stage.sink.payloads) < 4000


def test_a_body_that_cannot_be_read_is_recorded_and_counted(stage: "Stage") -> None:
    reply = stage.ask(b"{}", content_encoding="gzip")

    (call,) = stage.only_call()
    assert (reply.status, call.status, call.error_type) == (415, "error", "unsupported")
    assert reply.headers["x-zirkel-trace-id"] == call.trace_id


def test_an_upstream_without_formats_that_would_do_is_said_so(stage: "Stage") -> None:
    reply = stage.send("POST", "/v1/embeddings", b'{"model": "anthropic/good", "input": "x"}')

    assert (reply.status, reply.error["param"]) == (400, "model")
    assert "'anthropic/good' can be asked for embeddings" in reply.error["message"]
    assert [span.status for span in stage.only_call()] == ["error"]


def test_an_attempt_is_shown_without_its_credential_and_its_body() -> None:
    shown = repr(Attempt(0, "first", "openai", "gpt-4o", "s", 1, body=b"my words", credential="sk-1", messages=b"too"))
    assert "openai/gpt-4o" in shown
    assert not any(secret in shown for secret in ("sk-1", "words", "too"))
