"""Unmodified clients of Google and Amazon, which the gateway has no surface for, on ``/providers/NAME``."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Protocol, cast

import botocore
import botocore.config
import botocore.session
import pytest
from google import genai
from google.genai import errors, types

from tests.flows.client_stage import BEDROCK, GEMINI, ROOT, Stage, open_stage
from tests.flows.harness import Object, Stack, wait_for
from tests.flows.provider_bedrock import REGION
from tests.flows.provider_gemini import COUNTED_TOKENS
from tests.flows.provider_script import CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, TEXT
from zirkel.app.config import clean_environment

pytestmark = pytest.mark.flow

HOW_TO = ROOT / "docs" / "how-to" / "use-the-gateway.md"

GEMINI_MODEL = GEMINI.partition("/")[2]
BEDROCK_MODEL = BEDROCK.partition("/")[2]
TURNS = [{"role": "user", "content": [{"text": "Greet me."}]}]


class Runtime(Protocol):
    """What is used of botocore's client, which makes its methods at run time."""

    def converse(self, **members: object) -> Object:
        """Ask for a whole answer."""
        ...

    def converse_stream(self, **members: object) -> Object:
        """Ask for a stream."""
        ...


@pytest.fixture(scope="module")
def stage(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(stack, tmp_path_factory.mktemp("providers"), "Provider clients") as stage:
        yield stage


@pytest.fixture
def google(stage: Stage) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=f"{stage.url}/providers/gemini")
    with genai.Client(api_key=stage.key, http_options=options) as client:
        yield client


@pytest.fixture
def amazon(stage: Stage) -> Runtime:
    # The gateway signs with the credential of the upstream; the caller's key goes into a header.
    config = botocore.config.Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
    session = botocore.session.get_session()
    address = f"{stage.url}/providers/bedrock"
    client = session.create_client("bedrock-runtime", region_name=REGION, endpoint_url=address, config=config)

    def add_key(params: dict[str, dict[str, str]], **_: object) -> None:
        params["headers"]["x-api-key"] = stage.key

    client.meta.events.register("before-call.bedrock-runtime", add_key)
    return cast(Runtime, client)


def test_googles_client_is_answered_and_streamed(stage: Stage, google: genai.Client) -> None:
    before = len(stage.lines())
    answer = google.models.generate_content(model=GEMINI_MODEL, contents="Greet me.")
    assert answer.text == TEXT
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.prompt_token_count == INPUT_TOKENS
    pieces = [chunk.text or "" for chunk in google.models.generate_content_stream(model=GEMINI_MODEL, contents="Hi.")]
    assert "".join(pieces) == TEXT
    for trace_id in _traces(stage, before, 2):
        _check_metered(stage, trace_id, GEMINI_MODEL)
    counted = google.models.count_tokens(model=GEMINI_MODEL, contents="Greet me.")
    assert counted.total_tokens == COUNTED_TOKENS


def test_googles_client_raises_what_google_answers(google: genai.Client) -> None:
    with pytest.raises(errors.ServerError, match="overloaded"):
        google.models.generate_content(model="gemini-fails-overloaded", contents="Greet me.")


def test_amazons_client_is_answered_and_streamed(stage: Stage, amazon: Runtime) -> None:
    before = len(stage.lines())
    answer = amazon.converse(modelId=BEDROCK_MODEL, messages=TURNS)
    message = cast(Object, cast(Object, answer["output"])["message"])
    assert message["content"] == [{"text": TEXT}]
    texts = ""
    for event in cast("Iterator[Object]", amazon.converse_stream(modelId=BEDROCK_MODEL, messages=TURNS)["stream"]):
        delta = cast(Object, event.get("contentBlockDelta") or {}).get("delta")
        texts += str(cast(Object, delta)["text"]) if delta else ""
    assert texts == TEXT
    for trace_id in _traces(stage, before, 2):
        _check_metered(stage, trace_id, BEDROCK_MODEL)


@pytest.mark.parametrize("number", range(3))
def test_the_examples_of_the_documentation_run(stage: Stage, number: int) -> None:
    code = re.findall(r"^```python\n(.*?)^```", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)[number]
    code = code.replace("http://localhost:4000", stage.url)
    environment = clean_environment({"ZIRKEL_KEY": stage.key})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == TEXT, done.stderr


def _traces(stage: Stage, before: int, count: int) -> list[str]:
    """Return the traces of what the providers were asked since ``before`` lines of their log."""
    calls = [line for line in stage.lines()[before:] if "body" in line]
    assert len(calls) == count
    return [str(cast(Object, call["headers"])["traceparent"]).split("-")[1] for call in calls]


def _check_metered(stage: Stage, trace_id: str, model: str) -> None:
    wait_for(lambda: stage.spans(trace_id), f"the spans of {trace_id}")
    call, attempt = stage.spans(trace_id)
    usage = cast(Object, attempt["usage"])
    assert (call["status"], attempt["request_model"], attempt["settlement"]) == ("ok", model, "reported")
    assert usage["input_tokens"] == INPUT_TOKENS - CACHED_TOKENS
    assert (usage["cache_read_tokens"], usage["output_tokens"]) == (CACHED_TOKENS, OUTPUT_TOKENS)
    assert float(str(attempt["cost_usd"])) > 0
