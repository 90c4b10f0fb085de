"""One call through the gateway, as a plain HTTP client sees it."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from zirkel.core import Json, SpanKind, Usage
from zirkel.gateway import SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

COST = Decimal("0.000260")  # (30 * 2.50 + 12 * 1.25 + 12 * 10 + 5 * 10) / 1e6
MESSAGES = [{"role": "user", "content": "Hi"}]


def test_a_service_call_sends_the_rendered_prompt_and_answers_the_upstreams_bytes(stage: "Stage") -> None:
    reply = stage.ask_service()

    assert reply.status == 200
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "Hello wörld"
    sent = stage.upstream.requests[0]
    assert sent["messages"] == [
        {"role": "system", "content": "Use {{braces}} as they are."},
        {"role": "user", "content": "Sort this: Ünser"},
    ]
    assert sent["model"] == "good"
    assert "zirkel" not in sent
    assert stage.upstream.headers[0]["Authorization"] == "Bearer sk-upstream-secret-0123456789"


def test_the_answer_headers_say_what_answered_and_what_it_cost(stage: "Stage") -> None:
    headers = stage.ask_service().headers

    assert headers["x-zirkel-release"] == "a" * 64
    assert headers["x-zirkel-arm"] == "stable"
    assert headers["x-zirkel-model"] == "stub/good"
    assert headers["x-zirkel-fallback"] == "0"
    assert Decimal(headers["x-zirkel-cost-usd"]) == COST
    assert headers["x-zirkel-trace-id"] == stage.only_call()[0].trace_id


def test_a_call_is_recorded_with_its_attempt_below_it(stage: "Stage") -> None:
    stage.ask_service(headers={"x_zirkel_session": "s1"})

    call, attempt = stage.only_call()
    assert (call.kind, call.name, call.status) == (SpanKind.CALL, "service:triage", "ok")
    assert json.loads(call.input) == {"ticket": "Ünser"}
    assert json.loads(call.output) == "Hello wörld"
    assert (call.prompt_name, call.prompt_version, call.environment) == ("triage", "7", "production")
    assert (call.unit, call.key_id, call.session_id, call.arm_probability) == ("k-call", "k-call", "s1", 1.0)
    assert call.cost_usd is None
    assert attempt.parent_span_id == call.span_id
    assert (attempt.kind, attempt.provider, attempt.operation) == (SpanKind.CHAT, "stub", "chat")
    assert (attempt.request_model, attempt.response_model) == ("good", "good-0806")
    assert attempt.usage == Usage(input_tokens=30, cache_read_tokens=12, output_tokens=12, reasoning_tokens=5)
    assert (attempt.cost_usd, attempt.price_digest) == (COST, "p" * 64)
    assert json.loads(attempt.output) == {"role": "assistant", "content": "Hello wörld"}
    assert json.loads(attempt.input)[1]["content"] == "Sort this: Ünser"
    assert (attempt.release, attempt.arm, attempt.finish_reason) == ("a" * 64, "stable", "stop")


def test_a_direct_call_forwards_every_other_member_byte_for_byte(stage: "Stage") -> None:
    reply = stage.ask(b'{"model":"stub/good","messages":[ {"role":"user","content":"\\u00fc"} ],"temperature":1.0e0}')

    call, attempt = stage.only_call()
    assert reply.status == 200
    assert attempt.input == '[ {"role":"user","content":"\\u00fc"} ]'
    assert attempt.parameters == {"temperature": "1.0e0"}
    assert (call.name, call.release, attempt.cost_usd) == ("chat stub/good", "", COST)
    assert "x-zirkel-release" not in reply.headers


def test_a_model_without_a_price_has_an_unknown_cost(stage: "Stage") -> None:
    reply = stage.ask({"model": "stub/other", "messages": MESSAGES})

    assert reply.headers["x-zirkel-cost-usd"] == "unknown"
    assert stage.only_call()[1].cost_usd is None


def test_usage_that_was_not_reported_is_counted_and_marked(stage: "Stage") -> None:
    stage.ask({"model": "stub/no-usage", "messages": MESSAGES})

    attempt = stage.only_call()[1]
    assert attempt.usage.is_estimated
    assert (attempt.settlement, attempt.usage.output_tokens) == ("counted", 4)
    assert attempt.cost_usd is None  # the model has no price


def test_an_upstream_may_stand_in_for_another_model(stage: "Stage") -> None:
    reply = stage.ask({"model": "stand-in/http-500", "messages": MESSAGES})

    assert stage.upstream.requests[0]["model"] == "good"
    assert reply.headers["x-zirkel-model"] == "stand-in/good"
    assert "Authorization" not in stage.upstream.headers[0]


def test_the_releases_parameters_win_and_the_callers_fill_the_gaps(stage: "Stage") -> None:
    from_release = msgspec.Raw(b'{"temperature": 0, "stream": true, "model": "evil"}')
    stage.configure(msgspec.structs.replace(_target(stage), parameters=from_release))
    stage.ask({"model": "service:triage", "zirkel": {"variables": {"ticket": "x"}}, "temperature": 1, "seed": 7})

    sent = stage.upstream.requests[0]
    assert (sent["temperature"], sent["seed"], sent["model"]) == (0, 7, "good")
    assert "stream" not in sent


def test_the_last_user_text_stands_for_a_single_string_variable(stage: "Stage") -> None:
    stage.ask({"model": "service:triage", "messages": [{"role": "user", "content": [{"type": "text", "text": "T1"}]}]})

    assert "Sort this: T1" in json.dumps(stage.upstream.requests[0])
    assert json.loads(stage.only_call()[0].input) == {"ticket": "T1"}


@pytest.mark.parametrize(
    ("variables", "named"),
    [({}, "ticket"), ({"ticket": 3}, "ticket"), ({"ticket": "x", "extra": 1}, "extra"), ({"ticket": None}, "ticket")],
)
def test_a_wrong_variable_is_named(stage: "Stage", variables: dict[str, None], named: str) -> None:
    reply = stage.ask({"model": "service:triage", "zirkel": {"variables": variables}})

    assert (reply.status, reply.error["param"]) == (400, f"zirkel.variables.{named}")
    assert named in reply.error["message"]
    call = stage.only_call()[0]
    assert (call.status, call.error_type, call.release) == ("error", "invalid", "a" * 64)
    assert reply.headers["x-zirkel-release"] == "a" * 64


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[1]", None),
        (b'{"model": 3}', "model"),
        (b'{"model": "service:triage", "zirkel": {"varables": {}}}', "zirkel"),
        (b'{"model": "service:triage", "stream": "yes"}', "stream"),
        (b'{"model": "\xff"}', None),
        (b'{"model": "service:triage", "x": ' + b"[" * 100_000, None),
    ],
)
def test_a_malformed_body_is_a_recorded_400(stage: "Stage", body: bytes, param: str | None) -> None:
    reply = stage.ask(body)

    assert (reply.status, reply.error["param"], reply.error["type"]) == (400, param, "invalid_request_error")
    assert stage.only_call()[0].status == "error"


@pytest.mark.parametrize("model", ["gpt-4o", "nobody/gpt", "service:none", "service:triage@staging", "service:", "/x"])
def test_an_unknown_model_is_a_404(stage: "Stage", model: str) -> None:
    reply = stage.ask({"model": model, "messages": MESSAGES})

    assert (reply.status, reply.error["param"]) == (404, "model")


def test_a_body_over_the_limit_is_refused(stage: "Stage") -> None:
    reply = stage.ask(b'{"model": "' + b"x" * (4 << 20) + b'"}')

    assert reply.status == 413


def test_a_body_of_megabytes_is_forwarded(stage: "Stage") -> None:
    reply = stage.ask({"model": "stub/good", "messages": [{"role": "user", "content": "x" * (3 << 20)}]})

    assert reply.status == 200
    assert len(json.dumps(stage.upstream.requests[0]["messages"])) > 3 << 20


def test_a_compressed_body_is_unsupported(stage: "Stage") -> None:
    assert stage.ask(b"\x1f\x8b", content_encoding="gzip").status == 415


def test_the_callers_trace_is_joined_and_passed_on(stage: "Stage") -> None:
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    reply = stage.ask_service(headers={"traceparent": f"00-{trace_id}-{span_id}-01"})

    call, attempt = stage.only_call()
    assert (call.trace_id, call.parent_span_id, reply.headers["x-zirkel-trace-id"]) == (trace_id, span_id, trace_id)
    assert stage.upstream.headers[0]["traceparent"] == f"00-{trace_id}-{attempt.span_id}-01"


def test_units_are_sticky_and_split_by_weight(stage: "Stage") -> None:
    stage.configure(weight=0.5)
    arms = {user: {_arm(stage, user) for _ in range(3)} for user in "abcdefghijklmnop"}

    assert all(len(found) == 1 for found in arms.values())
    assert {arm for found in arms.values() for arm in found} == {"stable", "candidate"}
    assert {call.arm_probability for call, *_ in stage.sink.calls()} == {0.5}


def test_the_unit_is_the_header_then_the_user_then_the_key(stage: "Stage") -> None:
    body: dict[str, Json] = {"model": "service:triage", "messages": MESSAGES}
    stage.ask(body | {"user": "u1"}, x_zirkel_unit="h1")
    stage.ask(body | {"user": "u1"})
    stage.ask(body | {"safety_identifier": "u2"})
    stage.configure(unit="session")
    stage.ask(body | {"user": "u1"}, x_zirkel_session="s1")
    stage.ask(body | {"user": "u1"})
    stage.configure(unit="key")
    stage.ask(body | {"user": "u1"}, x_zirkel_unit="h1")

    assert [call.unit for call, *_ in stage.sink.calls()] == ["h1", "u1", "u2", "s1", "u1", "k-call"]


def test_an_admin_may_pin_a_release_and_name_an_experiment(stage: "Stage") -> None:
    headers = {"x_zirkel_release": "b" * 64, "x_zirkel_experiment": "e1", "x_zirkel_item": "i1", "x_zirkel_trial": "2"}
    reply = stage.ask_service(key="admin-key", headers=headers)

    call, attempt = stage.only_call()
    assert (reply.headers["x-zirkel-release"], reply.headers["x-zirkel-arm"]) == ("b" * 64, "pinned")
    assert (call.arm, call.arm_probability, call.environment) == ("pinned", 1.0, "")
    assert (attempt.experiment_id, attempt.item_id, attempt.trial) == ("e1", "i1", 2)


def test_a_judges_call_is_recorded_as_an_evaluators_and_its_attempt_is_priced(stage: "Stage") -> None:
    headers = {"x_zirkel_evaluator": "h\u00f6flich".encode().decode("latin-1"), "x_zirkel_experiment": "e1"}
    stage.ask({"model": "stub/good", "messages": MESSAGES}, key="admin-key", **headers)

    ((call, attempt),) = stage.sink.calls()
    assert (call.kind, call.name, call.source) == (SpanKind.EVALUATOR, "evaluate h\u00f6flich", "gateway")
    assert json.loads(call.attributes["gen_ai.evaluation.name"]) == "h\u00f6flich"
    assert (attempt.kind, attempt.parent_span_id, attempt.cost_usd) == (SpanKind.CHAT, call.span_id, COST)
    assert attempt.attributes == call.attributes
    assert (attempt.experiment_id, attempt.service) == ("e1", "")


def test_a_failed_call_says_what_it_cost(stage: "Stage") -> None:
    refused = stage.ask({"model": "stub/http-400", "messages": MESSAGES})
    unknown = stage.ask({"model": "nowhere/good", "messages": MESSAGES})

    assert (refused.status, unknown.status) == (400, 404)
    assert [reply.headers["x-zirkel-cost-usd"] for reply in (refused, unknown)] == ["0", "0"]


@pytest.mark.parametrize(
    "header",
    ["x_zirkel_release", "x_zirkel_experiment", "x_zirkel_item", "x_zirkel_trial", "x_zirkel_evaluator"],
)
def test_only_an_admin_may_pin_or_experiment(stage: "Stage", header: str) -> None:
    assert stage.ask_service(headers={header: "1"}).status == 403


def test_a_pinned_release_must_be_the_services(stage: "Stage") -> None:
    reply = stage.ask_service(key="admin-key", headers={"x_zirkel_release": "c" * 64})

    assert (reply.status, reply.error["param"]) == (404, "x-zirkel-release")


def test_a_caller_is_answered_even_if_the_record_is_lost(stage: "Stage") -> None:
    stage.sink.is_full = True

    assert stage.ask_service().status == 200
    assert stage.gateway.counters.records_lost == 1


def test_two_hundred_calls_at_once_are_each_recorded_once(stage: "Stage") -> None:
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda n: stage.ask_service(stream=bool(n % 2)), range(200)))

    assert {reply.status for reply in replies} == {200}
    traces = [call.trace_id for call, _ in stage.sink.calls()]
    assert sorted(traces) == sorted(reply.headers["x-zirkel-trace-id"] for reply in replies)
    assert len(set(traces)) == 200


def _arm(stage: "Stage", user: str) -> str:
    return stage.ask({"model": "service:triage", "messages": MESSAGES, "user": user}).headers["x-zirkel-arm"]


def _target(stage: "Stage") -> SnapshotTarget:
    return stage.source.snapshot.releases["p1/" + "a" * 64].chain[0].pool[0]
