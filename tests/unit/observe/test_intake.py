"""What becomes of a batch of spans: on disk, counted, or refused."""

import gzip
import json

import pytest

from zirkel.core import Forbidden, Invalid, Overloaded, Principal, Role, Span, TooLarge, Unsupported, decode_batch
from zirkel.observe import MAX_BODY_BYTES, Intake

SENDER = Principal("p", "k1", "app", frozenset({Role.INGEST}))


class Disk:
    """Keeps what is appended, as a spool does."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.is_full = False

    def append_durable(self, payload: bytes) -> None:
        if self.is_full:
            raise Overloaded("the spool is full")
        self.payloads.append(payload)

    def spans(self) -> list[Span]:
        return [span for payload in self.payloads for span in decode_batch(payload).spans]


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
    accepted = intake.accept_traces(SENDER, batch("1" * 32, "2" * 32), "json", "identity")
    assert (accepted.stored, accepted.rejected, accepted.message) == (2, 0, "")
    found = [(span.project_id, span.trace_id, span.source) for span in disk.spans()]
    assert found == [("p", "1" * 32, "otlp"), ("p", "2" * 32, "otlp")]
    assert len(disk.payloads) == 1


def test_a_bad_span_costs_only_itself_and_is_counted_with_its_reason(intake: Intake, disk: Disk) -> None:
    accepted = intake.accept_traces(SENDER, batch("1" * 32, "xyz", "0" * 32), "json", "identity")
    assert (accepted.stored, accepted.rejected) == (1, 2)
    assert "span 1" in accepted.message
    assert "trace id" in accepted.message
    assert [span.trace_id for span in disk.spans()] == ["1" * 32]


@pytest.mark.parametrize("body", [b"", batch(), batch("0" * 32)])
def test_a_batch_without_a_good_span_is_not_appended(intake: Intake, disk: Disk, body: bytes) -> None:
    assert intake.accept_traces(SENDER, body, "json", "identity").stored == 0
    assert disk.payloads == []


def test_a_compressed_batch_is_taken(intake: Intake, disk: Disk) -> None:
    assert intake.accept_traces(SENDER, gzip.compress(batch("1" * 32)), "json", "gzip").stored == 1


@pytest.mark.parametrize(
    ("body", "encoding"), [(b"{", "identity"), (b"[]", "identity"), (b"no gzip", "gzip"), (gzip.compress(b"{"), "gzip")]
)
def test_a_body_that_cannot_be_read_is_invalid(intake: Intake, disk: Disk, body: bytes, encoding: str) -> None:
    with pytest.raises(Invalid):
        intake.accept_traces(SENDER, body, "json", encoding)
    assert disk.payloads == []


def test_protobuf_that_is_none_is_invalid(intake: Intake) -> None:
    with pytest.raises(Invalid):
        intake.accept_traces(SENDER, b"\xff\xff\xff", "protobuf", "identity")


def test_an_encoding_that_is_not_known_is_unsupported(intake: Intake) -> None:
    with pytest.raises(Unsupported, match="br"):
        intake.accept_traces(SENDER, batch("1" * 32), "json", "br")


def test_a_body_that_is_too_large_after_decompression_is_refused(intake: Intake, disk: Disk) -> None:
    with pytest.raises(TooLarge):
        intake.accept_traces(SENDER, gzip.compress(bytes(MAX_BODY_BYTES + 1), 1), "json", "gzip")
    assert disk.payloads == []


@pytest.mark.parametrize("role", [Role.READ, Role.CALL])
def test_a_key_that_may_not_write_telemetry_is_refused_before_the_body_is_read(
    intake: Intake, disk: Disk, role: Role
) -> None:
    with pytest.raises(Forbidden, match="ingest"):
        intake.accept_traces(Principal("p", "k2", "reader", frozenset({role})), b"{", "json", "identity")
    assert disk.payloads == []


def test_a_full_disk_is_not_an_acceptance(intake: Intake, disk: Disk) -> None:
    disk.is_full = True
    with pytest.raises(Overloaded):
        intake.accept_traces(SENDER, batch("1" * 32), "json", "identity")
