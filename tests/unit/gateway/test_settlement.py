"""What an attempt is charged: reserved before, settled after, once, whatever the upstream says or does."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.gateway import provider_stubs as stubs
from zirkel.core import Json, SpanKind, Usage
from zirkel.gateway import ModelPrice, PriceTier, SnapshotUpstream, read_usage
from zirkel.gateway.completion import Completion
from zirkel.gateway.facts import Attempt
from zirkel.gateway.plan import Target
from zirkel.gateway.pricing import CompiledPrice
from zirkel.gateway.settle import bound_attempt, settle_answer

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage
    from tests.unit.gateway.provider_stubs import Asked

MESSAGES: Json = [{"role": "user", "content": "Hi"}]
PRICE = ModelPrice(input=[PriceTier(0, "2.50")], output=[PriceTier(0, "10")], digest="p" * 64)
LIES: Mapping[str, Json] = {
    "zeros with text": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "negative": {"prompt_tokens": 9, "completion_tokens": -4},
    "more than was allowed": {"prompt_tokens": 9, "completion_tokens": 5000},
    "absurd": {"prompt_tokens": 9, "completion_tokens": 10**12},
    "more input than bytes": {"prompt_tokens": 10**7, "completion_tokens": 3},
    "no number": {"prompt_tokens": "many", "completion_tokens": 3},
    "null": None,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("lie", LIES)
def test_usage_that_cannot_be_true_is_counted_here_and_marked(stage: "Stage", lie: str, stream: bool) -> None:
    _answer_with(stage, "liar", LIES[lie])
    stage.configure(prices={"p1/stub/liar": [PRICE]})
    stage.ask({"model": "stub/liar", "messages": MESSAGES, "max_tokens": 100, "stream": stream})

    attempt = stage.only_call()[1]
    assert attempt.settlement == "counted"
    # "Hi" in a chat's framing is 8 tokens, "Hello wörld" 4, by OpenAI's own tokenizer.
    assert attempt.usage == Usage(input_tokens=8, output_tokens=4, is_estimated=True)
    assert attempt.cost_usd == (8 * Decimal("2.50") + 4 * 10) / 10**6
    assert _spent(stage) == 0


def test_tokens_are_counted_in_what_was_said_and_not_in_how_json_writes_it(stage: "Stage") -> None:
    text = 'a "quoted"\n\\ line\twith ünïcödé'
    _answer_with(stage, "quoting", None, text=text)
    _answer_with(stage, "plain", None, text="a quoted line with ünïcödé")
    for model in ("quoting", "plain"):
        stage.ask({"model": f"stub/{model}", "messages": MESSAGES})

    quoting, plain = (attempt.usage.output_tokens or 0 for _, attempt in stage.sink.calls())
    assert plain < quoting < plain + 8


def test_an_answer_of_tool_calls_is_counted_by_names_and_arguments() -> None:
    call = {"id": "c" * 500, "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    attempt = _attempt(b"{}")
    settle_answer(attempt, Completion(message=json.dumps(message), text=json.dumps(message)))

    assert attempt.settlement == "counted"
    assert 5 <= (attempt.usage.output_tokens or 0) <= 12


def test_an_answer_that_says_nothing_may_have_used_no_tokens() -> None:
    empty = json.dumps({"role": "assistant", "content": None})
    attempt = _attempt(b"{}")
    settle_answer(attempt, Completion(message=empty, text=empty, usage=Usage(input_tokens=5, output_tokens=0)))

    assert (attempt.settlement, attempt.usage.output_tokens) == ("reported", 0)


@pytest.mark.parametrize(
    ("path", "body", "least"),
    [
        ("/v1/messages", {"system": "one two three four five six seven eight nine ten", "messages": MESSAGES}, 12),
        ("/v1/completions", {"prompt": ["one two three", [1, 2, 3, 4, 5, 6, 7, 8, 9]]}, 12),
        ("/v1/responses", {"instructions": "one two three four five six seven", "input": "eight nine ten"}, 10),
    ],
)
def test_input_of_every_format_is_counted_if_nobody_reports_it(
    stage: "Stage", path: str, body: dict[str, Json], least: int
) -> None:
    async def own(request: web.Request, asked: "Asked") -> web.StreamResponse:
        answers: dict[str, dict[str, Json]] = {
            "/v1/messages": {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"},
            "/v1/completions": {"choices": [{"text": "Hi", "index": 0, "finish_reason": "stop"}]},
            "/v1/responses": {"object": "response", "status": "completed", "output": []},
        }
        return web.json_response({"id": "x", "model": "m", "created_at": 1, "role": "assistant"} | answers[path])

    stage.upstream.providers.own[path] = own
    upstream = "anthropic" if path == "/v1/messages" else "stub"
    reply = stage.send("POST", path, json.dumps({"model": f"{upstream}/good", "max_tokens": 9} | body).encode())

    attempt = stage.only_call()[1]
    assert reply.status == 200
    assert attempt.settlement == "counted"
    assert least <= (attempt.usage.input_tokens or 0) <= least + 4


@pytest.mark.parametrize(
    ("model", "settlement", "error_type"),
    [
        ("good", "reported", ""), ("breaks-midway", "counted", "broken"), ("cut-off", "counted", "truncated"),
        ("error-first", "counted", "error_event"), ("http-500", "free", "http_500"), ("http-422", "free", "http_422"),
    ],
)  # fmt: skip
def test_every_attempt_is_settled_once_in_one_way(stage: "Stage", model: str, settlement: str, error_type: str) -> None:
    stage.configure(prices={f"p1/stub/{model}": [_price("all", "3", 0)]})
    stage.ask({"model": f"stub/{model}", "messages": MESSAGES, "stream": True})

    call, attempt = stage.only_call()
    assert (attempt.settlement, attempt.error_type) == (settlement, error_type)
    assert attempt.reserved_usd is not None
    assert attempt.cost_usd is not None
    assert 0 <= attempt.cost_usd <= attempt.reserved_usd
    assert (call.settlement, call.reserved_usd, call.cost_usd) == ("", None, None)


def test_a_connection_that_fails_costs_nothing_even_if_the_price_is_unknown(stage: "Stage") -> None:
    stage.ask({"model": "dead/any", "messages": MESSAGES})

    attempt = stage.only_call()[1]
    assert (attempt.settlement, attempt.cost_usd, attempt.reserved_usd) == ("free", Decimal(0), None)


def test_a_timeout_is_counted_from_what_was_sent(stage: "Stage") -> None:
    stage.ask({"model": "stub/hangs", "messages": MESSAGES})

    attempt = stage.only_call()[1]
    assert (attempt.settlement, attempt.usage.input_tokens, attempt.usage.output_tokens) == ("counted", 8, 0)


@pytest.mark.parametrize(
    "bounds",
    [{"max_tokens": -5}, {"max_tokens": 0}, {"max_tokens": 10**30}, {"max_tokens": "7"}, {"n": -1}, {"max_tokens": 2.5},
     {"n": 10**20}, {"max_tokens": None}],
)  # fmt: skip
def test_an_odd_bound_of_the_answer_is_the_upstreams_to_judge(stage: "Stage", bounds: dict[str, Json]) -> None:
    reply = stage.ask({"model": "stub/good", "messages": MESSAGES} | bounds)

    attempt = stage.only_call()[1]
    assert reply.status == 200
    assert attempt.reserved_usd is not None
    assert attempt.reserved_usd > 0


def test_the_price_in_force_counts_newest_first(stage: "Stage") -> None:
    now_ns = stage.clock.now_ns()
    prices = [_price("tomorrow", "900", now_ns + 10**14), _price("now", "20", now_ns - 10**9), _price("past", "10", 0)]
    stage.configure(prices={"p1/stub/good": prices})
    stage.ask({"model": "stub/good", "messages": MESSAGES})
    stage.clock.ahead_ns = 2 * 10**14
    stage.ask({"model": "stub/good", "messages": MESSAGES})

    (_, first), (_, second) = stage.sink.calls()
    assert (first.price_digest, second.price_digest) == ("now", "tomorrow")
    assert (first.cost_usd, second.cost_usd) == (Decimal(59 * 20) / 10**6, Decimal(59 * 900) / 10**6)


def test_a_model_may_be_priced_by_a_pattern(stage: "Stage") -> None:
    stage.configure(prices={"p1/stub/goo*": [PRICE]})
    reply = stage.ask({"model": "stub/good", "messages": MESSAGES})

    assert reply.headers["x-zirkel-cost-usd"] == "unknown"  # PRICE has none for tokens that were read from a cache
    assert stage.only_call()[1].price_digest == "p" * 64


@pytest.mark.parametrize("prompts", [1, 3])
def test_each_prompt_of_a_completion_is_reserved_for(prompts: int) -> None:
    attempt, single = _attempt(b"{}"), _attempt(b"{}")
    bound_attempt(attempt, _target({"prompt": ["x"] * prompts, "max_tokens": 100, "n": 2}), SpanKind.COMPLETION)
    bound_attempt(single, _target({"prompt": "x", "max_tokens": 100, "n": 2}), SpanKind.COMPLETION)

    assert attempt.max_output_tokens == prompts * (single.max_output_tokens or 0) == prompts * 200


@pytest.mark.parametrize(
    "members",
    [
        {"generationConfig": {"maxOutputTokens": 100_000}},
        {"inferenceConfig": {"maxTokens": 100_000}},
        {"max_tokens": 5, "max_completion_tokens": 100_000},
        {"max_tokens": 100_000.0},
    ],
)
def test_the_bound_of_every_format_is_reserved_for(members: dict[str, Json]) -> None:
    attempt = _attempt(b"{}")
    assert bound_attempt(attempt, _target(members), SpanKind.CHAT) >= 100_000


@pytest.mark.parametrize("name", ['"image_url"', '"image\\u005furl"', '"\\u0069mage_url"'])
def test_an_image_is_reserved_for_however_its_name_is_written(name: str) -> None:
    body = '{"messages":[{"role":"user","content":[{"type":NAME,NAME:{}}]}]}'.replace("NAME", name).encode()
    attempt = _attempt(body)
    assert bound_attempt(attempt, _target({"max_tokens": 1}), SpanKind.CHAT) > 49_000
    assert attempt.names_media


@given(text=st.text(max_size=400), words=st.integers(0, 50), max_tokens=st.integers(1, 200), choices=st.integers(1, 4))
def test_what_is_reserved_is_never_less_than_what_an_honest_upstream_is_paid(
    text: str, words: int, max_tokens: int, choices: int
) -> None:
    messages: Json = [{"role": "user", "content": text}]
    members: dict[str, Json] = {"messages": messages, "max_tokens": max_tokens, "n": choices, "model": "gpt-4o"}
    body = json.dumps(members).encode()
    attempt = _attempt(body, json.dumps(messages).encode())
    target = _target(members)
    bound_attempt(attempt, target, SpanKind.CHAT)
    # As a model with one token per word that stops in time; nothing is reported.
    message = json.dumps({"role": "assistant", "content": " word" * min(words, max_tokens * choices)})
    settle_answer(attempt, Completion(message=message, text=message))

    assert attempt.reserved_usd is not None
    assert attempt.cost_usd is not None
    assert attempt.cost_usd <= attempt.reserved_usd


def _answer_with(stage: "Stage", model: str, usage: Json, *, text: str = "Hello wörld") -> None:
    async def own(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
        if not body.get("stream"):
            choice: Json = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            return web.json_response({"model": "gpt-4o", "choices": [choice], "usage": usage})
        parts: list[Json] = [{"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}]
        parts.append({"choices": [], "usage": usage})
        return await stubs.stream(request, [*map(stubs.sse, parts), b"data: [DONE]\n\n"])

    stage.upstream.handlers[model] = own


def _spent(stage: "Stage") -> Decimal:
    usage = read_usage(stage.gateway._world.limits, "p1/project", stage.clock.now_ns())
    return usage.windows["hour"].held_usd


def _price(digest: str, usd: str, effective_ns: int) -> ModelPrice:
    tiers = [PriceTier(0, usd)]
    return ModelPrice(tiers, tiers, output=tiers, reasoning=tiers, digest=digest, effective_ns=effective_ns)


def _attempt(body: bytes, messages: bytes = b"") -> Attempt:
    return Attempt(0, "first", "stub", "gpt-4o", "s", 1, body=body, messages=messages)


def _target(members: Mapping[str, Json]) -> Target:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in members.items()}
    upstream = SnapshotUpstream("stub", "http://x/v1")
    return Target(0, "stub", upstream, "gpt-4o", "chat", raw, is_hub=False, prices=[CompiledPrice(PRICE)])
