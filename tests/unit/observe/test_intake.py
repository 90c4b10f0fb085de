"""What becomes of a request: on disk, counted, or refused."""

import gzip
import json
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import (
    Batch,
    Forbidden,
    Invalid,
    LogRecord,
    MetricPoint,
    Overloaded,
    Principal,
    Role,
    ScoreRecord,
    Span,
    TooLarge,
    Unsupported,
    decode_batch,
)
from zirkel.lib.otlp import Notes, Signal
from zirkel.observe import MAX_BODY_BYTES, Intake
from zirkel.observe.intake import convert_each
from zirkel.store.telemetry.rows import log_row, point_row, span_row

SENDER = Principal("p", "k1", "app", frozenset({Role.INGEST}))


class Disk:
    """Keeps what is appended, as a spool does."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.error: Exception | None = None
        self.record_bytes = 64 * 2**20

    def append_durable(self, payload: bytes) -> None:
        if self.error is not None:
            raise self.error
        if len(payload) > self.record_bytes:
            raise TooLarge(f"a record of {len(payload)} bytes is over the limit")
        self.payloads.append(payload)

    def batches(self) -> list[Batch]:
        return [decode_batch(payload) for payload in self.payloads]

    def spans(self) -> list[Span]:
        return [span for batch in self.batches() for span in batch.spans]

    def logs(self) -> list[LogRecord]:
        return [record for batch in self.batches() for record in batch.logs]

    def scores(self) -> list[ScoreRecord]:
        return [score for batch in self.batches() for score in batch.scores]

    def points(self) -> list[MetricPoint]:
        return [point for batch in self.batches() for point in batch.points]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def intake(disk: Disk) -> Intake:
    return Intake(disk)


def batch(*trace_ids: str) -> bytes:
    """Return a JSON batch with a span for each trace id."""
    spans = [
        {"traceId": trace_id, "spanId": f"{number + 1:016x}", "name": f"span {number}", "startTimeUnixNano": "1"}
        for number, trace_id in enumerate(trace_ids)
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


def test_what_was_accepted_is_on_disk_in_the_senders_project(intake: Intake, disk: Disk) -> None:
    accepted = intake.accept(SENDER, "traces", batch("1" * 32, "2" * 32), "json")
    assert (accepted.stored, accepted.rejected, accepted.message) == (2, 0, "")
    found = [(span.project_id, span.trace_id, span.source) for span in disk.spans()]
    assert found == [("p", "1" * 32, "otlp"), ("p", "2" * 32, "otlp")]
    assert len(disk.payloads) == 1


def test_a_bad_span_costs_only_itself_and_is_counted_with_its_reason(intake: Intake, disk: Disk) -> None:
    accepted = intake.accept(SENDER, "traces", batch("1" * 32, "xyz", "0" * 32), "json")
    assert (accepted.stored, accepted.rejected) == (1, 2)
    assert "span 1" in accepted.message
    assert "trace id" in accepted.message
    assert [span.trace_id for span in disk.spans()] == ["1" * 32]


@pytest.mark.parametrize("body", [b"", batch(), batch("0" * 32)])
def test_a_batch_without_a_good_span_is_not_appended(intake: Intake, disk: Disk, body: bytes) -> None:
    assert intake.accept(SENDER, "traces", body, "json").stored == 0
    assert disk.payloads == []


def test_a_compressed_batch_is_taken(intake: Intake, disk: Disk) -> None:
    assert intake.accept(SENDER, "traces", gzip.compress(batch("1" * 32)), "json", "gzip").stored == 1


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"{", "identity"), (b"[]", "identity"), (b"no gzip", "gzip"), (gzip.compress(b"{", mtime=0), "gzip")],
)
def test_a_body_that_cannot_be_read_is_invalid(intake: Intake, disk: Disk, body: bytes, encoding: str) -> None:
    with pytest.raises(Invalid):
        intake.accept(SENDER, "traces", body, "json", encoding)
    assert disk.payloads == []


def test_protobuf_that_is_none_is_invalid(intake: Intake) -> None:
    with pytest.raises(Invalid):
        intake.accept(SENDER, "traces", b"\xff\xff\xff", "protobuf")


def test_an_encoding_that_is_not_known_is_unsupported(intake: Intake) -> None:
    with pytest.raises(Unsupported, match="br"):
        intake.accept(SENDER, "traces", batch("1" * 32), "json", "br")


def test_a_body_that_is_too_large_after_decompression_is_refused(intake: Intake, disk: Disk) -> None:
    with pytest.raises(TooLarge):
        intake.accept(SENDER, "traces", gzip.compress(bytes(MAX_BODY_BYTES + 1), 1), "json", "gzip")
    assert disk.payloads == []


@pytest.mark.parametrize("role", [Role.READ, Role.CALL])
def test_a_key_that_may_not_write_telemetry_is_refused_before_the_body_is_read(
    intake: Intake, disk: Disk, role: Role
) -> None:
    with pytest.raises(Forbidden, match="ingest"):
        intake.accept(Principal("p", "k2", "reader", frozenset({role})), "traces", b"{", "json")
    assert disk.payloads == []


def test_a_full_disk_is_not_an_acceptance(intake: Intake, disk: Disk) -> None:
    disk.error = Overloaded("the spool is full")
    with pytest.raises(Overloaded):
        intake.accept(SENDER, "traces", batch("1" * 32), "json")


def test_a_disk_that_fails_asks_the_sender_to_try_again(intake: Intake, disk: Disk) -> None:
    disk.error = OSError(5, "Input/output error")
    with pytest.raises(Overloaded, match="Input/output error"):
        intake.accept(SENDER, "traces", batch("1" * 32), "json")


def logs_of(*records: object) -> bytes:
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}).encode()


def test_log_records_and_the_scores_among_them_are_on_disk_together(intake: Intake, disk: Disk) -> None:
    evaluation = {
        "eventName": "gen_ai.evaluation.result",
        "timeUnixNano": "5",
        "attributes": [
            {"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
            {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.75}},
        ],
    }
    accepted = intake.accept(SENDER, "logs", logs_of({"body": {"stringValue": "hello"}}, evaluation, 7), "json")
    assert (accepted.stored, accepted.rejected) == (2, 1)
    assert [(record.project_id, record.body) for record in disk.logs()] == [("p", '"hello"'), ("p", "")]
    assert [(score.project_id, score.name, score.value) for score in disk.scores()] == [("p", "relevance", 0.75)]
    assert len(disk.payloads) == 1


def test_data_points_are_on_disk(intake: Intake, disk: Disk) -> None:
    gauge = {"name": "queue", "gauge": {"dataPoints": [{"asInt": "3", "timeUnixNano": "9"}, {"asInt": "x"}]}}
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [gauge]}]}]}).encode()
    accepted = intake.accept(SENDER, "metrics", body, "json")
    assert (accepted.stored, accepted.rejected) == (1, 1)
    assert [(point.project_id, point.name, point.value) for point in disk.points()] == [("p", "queue", 3.0)]


def test_a_request_of_many_items_becomes_several_records_and_loses_none(intake: Intake, disk: Disk) -> None:
    trace_ids = [f"{number:032x}" for number in range(1, 1702)]
    assert intake.accept(SENDER, "traces", batch(*trace_ids), "json").stored == 1701
    assert [span.trace_id for span in disk.spans()] == trace_ids
    assert len(disk.payloads) > 1


def test_records_longer_than_the_core_takes_in_one_go_are_halved(intake: Intake, disk: Disk) -> None:
    text = "x" * (3 * 2**20)
    records: list[object] = [{"timeUnixNano": str(number), "body": {"stringValue": text}} for number in range(8)]
    assert intake.accept(SENDER, "logs", logs_of(*records), "json").stored == 8
    assert [record.time_ns for record in disk.logs()] == list(range(8))
    assert max(map(len, disk.payloads)) <= 8 * 2**20


def test_an_item_that_no_record_can_hold_is_rejected_and_the_rest_is_kept(intake: Intake, disk: Disk) -> None:
    disk.record_bytes = 10 * 2**20
    records = [{"body": {"stringValue": "x" * size}} for size in (1, 11 * 2**20, 2)]
    accepted = intake.accept(SENDER, "logs", logs_of(*records), "json")
    assert (accepted.stored, accepted.rejected) == (2, 1)
    assert "too large" in accepted.message
    assert [record.body for record in disk.logs()] == ['"x"', '"xx"']


class Masks:
    def mask(self, project_id: str, batch: Batch) -> Batch:
        spans = [msgspec.structs.replace(span, name=f"masked for {project_id}") for span in batch.spans]
        return msgspec.structs.replace(batch, spans=spans)


def test_nothing_reaches_the_disk_before_it_was_masked(disk: Disk) -> None:
    Intake(disk, Masks()).accept(SENDER, "traces", batch("1" * 32), "json")
    assert [span.name for span in disk.spans()] == ["masked for p"]
    assert b"span 0" not in disk.payloads[0]


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
def test_over_the_bytes_in_flight_a_request_is_asked_to_come_again(disk: Disk, encoding: str) -> None:
    plain = batch(*["1" * 32] * 2000)
    body = {"gzip": gzip.compress(plain), "deflate": zlib.compress(plain)}.get(encoding, plain)
    held = len(body) if encoding == "identity" else len(body) + len(plain)
    assert Intake(disk, max_in_flight_bytes=held).accept(SENDER, "traces", body, "json", encoding).stored == 2000
    disk.payloads.clear()
    small = Intake(disk, max_in_flight_bytes=held - 1)
    with pytest.raises(Overloaded):
        small.accept(SENDER, "traces", body, "json", encoding)
    assert disk.payloads == []
    assert small.accept(SENDER, "traces", batch("2" * 32), "json").stored == 1


def test_what_a_request_held_is_given_back_whatever_became_of_it(disk: Disk) -> None:
    intake = Intake(disk, max_in_flight_bytes=1000)
    for _ in range(3):
        intake.accept(SENDER, "traces", batch("1" * 32), "json")
        with pytest.raises(Invalid):
            intake.accept(SENDER, "traces", b"{" * 600, "json")
    with intake.share() as share:
        share.grow(600)
        with pytest.raises(Overloaded):
            intake.accept(SENDER, "traces", b" " * 401, "json")


def test_an_item_that_brings_an_error_to_light_costs_only_itself_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notes = Notes()
    assert list(convert_each([1, 0, 0, 2], lambda number: 10 // number, notes)) == [10, 5]
    assert notes.rejected == 2
    assert "ZeroDivisionError" in notes.message
    assert len(caplog.records) == 1


LAST_NS = 5_662_224_000 * 10**9


def test_what_the_store_has_no_room_for_is_rejected_and_costs_only_itself(intake: Intake, disk: Disk) -> None:
    cases: list[dict[str, object]] = [
        {"startTimeUnixNano": str(LAST_NS), "endTimeUnixNano": str(2**64 - 1)},
        {"startTimeUnixNano": str(LAST_NS + 1)},
        {"attributes": [{"key": "gen_ai.usage.cost", "value": {"doubleValue": 2e6}}]},
    ]
    spans = [
        {"traceId": f"{number + 1:032x}", "spanId": "1" * 16, "name": f"s{number}", **fields}
        for number, fields in enumerate(cases)
    ]
    accepted = intake.accept(
        SENDER, "traces", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode(), "json"
    )
    assert [span.name for span in disk.spans()] == ["s0"]
    assert (accepted.stored, accepted.rejected) == (1, 2)
    assert "2149" in accepted.message
    logs = logs_of({"timeUnixNano": str(LAST_NS + 1)}, {"timeUnixNano": str(LAST_NS)})
    assert intake.accept(SENDER, "logs", logs, "json").rejected == 1
    points = [{"timeUnixNano": str(LAST_NS + 1)}, {"count": str(2**63)}, {"count": str(2**63 - 1)}]
    metric = {"name": "m", "histogram": {"dataPoints": points}}
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()
    assert intake.accept(SENDER, "metrics", body, "json").rejected == 2


BIG = st.integers(0, 2**64 - 1) | st.sampled_from([LAST_NS, LAST_NS + 1, 2**63 - 1, 2**63])


@given(times=st.lists(BIG, min_size=3, max_size=3), count=BIG, cost=st.floats(0, 1e10) | st.text(max_size=4))
def test_the_store_takes_whatever_was_accepted(times: list[int], count: int, cost: float | str) -> None:
    disk = Disk()
    intake = Intake(disk)
    key = "doubleValue" if isinstance(cost, float) else "stringValue"
    attributes = [
        {"key": "gen_ai.usage.cost", "value": {key: cost}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": str(min(count, 2**63 - 1))}},
    ]
    spans = [
        {
            "traceId": "1" * 32,
            "spanId": "1" * 16,
            "startTimeUnixNano": str(times[0]),
            "endTimeUnixNano": str(times[1]),
            "attributes": attributes,
            "events": [{"name": "e", "timeUnixNano": str(times[2])}],
        }
    ]
    point = {"timeUnixNano": str(times[0]), "startTimeUnixNano": str(times[1]), "count": str(count)}
    metric = {"name": "m", "summary": {"dataPoints": [point]}}
    record = {"timeUnixNano": str(times[0]), "observedTimeUnixNano": str(times[1])}
    bodies: dict[Signal, object] = {
        "traces": {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]},
        "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]},
        "metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]},
    }
    stored = [intake.accept(SENDER, signal, json.dumps(body).encode(), "json") for signal, body in bodies.items()]
    rows = [span_row(span, 1) for span in disk.spans()]
    rows += [log_row(log, 1) for log in disk.logs()] + [point_row(one, 1) for one in disk.points()]
    assert len(rows) == sum(one.stored for one in stored)
    assert sum(one.stored + one.rejected for one in stored) == 3
