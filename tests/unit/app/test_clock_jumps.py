"""A clock that jumps a day ahead or back while telemetry comes in, and back again."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.observe.score_world import MemoryScores
from zirkel.core import (
    Limits,
    LogRecord,
    ManualClock,
    MetricPoint,
    Principal,
    Role,
    ScoreRecord,
    Span,
    ZirkelError,
    encode_spans,
)
from zirkel.gateway.limits import Claim, Limiter, Scope
from zirkel.jobs import Ingest
from zirkel.observe.scores import Scores
from zirkel.store.shared import LmdbState
from zirkel.store.spool import SpoolReader, SpoolWriter

DAY_S = 86_400.0
CODE = Principal("p", "key-1", "code", frozenset({Role.ADMIN}))


class VersionStore:
    """Keeps of each row what was received last, by the time of receipt, as the telemetry store does."""

    def __init__(self) -> None:
        self.spans: dict[str, tuple[int, Span]] = {}
        self.scores: dict[str, tuple[int, ScoreRecord]] = {}

    def insert(self, spans: Sequence[Span], *, received_ns: int) -> None:
        for span in spans:
            self.spans[span.span_id] = max(
                (received_ns, span), self.spans.get(span.span_id, (0, span)), key=lambda row: row[0]
            )

    def insert_logs(self, logs: Sequence[LogRecord], *, received_ns: int) -> None:
        assert not logs

    def insert_points(self, points: Sequence[MetricPoint], *, received_ns: int) -> None:
        assert not points

    def insert_scores(self, scores: Sequence[ScoreRecord], *, received_ns: int) -> None:
        for number, score in enumerate(scores):
            self.scores[score.score_id] = max(
                (received_ns + number, score), self.scores.get(score.score_id, (0, score)), key=lambda row: row[0]
            )

    def newest_received_ns(self) -> int:
        rows = itertools.chain(self.spans.values(), self.scores.values())
        return max((received_ns for received_ns, _ in rows), default=0)


class World:
    """A spool, what empties it, and a store that outlives both."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.store = VersionStore()
        self.writer = SpoolWriter(folder, "core")
        self._reader = SpoolReader(folder)
        self._ingest = self._new_ingest()

    def restart(self) -> None:
        """Begin anew, as a core does that was killed."""
        self._ingest = self._new_ingest()

    def drain(self) -> None:
        self._ingest.drain()

    def close(self) -> None:
        self._reader.close()
        self.writer.close()

    def _new_ingest(self) -> Ingest:
        return Ingest(self._reader, self.store, self.clock, lambda _record: pytest.fail("nothing is set aside"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "spool")
    yield made
    made.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([0.0, DAY_S, -DAY_S, 1e-6]), st.booleans()), max_size=8))
def test_what_was_sent_last_stands_however_the_clock_jumps_and_the_core_restarts(
    world: World, jumps: list[tuple[float, bool]]
) -> None:
    for version, (jump_s, is_restarted) in enumerate([(0.0, False), *jumps]):
        world.clock.advance(jump_s)
        if is_restarted:
            world.restart()
        span = Span(
            project_id="p",
            trace_id="a" * 32,
            span_id="b" * 16,
            name=f"version {version}",
            source="otlp",
            start_ns=1,
            end_ns=2,
        )
        world.writer.append_durable(encode_spans([span]))
        world.drain()
        assert world.store.spans["b" * 16][1].name == f"version {version}"


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_a_corrected_score_stands_though_the_clock_went_back_before_it(world: World, jump_s: float) -> None:
    known = MemoryScores()
    scores = Scores(world.writer, known, known, world.clock)
    for value, leap_s in ((1, 0.0), (2, jump_s), (3, -jump_s)):
        world.clock.advance(leap_s)
        body = b'{"score_id": "s", "trace_id": "%s", "name": "good", "value": %d}' % (b"a" * 32, value)
        (answer,) = scores.add(CODE, [body])
        assert not isinstance(answer, ZirkelError), answer
        world.drain()
        known.stored = [score for _, score in world.store.scores.values()]
        assert [score.value for score in known.stored] == [value]


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_a_limit_shuts_nobody_out_for_longer_than_its_minute_after_a_jump(tmp_path: Path, jump_s: float) -> None:
    clock = ManualClock()
    state = LmdbState(tmp_path)
    limiter = Limiter(state, "gateway-0", clock)
    scope = Scope("key", "default/key/1", "my key", Limits(requests_per_minute=1))

    def call() -> None:
        limiter.end(limiter.admit([scope], "a", Claim(0, None)), {})

    call()
    for leap_s in (jump_s, -jump_s):
        clock.advance(leap_s)
        call()
        clock.advance(65)
        call()
    state.close()
