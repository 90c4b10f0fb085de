"""What the telemetry store promises for log records, metric points and scores."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from zirkel.core import (
    Invalid,
    LogRecord,
    MetricPoint,
    ScoreKind,
    ScoreOrigin,
    ScoreRecord,
    Span,
    new_span_id,
    new_trace_id,
)
from zirkel.store.telemetry import TelemetryStore

START_NS = 1_790_000_000_000_000_000
SERVER_URL = "ZIRKEL_TEST_CLICKHOUSE_URL"


@pytest.fixture(scope="module", params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    if request.param == "embedded":
        opened = TelemetryStore.open(path=tmp_path_factory.mktemp("telemetry"))
    else:
        url = os.environ.get(SERVER_URL)  # noqa: TID251 (a setting of the tests, not of the program)
        if not url:
            pytest.skip(f"{SERVER_URL} names no ClickHouse server")
        opened = TelemetryStore.open(url=url)
    yield opened
    opened.close()


@pytest.fixture
def project() -> str:
    """A project of its own for each test: they share one store."""
    return new_trace_id()


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
MAPS = st.dictionaries(TEXT, TEXT, max_size=3)
TIMES = st.integers(0, 5_662_224_000_000_000_000)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.none() | st.integers(0, 2**63 - 1)
LOGS = st.builds(
    LogRecord,
    project_id=st.just("replaced"),
    log_id=st.just("replaced"),
    trace_id=st.just("replaced"),
    span_id=TEXT,
    time_ns=TIMES,
    severity=st.integers(0, 24),
    severity_text=TEXT,
    event_name=TEXT,
    body=TEXT,
    scope_name=TEXT,
    attributes=MAPS,
    resource=MAPS,
    session_id=TEXT,
    user_id=TEXT,
)
POINTS = st.builds(
    MetricPoint,
    project_id=st.just("replaced"),
    point_id=st.just("replaced"),
    name=TEXT,
    kind=TEXT,
    unit=TEXT,
    temporality=TEXT,
    is_monotonic=st.booleans(),
    start_ns=TIMES,
    time_ns=TIMES,
    value=st.none() | NUMBERS,
    count=COUNTS,
    sum=st.none() | NUMBERS,
    minimum=st.none() | NUMBERS,
    maximum=st.none() | NUMBERS,
    bounds=st.lists(NUMBERS, max_size=4),
    buckets=st.lists(NUMBERS, max_size=4),
    scope_name=TEXT,
    attributes=MAPS,
    resource=MAPS,
)
SCORES = st.builds(
    ScoreRecord,
    project_id=st.just("replaced"),
    score_id=st.just("replaced"),
    name=TEXT,
    kind=st.sampled_from(ScoreKind),
    value=st.none() | NUMBERS,
    label=TEXT,
    trace_id=st.just("replaced"),
    span_id=TEXT,
    session_id=TEXT,
    experiment_id=TEXT,
    item_id=TEXT,
    origin=st.sampled_from(ScoreOrigin),
    author=TEXT,
    evaluator=TEXT,
    comment=TEXT,
    user_id=TEXT,
    time_ns=TIMES,
    is_withdrawn=st.just(False),
    metadata=MAPS,
)


def test_every_field_of_a_kind_is_in_its_property_test() -> None:
    text = Path(__file__).read_text()
    for kind, start, end in (
        (LogRecord, "LOGS =", "POINTS ="),
        (MetricPoint, "POINTS =", "SCORES ="),
        (ScoreRecord, "SCORES =", "def "),
    ):
        part = text[text.index(f"\n{start}") :].partition(f"\n{end}")[0]
        assert {name for name in kind.__struct_fields__ if f"    {name}=" in part} == set(kind.__struct_fields__)


@settings(max_examples=40, deadline=None)
@given(st.lists(LOGS, min_size=1, max_size=4))
def test_whole_log_records_come_back_as_they_were_inserted(store: TelemetryStore, drawn: list[LogRecord]) -> None:
    project_id, trace_id = new_trace_id() + " '\"\\\x00;--", new_trace_id()
    logs = [replace(record, project_id=project_id, trace_id=trace_id, log_id=new_trace_id()) for record in drawn]
    for received_ns in (1, 2):
        store.insert_logs(logs, received_ns=received_ns)
    assert store.logs_of_trace(project_id, trace_id) == sorted(logs, key=lambda record: (record.time_ns, record.log_id))
    assert store.logs_of_trace("other", trace_id) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(POINTS, min_size=1, max_size=4))
def test_whole_metric_points_come_back_as_they_were_inserted(store: TelemetryStore, drawn: list[MetricPoint]) -> None:
    project_id = new_trace_id()
    points = [replace(point, project_id=project_id, point_id=new_trace_id()) for point in drawn]
    for received_ns in (1, 2):
        store.insert_points(points, received_ns=received_ns)
    assert points_of(store, project_id) == sorted(points, key=lambda point: point.point_id)


def points_of(store: TelemetryStore, project_id: str) -> list[MetricPoint]:
    columns = ", ".join(MetricPoint.__struct_fields__)
    query = f"SELECT {columns} FROM points FINAL WHERE project_id = {{project_id:String}} ORDER BY point_id"
    return store._engine.rows(query, {"project_id": project_id}, MetricPoint)


@settings(max_examples=40, deadline=None)
@given(st.lists(SCORES, min_size=1, max_size=4))
def test_whole_scores_come_back_as_they_were_inserted(store: TelemetryStore, drawn: list[ScoreRecord]) -> None:
    project_id, trace_id = new_trace_id() + "'", new_trace_id()
    scores = [replace(score, project_id=project_id, trace_id=trace_id, score_id=new_trace_id()) for score in drawn]
    store.insert_scores(scores, received_ns=1)
    found = store.scores_of(project_id, trace_ids=[trace_id])
    assert found == sorted(scores, key=lambda score: (score.time_ns, score.score_id))
    assert store.scores_of("other", trace_ids=[trace_id]) == []
    assert store.score_history("other", scores[0].score_id) == []


def a_score(project_id: str, **changes: object) -> ScoreRecord:
    score = ScoreRecord(
        project_id=project_id,
        score_id="s",
        name="helpful",
        kind=ScoreKind.NUMERIC,
        value=0.5,
        trace_id="t",
        origin=ScoreOrigin.PERSON,
        time_ns=START_NS,
    )
    return replace(score, **changes)


def give(store: TelemetryStore, *scores: ScoreRecord, received_ns: int) -> None:
    store.insert_scores(scores, received_ns=received_ns)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_score_keeps_each_change_and_no_repetition(store: TelemetryStore, drawn: list[list[float]]) -> None:
    project_id = new_trace_id()
    sent: list[ScoreRecord] = []
    for number, values in enumerate(drawn):
        versions = [a_score(project_id, value=value, time_ns=START_NS + len(sent)) for value in values]
        give(store, *versions, received_ns=1000 * (number + 1))
        sent += versions
    changes = [
        version
        for version, following in zip(sent, [*sent[1:], None], strict=True)
        if not following or version.value != following.value
    ]
    assert store.score_history(project_id, "s") == changes
    assert store.scores_of(project_id, trace_ids=["t"]) == [changes[-1]]


def test_a_score_that_is_withdrawn_is_not_current_and_may_come_back(store: TelemetryStore, project: str) -> None:
    score = a_score(project)
    withdrawn = replace(score, is_withdrawn=True)
    give(store, score, received_ns=1)
    give(store, withdrawn, received_ns=2)
    assert store.scores_of(project, trace_ids=["t"]) == []
    give(store, score, received_ns=3)
    assert store.scores_of(project, trace_ids=["t"]) == [score]
    assert store.score_history(project, "s") == [score, withdrawn, score]


def test_scores_are_found_by_what_they_are_about_now(store: TelemetryStore, project: str) -> None:
    on_trace = a_score(project, score_id="1")
    on_session = a_score(project, score_id="2", trace_id="", session_id="conversation")
    on_experiment = a_score(project, score_id="3", trace_id="", experiment_id="e", item_id="i")
    moved = a_score(project, score_id="4", trace_id="elsewhere")
    give(store, on_trace, on_session, on_experiment, replace(moved, trace_id="t"), moved, received_ns=1)
    assert store.scores_of(project, trace_ids=["t", "", "nowhere"]) == [on_trace]
    assert store.scores_of(project, session_ids=["conversation"]) == [on_session]
    assert store.scores_of(project, experiment_ids=["e"]) == [on_experiment]
    everything = store.scores_of(project, trace_ids=["t"], session_ids=["conversation"], experiment_ids=["e"])
    assert everything == [on_trace, on_session, on_experiment]
    assert store.scores_of(project) == []
    assert store.scores_of(project, trace_ids=[""]) == []


def test_what_is_stored_again_after_a_crash_is_there_once_for_each_kind(store: TelemetryStore, project: str) -> None:
    record = LogRecord(project_id=project, log_id="l", trace_id="t", time_ns=START_NS, body="first")
    point = MetricPoint(project_id=project, point_id="p", name="m", kind="gauge", time_ns=START_NS, value=1.0)
    score = a_score(project, comment="first")
    for received_ns in (1, 1000):
        store.insert_logs([record], received_ns=received_ns)
        store.insert_points([point], received_ns=received_ns)
        store.insert_scores([score], received_ns=received_ns)
    assert store.logs_of_trace(project, "t") == [record]
    assert points_of(store, project) == [point]
    assert store.score_history(project, "s") == [score]


def test_numbers_that_are_none_are_unknown(store: TelemetryStore, project: str) -> None:
    point = MetricPoint(
        project_id=project, point_id="p", name="m", kind="gauge", time_ns=1, value=math.nan, sum=math.inf, maximum=1.0
    )
    store.insert_points([point], received_ns=1)
    assert points_of(store, project) == [replace(point, value=None, sum=None)]


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("time_ns", {"time_ns": -1}),
        ("time_ns", {"time_ns": 2**63}),
        ("start_ns", {"start_ns": -1}),
        ("count", {"count": 2**63}),
        ("bounds", {"bounds": [1.0, math.inf]}),
        ("buckets", {"buckets": [math.nan]}),
        (None, {"name": "\ud800"}),
    ],
)
def test_a_metric_point_without_a_place_refuses_the_whole_insert(
    store: TelemetryStore, project: str, path: str | None, changes: dict[str, object]
) -> None:
    point = MetricPoint(project_id=project, point_id="p1", name="m", kind="sum", time_ns=1)
    with pytest.raises(Invalid, match="metric point p2") as caught:
        store.insert_points([point, replace(point, point_id="p2", **changes)], received_ns=1)
    assert caught.value.path == path
    assert points_of(store, project) == []


def test_logs_and_scores_without_a_place_are_refused(store: TelemetryStore, project: str) -> None:
    record = LogRecord(project_id=project, log_id="l", trace_id="t", time_ns=-1)
    with pytest.raises(Invalid, match="log record l: time_ns"):
        store.insert_logs([record], received_ns=1)
    with pytest.raises(Invalid, match="log record l: severity"):
        store.insert_logs([replace(record, time_ns=1, severity=256)], received_ns=1)
    with pytest.raises(Invalid, match="score s: value"):
        give(store, a_score(project, value=math.nan), received_ns=1)
    with pytest.raises(Invalid, match="score s: time_ns"):
        give(store, a_score(project, time_ns=-1), received_ns=1)
    assert store.logs_of_trace(project, "t") == []
    assert store.score_history(project, "s") == []


def test_the_newest_receipt_is_that_of_any_kind(store: TelemetryStore, project: str) -> None:
    newest_ns = store.newest_received_ns() + 1000
    span = Span(
        project_id=project,
        trace_id=new_trace_id(),
        span_id=new_span_id(),
        name="n",
        source="otlp",
        start_ns=START_NS,
        end_ns=START_NS,
    )
    record = LogRecord(project_id=project, log_id="l", trace_id="t", time_ns=START_NS)
    point = MetricPoint(project_id=project, point_id="p", name="m", kind="gauge", time_ns=START_NS)
    store.insert([span], received_ns=newest_ns + 1)
    assert store.newest_received_ns() == newest_ns + 1
    store.insert_logs([record], received_ns=newest_ns + 2)
    assert store.newest_received_ns() == newest_ns + 2
    store.insert_points([point], received_ns=newest_ns + 3)
    assert store.newest_received_ns() == newest_ns + 3
    give(store, a_score(project), received_ns=newest_ns + 4)
    assert store.newest_received_ns() == newest_ns + 4


def test_nothing_of_a_kind_is_nothing(store: TelemetryStore) -> None:
    before_ns = store.newest_received_ns()
    store.insert_logs([], received_ns=before_ns + 1)
    store.insert_points([], received_ns=before_ns + 1)
    store.insert_scores([], received_ns=before_ns + 1)
    assert store.newest_received_ns() == before_ns
