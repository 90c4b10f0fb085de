"""What is erased or too old is gone: from the answers, and from the bytes on disk."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from zirkel.core import (
    LogRecord,
    MetricPoint,
    ScoreKind,
    ScoreOrigin,
    ScoreRecord,
    Span,
    SpanEvent,
    Usage,
    new_span_id,
    new_trace_id,
)
from zirkel.store.telemetry import RowCounts, TelemetryStore

DAY_NS = 86_400 * 1_000_000_000
TODAY_NS = 1_790_000_000_000_000_000 // DAY_NS * DAY_NS

# Columns that may hold what people wrote or who they are, kept as they are: what is on disk can be looked for.
_PLAIN = {
    "spans": {
        "trace_id": "String",
        "user_id": "String",
        "session_id": "String",
        "input": "String",
        "output": "String",
        "tools": "String",
        "status_message": "String",
        "attributes": "Map(LowCardinality(String), String)",
        "events": "Array(Tuple(name String, time_ns Int64, attributes Map(String, String)))",
    },
    "logs": {
        "user_id": "String",
        "session_id": "String",
        "body": "String",
        "attributes": "Map(LowCardinality(String), String)",
    },
    "scores": {
        "user_id": "String",
        "session_id": "String",
        "label": "String",
        "comment": "String",
        "metadata": "Map(LowCardinality(String), String)",
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("telemetry")


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[TelemetryStore]:
    opened = TelemetryStore.open(path=folder)
    for table, columns in _PLAIN.items():
        for column, kind in columns.items():
            opened._engine.execute(f"ALTER TABLE {table} MODIFY COLUMN {column} {kind} CODEC(NONE)")
    yield opened
    opened.close()


@pytest.fixture
def project() -> str:
    """A project of its own for each test: they share one store."""
    return new_trace_id()


def is_on_disk(folder: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def a_span(project_id: str, mark: str = "", start_ns: int = TODAY_NS, **changes: object) -> Span:
    """A span that has ``mark`` wherever a text may be."""
    span = Span(
        project_id=project_id,
        trace_id=new_trace_id(),
        span_id=new_span_id(),
        name="chat",
        source="otlp",
        start_ns=start_ns,
        end_ns=start_ns + 1000,
        status_message=f"{mark} failed",
        environment="production",
        usage=Usage(input_tokens=3),
        input=f"{mark} in",
        output=f"{mark} out",
        tools=f"{mark} tools",
        attributes={"app.note": f'"{mark}"'},
        events=[SpanEvent("e", start_ns, {"said": f'"{mark}"'})],
    )
    return replace(span, **changes)


def a_log(span: Span, mark: str = "", **changes: object) -> LogRecord:
    record = LogRecord(
        project_id=span.project_id,
        log_id=new_trace_id(),
        trace_id=span.trace_id,
        time_ns=span.start_ns,
        body=f'"{mark} body"',
        attributes={"k": f'"{mark}"'},
    )
    return replace(record, **changes)


def a_point(project_id: str, time_ns: int = TODAY_NS) -> MetricPoint:
    return MetricPoint(project_id=project_id, point_id=new_trace_id(), name="m", kind="gauge", time_ns=time_ns)


def a_score(span: Span, mark: str = "", **changes: object) -> ScoreRecord:
    score = ScoreRecord(
        project_id=span.project_id,
        score_id=new_trace_id(),
        name="note",
        kind=ScoreKind.TEXT,
        label=f"{mark} text",
        comment=f"{mark} comment",
        trace_id=span.trace_id,
        origin=ScoreOrigin.END_USER,
        time_ns=span.start_ns,
        metadata={"k": f'"{mark}"'},
    )
    return replace(score, **changes)


def keep(store: TelemetryStore, *items: Span | LogRecord | MetricPoint | ScoreRecord, received_ns: int = 1) -> None:
    store.insert([i for i in items if isinstance(i, Span)], received_ns=received_ns)
    store.insert_logs([i for i in items if isinstance(i, LogRecord)], received_ns=received_ns)
    store.insert_points([i for i in items if isinstance(i, MetricPoint)], received_ns=received_ns)
    store.insert_scores([i for i in items if isinstance(i, ScoreRecord)], received_ns=received_ns)


def score_ids(store: TelemetryStore, *spans: Span) -> set[str]:
    found = store.scores_of(spans[0].project_id, trace_ids=[span.trace_id for span in spans])
    return {score.score_id for score in found}


def test_an_erased_user_is_gone_from_the_answers_and_from_the_disk(
    store: TelemetryStore, folder: Path, project: str
) -> None:
    mark, user = f"mark{new_trace_id()}", f"user{new_trace_id()}"
    hers = a_span(project, mark, user_id=user, session_id=f"{mark} session")
    step = a_span(project, mark, trace_id=hers.trace_id, parent_span_id=hers.span_id, start_ns=TODAY_NS - DAY_NS)
    other = a_span(project, "of somebody else", user_id="other")
    erased_logs = [a_log(hers, mark), a_log(other, mark, trace_id="", user_id=user)]
    erased_scores = [
        a_score(hers, mark),
        a_score(other, mark, user_id=user),
        a_score(other, mark, trace_id="", session_id=f"{mark} session"),
    ]
    kept_log, kept_score = a_log(other), a_score(other)
    for received_ns in (1, 2):
        keep(store, hers, step, other, *erased_logs, *erased_scores, kept_log, kept_score, received_ns=received_ns)
    assert is_on_disk(folder, mark)
    assert is_on_disk(folder, user)

    assert store.delete_where_user(project, user) == RowCounts(spans=2, logs=2, scores=3)
    assert store.trace(project, hers.trace_id) == []
    assert store.logs_of_trace(project, hers.trace_id) == []
    assert not is_on_disk(folder, mark)
    assert not is_on_disk(folder, user)

    assert store.trace(project, other.trace_id) == [other]
    assert store.logs_of_trace(project, other.trace_id) == [kept_log]
    assert score_ids(store, other, hers) == {kept_score.score_id}
    assert store.delete_where_user(project, user) == RowCounts()


def test_an_erased_session_is_gone_from_the_answers_and_from_the_disk(
    store: TelemetryStore, folder: Path, project: str
) -> None:
    mark = f"mark{new_trace_id()}"
    session = f"{mark} session"
    turns = [a_span(project, mark, session_id=session, start_ns=TODAY_NS + day * DAY_NS) for day in range(3)]
    other = a_span(project, session_id="other")
    scores = [a_score(turns[0], mark), a_score(turns[0], mark, trace_id="", session_id=session)]
    logs = [a_log(turns[1], mark), a_log(other, mark, trace_id="", session_id=session)]
    keep(store, *turns, other, *scores, *logs)
    assert is_on_disk(folder, mark)
    assert store.delete_where_session(project, session) == RowCounts(spans=3, logs=2, scores=2)
    assert not is_on_disk(folder, mark)
    assert store.scores_of(project, session_ids=[session]) == []
    assert store.count_spans(project) == 1


def test_erased_traces_are_gone_with_their_logs_and_scores(store: TelemetryStore, folder: Path, project: str) -> None:
    mark = f"mark{new_trace_id()}"
    gone = [a_span(project, mark) for _ in range(2)]
    other = a_span(project)
    keep(store, *gone, other, *(a_log(span, mark) for span in gone), a_score(gone[0], mark), a_score(other))
    counts = store.delete_traces(project, [*(span.trace_id for span in gone), "unknown", ""])
    assert counts == RowCounts(spans=2, logs=2, scores=1)
    assert not is_on_disk(folder, mark)
    assert store.count_spans(project) == 1
    assert len(score_ids(store, other)) == 1
    assert store.delete_traces(project, []) == RowCounts()


@pytest.mark.parametrize("name", ["", "nobody", "' OR 1=1 --", "%"])
def test_erasing_nobody_erases_nothing(store: TelemetryStore, project: str, name: str) -> None:
    span = a_span(project)
    keep(store, span, a_log(span), a_score(span))
    assert store.delete_where_user(project, name) == RowCounts()
    assert store.delete_where_session(project, name) == RowCounts()
    assert store.trace(project, span.trace_id) == [span]


def test_the_same_user_of_another_project_stays(store: TelemetryStore, project: str) -> None:
    mine = a_span(project, user_id="u", session_id="s")
    theirs = replace(mine, project_id=new_trace_id())
    keep(store, mine, theirs, a_log(theirs), a_score(theirs))
    assert store.delete_where_user(project, "u").spans == 1
    assert store.trace(theirs.project_id, theirs.trace_id) == [theirs]
    assert store.delete_where_session(project, "s") == RowCounts()
    assert len(store.logs_of_trace(theirs.project_id, theirs.trace_id)) == 1


def test_old_content_goes_and_what_was_measured_stays(store: TelemetryStore, folder: Path, project: str) -> None:
    mark = f"mark{new_trace_id()}"
    old = a_span(project, mark, user_id="u", cost_usd=None, parameters={"temperature": "1"})
    new = a_span(project, "new", start_ns=TODAY_NS + 1)
    number = a_score(old, mark, kind=ScoreKind.CATEGORICAL, label="good")
    keep(store, old, new, a_log(old, mark), a_log(new, "new"), a_score(old, mark), number, a_score(new, "new"))
    lengths = "SELECT input_length, output_length FROM spans WHERE trace_id = {trace_id:String}"
    measured = store._engine.answer(lengths, {"trace_id": old.trace_id}, "TSV")
    assert measured == b"%d\t%d\n" % (len(old.input), len(old.output))

    counts = store.drop_content_before(project, None, TODAY_NS + 1)
    assert counts == RowCounts(spans=1, logs=1, scores=2)
    assert not is_on_disk(folder, mark)
    emptied = replace(old, status_message="", input="", output="", tools="", attributes={"app.note": '""'}, events=[])
    assert store.trace(project, old.trace_id) == [emptied]
    assert store._engine.answer(lengths, {"trace_id": old.trace_id}, "TSV") == measured
    (record,) = store.logs_of_trace(project, old.trace_id)
    assert (record.body, record.attributes) == ("", {"k": '""'})
    scores = store.scores_of(project, trace_ids=[old.trace_id])
    assert {(score.label, score.comment, score.metadata["k"]) for score in scores} == {
        ("", "", '""'),
        ("good", "", '""'),
    }
    assert store.trace(project, new.trace_id) == [new]
    assert store.drop_content_before(project, None, TODAY_NS + 1) == RowCounts()


def test_content_that_is_sent_again_after_it_was_dropped_is_dropped_again(store: TelemetryStore, project: str) -> None:
    old = a_span(project)
    keep(store, old, received_ns=1)
    assert store.drop_content_before(project, None, TODAY_NS + 1).spans == 1
    keep(store, old, received_ns=2)
    assert store.trace(project, old.trace_id) == [old]
    assert store.drop_content_before(project, None, TODAY_NS + 1).spans == 1
    assert store.trace(project, old.trace_id)[0].input == ""


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(-2, 2), st.sampled_from([0, 7]), st.sampled_from(["production", "test"])), max_size=6
    ),
    st.sampled_from([None, "production"]),
    st.sampled_from([TODAY_NS, TODAY_NS + 5]),
    st.booleans(),
)
def test_just_what_is_older_is_dropped(
    store: TelemetryStore,
    drawn: list[tuple[int, int, str]],
    environment: str | None,
    before_ns: int,
    is_another_project_there: bool,
) -> None:
    project_id, other_id = new_trace_id(), new_trace_id()
    spans = [
        a_span(project_id, start_ns=TODAY_NS + day * DAY_NS + offset, environment=name) for day, offset, name in drawn
    ]
    logs = [a_log(span) for span in spans]
    scores = [a_score(span) for span in spans]
    of_experiment = a_score(a_span(project_id, start_ns=0), trace_id="", experiment_id="e")
    others = [replace(span, project_id=other_id) for span in spans] if is_another_project_there else []
    for received_ns in (1, 2):
        keep(store, *spans, *logs, *scores, of_experiment, *others, received_ns=received_ns)

    def is_dropped(span: Span) -> bool:
        return span.start_ns < before_ns and environment in (None, span.environment)

    dropped = sum(map(is_dropped, spans))
    counts = store.drop_spans_before(project_id, environment, before_ns)
    assert counts == RowCounts(spans=dropped, logs=dropped, scores=dropped)
    for span, record in zip(spans, logs, strict=True):
        assert store.trace(project_id, span.trace_id) == ([] if is_dropped(span) else [span])
        assert store.logs_of_trace(project_id, span.trace_id) == ([] if is_dropped(span) else [record])
        assert len(store.scores_of(project_id, trace_ids=[span.trace_id])) == (0 if is_dropped(span) else 1)
    assert store.scores_of(project_id, experiment_ids=["e"]) == [of_experiment]
    assert store.count_spans(other_id) == len(others)


def test_old_metric_points_are_dropped(store: TelemetryStore, project: str) -> None:
    days = (-1, 0, 0, 1)
    points = [a_point(project, TODAY_NS + day * DAY_NS) for day in days]
    another = a_point(new_trace_id(), TODAY_NS - DAY_NS)
    keep(store, *points, another)
    assert store.drop_points_before(project, TODAY_NS + 1) == RowCounts(points=3)
    assert store.drop_points_before(project, TODAY_NS + 1) == RowCounts()
    assert store.drop_points_before(another.project_id, TODAY_NS) == RowCounts(points=1)
    assert store.drop_points_before(project, 2**62) == RowCounts(points=1)


def test_what_is_inserted_meanwhile_stays(store: TelemetryStore, project: str) -> None:
    old = [a_span(project, start_ns=TODAY_NS - DAY_NS) for _ in range(20)]
    keep(store, *old)
    other_id = new_trace_id()
    late = [a_span(other_id, start_ns=TODAY_NS - DAY_NS) for _ in range(30)]

    def keep_late() -> None:
        for span in late:
            keep(store, span)

    thread = threading.Thread(target=keep_late)
    thread.start()
    assert store.drop_spans_before(project, None, TODAY_NS).spans == 20
    thread.join()
    assert store.count_spans(other_id) == 30


_KILLED = """
import os, sys, threading
from pathlib import Path
from zirkel.core import Span
from zirkel.store.telemetry import TelemetryStore
store = TelemetryStore.open(Path(sys.argv[1]))
spans = [Span(project_id="p", trace_id=f"{index:032x}", span_id=f"{index:016x}", name="n", source="otlp",
              start_ns=10**18 + index % 5 * 86400 * 10**9, end_ns=10**18, user_id=f"u{index % 2}", input="x" * 2000)
         for index in range(4000)]
if store.count_spans("p") == 0:
    store.insert(spans, received_ns=1)
    store._engine.execute("SYSTEM STOP MERGES spans")
    threading.Thread(target=store.delete_where_user, args=("p", "u1"), daemon=True).start()
    while not store._engine.answer("SELECT 1 FROM system.mutations WHERE NOT is_done", {}, "TSV"):
        pass
    os.kill(os.getpid(), 9)
print(store.count_spans("p") in (2000, 4000), store.delete_where_user("p", "u1").spans in (0, 2000),
      store.count_spans("p"), store.delete_where_user("p", "u0").spans, store.count_spans("p"))
store.close()
"""


def test_an_erasure_that_was_killed_is_done_by_asking_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert killed.returncode == -9, killed.stderr
    again = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert again.stdout.split() == ["True", "True", "2000", "2000", "0"], again.stderr
