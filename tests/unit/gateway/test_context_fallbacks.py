"""Fallbacks for what a model cannot take or will not say."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.unit.gateway.resilience_stage import asked, link, refuses, serve, streams, waits
from zirkel.core import Json, Resilience

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Handler, Stage

TOO_LONG: Mapping[str, tuple[int, Json]] = {
    "openai": (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. Your messages resulted in 9001",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
    ),
    "llama.cpp": (
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9001,
                "n_ctx": 8192,
            }
        },
    ),
    "anthropic": (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"},
        },
    ),
}
FILTERED: Mapping[str, tuple[int, Json]] = {
    "azure": (
        400,
        {
            "error": {
                "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management "
                "policy.",
                "code": "content_filter",
                "status": 400,
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
    )
}
FILTER_END = (
    b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}\n\n' + b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("form", TOO_LONG)
@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_goes_to_the_link_that_is_there_for_it(
    stage: "Stage", form: str, stream: bool
) -> None:
    stage.upstream.handlers["small"] = _refusal(TOO_LONG[form])
    serve(stage, link("small"), link("spare"), link("large", on=("context_window",)))
    reply = stage.ask_service(stream=stream)

    assert (reply.status, reply.headers["x-zirkel-fallback"]) == (200, "2")
    assert asked(stage) == ["small", "large"]
    assert [span.attempt_reason for span in stage.only_call()[1:]] == ["first", "fallback"]


@pytest.mark.parametrize("body", [*TOO_LONG.values(), *FILTERED.values()])
def test_without_such_a_link_the_caller_gets_the_refusal_as_it_came(stage: "Stage", body: tuple[int, Json]) -> None:
    stage.upstream.handlers["small"] = _refusal(body)
    serve(stage, link("small", "twin"), link("spare"))
    stage.upstream.handlers["twin"] = stage.upstream.handlers["small"]
    reply = stage.ask_service()

    assert reply.status == body[0]
    assert web.json_response(body[1]).body == reply.body
    assert len(asked(stage)) == 1


def test_a_link_for_long_prompts_is_not_used_for_failures(stage: "Stage") -> None:
    stage.upstream.handlers["sick"] = refuses(500)
    serve(stage, link("sick"), link("large", on=("context_window",)))

    assert stage.ask_service().status == 502
    assert asked(stage) == ["sick"]


def test_a_link_may_be_there_for_several_reasons(stage: "Stage") -> None:
    stage.upstream.handlers["sick"] = refuses(500)
    stage.upstream.handlers["small"] = _refusal(TOO_LONG["openai"])
    for first in ("sick", "small"):
        serve(stage, link(first), link("large", on=("failure", "context_window")))
        assert stage.ask_service().headers["x-zirkel-model"] == "stub/large"


def test_after_the_link_for_long_prompts_fails_the_next_for_failures_is_asked(stage: "Stage") -> None:
    stage.upstream.handlers["small"] = _refusal(TOO_LONG["openai"])
    stage.upstream.handlers["large"] = refuses(503)
    serve(stage, link("small"), link("large", on=("context_window",)), link("spare"))

    assert stage.ask_service().headers["x-zirkel-model"] == "stub/spare"


def test_refusals_of_the_request_never_put_a_place_to_rest(stage: "Stage") -> None:
    stage.upstream.handlers["small"] = _refusal(TOO_LONG["openai"])
    serve(stage, link("small"), link("spare"), resilience=Resilience(retries=0, failures=1, rest_s=600))
    assert [stage.ask_service().status for _ in range(5)] == [400] * 5

    del stage.upstream.handlers["small"]
    assert stage.ask_service().headers["x-zirkel-model"] == "stub/small"


def test_a_prompt_that_a_filter_refuses_goes_to_the_link_that_is_there_for_it(stage: "Stage") -> None:
    stage.upstream.handlers["strict"] = _refusal(FILTERED["azure"])
    serve(stage, link("strict"), link("spare"), link("frank", on=("content_filter",)))

    assert stage.ask_service().headers["x-zirkel-model"] == "stub/frank"
    assert asked(stage) == ["strict", "frank"]


def test_an_answer_that_a_filter_cut_off_is_replaced(stage: "Stage") -> None:
    stage.upstream.handlers["strict"] = _filtered_answer()
    serve(stage, link("strict"), link("spare"), link("frank", on=("content_filter",)))
    reply = stage.ask_service()

    assert (reply.headers["x-zirkel-model"], reply.headers["x-zirkel-attempts"]) == ("stub/frank", "2")
    _, filtered, frank = stage.only_call()
    assert (filtered.finish_reason, filtered.settlement, frank.finish_reason) == ("content_filter", "reported", "stop")


@pytest.mark.parametrize("last", ["sick", "strict"])
def test_if_nobody_has_a_better_one_the_filtered_answer_is_the_callers(stage: "Stage", last: str) -> None:
    stage.upstream.handlers["strict"] = _filtered_answer()
    stage.upstream.handlers["sick"] = refuses(500)
    serve(stage, link("strict"), link(last, on=("content_filter",)))
    reply = stage.ask_service()

    assert reply.status == 200
    assert b'"finish_reason": "content_filter"' in reply.body


def test_without_a_link_for_it_a_filtered_answer_is_passed_on(stage: "Stage") -> None:
    stage.upstream.handlers["strict"] = _filtered_answer()
    serve(stage, link("strict"), link("spare"))

    assert b'"finish_reason": "content_filter"' in stage.ask_service().body
    assert asked(stage) == ["strict"]


def test_a_stream_that_a_filter_stops_before_its_first_token_is_replaced(stage: "Stage") -> None:
    stage.upstream.handlers["strict"] = streams(FILTER_END)
    serve(stage, link("strict"), link("frank", on=("content_filter",)))
    reply = stage.ask_service(stream=True)

    assert (reply.text, reply.headers["x-zirkel-model"]) == ("Hello wörld", "stub/frank")
    assert [span.finish_reason for span in stage.only_call()[1:]] == ["content_filter", "stop"]


def test_a_filtered_stream_that_nobody_can_better_is_passed_on(stage: "Stage") -> None:
    stage.upstream.handlers["strict"] = streams(FILTER_END)
    stage.upstream.handlers["sick"] = refuses(500)
    serve(stage, link("strict"), link("sick", on=("content_filter",)))
    reply = stage.ask_service(stream=True)

    assert (reply.status, reply.body) == (200, FILTER_END)
    assert stage.only_call()[0].status == "ok"


def test_if_all_places_rest_the_one_that_is_asked_anyway_may_still_lead_to_a_link_for_its_refusal(
    stage: "Stage",
) -> None:
    stage.upstream.handlers["small"] = refuses(500)
    policy = Resilience(retries=0, failures=1, rest_s=600)
    serve(stage, link("small"), link("large", on=("context_window",)), resilience=policy)
    assert stage.ask_service().status == 502

    stage.upstream.handlers["small"] = _refusal(TOO_LONG["openai"])
    assert stage.ask_service().headers["x-zirkel-model"] == "stub/large"


def test_a_slow_refusal_of_a_link_for_long_prompts_is_a_failure_like_any(stage: "Stage") -> None:
    stage.upstream.handlers["small"] = _refusal(TOO_LONG["openai"])
    stage.upstream.handlers["large"] = waits
    serve(stage, link("small"), link("large", on=("context_window",)))

    assert stage.ask_service().status == 502


def _refusal(form: tuple[int, Json]) -> "Handler":
    return refuses(form[0], body=form[1])


def _filtered_answer() -> "Handler":
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter"}

    async def handle(_request: web.Request, _body: dict[str, Json]) -> web.StreamResponse | None:
        return web.json_response(
            {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}
        )

    return handle
