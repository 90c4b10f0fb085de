"""Reading traces back, over telemetry in memory."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from zirkel.core import Forbidden, LogRecord, NotFound, Principal, Role, ScoreKind, ScoreOrigin, ScoreRecord, Span
from zirkel.observe import Traces

READER = Principal("p", "k1", "ann", frozenset({Role.READ}))
TRACE = "ab" * 16


class Telemetry:
    """Spans of one trace, in any order."""

    def trace(self, project_id: str, trace_id: str) -> Sequence[Span]:
        return [span for span in SPANS if (span.project_id, span.trace_id) == (project_id, trace_id)]

    def logs_of_trace(self, project_id: str, trace_id: str) -> Sequence[LogRecord]:
        return [log for log in LOGS if (log.project_id, log.trace_id) == (project_id, trace_id)]

    def scores_of(self, project_id: str, *, trace_ids: Sequence[str]) -> Sequence[ScoreRecord]:
        return [score for score in SCORES if score.project_id == project_id and score.trace_id in trace_ids]

    def count_traces(self, project_id: str, since_ns: int = 0) -> int:
        return {"p": 1}.get(project_id, 0)


def span(span_id: str, start_ns: int) -> Span:
    return Span(
        project_id="p", trace_id=TRACE, span_id=span_id, name="s", source="otlp", dialect="genai", start_ns=start_ns,
        end_ns=start_ns,
    )  # fmt: skip


SPANS = (span("3" * 16, 20), span("2" * 16, 10), span("1" * 16, 20))
LOGS = (
    LogRecord(
        project_id="p",
        log_id="l1",
        trace_id=TRACE,
        span_id="2" * 16,
        time_ns=11,
        event_name="gen_ai.user.message",
        body='{"content": "How far?"}',
    ),
)
SCORES = (
    ScoreRecord(
        project_id="p",
        score_id="s1",
        name="helpful",
        kind=ScoreKind.BOOLEAN,
        value=1,
        trace_id=TRACE,
        origin=ScoreOrigin.PERSON,
        time_ns=30,
    ),
)


def test_spans_come_by_start_and_then_by_id() -> None:
    found = Traces(Telemetry()).trace(READER, TRACE)
    assert [span.span_id[0] for span in found] == ["2", "1", "3"]


def test_a_trace_id_may_be_written_in_capitals() -> None:
    assert len(Traces(Telemetry()).trace(READER, TRACE.upper())) == 3


def test_content_that_came_as_a_log_record_is_the_spans() -> None:
    first, *others = Traces(Telemetry()).trace(READER, TRACE)
    assert "How far?" in first.input
    assert [other.input for other in others] == ["", ""]


def test_log_records_and_scores_are_those_of_the_projects_trace() -> None:
    traces, stranger = Traces(Telemetry()), replace(READER, project_id="q")
    assert (traces.logs(READER, TRACE.upper()), traces.scores(READER, TRACE.upper())) == ([*LOGS], [*SCORES])
    assert (traces.logs(stranger, TRACE), traces.scores(stranger, TRACE)) == ([], [])


@pytest.mark.parametrize(("actor", "trace_id"), [(READER, "cd" * 16), (replace(READER, project_id="q"), TRACE)])
def test_a_trace_that_is_not_the_projects_is_not_found(actor: Principal, trace_id: str) -> None:
    with pytest.raises(NotFound, match=trace_id):
        Traces(Telemetry()).trace(actor, trace_id)


def test_only_the_projects_traces_are_counted() -> None:
    traces = Traces(Telemetry())
    assert (traces.count(READER), traces.count(replace(READER, project_id="q"))) == (1, 0)


def test_a_key_that_may_not_read_reads_nothing() -> None:
    sender = replace(READER, roles=frozenset({Role.INGEST}))
    traces = Traces(Telemetry())
    for read in (
        lambda: traces.trace(sender, TRACE),
        lambda: traces.logs(sender, TRACE),
        lambda: traces.scores(sender, TRACE),
        lambda: traces.count(sender),
    ):
        with pytest.raises(Forbidden):
            read()
