"""Exports: whole traces in order, faults before the first line, and never more items than were asked for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from msgspec.structs import replace

from tests.unit.observe.test_search import Asked
from zirkel.core import Forbidden, Invalid, ManualClock, Principal, Role, Span, SpanKind
from zirkel.core.search import Order, Page, Position, SearchScope, Totals, TraceRow
from zirkel.observe.dataset_items import input_digest
from zirkel.observe.exporting import LINE_SPANS, PARQUET_SPANS, Exports
from zirkel.observe.search import Search, Sought

READER = Principal("p1", "k1", "reader", frozenset({Role.READ}))
WRITER = Principal("p1", "k1", "writer", frozenset({Role.INGEST}))
NOTHING = Totals(spans=0, errors=0, cost_usd=None, unknown_costs=0, input_tokens=None, output_tokens=None)
ROW = TraceRow(
    trace_id="", name="", service="", environment="", release="", arm="", session_id="", user_id="", start_ns=0,
    duration_ns=0, status="ok", models=[], tags=[], totals=NOTHING, input="", output="",
)  # fmt: skip


@dataclass
class Store(Asked):
    """Traces by id, the newest first, and what was read of them."""

    spans_by_trace: dict[str, list[Span]] = field(default_factory=dict)
    read: list[list[str]] = field(default_factory=list)
    counted: int = 0

    def traces(self, scope: SearchScope, order: Order, limit: int, after: Position | None = None) -> Page[TraceRow]:
        ids = list(self.spans_by_trace)
        start = after.value if after else 0
        end = start + limit
        rows = [replace(ROW, trace_id=trace_id) for trace_id in ids[start:end]]
        return Page(rows, Position(end, "", 0) if end < len(ids) else None)

    def spans_of_traces(self, project_id: str, trace_ids: Collection[str]) -> Sequence[Span]:
        self.read.append(list(trace_ids))
        return [span for trace_id in sorted(trace_ids) for span in self.spans_by_trace[trace_id]]

    def count(self, scope: SearchScope) -> int:
        return self.counted

    def parquet(self, scope: SearchScope, limit: int) -> bytes:
        return b"PAR1"


def span(trace: int, number: int = 0, text: str = "") -> Span:
    return Span(
        project_id="p1",
        trace_id=f"{trace:032x}",
        span_id=f"{trace:08x}{number:08x}",
        name="chat",
        kind=SpanKind.CHAT,
        source="otlp",
        start_ns=trace,
        end_ns=trace + 1,
        input=msgspec.json.encode([{"role": "user", "content": text or f"question {trace}"}]).decode(),
    )


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def exports(store: Store) -> Exports:
    return Exports(Search(store, ManualClock()), store)


def fill(store: Store, traces: int, spans: int = 1) -> list[str]:
    """Store traces, the newest first, and return their ids in that order."""
    for trace in range(traces, 0, -1):
        store.spans_by_trace[f"{trace:032x}"] = [span(trace, number) for number in range(spans)]
    return list(store.spans_by_trace)


def test_a_faulty_filter_is_told_before_the_first_line_is_asked_for(exports: Exports) -> None:
    for form in ("jsonl", "otlp"):
        with pytest.raises(Invalid):
            exports.lines(READER, form, Sought("model ="))
    with pytest.raises(Forbidden):
        exports.lines(WRITER, "jsonl")


def test_json_lines_have_every_span_of_every_page_the_newest_trace_first(exports: Exports, store: Store) -> None:
    ids = fill(store, 250, spans=2)
    lines = b"".join(exports.lines(READER, "jsonl")).splitlines()
    found = [msgspec.json.decode(line) for line in lines]
    assert [one["trace_id"] for one in found] == [trace_id for trace_id in ids for _ in range(2)]
    assert set(found[0]) == set(Span.__struct_fields__)
    assert "input_tokens" in found[0]["usage"]


def test_pages_are_read_only_as_lines_are_taken(exports: Exports, store: Store) -> None:
    fill(store, 250)
    lines = exports.lines(READER, "jsonl")
    next(lines)
    assert len(store.read) == 1


def test_an_otlp_line_is_bounded_and_no_span_is_lost_between_lines(exports: Exports, store: Store) -> None:
    fill(store, 3, spans=LINE_SPANS)
    lines = [msgspec.json.decode(line) for line in exports.lines(READER, "otlp")]
    sizes = [
        sum(len(scope["spans"]) for resource in line["resourceSpans"] for scope in resource["scopeSpans"])
        for line in lines
    ]
    assert sizes == [LINE_SPANS] * 3


@pytest.mark.parametrize("limit", [1, 99, 100, 101, 150, 250, 10_000])
def test_items_are_made_of_the_newest_traces_and_of_no_more_than_asked_for(
    exports: Exports, store: Store, limit: int
) -> None:
    ids = fill(store, 250)
    exports.items(READER, limit=limit)
    assert [trace_id for page in store.read for trace_id in page] == ids[:limit]


def test_an_input_on_two_pages_is_one_item(exports: Exports, store: Store) -> None:
    ids = fill(store, 250)
    store.spans_by_trace[ids[0]] = [span(250, text="the same")]
    store.spans_by_trace[ids[-1]] = [span(1, text="the same")]
    known = [input_digest({"input": "question 7"})]
    found = exports.items(READER, limit=250, known=known)
    assert (len(found.items), found.duplicates) == (248, 2)


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_out_of_bounds_is_named(exports: Exports, limit: int) -> None:
    with pytest.raises(Invalid, match="limit"):
        exports.items(READER, limit=limit)


def test_too_many_spans_for_a_parquet_file_are_refused_with_the_way_out(exports: Exports, store: Store) -> None:
    assert exports.parquet(READER) == b"PAR1"
    store.counted = PARQUET_SPANS + 1
    with pytest.raises(Invalid, match="jsonl"):
        exports.parquet(READER)
