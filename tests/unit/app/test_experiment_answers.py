"""What traces tell of the way to an answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.app.experiment_answers import activity, document_texts
from zirkel.core import Span, SpanKind


def span(kind: SpanKind, name: str, **fields: object) -> Span:
    return Span(
        project_id="p",
        trace_id="t" * 32,
        span_id="s" * 16,
        name=name,
        kind=kind,
        source="otlp",
        start_ns=1,
        end_ns=2,
        **fields,  # type: ignore[arg-type]
    )


def test_steps_are_tools_models_and_retrievers_in_order_and_nothing_else() -> None:
    found = activity(
        [
            span(SpanKind.CALL, "call"),
            span(SpanKind.RETRIEVER, "docs", output='[{"content": "one"}, {"content": "two"}]'),
            span(SpanKind.CHAT, "chat m", request_model="m", response_model="m-2"),
            span(SpanKind.TOOL, "execute_tool search", input='{"q": 1}', status="error"),
            span(SpanKind.TOOL, "x", attributes={"gen_ai.tool.name": '"lookup"'}),
            span(SpanKind.GUARDRAIL, "guard"),
        ]
    )
    assert [(step.kind, step.name, step.is_error) for step in found.steps] == [
        (SpanKind.RETRIEVER, "docs", False),
        (SpanKind.CHAT, "m-2", False),
        (SpanKind.TOOL, "search", True),
        (SpanKind.TOOL, "lookup", False),
    ]
    assert found.steps[2].input == '{"q": 1}'
    assert found.contexts == ("one", "two")


@pytest.mark.parametrize(
    ("output", "texts"),
    [
        ("", []),
        ("plain words", ["plain words"]),
        ('"a text"', ["a text"]),
        ('["a", "b"]', ["a", "b"]),
        ('[{"page_content": "a", "metadata": {}}, {"text": "b"}]', ["a", "b"]),
        ('{"documents": [{"document": {"content": "a"}}]}', ["a"]),
        ('{"results": ["a"]}', ["a"]),
        ('{"id": 1}', ['{"id": 1}']),
    ],
)
def test_retrieved_texts_are_found_in_any_dialect(output: str, texts: list[str]) -> None:
    assert document_texts(output) == texts


@given(st.lists(st.text(max_size=8), max_size=5))
def test_a_list_of_texts_is_those_texts(texts: list[str]) -> None:
    assert document_texts(json.dumps(texts)) == texts
