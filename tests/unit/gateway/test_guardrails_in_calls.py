"""Guardrails of a release as its callers meet them, and what is recorded of them."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from aiohttp import web

from tests.unit.gateway import provider_stubs as stubs
from zirkel.core import Json, Span
from zirkel.gateway import SnapshotRelease, SnapshotTarget
from zirkel.lib.sse import SseParser

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Reply, Stage
    from tests.unit.gateway.provider_stubs import Asked

MAIL = "ann@example.org"
PII: dict[str, Json] = {"kind": "pii", "name": "pii", "stage": "input", "action": "mask", "entities": ["email"]}
WORDS: dict[str, Json] = {"kind": "words", "name": "words", "stage": "output", "action": "refuse", "words": ["falcon"]}
JUDGE: dict[str, Json] = {
    "kind": "judge", "name": "judge", "stage": "input", "action": "refuse", "model": "stub/judge", "question": "Rude?",
}  # fmt: skip
SCHEMA: dict[str, Json] = {
    "kind": "json_schema", "name": "shape", "action": "refuse", "repair": True,
    "schema": {"type": "object", "required": ["city"]},
}  # fmt: skip


def _serve(stage: "Stage", *guards: Mapping[str, Json], target: SnapshotTarget | None = None) -> None:
    stage.configure(target or SnapshotTarget("stub", "good"))
    raw = msgspec.Raw(msgspec.json.encode({"guardrail": guards}))
    releases: dict[str, SnapshotRelease] = {
        name: msgspec.structs.replace(release, guardrails=raw)
        for name, release in stage.source.snapshot.releases.items()
    }
    stage.source.snapshot = msgspec.structs.replace(stage.source.snapshot, releases=releases)


def _answers(stage: "Stage", model: str, *texts: str) -> list[dict[str, Json]]:
    """Let a model answer these texts in turn (the last one again and again); return what it is asked."""
    asked: list[dict[str, Json]] = []

    async def own(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
        text = texts[min(len(asked), len(texts) - 1)]
        asked.append(body)
        if not body.get("stream"):
            message: Json = {"role": "assistant", "content": text}
            choice: Json = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response({"model": model, "choices": [choice], "usage": USAGE})
        # One character at a time, as the guardrails must find what comes in pieces.
        parts: list[Json] = [{"choices": [{"index": 0, "delta": {"content": character}}]} for character in text]
        parts.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        parts.append({"choices": [], "usage": USAGE})
        return await stubs.stream(request, [*map(stubs.sse, parts), b"data: [DONE]\n\n"])

    stage.upstream.handlers[model] = own
    return asked


USAGE: Json = {"prompt_tokens": 40, "completion_tokens": 30}


def _ask(stage: "Stage", ticket: str, *, path: str = "/v1/chat/completions", stream: bool = False) -> "Reply":
    body: dict[str, Json] = {"model": "service:triage", "zirkel": {"variables": {"ticket": ticket}}, "stream": stream}
    body |= {"max_tokens": 500} if path == "/v1/messages" else {}
    return stage.send("POST", path, json.dumps(body).encode())


def _said(path: str, body: bytes, *, stream: bool) -> str:
    """Return the text of an answer, read without the gateway's own code."""
    if not stream:
        found = json.loads(body)
        if path == "/v1/messages":
            return cast(str, found["content"][0]["text"])
        if path == "/v1/responses":
            return cast(str, found["output"][0]["content"][0]["text"])
        return cast(str, found["choices"][0]["message"]["content"])
    pieces: list[str] = []
    for event in SseParser().feed(body):
        if event.data is None or event.data == b"[DONE]":
            continue
        match json.loads(event.data):
            case {"choices": [{"delta": {"content": str(piece)}}]}:
                pieces.append(piece)
            case {"type": "content_block_delta", "delta": {"text": str(piece)}}:
                pieces.append(piece)
            case {"type": "response.output_text.delta", "delta": str(piece)}:
                pieces.append(piece)
    return "".join(pieces)


def _verdicts(call: Span) -> list[dict[str, Json]]:
    events = [event for event in call.events if event.name == "zirkel.guardrail"]
    return [{name: json.loads(value) for name, value in event.attributes.items()} for event in events]


def _record(stage: "Stage") -> str:
    """Return all that was recorded, with escapes undone once, to be searched."""
    return b"".join(stage.sink.payloads).decode("utf-8", "replace")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_a_masked_value_goes_to_no_model_comes_back_to_its_caller_and_is_kept_nowhere(
    stage: "Stage", path: str, stream: bool
) -> None:
    _serve(stage, PII)
    asked = _answers(stage, "good", "I wrote to [EMAIL_1].")
    reply = _ask(stage, f'Line one\n{MAIL} is "mine"', path=path, stream=stream)

    assert _said(path, reply.body, stream=stream) == f"I wrote to {MAIL}."
    assert MAIL not in json.dumps(asked)
    assert "[EMAIL_1] is" in json.dumps(asked)
    assert MAIL not in _record(stage)
    call, attempt = stage.only_call()
    assert json.loads(call.input) == {"ticket": 'Line one\n[EMAIL] is "mine"'}
    assert json.loads(attempt.input)[1]["content"].startswith("Sort this: Line one\n[EMAIL_1] is")
    (verdict,) = _verdicts(call)
    assert (verdict["guardrail"], verdict["stage"], verdict["action"]) == ("pii", "input", "mask")
    assert verdict["found"] == {"email": 1}


