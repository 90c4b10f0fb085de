import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.core import decode_batch, encode_spans
from zirkel.lib.otlp import DecodedEvent, DecodedSpan, JsonLike
from zirkel.observe import normalise
from zirkel.observe.normalise import normalise_span

SOURCES = "".join(path.read_text() for path in Path(normalise.__path__[0]).glob("*.py"))
NAMES_READ = sorted(set(re.findall(r'"([a-z_]+\.[A-Za-z_.]+[A-Za-z_])"', SOURCES)))
"""Every attribute and event name that the code asks for, so that a new one is tested without a change here."""
FLATTENED = [
    "gen_ai.prompt.0.content",
    "gen_ai.prompt.0",
    "gen_ai.prompt.0.tool_calls.0.arguments",
    "gen_ai.completion.0.role",
    "llm.input_messages.0.message.role",
    "llm.input_messages",
    "llm.choices.0.completion.text",
    "llm.prompts.0.prompt.text",
    "request_data",
    "response_data",
    "gen_ai.request.odd",
    "gen_ai.usage.image.input_tokens",
    "lk.odd",
    "llm.input_messages.0.message.contents.0.message_content.text",
    "llm.input_messages.99999999999.message",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
    "llm.tools.0.tool.json_schema",
    "retrieval.documents.0.document",
    "embedding.embeddings.0.embedding.text",
    "gen_ai.prompt." + "0." * 3000 + "x",
    "model",
    "stream",
    "events",
    "metadata",
]
MESSAGE_FIELDS = [
    *("role", "content", "parts", "type", "text", "tool_calls", "function", "arguments", "message", "id"),
    *("choices", "candidates", "generations", "output", "data", "kwargs", "messages", "input", "contents", "source"),
    *("message.role", "message_content", "image_url", "usage", "cache_creation", "input_tokens", "total"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
VALUES: st.SearchStrategy[JsonLike] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(MESSAGE_FIELDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)
ODD_TEXTS = st.sampled_from(
    [
        "[" * 3000,
        "{" * 3000,
        '"',
        '"\\ud800"',
        '{"messages":',
        "NaN",
        "1e999",
        "9" * 5000,
        "\x00",
        "[null]",
        '[{"role":1}]',
    ]
)
ANY_VALUE = VALUES | VALUES.map(json.dumps) | ODD_TEXTS
ATTRIBUTES = st.dictionaries(st.sampled_from(NAMES_READ + FLATTENED) | st.text(max_size=8), ANY_VALUE, max_size=12)
MARKERS = [
    {},
    {"langfuse.observation.type": "generation"},
    {"openinference.span.kind": "LLM"},
    {"gen_ai.operation.name": "chat"},
    {"gen_ai.operation.name": "execute_tool"},
    {"gen_ai.operation.name": "retrieval"},
    {"llm.request.type": "chat"},
    {"ai.operationId": "ai.streamText.doStream"},
    {"mlflow.spanType": '"CHAT_MODEL"'},
]
EVENTS = st.builds(
    DecodedEvent, st.sampled_from(NAMES_READ) | st.text(max_size=5), st.integers(0, 2**64 - 1), ATTRIBUTES
)


def test_the_names_are_found_in_the_sources() -> None:
    assert {"gen_ai.input.messages", "ai.usage.inputTokens", "mlflow.spanInputs"} <= set(NAMES_READ)
    assert len(NAMES_READ) > 150


@settings(max_examples=600)
@given(
    attributes=ATTRIBUTES,
    marker=st.sampled_from(MARKERS),
    resource=ATTRIBUTES,
    events=st.lists(EVENTS, max_size=3),
    times=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    status_code=st.integers(0, 3),
)
def test_any_attributes_give_a_storable_span_with_the_originals(
    attributes: dict[str, JsonLike],
    marker: dict[str, JsonLike],
    resource: dict[str, JsonLike],
    events: list[DecodedEvent],
    times: tuple[int, int],
    status_code: int,
) -> None:
    sent = DecodedSpan(
        trace_id="a" * 32,
        span_id="b" * 16,
        name="n",
        start_ns=times[0],
        end_ns=times[1],
        attributes={**attributes, **marker},
        resource=resource,
        events=tuple(events),
        status_code=status_code,
    )
    span = normalise_span(sent, project_id="p")
    assert decode_batch(encode_spans([span])).spans == [span]
    assert {key: json.loads(value) for key, value in span.attributes.items()} == sent.attributes
    assert all(json.loads(value) is not None for value in (span.input, span.output, span.tools) if value)
    usage = span.usage
    buckets = (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens)
    assert all(bucket is None or bucket >= 0 for bucket in (*buckets, usage.reasoning_tokens))
    assert span.cost_usd is None or span.cost_usd >= 0
    assert span.end_ns >= span.start_ns
    assert set(span.unmapped) <= set(sent.attributes)


COUNTS = st.none() | st.integers(0, 10**6)


@given(total=st.integers(0, 10**6), read=COUNTS, write=COUNTS)
def test_input_buckets_add_up_to_the_reported_total_whenever_they_can(
    total: int, read: int | None, write: int | None
) -> None:
    attributes: dict[str, JsonLike] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": total,
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_write.input_tokens": write,
    }
    sent = DecodedSpan(trace_id="a" * 32, span_id="b" * 16, name="n", start_ns=0, end_ns=0, attributes=attributes)
    usage = normalise_span(sent, project_id="p").usage
    cached = (read or 0) + (write or 0)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (read, write)
    assert usage.input_tokens == (total - cached if cached <= total else total)


@pytest.mark.parametrize("depth", [30, 900, 5000])
def test_deeply_nested_json_text_is_kept_as_an_attribute_whatever_becomes_of_it(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for operation, name in (("execute_tool", "gen_ai.tool.call.result"), ("chat", "gen_ai.input.messages")):
        attributes: dict[str, JsonLike] = {"gen_ai.operation.name": operation, name: nested}
        sent = DecodedSpan(trace_id="a" * 32, span_id="b" * 16, name="n", start_ns=0, end_ns=0, attributes=attributes)
        span = normalise_span(sent, project_id="p")
        assert json.loads(span.attributes[name]) == nested
