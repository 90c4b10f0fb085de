"""The unmodified OpenAI SDK as the client."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import openai
import pytest

from zirkel.gateway import SnapshotTarget

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

VARIABLES = {"zirkel": {"variables": {"ticket": "x"}}}


@pytest.fixture
def client(stage: "Stage") -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="call-key", base_url=stage.url, max_retries=0) as client:
        yield client


def test_a_service_answers_a_plain_call(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="service:triage", messages=[], extra_body=VARIABLES)

    assert answer.choices[0].message.content == "Hello wörld"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 42


def test_a_service_answers_a_stream(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(model="service:triage", messages=[], extra_body=VARIABLES, stream=True)
    )

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello wörld"


def test_a_service_takes_the_users_text_for_its_variable(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="service:triage", messages=[{"role": "user", "content": "x"}])

    assert answer.choices[0].finish_reason == "stop"


def test_a_stream_that_breaks_is_an_api_error(stage: "Stage", client: openai.OpenAI) -> None:
    stage.configure(SnapshotTarget("stub", "breaks-midway"))
    chunks = client.chat.completions.create(model="service:triage", messages=[], extra_body=VARIABLES, stream=True)

    with pytest.raises(openai.APIError, match="connection broke"):
        list(chunks)


def test_errors_map_to_the_sdks_classes(stage: "Stage", client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="service 'none'"):
        client.chat.completions.create(model="service:none", messages=[])
    with pytest.raises(openai.BadRequestError, match="'ticket'"):
        client.chat.completions.create(model="service:triage", messages=[])
    with pytest.raises(openai.AuthenticationError, match="not known"):
        client.with_options(api_key="wrong").chat.completions.create(model="service:triage", messages=[])


def test_the_sdk_lists_the_services(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["service:triage"]