@pytest.mark.parametrize("upstream", ["anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize("stream", [False, True])
def test_values_are_masked_for_upstreams_of_other_dialects_too(stage: "Stage", upstream: str, stream: bool) -> None:
    _serve(stage, PII, {**WORDS, "action": "mask", "words": ["wörld"]}, target=SnapshotTarget(upstream, "good"))
    reply = _ask(stage, f"{MAIL} wrote", stream=stream)

    assert _said("/v1/chat/completions", reply.body, stream=stream) == "Hello [MASKED]"
    assert MAIL.encode() not in stage.upstream.providers.asked[0].body
    assert b"[EMAIL_1] wrote" in stage.upstream.providers.asked[0].body
    assert MAIL not in _record(stage)
    assert "wörld" not in _record(stage)


@pytest.mark.parametrize("kind", ["words", "regex"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_a_release_masks_by_its_own_words_is_not_recorded_in_clear(
    stage: "Stage", kind: str, stream: bool
) -> None:
    own: Json = ["Falcon"] if kind == "words" else ["F[a-z]+n"]
    named = {
        "kind": kind,
        "name": "own",
        "stage": "both",
        "action": "mask",
        "words" if kind == "words" else "patterns": own,
    }
    _serve(stage, named)
    _answers(stage, "good", "The Falcon is ready")
    reply = _ask(stage, 'About "Falcon"', stream=stream)

    assert _said("/v1/chat/completions", reply.body, stream=stream) == "The [MASKED] is ready"
    assert "Falcon" not in _record(stage)
    call, attempt = stage.only_call()
    assert json.loads(call.input) == {"ticket": 'About "[MASKED]"'}
    assert json.loads(call.output) == "The [MASKED] is ready"
    assert json.loads(attempt.output)["content"] == "The [MASKED] is ready"


def test_input_that_is_refused_goes_to_no_upstream(stage: "Stage") -> None:
    _serve(stage, {**PII, "action": "refuse"})
    reply = _ask(stage, f"{MAIL} is mine")

    assert (reply.status, reply.error["code"]) == (400, "guardrail_refused")
    assert "pii" in reply.error["message"]
    assert MAIL.encode() not in reply.body
    assert stage.upstream.requests == []
    (call,) = stage.only_call()
    assert (call.status, call.error_type) == ("error", "guardrail_refused")
    assert _verdicts(call)[0]["action"] == "refuse"


def test_a_whole_answer_that_is_refused_is_a_400_and_paid(stage: "Stage") -> None:
    _serve(stage, WORDS)
    _answers(stage, "good", "The falcon is ready")
    reply = _ask(stage, "x")

    assert (reply.status, reply.error["code"]) == (400, "guardrail_refused")
    assert b"falcon" not in reply.body
    call, attempt = stage.only_call()
    assert (call.error_type, attempt.status, attempt.settlement) == ("guardrail_refused", "ok", "reported")
    assert attempt.usage.output_tokens == 30


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_a_stream_that_is_refused_midway_ends_with_an_error_event_and_is_paid(stage: "Stage", path: str) -> None:
    _serve(stage, WORDS)
    _answers(stage, "good", "All is well here and now, but the falcon is ready to go on")
    reply = _ask(stage, "x", path=path, stream=True)

    assert reply.status == 200
    assert b"alcon" not in reply.body
    last = [event for event in SseParser().feed(reply.body) if event.data is not None][-1]
    assert b"guardrail 'words' (words) refuses the answer" in (last.data or b"")
    call, attempt = stage.only_call()
    assert (call.error_type, attempt.status) == ("guardrail_refused", "ok")
    assert attempt.settlement in ("reported", "counted")
    assert (attempt.usage.output_tokens or 0) > 5


def test_a_stream_that_is_refused_at_its_first_piece_is_a_400_and_paid(stage: "Stage") -> None:
    async def own(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
        chunk: Json = {"choices": [{"index": 0, "delta": {"content": "falcon. " * 40}}]}
        return await stubs.stream(request, [stubs.sse(chunk)])

    _serve(stage, WORDS)
    stage.upstream.handlers["good"] = own
    reply = _ask(stage, "x", stream=True)

    assert (reply.status, reply.error["code"]) == (400, "guardrail_refused")
    call, attempt = stage.only_call()
    assert (call.error_type, attempt.status, attempt.settlement) == ("guardrail_refused", "ok", "counted")
    assert (attempt.usage.output_tokens or 0) > 40


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_only_flagged_is_recorded_and_changes_nothing(stage: "Stage", stream: bool) -> None:
    _serve(stage, {**WORDS, "action": "flag"})
    _answers(stage, "good", "The falcon is ready")
    reply = _ask(stage, "x", stream=stream)

    assert _said("/v1/chat/completions", reply.body, stream=stream) == "The falcon is ready"
    verdict = _verdicts(stage.only_call()[0])[0]
    assert (verdict["action"], verdict["found"]) == ("flag", {"words": 1})


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_the_wrong_shape_is_asked_for_once_more(stage: "Stage", stream: bool) -> None:
    _serve(stage, SCHEMA)
    asked = _answers(stage, "good", "no JSON", '{"city": "Ulm"}')
    reply = _ask(stage, "x", stream=stream)

    assert _said("/v1/chat/completions", reply.body, stream=stream) == '{"city": "Ulm"}'
    call, first, repair = stage.only_call()
    assert (first.attempt_reason, repair.attempt_reason, call.status) == ("first", "repair", "ok")
    assert [len(cast(list[Json], body["messages"])) for body in asked] == [2, 4]
    assert [len(json.loads(span.input)) for span in (first, repair)] == [2, 4]
    assert (first.settlement, repair.settlement) == ("reported", "reported")
    assert [verdict["action"] for verdict in _verdicts(call)] == ["repair", "pass"]
    assert reply.headers["x-zirkel-attempts"] == "2"


def test_an_answer_that_stays_of_the_wrong_shape_is_refused(stage: "Stage") -> None:
    _serve(stage, SCHEMA)
    asked = _answers(stage, "good", "no JSON")
    reply = _ask(stage, "x")

    assert (reply.status, reply.error["code"], len(asked)) == (400, "guardrail_refused", 2)


@pytest.mark.parametrize(("verdict", "status"), [("no", 200), ("Yes.", 400)])
@pytest.mark.parametrize("when", ["input", "output"])
def test_a_judges_own_attempt_is_recorded_priced_and_none_of_the_releases(
    stage: "Stage", verdict: str, status: int, when: str
) -> None:
    _serve(stage, {**JUDGE, "stage": when})
    stage.source.snapshot.prices["p1/stub/judge"] = stage.source.snapshot.prices["p1/stub/good"]
    _answers(stage, "judge", verdict)
    reply = _ask(stage, "x")

    call, *attempts = stage.only_call()
    (judge,) = (span for span in attempts if span.attempt_reason == "guardrail")
    assert reply.status == status
    assert judge.attempt >= 1000
    assert (judge.request_model, judge.settlement, judge.status) == ("judge", "reported", "ok")
    assert judge.cost_usd is not None
    assert "Rude?" in judge.input
    assert len(attempts) == (1 if when == "input" and status == 400 else 2)
    if status == 200:
        assert reply.headers["x-zirkel-model"] == "stub/good"
        assert json.loads(call.output) == "Hello wörld"


def test_a_judge_that_is_too_late_is_recorded_as_what_it_is(stage: "Stage") -> None:
    _serve(stage, {**JUDGE, "model": "stub/hangs", "timeout_s": 0.2, "on_error": "pass"})
    reply = _ask(stage, "x")

    call, judge, answer = stage.only_call()
    assert (reply.status, answer.status) == (200, "ok")
    assert (judge.attempt_reason, judge.status, judge.settlement) == ("guardrail", "error", "counted")
    assert (_verdicts(call)[0]["error"], _verdicts(call)[0]["action"]) == ("timeout", "pass")


@pytest.mark.parametrize(("on_error", "status"), [("refuse", 400), ("pass", 200)])
def test_a_hook_that_is_down_refuses_or_lets_pass(stage: "Stage", on_error: str, status: int) -> None:
    _serve(
        stage, {"kind": "http", "name": "hook", "stage": "input", "url": "http://127.0.0.1:9/", "on_error": on_error}
    )

    assert _ask(stage, "x").status == status
    verdict = _verdicts(stage.only_call()[0])[0]
    assert verdict["error"] == "connect"
    assert len(stage.upstream.requests) == (1 if status == 200 else 0)


@pytest.mark.parametrize("when", ["input", "output"])
def test_what_a_hook_replaced_is_not_recorded(stage: "Stage", when: str) -> None:
    async def hook(request: web.Request, asked: "Asked") -> web.StreamResponse:
        return web.json_response({"verdict": "mask", "text": "[GONE]"})

    stage.upstream.providers.own["/hook"] = hook
    url = f"http://127.0.0.1:{stage.upstream.port}/hook"
    _serve(stage, {"kind": "http", "name": "hook", "stage": when, "url": url})
    _answers(stage, "good", "The falcon is ready" if when == "output" else "Fine")
    reply = _ask(stage, "falcon" if when == "input" else "x")

    assert reply.status == 200
    assert "falcon" not in _record(stage)
    assert "[GONE]" in _record(stage)
    assert json.loads(stage.upstream.providers.asked[0].body)["service"] == "triage"


def test_a_guardrails_sentence_on_a_stream_that_needs_the_whole_answer_still_streams(stage: "Stage") -> None:
    _serve(stage, {**JUDGE, "stage": "output"})
    _answers(stage, "judge", "no")
    reply = _ask(stage, "x", stream=True)

    assert reply.headers["content-type"].startswith("text/event-stream")
    assert _said("/v1/chat/completions", reply.body, stream=True) == "Hello wörld"
    assert "stream" not in stage.upstream.requests[0]
