"""The unmodified Anthropic package for Python on a running gateway, in front of every kind of upstream."""

import asyncio
import json
from collections.abc import Iterator
from typing import cast

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import MessageParam, TextBlock, ThinkingBlock, ThinkingConfigParam, ToolParam, ToolUseBlock
from pydantic import BaseModel

from tests.flows.client_stage import (
    ANTHROPIC,
    BEDROCK,
    GEMINI,
    IMAGE_SEEN,
    OPENAI,
    PLACES,
    PNG,
    THINKING_PLACES,
    Stage,
    failing,
    open_stage,
)
from tests.flows.harness import Object, Stack
from tests.flows.provider_script import (
    BEFORE_CALLS,
    CACHED_TOKENS,
    CITIES,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    RETRY_AFTER_S,
    TEXT,
    THOUGHT,
    THOUGHT_TOKENS,
)

pytestmark = pytest.mark.flow

HELLO: list[MessageParam] = [{"role": "user", "content": "Greet me."}]
WEATHER: ToolParam = {
    "name": "weather",
    "description": "Of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
THINKING: ThinkingConfigParam = {"type": "enabled", "budget_tokens": 1024}
MOST = 4000
SEEN = (INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS)


class Place(BaseModel):
    """What an answer is to be like."""

    city: str
    degrees: int


@pytest.fixture(scope="module")
def stage(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(stack, tmp_path_factory.mktemp("anthropic"), "Anthropic clients") as stage:
        yield stage


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[Anthropic]:
    with stage.anthropic() as client:
        yield client


@pytest.mark.parametrize("place", PLACES)
def test_a_message_is_answered_priced_and_recorded(stage: Stage, client: Anthropic, place: str) -> None:
    raw = client.messages.with_raw_response.create(
        model=place,
        max_tokens=MOST,
        system="Be kind.",
        messages=HELLO,
        stop_sequences=["END"],
        metadata={"user_id": "ann"},
    )
    message = raw.parse()
    assert [block.text for block in message.content if isinstance(block, TextBlock)] == [TEXT]
    assert (message.role, message.stop_reason) == ("assistant", "end_turn")
    assert _counts(message.usage) == SEEN
    assert (raw.headers["x-zirkel-model"], raw.headers["x-zirkel-fallback"]) == (place, "0")
    call, attempt = stage.spans(raw.headers["x-zirkel-trace-id"])
    assert (call["user_id"], call["status"], attempt["settlement"]) == ("ann", "ok", "reported")
    assert float(str(attempt["cost_usd"])) == float(raw.headers["x-zirkel-cost-usd"]) > 0
    assert "Be kind." in json.dumps(stage.sent(raw.headers["x-zirkel-trace-id"]))


@pytest.mark.parametrize("place", PLACES)
def test_the_streaming_helper_puts_a_message_together(stage: Stage, client: Anthropic, place: str) -> None:
    with client.messages.stream(model=place, max_tokens=MOST, messages=HELLO) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
        trace_id = stream.response.headers["x-zirkel-trace-id"]
    assert len(pieces) == 3
    assert "".join(pieces) == TEXT
    assert [block.text for block in message.content if isinstance(block, TextBlock)] == [TEXT]
    assert message.stop_reason == "end_turn"
    assert _counts(message.usage) == SEEN
    _, attempt = stage.spans(trace_id)
    usage = cast(Object, attempt["usage"])
    assert (usage["input_tokens"], usage["cache_read_tokens"], usage["output_tokens"]) == SEEN


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("is_stream", [False, True])
def test_tools_are_called_side_by_side_and_their_results_go_back(
    client: Anthropic, place: str, is_stream: bool
) -> None:
    if is_stream:
        with client.messages.stream(model=place, max_tokens=MOST, messages=HELLO, tools=[WEATHER]) as stream:
            message = cast(anthropic.types.Message, stream.get_final_message())
    else:
        message = client.messages.create(model=place, max_tokens=MOST, messages=HELLO, tools=[WEATHER])
    assert message.stop_reason == "tool_use"
    (text,) = [block.text for block in message.content if isinstance(block, TextBlock)]
    assert text == BEFORE_CALLS
    calls = [block for block in message.content if isinstance(block, ToolUseBlock)]
    assert [call.input for call in calls] == [{"city": city} for city in CITIES]
    assert len({call.id for call in calls}) == 2

    conversation = [
        *HELLO,
        cast(MessageParam, {"role": "assistant", "content": message.content}),
        _results((calls[0].id, "rain"), (calls[1].id, "sun")),
    ]
    second = client.messages.create(model=place, max_tokens=MOST, messages=conversation, tools=[WEATHER])
    assert [block.text for block in second.content if isinstance(block, TextBlock)] == ["The tools say: rain; sun"]


@pytest.mark.parametrize("place", PLACES)
def test_an_image_arrives_whole(client: Anthropic, place: str) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    message = client.messages.create(
        model=place,
        max_tokens=MOST,
        messages=[cast(MessageParam, {"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]})],
    )
    assert [block.text for block in message.content if isinstance(block, TextBlock)] == [IMAGE_SEEN]


@pytest.mark.parametrize("place", PLACES)
def test_an_answer_has_the_form_of_a_schema(client: Anthropic, place: str) -> None:
    parsed = client.messages.parse(model=place, max_tokens=MOST, messages=HELLO, output_format=Place)
    assert parsed.parsed_output == Place(city="Ulm", degrees=3)


@pytest.mark.parametrize("place", THINKING_PLACES)
def test_what_was_thought_is_told_counted_and_taken_back(client: Anthropic, place: str) -> None:
    message = client.messages.create(model=place, max_tokens=MOST, messages=HELLO, tools=[WEATHER], thinking=THINKING)
    assert [block.thinking for block in message.content if isinstance(block, ThinkingBlock)] == [THOUGHT]
    assert message.usage.output_tokens == OUTPUT_TOKENS
    assert message.usage.output_tokens_details is not None
    assert message.usage.output_tokens_details.thinking_tokens == THOUGHT_TOKENS
    calls = [block for block in message.content if isinstance(block, ToolUseBlock)]
    conversation = [
        *HELLO,
        cast(MessageParam, {"role": "assistant", "content": message.content}),
        _results(*[(call.id, "rain") for call in calls]),
    ]
    with client.messages.stream(
        model=place, max_tokens=MOST, messages=conversation, tools=[WEATHER], thinking=THINKING
    ) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]


def test_a_model_that_keeps_its_thoughts_is_asked_to_think_all_the_same(stage: Stage, client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(model=OPENAI, max_tokens=MOST, messages=HELLO, thinking=THINKING)
    usage = raw.parse().usage
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == THOUGHT_TOKENS
    assert stage.sent(raw.headers["x-zirkel-trace-id"])["reasoning_effort"]


def test_what_speaks_messages_gets_and_gives_them_unchanged(stage: Stage, client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model=ANTHROPIC,
        max_tokens=MOST,
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        messages=HELLO,
        extra_headers={"anthropic-beta": "novelties-2030-01-01"},
    )
    (call,) = stage.calls(raw.headers["x-zirkel-trace-id"])
    headers = cast(Object, call["headers"])
    wanted = json.loads(raw.http_request.content) | {"model": ANTHROPIC.partition("/")[2]}
    assert json.loads(str(call["body"])) == wanted
    assert headers["anthropic-beta"] == "novelties-2030-01-01"
    assert headers["anthropic-version"] == raw.http_request.headers["anthropic-version"]
    assert stage.key not in str(headers)
    assert raw.text() == call["answer"]
    with client.messages.with_streaming_response.create(
        model=ANTHROPIC, max_tokens=MOST, messages=HELLO, stream=True
    ) as streamed:
        body = b"".join(streamed.iter_bytes())
    (call,) = stage.calls(streamed.headers["x-zirkel-trace-id"])
    assert body.decode() == call["answer"]


def test_a_beta_of_anthropics_goes_to_nobody_else(stage: Stage, client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model=OPENAI, max_tokens=MOST, messages=HELLO, extra_headers={"anthropic-beta": "novelties-2030-01-01"}
    )
    (call,) = stage.calls(raw.headers["x-zirkel-trace-id"])
    assert not [name for name in cast(Object, call["headers"]) if name.startswith("anthropic")]


def test_a_key_may_come_as_a_bearer_token(stage: Stage) -> None:
    with Anthropic(base_url=stage.url, auth_token=stage.key, api_key=None, max_retries=0) as client:
        message = client.messages.create(model=OPENAI, max_tokens=MOST, messages=HELLO)
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize("place", PLACES)
def test_tokens_are_counted(client: Anthropic, place: str) -> None:
    few = client.messages.count_tokens(model=place, messages=HELLO, system="Be kind.")
    many = client.messages.count_tokens(model=place, messages=HELLO * 3, system="Be kind.", tools=[WEATHER])
    if place == ANTHROPIC:
        # Who speaks the format counts best.
        assert (few.input_tokens, many.input_tokens) == (1001, 1004)
    else:
        assert 0 < few.input_tokens < many.input_tokens < 200


def test_models_are_listed(client: Anthropic) -> None:
    found = list(client.models.list())
    assert [model.id for model in found] == ["patient", "writer"]
    assert {model.type for model in found} == {"model"}
    assert client.models.retrieve("writer").display_name == "writer"


@pytest.mark.parametrize("place", PLACES)
def test_refusals_are_the_clients_own_exceptions(client: Anthropic, place: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.messages.create(model=failing(place, "context"), max_tokens=MOST, messages=HELLO)
    assert cast(Object, refused.value.body)["type"] == "error"
    with pytest.raises(anthropic.InternalServerError):
        client.messages.create(model=failing(place, "overloaded"), max_tokens=MOST, messages=HELLO)
    with pytest.raises(anthropic.InternalServerError) as limited:
        client.messages.create(model=failing(place, "rate"), max_tokens=MOST, messages=HELLO)
    retry_after = None if place == BEDROCK else str(RETRY_AFTER_S)
    assert limited.value.response.headers.get("retry-after") == retry_after


@pytest.mark.parametrize("place", PLACES)
def test_a_stream_that_fails_midway_is_an_api_error(stage: Stage, client: Anthropic, place: str) -> None:
    texts: list[str] = []
    stream = client.messages.with_raw_response.create(
        model=failing(place, "midway"), max_tokens=MOST, messages=HELLO, stream=True
    )
    with pytest.raises(anthropic.APIStatusError, match="the upstream failed"):
        texts.extend(event.type for event in stream.parse())
    assert "content_block_delta" in texts
    # A break that comes together with the first piece is before it, and so tried once more unseen.
    call, *attempts = stage.spans(stream.headers["x-zirkel-trace-id"])
    assert (call["status"], attempts[-1]["status"]) == ("error", "error")


def test_the_gateways_own_refusals_are_the_clients_exceptions(stage: Stage, client: Anthropic) -> None:
    with stage.anthropic("zk_wrong") as stranger, pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model=OPENAI, max_tokens=MOST, messages=HELLO)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="nobody/none", max_tokens=MOST, messages=HELLO)
    searching = cast(ToolParam, {"type": "web_search_20250305", "name": "web_search"})
    with pytest.raises(anthropic.BadRequestError, match="web_search"):
        client.messages.create(model=OPENAI, max_tokens=MOST, messages=HELLO, tools=[searching])
    with stage.anthropic(stage.make_key(limits={"models": ["openai/*"], "requests_per_minute": 1})) as limited:
        with pytest.raises(anthropic.PermissionDeniedError):
            limited.messages.create(model=ANTHROPIC, max_tokens=MOST, messages=HELLO)
        limited.messages.create(model=OPENAI, max_tokens=MOST, messages=HELLO)
        with pytest.raises(anthropic.RateLimitError) as refused:
            limited.messages.create(model=OPENAI, max_tokens=MOST, messages=HELLO)
    assert int(refused.value.response.headers["retry-after"]) > 0
    poor = stage.make_key(limits={"budget": [{"window": "day", "hard_usd": "0.000001"}]})
    with stage.anthropic(poor) as without_money, pytest.raises(anthropic.APIStatusError) as broke:
        without_money.messages.create(model=OPENAI, max_tokens=MOST, messages=HELLO)
    assert broke.value.status_code == 402


def test_the_upstream_is_cancelled_when_the_client_leaves_a_stream(stage: Stage) -> None:
    with stage.anthropic() as client:
        raw = client.messages.with_raw_response.create(model="patient", max_tokens=MOST, messages=HELLO, stream=True)
        stream = raw.parse()
        assert next(iter(stream)).type == "message_start"
        stream.close()
    stage.wait_for_closed(raw.headers["x-zirkel-trace-id"])


def test_many_calls_of_the_async_client_at_once(stage: Stage) -> None:
    async def ask_all() -> list[str]:
        async with AsyncAnthropic(base_url=stage.url, api_key=stage.key, max_retries=0) as client:

            async def ask(place: str) -> str:
                async with client.messages.stream(model=place, max_tokens=MOST, messages=HELLO) as stream:
                    return await stream.get_final_text()

            return await asyncio.gather(*[ask(place) for place in PLACES * 4])

    assert set(asyncio.run(ask_all())) == {TEXT}


def test_requests_passed_through_are_metered_and_recorded(stage: Stage) -> None:
    model = "claude-sonnet-4-6"
    with stage.anthropic(path="/providers/anthropic") as client:
        plain = client.messages.with_raw_response.create(model=model, max_tokens=MOST, messages=HELLO)
        assert plain.parse().stop_reason == "end_turn"
        with client.messages.stream(model=model, max_tokens=MOST, messages=HELLO) as stream:
            assert stream.get_final_text() == TEXT
            streamed = stream.response.headers["x-zirkel-trace-id"]
        assert client.messages.count_tokens(model=model, messages=HELLO).input_tokens == 1001
        with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
            client.messages.create(model="fails-context", max_tokens=MOST, messages=HELLO)
    for trace_id in (plain.headers["x-zirkel-trace-id"], streamed):
        _, attempt = stage.spans(trace_id)
        usage = cast(Object, attempt["usage"])
        assert (usage["input_tokens"], usage["cache_read_tokens"], usage["output_tokens"]) == SEEN
        assert float(str(attempt["cost_usd"])) > 0


def test_gemini_is_asked_what_the_client_asks(stage: Stage, client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model=GEMINI,
        max_tokens=MOST,
        system="Be kind.",
        messages=HELLO,
        stop_sequences=["END"],
        tools=[WEATHER],
        tool_choice={"type": "none"},
    )
    sent = stage.sent(raw.headers["x-zirkel-trace-id"])
    assert cast(Object, sent["generationConfig"])["maxOutputTokens"] == MOST
    assert cast(Object, sent["generationConfig"])["stopSequences"] == ["END"]
    assert cast(Object, cast(Object, sent["toolConfig"])["functionCallingConfig"])["mode"] == "NONE"
    assert raw.parse().stop_reason == "end_turn"


def _results(*found: tuple[str, str]) -> MessageParam:
    return {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": call_id, "content": [{"type": "text", "text": text}]}
            for call_id, text in found
        ],
    }


def _counts(usage: anthropic.types.Usage) -> tuple[int, int | None, int]:
    return usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens
