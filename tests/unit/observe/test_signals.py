"""Log records, data points and evaluation results as they are kept."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from zirkel.core import ScoreKind, ScoreOrigin
from zirkel.lib.otlp import DecodedLog, DecodedMetric, DecodedPoint, JsonLike, Notes, Origin, read_logs, read_points
from zirkel.observe.signals import log_record, metric_point, score_of_log

CAPTURES = Path(__file__).parents[2] / "fixtures" / "otlp"
ORIGIN = Origin({"service.name": "shop"}, "judge", "1")
TRACE_ID, SPAN_ID = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
RESULT: dict[str, JsonLike] = {
    "gen_ai.evaluation.name": "relevance",
    "gen_ai.evaluation.score.value": 0.75,
    "gen_ai.evaluation.score.label": "good",
    "gen_ai.evaluation.explanation": "answers the question",
    "gen_ai.response.id": "chatcmpl-1",
    "session.id": "s1",
    "user.id": "u1",
}
LOG = DecodedLog(
    ORIGIN, TRACE_ID, SPAN_ID, time_ns=7, observed_ns=9, event_name="gen_ai.evaluation.result", attributes=RESULT
)
POINT = DecodedPoint(
    DecodedMetric(ORIGIN, "tokens", "sum", "{token}", "delta", is_monotonic=True), {"a": 1, "b": "x"}, 5, 9, 3.0
)


def test_a_record_keeps_its_attributes_and_says_whose_it_is() -> None:
    record = log_record(replace(LOG, body={"a": [1, None]}, severity=9, severity_text="INFO"), project_id="p")
    assert (record.project_id, record.trace_id, record.span_id) == ("p", TRACE_ID, SPAN_ID)
    assert (record.session_id, record.user_id) == ("s1", "u1")
    assert (record.severity, record.severity_text, record.body) == (9, "INFO", '{"a":[1,null]}')
    assert (record.scope_name, record.resource) == ("judge", {"service.name": '"shop"'})
    assert {key: msgspec.json.decode(text) for key, text in record.attributes.items()} == RESULT


def test_an_events_name_may_be_an_attribute_only() -> None:
    record = log_record(DecodedLog(ORIGIN, attributes={"event.name": "gen_ai.user.message"}), project_id="p")
    assert record.event_name == "gen_ai.user.message"
    assert record.attributes == {"event.name": '"gen_ai.user.message"'}
    named = log_record(DecodedLog(ORIGIN, event_name="own", attributes={"event.name": "other"}), project_id="p")
    assert named.event_name == "own"


@pytest.mark.parametrize(
    ("time_ns", "observed_ns", "kept"), [(7, 9, 7), (0, 9, 9), (0, 0, 0), (2**64 - 1, 0, 2**63 - 1)]
)
def test_a_record_without_a_time_has_that_of_its_observation(time_ns: int, observed_ns: int, kept: int) -> None:
    assert log_record(DecodedLog(ORIGIN, time_ns=time_ns, observed_ns=observed_ns), project_id="p").time_ns == kept


@pytest.mark.parametrize(
    "change",
    [
        {"origin": Origin({"service.name": "other"}, "judge", "1")},
        {"origin": Origin({"service.name": "shop"}, "judge", "2")},
        {"trace_id": ""},
        {"span_id": ""},
        {"time_ns": 8},
        {"observed_ns": 8},
        {"severity": 1},
        {"severity_text": "x"},
        {"event_name": "x"},
        {"body": ""},
        {"attributes": {}},
    ],
)
def test_records_that_differ_in_anything_have_ids_of_their_own(change: dict[str, object]) -> None:
    first, second = log_record(LOG, project_id="p"), log_record(replace(LOG, **change), project_id="p")  # type: ignore[arg-type]
    assert first.log_id != second.log_id


def test_the_same_record_has_the_same_id_in_whatever_order_its_keys_come() -> None:
    turned = replace(LOG, attributes=dict(reversed(RESULT.items())))
    first = log_record(LOG, project_id="p").log_id
    assert log_record(turned, project_id="p").log_id == first
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")


def test_an_evaluation_result_is_a_score() -> None:
    record = log_record(LOG, project_id="p")
    score = score_of_log(LOG, record)
    assert score is not None
    assert (score.project_id, score.score_id, score.name) == ("p", record.log_id, "relevance")
    assert (score.kind, score.value, score.label) == (ScoreKind.NUMERIC, 0.75, "good")
    assert (score.trace_id, score.span_id, score.session_id, score.user_id) == (TRACE_ID, SPAN_ID, "s1", "u1")
    assert (score.origin, score.comment, score.time_ns) == (ScoreOrigin.JUDGE, "answers the question", 7)
    assert score.metadata == {"gen_ai.response.id": '"chatcmpl-1"'}


def test_an_evaluation_result_with_a_label_alone_is_a_category() -> None:
    log = replace(LOG, attributes={"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "rude"})
    score = score_of_log(log, log_record(log, project_id="p"))
    assert score is not None
    assert (score.kind, score.value, score.label, score.metadata) == (ScoreKind.CATEGORICAL, None, "rude", {})


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"gen_ai.evaluation.score.value": 1},
        {"gen_ai.evaluation.name": "x", "error.type": "timeout"},
        {"gen_ai.evaluation.name": "x", "gen_ai.evaluation.score.value": "NaN"},
    ],
)
def test_an_evaluation_result_without_a_name_or_result_is_no_score(attributes: dict[str, JsonLike]) -> None:
    log = replace(LOG, attributes=attributes)
    assert score_of_log(log, log_record(log, project_id="p")) is None


def test_no_other_record_is_a_score() -> None:
    log = replace(LOG, event_name="gen_ai.user.message")
    assert score_of_log(log, log_record(log, project_id="p")) is None


def test_a_point_keeps_its_numbers_and_its_series() -> None:
    point = metric_point(POINT, project_id="p")
    assert (point.project_id, point.name, point.kind, point.unit) == ("p", "tokens", "sum", "{token}")
    assert (point.temporality, point.is_monotonic, point.start_ns, point.time_ns) == ("delta", True, 5, 9)
    assert (point.value, point.attributes) == (3.0, {"a": "1", "b": '"x"'})


def test_a_points_id_depends_on_series_and_time_and_not_on_its_value() -> None:
    first = metric_point(POINT, project_id="p").point_id
    same = replace(POINT, value=4.0, attributes={"b": "x", "a": 1})
    assert metric_point(same, project_id="p").point_id == first
    others = [
        replace(POINT, time_ns=10),
        replace(POINT, start_ns=6),
        replace(POINT, attributes={"a": 2, "b": "x"}),
        replace(POINT, metric=replace(POINT.metric, name="other")),
        replace(POINT, metric=replace(POINT.metric, temporality="cumulative")),
        replace(POINT, metric=replace(POINT.metric, origin=Origin({}, "judge", "1"))),
    ]
    assert len({first, *(metric_point(other, project_id="p").point_id for other in others)}) == 7


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*-logs.pb")), ids=lambda path: path.stem)
def test_captured_logs_are_kept_whole_and_with_their_event_names(path: Path) -> None:
    notes = Notes()
    records = [log_record(log, project_id="p") for log in read_logs(path.read_bytes(), "protobuf", notes)]
    assert records
    assert notes.message == ""
    assert all(record.event_name.startswith("gen_ai.") for record in records)
    assert all(record.trace_id and record.span_id and record.time_ns for record in records)
    assert len({record.log_id for record in records}) == len(records)


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*-metrics.pb")), ids=lambda path: path.stem)
def test_captured_points_are_kept_with_ids_of_their_own(path: Path) -> None:
    notes = Notes()
    points = [metric_point(point, project_id="p") for point in read_points(path.read_bytes(), "protobuf", notes)]
    assert points
    assert notes.message == ""
    assert len({point.point_id for point in points}) == len(points)
    assert {point.kind for point in points} <= {"histogram", "sum"}
    assert {point.temporality for point in points} == {"cumulative"}
