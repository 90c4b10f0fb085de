"""Judging after asking: evaluators that failed, that compare, and that look at what the system did."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

import msgspec
import pytest

from tests.unit.evaluate.live_release import put_live
from zirkel.core import (
    Errored,
    EvaluatorSpec,
    EvaluatorsSpec,
    JsonObject,
    ManualClock,
    Principal,
    Score,
    Scored,
    SpanKind,
    TrialRecord,
    TrialState,
    Unscored,
)
from zirkel.evaluate import (
    Activity,
    Answer,
    Experiments,
    Publisher,
    Question,
    Runner,
    RunnerPorts,
    RunnerSettings,
    Turns,
)
from zirkel.evaluate.evaluators import kinds
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Need, Tools
from zirkel.evaluate.needs import Needs, asks_model, needs_of
from zirkel.evaluate.subject import Step, Subject
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

Files = Callable[..., dict[str, bytes]]


class Scripted(Protocol):
    script: Callable[[Question], Answer]
    asked: Counter[tuple[str, str, int]]


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No options."""


class ScriptedKind:
    """A kind of evaluator whose scores are a script."""

    def __init__(self) -> None:
        self.script: Callable[[Subject], Score] = lambda _: Scored(1.0, cost_usd=Decimal("0.25"))
        self.judged: list[Subject] = []

    def score(self, _options: NoOptions, subject: Subject, _: Tools) -> Score:
        self.judged.append(subject)
        return self.script(subject)


class NoJobs:
    """Runs nothing by itself."""

    def run_experiment(self, project_id: str, experiment_id: str) -> None:
        return


