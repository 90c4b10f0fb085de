"""The unmodified OpenAI package for Python on a running gateway, in front of every kind of upstream."""

import asyncio
import json
from collections.abc import Iterator
from typing import cast

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessage as Message
from openai.types.chat import (
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)
from openai.types.responses import FunctionToolParam, ResponseFunctionToolCall, ResponseInputParam, ResponseOutputItem
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
    LOGPROB,
    OUTPUT_TOKENS,
    RETRY_AFTER_S,
    TEXT,
    THOUGHT,
    THOUGHT_TOKENS,
    VECTOR,
)

pytestmark = pytest.mark.flow

HELLO: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Greet me."},
]
PARAMETERS: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "description": "Of a city", "parameters": PARAMETERS},
}
WEATHER_HERE: FunctionToolParam = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}


class Place(BaseModel):
    """What an answer is to be like."""

    city: str
    degrees: int


class Report(BaseModel):
    """What an answer is to be like, with parts of its own."""

    title: str
    places: list[Place]


@pytest.fixture(scope="module")
def stage(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(stack, tmp_path_factory.mktemp("openai"), "OpenAI clients") as stage:
        yield stage


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[OpenAI]:
    with stage.openai() as client:
        yield client


@pytest.mark.parametrize("place", PLACES)
def test_a_chat_is_answered_priced_and_recorded(stage: Stage, client: OpenAI, place: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=place, messages=HELLO, max_completion_tokens=50, temperature=0.5, stop=["END"], user="ann"
    )
    answer = raw.parse()
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == (TEXT, "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == CACHED_TOKENS
    assert (raw.headers["x-zirkel-model"], raw.headers["x-zirkel-fallback"]) == (place, "0")
    assert float(raw.headers["x-zirkel-cost-usd"]) > 0
    call, attempt = stage.spans(raw.headers["x-zirkel-trace-id"])
    assert (call["user_id"], call["status"]) == ("ann", "ok")
    assert attempt["settlement"] == "reported"
    assert _counts(attempt) == (INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS)
    assert float(str(attempt["cost_usd"])) == float(raw.headers["x-zirkel-cost-usd"])


@pytest.mark.parametrize("place", PLACES)
def test_a_stream_is_told_piece_by_piece_and_its_usage_if_asked_for(stage: Stage, client: OpenAI, place: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=place, messages=HELLO, stream=True)
    chunks = list(raw.parse())
    assert sum(bool(chunk.choices[0].delta.content) for chunk in chunks) == 3
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)
    _, attempt = stage.spans(raw.headers["x-zirkel-trace-id"])
    assert _counts(attempt) == (INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS)

    asked = list(
        client.chat.completions.create(model=place, messages=HELLO, stream=True, stream_options={"include_usage": True})
    )
    (counted,) = [chunk.usage for chunk in asked if chunk.usage is not None]
    assert asked[-1].choices == []
    assert (counted.prompt_tokens, counted.completion_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("is_stream", [False, True])
def test_tools_are_called_side_by_side_and_their_results_go_back(client: OpenAI, place: str, is_stream: bool) -> None:
    if is_stream:
        with client.chat.completions.stream(model=place, messages=HELLO, tools=[WEATHER]) as stream:
            streamed = stream.get_final_completion().choices[0]
        said, reason, message = _said_again(streamed.message), streamed.finish_reason, cast(Message, streamed.message)
    else:
        choice = client.chat.completions.create(model=place, messages=HELLO, tools=[WEATHER]).choices[0]
        said, reason, message = cast(ChatCompletionMessageParam, choice.message), choice.finish_reason, choice.message
    assert (message.content, reason) == (BEFORE_CALLS, "tool_calls")
    calls = _functions(message)
    assert [json.loads(call.function.arguments)["city"] for call in calls] == list(CITIES)
    assert len({call.id for call in calls}) == 2

    results = [_result(call.id, weather) for call, weather in zip(calls, ("rain", "sun"), strict=True)]
    conversation = [*HELLO, said, *results]
    second = client.chat.completions.create(model=place, messages=conversation, tools=[WEATHER])
    assert second.choices[0].message.content == "The tools say: rain; sun"


def test_the_seal_of_thoughts_goes_back_to_gemini_with_the_calls(stage: Stage, client: OpenAI) -> None:
    message = client.chat.completions.create(model=GEMINI, messages=HELLO, tools=[WEATHER]).choices[0].message
    conversation = [*HELLO, cast(ChatCompletionMessageParam, message)]
    conversation += [_result(call.id, "rain") for call in message.tool_calls or ()]
    raw = client.chat.completions.with_raw_response.create(model=GEMINI, messages=conversation, tools=[WEATHER])
    contents = cast("list[Object]", stage.sent(raw.headers["x-zirkel-trace-id"])["contents"])
    seals = [part.get("thoughtSignature") for part in cast("list[Object]", contents[1]["parts"])]
    assert seals == [None, "c2VhbA==", None]


@pytest.mark.parametrize("place", PLACES)
def test_an_answer_has_the_form_of_a_schema(client: OpenAI, place: str) -> None:
    parsed = client.chat.completions.parse(model=place, messages=HELLO, response_format=Report)
    report = parsed.choices[0].message.parsed
    assert report == Report(title="Ulm", places=[Place(city="Ulm", degrees=3)] * 2)
    with client.chat.completions.stream(model=place, messages=HELLO, response_format=Report) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == report


@pytest.mark.parametrize("place", PLACES)
def test_an_image_arrives_whole(client: OpenAI, place: str) -> None:
    answer = client.chat.completions.create(
        model=place,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                ],
            }
        ],
    )
    assert answer.choices[0].message.content == IMAGE_SEEN


