"""What rows of lists and conversations say."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.contract.search_world import (
    DAY_NS,
    HOUR_NS,
    MIDNIGHT_NS,
    SECOND_NS,
    Arrival,
    model_span,
    opened_store,
    scope,
    score,
    span,
)
from zirkel.core import ScoreKind, SpanKind, Usage, new_trace_id
from zirkel.core.search import Order
from zirkel.observe.search_ports import SearchReader
from zirkel.store.telemetry import TelemetryStore
from zirkel.store.telemetry.search import TelemetrySearch


@pytest.fixture(scope="module", params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    with opened_store(request.param, tmp_path_factory.mktemp("search")) as opened:
        yield opened


@pytest.fixture(scope="module")
def search(store: TelemetryStore) -> SearchReader:
    return TelemetrySearch(store.engine)


@pytest.fixture
def arrival(store: TelemetryStore) -> Arrival:
    """A project of its own for each test: they share one store."""
    return Arrival(store, new_trace_id())


def test_a_row_of_a_trace_says_what_happened(search: SearchReader, arrival: Arrival) -> None:
    root = span(
        name="agent",
        kind=SpanKind.AGENT,
        service="a",
        user_id="u",
        tags=["t"],
        status="error",
        input='[{"role":"user","parts":[{"type":"text","content":"first"}]},{"role":"user","content":"hello"}]',
        output='[{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"text","content":"hi"}]}]',
    )
    outer = model_span(root, request_model="m1", cost_usd=Decimal(7))
    inner = model_span(outer, request_model="m2", session_id="s", end_ns=root.end_ns + SECOND_NS)
    unpriced = model_span(root, request_model="m3", cost_usd=None, usage=Usage())
    arrival.spans(root, outer, inner, unpriced)
    arrival.scores(score(trace_id=root.trace_id), score(trace_id=root.trace_id, span_id=inner.span_id, value=0.0))
    (row,) = search.traces(scope(arrival.project_id), Order.START, 9).items
    assert (row.name, row.service, row.user_id, row.session_id, row.status) == ("agent", "a", "u", "s", "error")
    assert (row.input, row.output, row.tags, row.models) == ("hello", "hi", ["t"], ["m2", "m3"])
    assert (row.start_ns, row.duration_ns) == (root.start_ns, 2 * SECOND_NS)
    assert (row.totals.cost_usd, row.totals.unknown_costs) == (Decimal("0.5"), 1)
    assert (row.totals.input_tokens, row.totals.output_tokens) == (10, 5)
    assert (row.totals.spans, row.totals.errors) == (4, 4)
    assert [(found.name, found.count, found.mean) for found in row.scores] == [("helpfulness", 2, 0.5)]


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ('"plain"', "plain"),
        ('{"q":1}', '{"q":1}'),
        ("", ""),
        ("not json", "not json"),
        ('[{"role":"system","content":"be kind"}]', '[{"role":"system","content":"be kind"}]'),
        ('[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]', "a\nb"),
    ],
)
def test_inputs_are_shown_as_a_person_would_read_them(
    search: SearchReader, arrival: Arrival, stored: str, shown: str
) -> None:
    arrival.spans(span(input=stored))
    assert search.traces(scope(arrival.project_id), Order.START, 9).items[0].input == shown
    assert search.spans(scope(arrival.project_id), Order.START, 9).items[0].input == shown


def test_sums_of_sessions_and_users_count_each_leaf_once(search: SearchReader, arrival: Arrival) -> None:
    first, second = span(session_id="s", user_id="u"), span(session_id="s", start_ns=MIDNIGHT_NS + HOUR_NS)
    arrival.spans(first, outer := model_span(first), model_span(outer), second, model_span(second, cost_usd=None))
    (session,) = search.sessions(scope(arrival.project_id), 9).items
    assert (session.id, session.traces, session.users) == ("s", 2, ["u"])
    assert (session.totals.cost_usd, session.totals.unknown_costs, session.totals.spans) == (Decimal("0.5"), 1, 5)
    assert (session.first_ns, session.last_ns) == (first.start_ns, second.start_ns)
    (user,) = search.users(scope(arrival.project_id), 9).items
    assert (user.id, user.traces, user.sessions, user.totals.cost_usd) == ("u", 1, 1, Decimal("0.5"))


def test_a_session_reads_as_a_conversation(search: SearchReader, arrival: Arrival) -> None:
    turns = [
        span(
            session_id="s",
            start_ns=MIDNIGHT_NS + number * DAY_NS,
            end_ns=MIDNIGHT_NS + number * DAY_NS + SECOND_NS,
            input=f'[{{"role":"user","content":"question {number}"}}]',
            output=f'"answer {number}"',
        )
        for number in range(3)
    ]
    arrival.spans(*reversed(turns), *(model_span(turn, request_model="m") for turn in turns))
    arrival.scores(score(session_id="s", name="solved", kind=ScoreKind.BOOLEAN))
    found = search.session(arrival.project_id, "s")
    assert found is not None
    assert [(turn.input, turn.output) for turn in found.turns] == [(f"question {n}", f"answer {n}") for n in range(3)]
    assert (found.totals.cost_usd, found.totals.spans, found.models) == (Decimal("1.5"), 6, ["m"])
    assert (found.start_ns, found.end_ns) == (turns[0].start_ns, turns[2].end_ns)
    assert [(given.name, given.mean) for given in found.scores] == [("solved", 1.0)]
    assert search.session(arrival.project_id, "") is None
