"""What a worker that was killed leaves behind: recorded once, as provisional spans, at what was reserved."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from zirkel.core import Limits, ManualClock, Overloaded, Span, SpanKind
from zirkel.gateway import read_usage
from zirkel.gateway.admission import Wishes
from zirkel.gateway.exchange import Exchange, ExchangePorts
from zirkel.gateway.facts import Attempt, CallFacts
from zirkel.gateway.http import Message
from zirkel.gateway.limits import Claim, Limiter, Scope, Settlement
from zirkel.gateway.metrics import GatewayMetrics
from zirkel.gateway.open_attempt import abandoned_spans, note_attempt
from zirkel.gateway.record import GatewayCounters, Recorder, call_spans
from zirkel.gateway.trace import TraceContext
from zirkel.lib.tasks import OwnedTasks
from zirkel.store.shared import LmdbState

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

SCOPE = Scope("key", "p1/key/k1", "k1", Limits(concurrency=5, requests_per_minute=50))
START_NS = 1_700_000_000_000_000_000


class Sink:
    def __init__(self, error: Exception | None = None) -> None:
        self.payloads: list[bytes] = []
        self.error = error

    def append(self, payload: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.payloads.append(payload)


@contextmanager
def _state(path: Path) -> Iterator[LmdbState]:
    state = LmdbState(path)
    try:
        yield state
    finally:
        state.close()


async def _no_send(_: Message) -> None:
    raise AssertionError("nothing is sent")


def _facts(clock: ManualClock) -> CallFacts:
    facts = CallFacts("p1", "k1", TraceContext("t" * 32, "c" * 16), "s" * 16, clock.now_ns(), Wishes(session_id="s1"))
    facts.service, facts.environment, facts.release, facts.arm = "triage", "production", "r" * 64, "candidate"
    facts.arm_probability, facts.unit, facts.user_id, facts.name = 0.25, "u1", "u1", "service:triage"
    return facts


def _attempt(clock: ManualClock, span_id: str, reason: str = "first") -> Attempt:
    return Attempt(0, reason, "stub", "good", span_id, clock.now_ns(), reserved_usd=Decimal("0.5"))


def _begin(state: LmdbState, clock: ManualClock, path: Path) -> tuple[CallFacts, Exchange]:
    """Begin a call in a worker that will be killed."""
    metrics = GatewayMetrics("w1", path / "metrics", clock.now_ns())
    recorder = Recorder(Sink(), GatewayCounters(), metrics)
    ports = ExchangePorts(recorder, Limiter(state, "w1", clock), metrics, OwnedTasks(), clock)
    facts = _facts(clock)
    exchange = Exchange(ports, facts, _no_send)
    exchange.reserve([SCOPE], _attempt(clock, "a" * 16), 1000, Decimal("0.5"))
    return facts, exchange


def _recovered(state: LmdbState, clock: ManualClock, worker: str = "w1") -> list[Span]:
    limiter = Limiter(state, worker, clock)
    found = limiter.recover(lambda _: False)
    spans = abandoned_spans(found, clock.now_ns())
    limiter.forget(found)
    return spans


def test_an_open_call_becomes_a_provisional_call_and_attempt_at_what_was_reserved(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    with _state(tmp_path) as state:
        _begin(state, clock, tmp_path)
        clock.advance(3)
        call, attempt = _recovered(state, clock)
        usage = read_usage(state, SCOPE.subject_id, clock.now_ns())

    assert (call.kind, call.status, call.error_type, call.is_provisional) == (
        SpanKind.CALL,
        "error",
        "gateway_died",
        True,
    )
    assert (call.cost_usd, call.settlement) == (None, "")
    assert (attempt.settlement, attempt.reserved_usd, attempt.cost_usd) == ("reserved", Decimal("0.5"), None)
    assert (attempt.parent_span_id, attempt.is_provisional, attempt.name) == (call.span_id, True, "chat good")
    assert usage.running == 0


def test_the_provisional_spans_are_those_that_would_have_been_written(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    with _state(tmp_path) as state:
        facts, _ = _begin(state, clock, tmp_path)
        clock.advance(3)
        found = _recovered(state, clock)
    real = call_spans(facts, clock.now_ns())

    # Ids and start say which span another one replaces.
    ids = [
        "project_id",
        "trace_id",
        "span_id",
        "parent_span_id",
        "start_ns",
        "kind",
        "name",
        "provider",
        "request_model",
    ]
    whose = ["service", "release", "arm", "arm_probability", "environment", "unit", "user_id", "session_id", "key_id"]
    for one, other in zip(found, real, strict=True):
        assert [getattr(one, name) for name in ids + whose] == [getattr(other, name) for name in ids + whose]


def test_an_open_call_is_recovered_once(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    with _state(tmp_path) as state:
        _begin(state, clock, tmp_path)

        assert len(_recovered(state, clock)) == 2
        assert _recovered(state, clock) == []
        assert _recovered(state, clock, "w2") == []


def test_a_recovery_that_could_not_record_leaves_it_to_the_next(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    with _state(tmp_path) as state:
        _begin(state, clock, tmp_path)
        Limiter(state, "w1", clock).recover(lambda _: False)  # and dies before it has recorded anything

        assert len(_recovered(state, clock)) == 2


def test_an_attempt_that_had_ended_before_keeps_its_cost(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    with _state(tmp_path) as state:
        facts, exchange = _begin(state, clock, tmp_path)
        first = facts.attempts[0]
        first.note_failure("http_500", "HTTP 500")
        first.end_ns, first.cost_usd, first.settlement = clock.now_ns(), Decimal("0.125"), "counted"
        exchange.reserve([SCOPE], _attempt(clock, "b" * 16, "retry"), 1000, Decimal("0.25"))
        call, ended, open_one = _recovered(state, clock)

    assert call.kind == SpanKind.CALL
    assert (ended.settlement, ended.cost_usd, ended.reserved_usd) == ("counted", Decimal("0.125"), None)
    assert (open_one.settlement, open_one.cost_usd, open_one.reserved_usd) == ("reserved", None, Decimal("0.25"))
    assert open_one.attempt_reason == "retry"


def test_a_note_of_an_unknown_form_is_passed_over_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(START_NS)
    with _state(tmp_path) as state:
        _begin(state, clock, tmp_path)
        found = Limiter(state, "w1", clock).recover(lambda _: False)
    damaged = [replace(one, note=msgspec.msgpack.encode(["old"])) for one in found]

    assert abandoned_spans(damaged, clock.now_ns()) == []
    assert "a" * 16 in caplog.text


def test_a_closed_call_leaves_nothing_to_recover(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    with _state(tmp_path) as state:
        facts, exchange = _begin(state, clock, tmp_path)
        facts.attempts[0].end_ns = clock.now_ns()
        exchange.close()
        exchange.close()

        assert _recovered(state, clock) == []
        assert read_usage(state, SCOPE.subject_id, clock.now_ns()).running == 0


@pytest.mark.parametrize("error", [OSError("disk full"), Overloaded("full")])
def test_spans_that_the_sink_refuses_are_not_thought_to_be_written(tmp_path: Path, error: Exception) -> None:
    metrics = GatewayMetrics("w1", tmp_path, START_NS)
    recorder = Recorder(Sink(error), GatewayCounters(), metrics)
    with pytest.raises(type(error)):
        recorder.write_spans(call_spans(_facts(ManualClock(START_NS)), START_NS))


def test_settling_twice_changes_nothing(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    with _state(tmp_path) as state:
        limiter = Limiter(state, "w1", clock)
        facts, exchange = _begin(state, clock, tmp_path)
        exchange.close()
        ticket = exchange._ticket
        assert ticket is not None
        before = read_usage(state, SCOPE.subject_id, clock.now_ns())
        limiter.end(ticket, {facts.attempts[0].span_id: Settlement(5, Decimal(1))})

        assert read_usage(state, SCOPE.subject_id, clock.now_ns()) == before


def test_a_worker_that_starts_records_what_another_left_and_serves_even_if_it_cannot(
    stage: "Stage", caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(stage.clock.now_ns())
    state = stage.gateway._world.limits
    for span_id, is_full in (("a" * 16, True), ("b" * 16, False)):
        attempt = _attempt(clock, span_id)
        claim = Claim(10, attempt.reserved_usd, note_attempt(_facts(clock), attempt))
        Limiter(state, "w0", clock).admit([SCOPE], span_id, claim)
        stage.sink.is_full = is_full
        stage.gateway._recover()

    (recorded,) = stage.sink.calls()
    assert [span.span_id for span in recorded] == ["s" * 16, "b" * 16]
    assert "could not be made good" in caplog.text
    assert stage.ask_service().status == 200