class Traces:
    """What systems did, by trace."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def activities(self, _project_id: str, trace_ids: Sequence[str], /) -> Mapping[str, Activity]:
        self.asked.append(list(trace_ids))
        step = Step(SpanKind.TOOL, "search", "", "")
        return {trace_id: Activity((step,), (f"context of {trace_id}",)) for trace_id in trace_ids}


@pytest.fixture
def scripted() -> ScriptedKind:
    return ScriptedKind()


@pytest.fixture
def use_kind(scripted: ScriptedKind) -> Iterator[Callable[[Sequence[Need]], None]]:
    """Put the scripted kind in the place of ``exact`` for as long as the test lasts."""
    known = kinds.known_kinds()
    assert isinstance(known, dict)
    before = known["exact"]

    def use(needs: Sequence[Need], *, uses_model: bool = False) -> None:
        known["exact"] = EvaluatorKind(
            "exact", "is scripted", NoOptions, scripted.score, needs=frozenset(needs), uses_model=uses_model
        )

    yield use
    known["exact"] = before


def trials_of(metadata: Metadata, experiment_id: str) -> list[TrialRecord]:
    with metadata.transaction() as tx:
        return list(tx.experiments.trials("p", experiment_id))


def test_an_evaluator_that_failed_judges_again_and_the_system_is_not_asked(
    experiments: Experiments,
    metadata: Metadata,
    registry: Registry,
    system: Scripted,
    admin: Principal,
    make_files: Files,
    scripted: ScriptedKind,
    use_kind: Callable[..., None],
) -> None:
    use_kind(())
    registry.push(admin, make_files(3))
    fail = {"i001"}
    scripted.script = lambda s: (
        Errored("overloaded", cost_usd=Decimal("0.5")) if s.item.id in fail else Scored(1.0, cost_usd=Decimal("0.25"))
    )
    (record,) = experiments.start(admin, "triage", trials=1)
    (failed,) = [trial for trial in trials_of(metadata, record.experiment_id) if trial.errored_scores]
    assert (failed.item_id, failed.state) == ("i001", TrialState.ANSWERED)
    assert failed.scores == {"match": {"state": "errored", "error": "overloaded", "cost_usd": "0.5"}}
    asked = sum(system.asked.values())

    fail.clear()
    scripted.judged.clear()
    experiments.start(admin, "triage", trials=1)

    assert [subject.item.id for subject in scripted.judged] == ["i001"]
    assert sum(system.asked.values()) == asked
    (mended,) = [trial for trial in trials_of(metadata, record.experiment_id) if trial.item_id == "i001"]
    assert (mended.errored_scores, mended.scores) == (
        0,
        {"match": {"state": "scored", "value": 1.0, "cost_usd": "0.25"}},
    )
    assert mended.judges_usd == Decimal("0.75"), "what the failed judgement cost was spent, too"
    assert experiments.spending(admin, record.experiment_id).judges_usd == Decimal("1.25")


def test_only_evaluators_without_a_score_judge_again(
    runner_ports: RunnerPorts,
    metadata: Metadata,
    registry: Registry,
    experiments: Experiments,
    admin: Principal,
    make_files: Files,
    scripted: ScriptedKind,
    use_kind: Callable[..., None],
) -> None:
    use_kind(())
    files = make_files(1)
    files["evaluators.toml"] += b'[[evaluator]]\nname = "found"\nkind = "contains"\n'
    registry.push(admin, files)
    scripted.script = lambda _: Errored("no")
    (record,) = experiments.start(admin, "triage", trials=1)
    (first,) = trials_of(metadata, record.experiment_id)
    scripted.script = lambda _: Unscored("nothing")
    experiments.start(admin, "triage", trials=1)
    (second,) = trials_of(metadata, record.experiment_id)
    assert first.scores is not None
    assert second.scores == {"match": {"state": "unscored", "reason": "nothing"}, "found": first.scores["found"]}


@pytest.mark.parametrize("uses_model", [False, True])
def test_an_evaluator_that_compares_gets_the_baselines_answer_to_the_same_item_and_trial(
    experiments: Experiments,
    metadata: Metadata,
    system: Scripted,
    admin: Principal,
    live: str,
    scripted: ScriptedKind,
    use_kind: Callable[..., None],
    uses_model: bool,
) -> None:
    use_kind(("other_output",), uses_model=uses_model)
    system.script = lambda q: Answer(f"{q.item_id}/{q.trial} by {q.release[:6]}")
    candidate, baseline = experiments.start(admin, "triage", trials=2)
    assert candidate.other_experiment_id == baseline.experiment_id
    assert baseline.other_experiment_id == ""
    compared = [s for s in scripted.judged if s.experiment_id == candidate.experiment_id]
    assert len(compared) == 80
    assert all(s.other_output == f"{s.item.id}/{s.trial} by {live[:6]}" for s in compared)
    assert all(s.output == f"{s.item.id}/{s.trial} by {candidate.release[:6]}" for s in compared)
    alone = [s for s in scripted.judged if s.experiment_id == baseline.experiment_id]
    assert {s.other_output for s in alone} == {None}
    assert {trial.state for trial in trials_of(metadata, candidate.experiment_id)} == {TrialState.ANSWERED}


def test_comparing_with_another_baseline_is_another_experiment_of_the_same_answers(
    experiments: Experiments,
    metadata: Metadata,
    registry: Registry,
    system: Scripted,
    admin: Principal,
    make_files: Files,
    live: str,
    use_kind: Callable[..., None],
) -> None:
    use_kind(("other_output",))
    first, _ = experiments.start(admin, "triage", trials=1)
    other = registry.push(admin, make_files(40, prompt="older {{ review }}")).release
    put_live(metadata, other)
    registry.push(admin, make_files(40))
    system.asked.clear()
    second, _ = experiments.start(admin, "triage", trials=1)
    assert second.experiment_id != first.experiment_id
    assert {release for release, _, _ in system.asked} == {other}


def test_what_the_system_did_is_looked_up_for_many_answers_at_once_and_only_if_it_is_needed(
    runner_ports: RunnerPorts,
    metadata: Metadata,
    registry: Registry,
    clock: ManualClock,
    admin: Principal,
    make_files: Files,
    publisher: Publisher,
    scripted: ScriptedKind,
    use_kind: Callable[..., None],
) -> None:
    use_kind(("steps", "contexts"))
    registry.push(admin, make_files(6))
    traces = Traces()
    ports = replace(runner_ports, traces=traces)
    turns = Turns(metadata, registry, Runner(ports, RunnerSettings()), clock)
    idle = Experiments(metadata, registry, publisher, NoJobs(), clock)
    (record,) = idle.start(admin, "triage", trials=1)
    while turns.run_slice("p", record.experiment_id):
        pass
    assert [len(ids) for ids in traces.asked] == [6]
    assert all(s.contexts == (f"context of {s.trace_id}",) for s in scripted.judged)
    assert {step.name for s in scripted.judged for step in s.steps} == {"search"}

    use_kind(())
    registry.push(admin, {**make_files(6), "prompt.jinja": b"other {{ review }}"})
    (record,) = idle.start(admin, "triage", trials=1)
    while turns.run_slice("p", record.experiment_id):
        pass
    assert len(traces.asked) == 1


def test_answers_that_a_kill_left_unjudged_are_judged_and_not_asked_again(
    runner_ports: RunnerPorts,
    runner: Runner,
    metadata: Metadata,
    registry: Registry,
    system: Scripted,
    admin: Principal,
    make_files: Files,
    experiments: Experiments,
) -> None:
    registry.push(admin, make_files(3))
    (record,) = experiments.start(admin, "triage", trials=1)
    before = trials_of(metadata, record.experiment_id)
    with metadata.transaction() as tx:
        tx.experiments._connection.exec_driver_sql("UPDATE trials SET state = 'judging', scores = '{}'")
        tx.experiments.reopen("p", record.experiment_id)
    system.asked.clear()
    while runner.run_slice("p", record.experiment_id):
        pass
    assert not system.asked
    assert trials_of(metadata, record.experiment_id) == before


def test_specs_of_unknown_kinds_need_nothing_and_do_not_stop_a_plan() -> None:
    spec = EvaluatorSpec(name="m", kind="magic")
    assert needs_of(EvaluatorsSpec(evaluator=[spec]).evaluator) == Needs()
    assert not asks_model(spec)


@pytest.mark.parametrize(
    ("code", "needs"),
    [
        ("return 1", Needs()),
        ("return len(context['steps'])", Needs(trace=True)),
        ("return context['other_output'] == output", Needs(other_output=True)),
    ],
)
def test_a_function_of_the_user_needs_what_its_code_names(code: str, needs: Needs) -> None:
    options: JsonObject = {"code": f"def score(item, output, context):\n    {code}\n"}
    assert needs_of([EvaluatorSpec(name="mine", kind="python", options=options)]) == needs
