import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.lib.otlp import DecodedSpan, JsonLike, decode_traces
from zirkel.observe.normalise import normalise_span

FIXTURES = Path(__file__).parents[2] / "fixtures" / "otlp"
CAPTURES = sorted(path.name for path in FIXTURES.glob("*-traces.pb"))


def unmapped(attributes: dict[str, JsonLike]) -> list[str]:
    sent = DecodedSpan(trace_id="a" * 32, span_id="b" * 16, name="n", start_ns=0, end_ns=0, attributes=attributes)
    return normalise_span(sent, project_id="p").unmapped


@pytest.mark.parametrize(
    "name",
    [
        "gcp.vertex.agent.llm_request",
        "genkit:input",
        "lk.user_input",
        "spring.ai.chat.client.stream",
        "smolagents.max_steps",
        "lmnr.span.input",
        "crewai.task",
        "llm.something_new",
        "gen_ai.usage.something_new",
        "gen_ai.something.new",
        "ai.somethingNew",
        "langfuse.observation.something_new",
        "openinference.something_new",
    ],
)
def test_ai_names_that_nobody_reads_are_named_on_the_span(name: str) -> None:
    assert unmapped({name: "value"}) == [name]
    assert unmapped({"gen_ai.operation.name": "chat", name: "value"}) == [name]


@pytest.mark.parametrize("name", ["http.method", "db.query", "aws.region", "gcp.project", "shop.llm", "x"])
def test_names_of_everything_else_are_not(name: str) -> None:
    assert unmapped({name: "value"}) == []
    assert unmapped({"gen_ai.operation.name": "chat", name: "value"}) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen_ai.usage.input_tokens", "many"),
        ("gen_ai.usage.input_tokens", -1),
        ("gen_ai.usage.cost", "free"),
        ("llm.token_count.prompt", [1]),
        ("ai.usage.inputTokens", "x"),
        ("langfuse.observation.usage_details", "none"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_too(name: str, value: JsonLike) -> None:
    assert unmapped({"gen_ai.operation.name": "chat", name: value}) == [name]


def test_an_older_name_beside_a_newer_one_was_understood() -> None:
    both: dict[str, JsonLike] = {"gen_ai.usage.input_tokens": 9, "gen_ai.usage.prompt_tokens": 9}
    assert unmapped({"gen_ai.operation.name": "chat", **both}) == []


@pytest.mark.parametrize("empty", [None, "", [], {}, "[]", "{}"])
def test_empty_values_are_nothing_to_map(empty: JsonLike) -> None:
    assert unmapped({"gen_ai.something.new": empty}) == []


def test_at_most_twenty_are_named_in_order() -> None:
    names = [f"gen_ai.odd.{number:02}" for number in range(30)]
    assert unmapped(dict.fromkeys(reversed(names), 1)) == names[:20]


@pytest.mark.parametrize("capture", CAPTURES)
def test_captured_instrumentations_leave_nothing_unmapped(capture: str) -> None:
    for sent in decode_traces((FIXTURES / capture).read_bytes(), "protobuf").spans:
        assert normalise_span(sent, project_id="p").unmapped == []


@given(st.dictionaries(st.sampled_from(["gen_ai.", "llm.", "lk.", "http."]).flatmap(
    lambda family: st.text("abc.", max_size=4).map(lambda rest: family + rest)), st.integers(), max_size=40
))  # fmt: skip
def test_what_is_named_was_sent_and_is_kept(attributes: dict[str, JsonLike]) -> None:
    sent = DecodedSpan(trace_id="a" * 32, span_id="b" * 16, name="n", start_ns=0, end_ns=0, attributes=attributes)
    span = normalise_span(sent, project_id="p")
    assert set(span.unmapped) <= set(attributes)
    assert span.unmapped == sorted(set(span.unmapped))
    assert len(span.unmapped) <= 20
    assert {key: json.loads(value) for key, value in span.attributes.items()} == attributes
