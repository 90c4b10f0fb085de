"""A prompt is rendered as the gateway renders it."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.client.prompts import Prompt, PromptMessage, ServedPrompt
from zirkel.core import Invalid, Json
from zirkel.gateway import MessageTemplate, SnapshotRelease
from zirkel.gateway.prompt import compile_prompt, render_messages

DOCUMENTS = {"policy.md": "Be kind."}
VARIABLES = {"review": "string", "stars": "number", "is_new": "boolean", "tags": "json"}
MESSAGES = [
    PromptMessage("system", "{{ context['policy.md'] }}{% if is_new %} New!{% endif %}"),
    PromptMessage("user", "literal {{ review }}", is_literal=True),
    PromptMessage("user", "{{ review }} {{ stars }} {% for tag in tags %}<{{ tag }}>{% endfor %}\n"),
]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def make_prompt(messages: list[PromptMessage], variables: dict[str, str]) -> Prompt:
    return Prompt(
        ServedPrompt(
            name="reviews",
            version="3",
            digest="d" * 64,
            release="r" * 64,
            release_number=1,
            messages=messages,
            variables=variables,
            documents=DOCUMENTS,
        )
    )


@given(texts, st.integers(0, 5), st.booleans(), st.lists(texts, max_size=3))
def test_the_messages_are_those_that_the_gateway_sends(review: str, stars: int, is_new: bool, tags: list[str]) -> None:
    release = SnapshotRelease(
        digest="r" * 64,
        service="reviews",
        prompt_name="reviews",
        prompt_version="3",
        messages=[MessageTemplate(m.role, m.content, m.is_literal) for m in MESSAGES],
        variables=VARIABLES,
        chain=[],
        documents=DOCUMENTS,
        guardrails=msgspec.Raw(b"null"),
    )
    values: dict[str, Json] = {"review": review, "stars": stars, "is_new": is_new, "tags": tags}
    sent = json.loads(render_messages(compile_prompt(release), values))
    rendered = make_prompt(MESSAGES, VARIABLES).render(review=review, stars=stars, is_new=is_new, tags=tags)
    assert rendered == sent


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "'review' .string. is missing"),
        ({"review": 3}, "'review' is a string, not number"),
        ({"review": "x", "reviw": "y"}, "'reviw' is unknown; the prompt takes: review"),
    ],
)
def test_variables_are_exactly_those_that_the_release_declares(variables: dict[str, str], said: str) -> None:
    prompt = make_prompt([PromptMessage("user", "{{ review }}")], {"review": "string"})
    with pytest.raises(Invalid, match=said):
        prompt.render(**variables)


def test_a_template_cannot_reach_out_of_its_sandbox() -> None:
    prompt = make_prompt([PromptMessage("user", "{{ x.__class__.__mro__ }}")], {"x": "string"})
    with pytest.raises(Invalid, match="SecurityError"):
        prompt.render(x="x")


def test_a_text_is_asked_for_only_where_there_is_one() -> None:
    text = make_prompt([PromptMessage("user", "Hi {{ name }}")], {"name": "string"})
    assert (text.text, text.render_text(name="Ada")) == ("Hi {{ name }}", "Hi Ada")
    chat = make_prompt(MESSAGES, VARIABLES)
    with pytest.raises(Invalid, match="3 messages"):
        _ = chat.text
