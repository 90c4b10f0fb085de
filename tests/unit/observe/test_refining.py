"""Content and spans that come apart end together, in whatever order, however often, and in bounded memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import permutations

import pytest

from zirkel.core import Batch, LogRecord, Span, SpanKind, Usage
from zirkel.observe.refining import Refiner

TRACE = "a" * 32


@dataclass
class Stored:
    """What is stored: of each span the version that came last."""

    spans: dict[str, Span] = field(default_factory=dict)
    records: dict[str, LogRecord] = field(default_factory=dict)

    def trace(self, project_id: str, trace_id: str) -> Sequence[Span]:
        return [span for span in self.spans.values() if (span.project_id, span.trace_id) == (project_id, trace_id)]

    def logs_of_trace(self, project_id: str, trace_id: str) -> Sequence[LogRecord]:
        return [one for one in self.records.values() if (one.project_id, one.trace_id) == (project_id, trace_id)]

    def take(self, batch: Batch) -> None:
        self.spans |= {span.span_id: span for span in batch.spans}
        self.records |= {record.log_id: record for record in batch.logs}


class OneDollar:
    """Every call costs a dollar."""

    def price(
        self, project_id: str, provider: str, model: str, start_ns: int, usage: Usage
    ) -> tuple[Decimal | None, str]:
        return Decimal(1), "table"


def chat(span_id: str = "b" * 16, **attributes: object) -> Span:
    return Span(
        project_id="p",
        trace_id=TRACE,
        span_id=span_id,
        name="chat",
        kind=SpanKind.CHAT,
        source="otlp",
        dialect="genai",
        start_ns=1,
        end_ns=2,
        request_model="gpt",
        usage=Usage(input_tokens=1, output_tokens=1),
        attributes={key: json.dumps(value) for key, value in {"gen_ai.operation.name": "chat", **attributes}.items()},
    )


def message(number: int, text: str, span_id: str = "b" * 16, name: str = "gen_ai.user.message") -> LogRecord:
    return LogRecord(
        project_id="p",
        log_id=f"{span_id}{number:016x}",
        trace_id=TRACE,
        span_id=span_id,
        time_ns=number,
        event_name=name,
        body=json.dumps({"content": text}),
    )


@pytest.fixture
def stored() -> Stored:
    return Stored()


@pytest.fixture
def refiner(stored: Stored) -> Refiner:
    return Refiner(stored, OneDollar())


def feed(refiner: Refiner, stored: Stored, *items: Span | LogRecord) -> None:
    spans = [item for item in items if isinstance(item, Span)]
    logs = [item for item in items if isinstance(item, LogRecord)]
    stored.take(refiner.refine(Batch(spans=spans, logs=logs)))


PARTS: tuple[Span | LogRecord, ...] = (chat(), message(1, "first words"), message(2, "second words"))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_all_messages_are_on_the_span_in_whatever_order_they_came(
    refiner: Refiner, stored: Stored, order: tuple[int, ...]
) -> None:
    for place in order:
        feed(refiner, stored, PARTS[place])
    (span,) = stored.spans.values()
    assert [part["parts"][0]["content"] for part in json.loads(span.input)] == ["first words", "second words"]
    assert span.cost_usd == Decimal(1)


def test_a_span_that_comes_again_keeps_the_content_that_came_apart_from_it(refiner: Refiner, stored: Stored) -> None:
    feed(refiner, stored, chat())
    feed(refiner, stored, message(1, "words"))
    known = dict(stored.spans)
    feed(refiner, stored, chat())
    assert stored.spans == known


def test_a_batch_that_could_not_be_stored_is_refined_the_same_again(refiner: Refiner, stored: Stored) -> None:
    feed(refiner, stored, message(1, "words"))
    batch = Batch(spans=[chat()])
    first = refiner.refine(batch)
    assert "words" in first.spans[0].input
    assert refiner.refine(batch) == first


def test_what_a_span_says_itself_is_not_replaced(refiner: Refiner, stored: Stored) -> None:
    own = [{"role": "user", "parts": [{"type": "text", "content": "own words"}]}]
    said = json.dumps(own)
    span = chat(**{"gen_ai.input.messages": said})
    span = Span(**{**{name: getattr(span, name) for name in Span.__struct_fields__}, "input": said})
    feed(refiner, stored, span)
    feed(refiner, stored, message(1, "other words"))
    assert stored.spans["b" * 16].input == said


def test_content_of_other_spans_and_other_projects_stays_apart(refiner: Refiner, stored: Stored) -> None:
    feed(refiner, stored, chat(), chat("c" * 16))
    feed(refiner, stored, message(1, "for c", "c" * 16), message(2, "for nobody", "d" * 16))
    assert "for c" in stored.spans["c" * 16].input
    assert stored.spans["b" * 16].input == ""


def test_content_that_nothing_came_for_is_kept_in_bounded_memory_the_latest_of_it(stored: Stored) -> None:
    refiner = Refiner(stored, OneDollar(), most_kept_bytes=3000)
    ids = [f"{number:016x}" for number in range(1, 21)]
    for number, span_id in enumerate(ids):
        feed(refiner, stored, message(number, "x" * 100, span_id))
    for span_id in ids:
        feed(refiner, stored, chat(span_id))
    with_content = [span_id for span_id in ids if stored.spans[span_id].input]
    assert 0 < len(with_content) < 10
    assert with_content == ids[-len(with_content) :]