@pytest.mark.parametrize("place", THINKING_PLACES)
def test_what_was_thought_is_told_and_counted(client: OpenAI, place: str) -> None:
    answer = client.chat.completions.create(model=place, messages=HELLO, reasoning_effort="low")
    message = answer.choices[0].message
    assert message.content == TEXT
    assert (message.model_extra or {})["reasoning_content"] == THOUGHT
    assert answer.usage is not None
    assert answer.usage.completion_tokens == OUTPUT_TOKENS
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == THOUGHT_TOKENS
    chunks = client.chat.completions.create(model=place, messages=HELLO, reasoning_effort="low", stream=True)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join((delta.model_extra or {}).get("reasoning_content") or "" for delta in deltas) == THOUGHT
    assert "".join(delta.content or "" for delta in deltas) == TEXT


@pytest.mark.parametrize("place", [OPENAI, GEMINI])
def test_several_choices_with_log_probabilities(client: OpenAI, place: str) -> None:
    answer = client.chat.completions.create(model=place, messages=HELLO, n=2, seed=7, logprobs=True)
    assert [choice.message.content for choice in answer.choices] == [TEXT, TEXT]
    for choice in answer.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert choice.logprobs.content[0].logprob == LOGPROB
    texts = {0: "", 1: ""}
    for chunk in client.chat.completions.create(model=place, messages=HELLO, n=2, stream=True):
        for piece in chunk.choices:
            texts[piece.index] += piece.delta.content or ""
    assert texts == {0: TEXT, 1: TEXT}


@pytest.mark.parametrize("place", [ANTHROPIC, BEDROCK])
def test_what_an_upstream_cannot_do_is_refused_with_its_name(client: OpenAI, place: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=place, messages=HELLO, n=2)
    assert refused.value.param == "n"
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=place, messages=HELLO, logprobs=True)
    assert refused.value.param == "logprobs"


@pytest.mark.parametrize("place", PLACES)
def test_refusals_are_the_clients_own_exceptions(client: OpenAI, place: str) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=failing(place, "context"), messages=HELLO)
    with pytest.raises(openai.InternalServerError) as down:
        client.chat.completions.create(model=failing(place, "overloaded"), messages=HELLO)
    assert down.value.code == "upstream_failed"
    with pytest.raises(openai.InternalServerError) as limited:
        client.chat.completions.create(model=failing(place, "rate"), messages=HELLO)
    # The limit is the upstream's and not the caller's, but when to come back is the same.
    retry_after = None if place == BEDROCK else str(RETRY_AFTER_S)
    assert limited.value.response.headers.get("retry-after") == retry_after


@pytest.mark.parametrize("place", PLACES)
def test_a_stream_that_fails_midway_is_an_api_error(stage: Stage, client: OpenAI, place: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=failing(place, "midway"), messages=HELLO, stream=True)
    texts: list[str] = []
    with pytest.raises(openai.APIError) as failed:
        texts.extend(chunk.choices[0].delta.content or "" for chunk in raw.parse())
    assert failed.value.code == "upstream_failed"
    assert 0 < len("".join(texts)) < len(TEXT)
    # A break that comes together with the first piece is before it, and so tried once more unseen.
    call, *_, attempt = stage.spans(raw.headers["x-zirkel-trace-id"])
    assert (call["status"], attempt["status"]) == ("error", "error")
    assert float(str(attempt["cost_usd"] or 1)) > 0


