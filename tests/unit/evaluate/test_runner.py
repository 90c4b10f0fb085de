"""Running an experiment over a real database: cut off anywhere, it is taken up again and pays for nothing twice."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

import pytest

from zirkel.core import (
    EvaluatorSpec,
    EvaluatorsSpec,
    ExperimentRecord,
    ExperimentState,
    ManualClock,
    NotFound,
    Principal,
    TrialRecord,
    TrialState,
    derived_trace_id,
)
from zirkel.evaluate import Answer, Question, Runner, RunnerPorts, RunnerSettings
from zirkel.evaluate.evaluators import known_kinds
from zirkel.store.metadata import Metadata, Transaction
from zirkel.version import Registry

Files = Callable[..., dict[str, bytes]]


class Scripted(Protocol):
    script: Callable[[Question], Answer]
    asked: Counter[tuple[str, str, int]]
    telemetry: MutableMapping[str, Answer]
    before_ask: Callable[[Question], None]
    after_ask: Callable[[Question], None]

    async def ask(self, question: Question) -> Answer: ...
    async def close(self) -> None: ...
    def recorded(self, project_id: str, experiment_id: str) -> Mapping[str, Answer]: ...


class CountedSteps:
    """Kills the process at one of the moments that it counts; a killed process takes no further step."""

    def __init__(self, crash: type[BaseException], at: int) -> None:
        self._crash = crash
        self._left = at

    @property
    def happened(self) -> bool:
        return self._left < 0

    def step(self, _question: object = None) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._crash  # and from then on nothing happens any more


class CutOffMetadata:
    """The real store; a transaction can be cut off before it begins, before it commits, and after."""

    def __init__(self, metadata: Metadata, steps: CountedSteps) -> None:
        self._metadata = metadata
        self._steps = steps

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self._steps.step()
        with self._metadata.transaction() as tx:
            yield tx
            self._steps.step()
        self._steps.step()


def plan(metadata: Metadata, registry: Registry, admin: Principal, files: dict[str, bytes], trials: int = 1) -> None:
    pushed = registry.push(admin, files)
    bundle = registry.open("p", pushed.release)
    record = ExperimentRecord(
        project_id="p",
        experiment_id="e",
        service="triage",
        release=pushed.release,
        dataset_digest=bundle.artefacts["dataset"],
        evaluators_digest=bundle.artefacts["evaluators"],
        trials=trials,
        items=len(bundle.dataset),
        state=ExperimentState.RUNNING,
        created_ns=1,
    )
    with metadata.transaction() as tx:
        tx.experiments.add(record)


def results(metadata: Metadata) -> list[TrialRecord]:
    with metadata.transaction() as tx:
        return list(tx.experiments.trials("p", "e"))


def is_finished(metadata: Metadata) -> bool:
    with metadata.transaction() as tx:
        found = tx.experiments.get("p", "e")
    assert found is not None
    return found.state == ExperimentState.FINISHED


def run(runner: Runner) -> int:
    slices = 0
    while runner.run_slice("p", "e"):
        slices += 1
    return slices


@pytest.fixture
def planned(metadata: Metadata, registry: Registry, admin: Principal, make_files: Files) -> None:
    plan(metadata, registry, admin, make_files(5), trials=2)


@pytest.mark.usefixtures("planned")
def test_every_item_is_asked_as_often_as_planned_scored_and_written(
    runner: Runner, metadata: Metadata, system: Scripted
) -> None:
    assert run(runner) == 1
    found = results(metadata)
    assert [(record.item_id, record.trial) for record in found] == [(f"i{n:03d}", t) for n in range(5) for t in (0, 1)]
    assert set(system.asked.values()) == {1}
    assert len(system.asked) == 10
    for record in found:
        assert (record.state, record.output) == (TrialState.ANSWERED, f"r{int(record.item_id[1:])}")
        assert record.scores == {"match": {"state": "scored", "value": 1.0}}
        assert record.cost_usd == Decimal("0.001")
        assert record.trace_id == derived_trace_id("e", record.item_id, str(record.trial))
        assert not record.is_recovered
    assert is_finished(metadata)


@pytest.mark.usefixtures("planned")
def test_a_finished_experiment_asks_nothing_more(runner: Runner, system: Scripted) -> None:
    run(runner)
    assert not runner.run_slice("p", "e")
    assert len(system.asked) == 10


def test_a_large_experiment_goes_in_slices(
    runner_ports: RunnerPorts, metadata: Metadata, registry: Registry, admin: Principal, make_files: Files
) -> None:
    plan(metadata, registry, admin, make_files(70), trials=1)
    runner = Runner(runner_ports, RunnerSettings(slice_answers=64))
    assert runner.run_slice("p", "e")
    assert len(results(metadata)) == 64
    assert not is_finished(metadata)
    assert run(runner) == 1
    assert len(results(metadata)) == 70


def test_an_unknown_experiment_is_not_found(runner: Runner) -> None:
    with pytest.raises(NotFound, match="'e'"):
        runner.run_slice("p", "e")


@pytest.mark.parametrize(("commit_answers", "moments"), [(1, 50), (4, 30), (64, 25)])
@pytest.mark.usefixtures("planned")
def test_wherever_it_is_killed_it_goes_on_and_asks_nothing_twice_that_was_answered(
    metadata: Metadata,
    runner_ports: RunnerPorts,
    system: Scripted,
    crash: type[BaseException],
    commit_answers: int,
    moments: int,
) -> None:
    settings = RunnerSettings(concurrency=1, commit_answers=commit_answers)
    for moment in range(1000):
        steps = CountedSteps(crash, moment)
        system.before_ask = system.after_ask = steps.step
        cut_off = Runner(replace(runner_ports, metadata=CutOffMetadata(metadata, steps)), settings)
        try:
            run(cut_off)
        except crash:
            pass
        else:
            assert not steps.happened
            break
        system.before_ask = system.after_ask = lambda _question: None
        run(Runner(runner_ports, settings))
        assert [record.state for record in results(metadata)] == [TrialState.ANSWERED] * 10, moment
        assert set(system.asked.values()) == {1}, f"killed at moment {moment}, it asked again"
        assert is_finished(metadata)
        start_again(metadata, system)
    else:
        pytest.fail("the run never came to its end")
    assert moment > moments, "reading, claiming, ten calls and their commits can each be cut off in several ways"


def start_again(metadata: Metadata, system: Scripted) -> None:
    with metadata.transaction() as tx:
        for record in tx.experiments.trials("p", "e"):
            tx.experiments._connection.exec_driver_sql(
                "DELETE FROM trials WHERE item_id = ? AND trial = ?", (record.item_id, record.trial)
            )
        tx.experiments.reopen("p", "e")
    system.asked.clear()
    system.telemetry.clear()


@pytest.mark.usefixtures("planned")
def test_an_answer_that_is_found_in_the_telemetry_is_scored_and_marked(
    runner: Runner, metadata: Metadata, system: Scripted
) -> None:
    claim = TrialRecord("p", "e", "i001", 0, TrialState.CLAIMED, 1, derived_trace_id("e", "i001", "0"))
    with metadata.transaction() as tx:
        tx.experiments.claim([claim])
    system.telemetry[claim.trace_id] = Answer("wrong", cost_usd=Decimal("0.5"), duration_ms=7.0)
    assert runner.run_slice("p", "e")
    found = next(record for record in results(metadata) if record.is_recovered)
    assert (found.item_id, found.trial) == ("i001", 0)
    assert (found.output, found.cost_usd, found.duration_ms, found.is_recovered) == ("wrong", Decimal("0.5"), 7.0, True)
    assert found.scores == {"match": {"state": "scored", "value": 0.0}}
    assert not [asked for asked in system.asked if asked[1:] == ("i001", 0)]


@pytest.mark.usefixtures("planned")
def test_an_answer_that_is_still_on_its_way_is_waited_for(
    metadata: Metadata, runner_ports: RunnerPorts, system: Scripted, clock: ManualClock
) -> None:
    claim = TrialRecord("p", "e", "i001", 0, TrialState.CLAIMED, 1, derived_trace_id("e", "i001", "0"))
    with metadata.transaction() as tx:
        tx.experiments.claim([claim])
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        clock.advance(seconds)
        waited.append(seconds)
        if sum(waited) >= 2:
            system.telemetry[claim.trace_id] = Answer("r1")

    run(Runner(replace(runner_ports, sleep=wait), RunnerSettings(grace_s=10)))
    assert sum(waited) == 2
    assert system.asked["r", "i001", 0] == 0
    assert sum(system.asked.values()) == 9
    assert [record.item_id for record in results(metadata) if record.is_recovered] == ["i001"]


@pytest.mark.usefixtures("planned")
def test_a_call_that_left_no_trace_is_given_up_after_the_grace_time_and_asked_again(
    runner: Runner, metadata: Metadata, system: Scripted, clock: ManualClock
) -> None:
    claim = TrialRecord("p", "e", "i001", 0, TrialState.CLAIMED, 1, derived_trace_id("e", "i001", "0"))
    with metadata.transaction() as tx:
        tx.experiments.claim([claim])
    start_ns = clock.now_ns()
    assert runner.run_slice("p", "e")
    assert clock.now_ns() - start_ns == 10_000_000_000
    assert ("i001", 0) not in {(record.item_id, record.trial) for record in results(metadata)}
    run(runner)
    assert sum(system.asked.values()) == 10


@pytest.mark.usefixtures("planned")
def test_a_failed_call_is_tried_again_later_and_later(
    runner: Runner, metadata: Metadata, system: Scripted, clock: ManualClock
) -> None:
    system.script = lambda q: (
        Answer("", error="HTTP 503") if system.asked[q.release, q.item_id, q.trial] < 3 else Answer("x")
    )
    start_ns = clock.now_ns()
    run(runner)
    assert set(system.asked.values()) == {3}
    assert {record.state for record in results(metadata)} == {TrialState.ANSWERED}
    assert clock.now_ns() - start_ns == 10 * 3_000_000_000


@pytest.mark.usefixtures("planned")
def test_a_call_that_keeps_failing_is_written_down_as_errored_and_not_scored(
    runner: Runner, metadata: Metadata, system: Scripted
) -> None:
    system.script = lambda q: Answer("", error="HTTP 500") if q.item_id == "i002" else Answer("x")
    run(runner)
    failed = [record for record in results(metadata) if record.state == TrialState.ERRORED]
    assert [(record.item_id, record.error, record.scores) for record in failed] == [("i002", "HTTP 500", None)] * 2
    assert is_finished(metadata)


@pytest.mark.usefixtures("planned")
def test_reopened_errors_are_asked_again_and_nothing_else(runner: Runner, metadata: Metadata, system: Scripted) -> None:
    system.script = lambda q: Answer("", error="HTTP 500") if q.item_id == "i002" else Answer("x")
    run(runner)
    with metadata.transaction() as tx:
        tx.experiments.reopen("p", "e")
    system.asked.clear()
    system.script = lambda q: Answer("better")
    run(runner)
    assert {(item_id, trial) for _, item_id, trial in system.asked} == {("i002", 0), ("i002", 1)}
    assert {record.state for record in results(metadata)} == {TrialState.ANSWERED}


@pytest.mark.usefixtures("planned")
def test_an_experiment_whose_errors_were_dropped_while_it_ended_is_not_finished(
    metadata: Metadata, registry: Registry, runner_ports: RunnerPorts, system: Scripted, clock: ManualClock
) -> None:
    class Dropping(Registry):
        """Between reading the answers and finishing, somebody asks for the errored ones again."""

        def evaluators(self, project_id: str, digest: str) -> EvaluatorsSpec:
            with metadata.transaction() as tx:
                tx.experiments.reopen("p", "e")
            return super().evaluators(project_id, digest)

    system.script = lambda q: Answer("", error="HTTP 500")
    assert Runner(runner_ports, RunnerSettings()).run_slice("p", "e")
    dropping = replace(runner_ports, releases=Dropping(metadata, registry._blobs, clock))
    assert Runner(dropping, RunnerSettings()).run_slice("p", "e")
    assert not is_finished(metadata)


@pytest.mark.parametrize(("said", "kept"), [("a\x00b", "a�b"), ("half \ud83d", "half ?"), ("ünïcode 🙂", "ünïcode 🙂")])
@pytest.mark.usefixtures("planned")
def test_an_answer_that_no_database_takes_as_it_is_does_not_stop_the_experiment(
    runner: Runner, metadata: Metadata, system: Scripted, said: str, kept: str
) -> None:
    system.script = lambda q: Answer(said if q.trial else "", error="" if q.trial else said)
    run(runner)
    assert {record.output or record.error for record in results(metadata)} == {kept}


@pytest.mark.usefixtures("planned")
def test_an_evaluator_that_breaks_is_written_down_and_the_answer_stays(
    metadata: Metadata, registry: Registry, runner_ports: RunnerPorts, clock: ManualClock
) -> None:
    class Newer(Registry):
        """Knows an evaluator of a kind that this program does not."""

        def evaluators(self, project_id: str, digest: str) -> EvaluatorsSpec:
            unknown = EvaluatorSpec(name="judge", kind="magic")
            return EvaluatorsSpec(evaluator=[*super().evaluators(project_id, digest).evaluator, unknown])

    run(Runner(replace(runner_ports, releases=Newer(metadata, registry._blobs, clock)), RunnerSettings()))
    said = "Invalid: evaluator 'judge': kind 'magic' is unknown; known are "
    said += ", ".join(sorted(known_kinds()))
    for record in results(metadata):
        assert record.scores == {
            "judge": {
                "state": "errored",
                "error": said,
            },
            "match": {"state": "scored", "value": 1.0},
        }
    assert {record.state for record in results(metadata)} == {TrialState.ANSWERED}