def test_a_refusal_of_an_openai_shaped_upstream_comes_as_it_is(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length") as refused:
        client.chat.completions.create(model=failing(OPENAI, "context"), messages=HELLO)
    assert refused.value.code == "context_length_exceeded"


def test_the_gateways_own_refusals_are_the_clients_exceptions(stage: Stage, client: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="zk_wrong").chat.completions.create(model=OPENAI, messages=HELLO)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody/none", messages=HELLO)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model=OPENAI, messages=HELLO, user=cast(str, 7))
    assert bad.value.param == "user"
    limits: Object = {"models": ["openai/*"], "requests_per_minute": 1}
    with stage.openai(stage.make_key(limits=limits)) as limited:
        with pytest.raises(openai.PermissionDeniedError):
            limited.chat.completions.create(model=ANTHROPIC, messages=HELLO)
        limited.chat.completions.create(model=OPENAI, messages=HELLO)
        with pytest.raises(openai.RateLimitError) as refused:
            limited.chat.completions.create(model=OPENAI, messages=HELLO)
    assert int(refused.value.response.headers["retry-after"]) > 0
    assert refused.value.code == "rate_limited"
    poor = stage.make_key(limits={"budget": [{"window": "day", "hard_usd": "0.000001"}]})
    with stage.openai(poor) as client_without_money, pytest.raises(openai.APIStatusError) as broke:
        client_without_money.chat.completions.create(model=OPENAI, messages=HELLO)
    assert (broke.value.status_code, broke.value.code) == (402, "budget_exhausted")


def test_models_are_listed_and_found_by_name(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names == sorted(["writer", "patient"])
    assert client.models.retrieve("writer").owned_by == "zirkel"
    answer = client.chat.completions.create(model="writer", messages=HELLO)
    assert answer.choices[0].message.content == TEXT


@pytest.mark.parametrize("place", [OPENAI, GEMINI])
def test_embeddings_come_as_numbers(stage: Stage, client: OpenAI, place: str) -> None:
    raw = client.embeddings.with_raw_response.create(model=place, input=["one", "two"])
    answer = raw.parse()
    assert [tuple(found.embedding) for found in answer.data] == [VECTOR, VECTOR]
    assert answer.usage.prompt_tokens == INPUT_TOKENS
    call, attempt = stage.spans(raw.headers["x-zirkel-trace-id"])
    assert (call["status"], attempt["kind"]) == ("ok", "embedding")
    assert cast(Object, attempt["usage"])["input_tokens"] == INPUT_TOKENS


def test_embeddings_of_an_upstream_without_any_are_a_clear_error(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="can be asked for embeddings"):
        client.embeddings.create(model=ANTHROPIC, input="one")


def test_legacy_completions_plain_and_streamed(stage: Stage, client: OpenAI) -> None:
    raw = client.completions.with_raw_response.create(model=OPENAI, prompt="Greet me.", max_tokens=50)
    answer = raw.parse()
    assert answer.choices[0].text == TEXT
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == INPUT_TOKENS
    _, attempt = stage.spans(raw.headers["x-zirkel-trace-id"])
    assert _counts(attempt) == (INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS)
    streamed = client.completions.with_raw_response.create(model=OPENAI, prompt="Greet me.", stream=True)
    chunks = list(streamed.parse())
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT
    assert all(chunk.usage is None for chunk in chunks)
    _, attempt = stage.spans(streamed.headers["x-zirkel-trace-id"])
    assert _counts(attempt) == (INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS)


RESPONSE_PLACES = (*PLACES, "chatonly/gpt-4.1")


@pytest.mark.parametrize("place", RESPONSE_PLACES)
def test_a_response_is_answered_and_streamed(stage: Stage, client: OpenAI, place: str) -> None:
    raw = client.responses.with_raw_response.create(model=place, input="Greet me.", instructions="Be kind.")
    answer = raw.parse()
    assert (answer.output_text, answer.status) == (TEXT, "completed")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert answer.usage.input_tokens_details.cached_tokens == CACHED_TOKENS
    _, attempt = stage.spans(raw.headers["x-zirkel-trace-id"])
    assert _counts(attempt) == (INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS)
    kinds, numbers = [], []
    with client.responses.stream(model=place, input="Greet me.", instructions="Be kind.") as stream:
        for event in stream:
            kinds.append(event.type)
            numbers.append(event.sequence_number)
        final = stream.get_final_response()
    assert (final.output_text, final.status) == (TEXT, "completed")
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert kinds.count("response.output_text.delta") == 3
    assert numbers == list(range(len(numbers)))
    assert final.usage is not None
    assert final.usage.output_tokens == OUTPUT_TOKENS


@pytest.mark.parametrize("place", RESPONSE_PLACES)
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_response_calls_tools_and_takes_their_results(client: OpenAI, place: str, is_stream: bool) -> None:
    question: ResponseInputParam = [{"role": "user", "content": "How warm is it?"}]
    if is_stream:
        with client.responses.stream(model=place, input=question, tools=[WEATHER_HERE]) as stream:
            output = cast("list[ResponseOutputItem]", stream.get_final_response().output)
    else:
        output = list(client.responses.create(model=place, input=question, tools=[WEATHER_HERE]).output)
    calls = [item for item in output if isinstance(item, ResponseFunctionToolCall)]
    assert [json.loads(call.arguments)["city"] for call in calls] == list(CITIES)

    conversation = [*question, *cast(ResponseInputParam, output)]
    for call, weather in zip(calls, ("rain", "sun"), strict=True):
        conversation.append({"type": "function_call_output", "call_id": call.call_id, "output": weather})
    second = client.responses.create(model=place, input=conversation, tools=[WEATHER_HERE])
    assert second.output_text == "The tools say: rain; sun"


@pytest.mark.parametrize("place", RESPONSE_PLACES)
def test_a_response_has_the_form_of_a_schema(client: OpenAI, place: str) -> None:
    parsed = client.responses.parse(model=place, input="Where?", text_format=Place)
    assert parsed.output_parsed == Place(city="Ulm", degrees=3)


@pytest.mark.parametrize("place", RESPONSE_PLACES[:4])
def test_a_response_that_fails_midway_is_told(client: OpenAI, place: str) -> None:
    kinds: list[str] = []
    stream = client.responses.create(model=failing(place, "midway"), input="Greet me.", stream=True)
    with pytest.raises(openai.APIError) as failed:
        kinds.extend(event.type for event in stream)
    assert failed.value.code == "upstream_failed"
    assert kinds.count("response.output_text.delta") == 1


def test_many_calls_of_the_async_client_at_once(stage: Stage) -> None:
    async def ask_all() -> list[str | None]:
        async with AsyncOpenAI(base_url=f"{stage.url}/v1", api_key=stage.key, max_retries=0) as client:

            async def ask(place: str, is_stream: bool) -> str | None:
                if not is_stream:
                    answer = await client.chat.completions.create(model=place, messages=HELLO)
                    return answer.choices[0].message.content
                chunks = await client.chat.completions.create(model=place, messages=HELLO, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

            wanted = [(place, is_stream) for place in PLACES for is_stream in (False, True)] * 3
            return await asyncio.gather(*[ask(place, is_stream) for place, is_stream in wanted])

    assert set(asyncio.run(ask_all())) == {TEXT}


def test_the_upstream_is_cancelled_when_the_client_leaves_a_stream(stage: Stage) -> None:
    with stage.openai() as client:
        raw = client.chat.completions.with_raw_response.create(model="patient", messages=HELLO, stream=True)
        stream = raw.parse()
        assert next(iter(stream)).choices
        stream.close()
    stage.wait_for_closed(raw.headers["x-zirkel-trace-id"])
    call, _ = stage.spans(raw.headers["x-zirkel-trace-id"])
    assert call["error_type"] == "client_disconnected"


def test_requests_passed_through_are_metered_and_recorded(stage: Stage) -> None:
    with stage.openai(path="/providers/openai") as client:
        plain = client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=HELLO)
        assert plain.parse().choices[0].message.content == TEXT
        streamed = client.chat.completions.with_raw_response.create(
            model="gpt-4.1", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(streamed.parse())
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
        responded = client.responses.with_raw_response.create(model="gpt-4.1", input="Greet me.")
        assert responded.parse().output_text == TEXT
    for raw in (plain, streamed, responded):
        _, attempt = stage.spans(raw.headers["x-zirkel-trace-id"])
        assert _counts(attempt) == (INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS)
        assert float(str(attempt["cost_usd"])) > 0


def test_whatever_else_a_provider_has_is_passed_through(stage: Stage) -> None:
    with stage.openai(path="/providers/openai") as client:
        assert [model.id for model in client.models.list()] == ["gpt-4.1"]
        embedded = client.embeddings.with_raw_response.create(model="text-embedding-3-small", input="one")
        assert tuple(embedded.parse().data[0].embedding) == VECTOR
        with pytest.raises(openai.NotFoundError, match="Invalid URL"):
            client.images.generate(model="gpt-image-1", prompt="a circle")
    _, attempt = stage.spans(embedded.headers["x-zirkel-trace-id"])
    assert cast(Object, attempt["usage"])["input_tokens"] == INPUT_TOKENS


def _functions(message: Message) -> list[ChatCompletionMessageFunctionToolCall]:
    return [call for call in message.tool_calls or () if call.type == "function"]


def _result(call_id: str, text: str) -> ChatCompletionMessageParam:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def _said_again(message: Message) -> ChatCompletionMessageParam:
    """Return a message that the streaming helper has put together, without what the helper has added to it."""
    functions = [
        (call.id, {"name": call.function.name, "arguments": call.function.arguments}) for call in _functions(message)
    ]
    calls = [{"id": call_id, "type": "function", "function": function} for call_id, function in functions]
    return cast(ChatCompletionMessageParam, {"role": "assistant", "content": message.content, "tool_calls": calls})


def _counts(attempt: Object) -> tuple[object, object, object]:
    usage = cast(Object, attempt["usage"])
    return usage["input_tokens"], usage["cache_read_tokens"], usage["output_tokens"]
