"""Experiments as they are asked for, over a real database and registry: planned, run, used again, stopped early."""

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

import pytest

from tests.unit.evaluate.live_release import put_live
from zirkel.core import (
    EvidencePack,
    ExperimentOptions,
    ExperimentState,
    Forbidden,
    Invalid,
    NotFound,
    Principal,
    Role,
    TrialRecord,
    TrialState,
    verify_pack,
)
from zirkel.evaluate import Answer, Experiments, Question
from zirkel.evaluate.identity import item_order
from zirkel.evaluate.subject import ToolCall
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

Files = Callable[..., dict[str, bytes]]


class Scripted(Protocol):
    script: Callable[[Question], Answer]
    asked: Counter[tuple[str, str, int]]


class Jobs(Protocol):
    started: list[str]


class Publisher(Protocol):
    published: int


def ledger(metadata: Metadata) -> list[tuple[str, dict[str, object]]]:
    with metadata.transaction() as tx:
        entries = tuple(tx.ledger.entries("p"))
    assert verify_pack(EvidencePack("p", entries, ())).problem == ""
    return [(entry.action, json.loads(entry.payload)) for entry in entries]


def trials_of(metadata: Metadata, experiment_id: str) -> list[TrialRecord]:
    with metadata.transaction() as tx:
        return list(tx.experiments.trials("p", experiment_id))


def test_an_evaluation_runs_candidate_and_baseline_on_the_candidates_plan(
    experiments: Experiments, system: Scripted, jobs: Jobs, publisher: Publisher, admin: Principal, live: str
) -> None:
    candidate, baseline = experiments.start(admin, "triage", trials=1)
    assert baseline.release == live
    assert (candidate.dataset_digest, candidate.evaluators_digest, candidate.trials) == (
        baseline.dataset_digest,
        baseline.evaluators_digest,
        1,
    )
    assert jobs.started == [candidate.experiment_id, baseline.experiment_id]
    assert publisher.published == 1
    assert len(system.asked) == 80
    progress = experiments.progress(admin, candidate.experiment_id)
    assert (progress.experiment.state, progress.answered, progress.errored) == (ExperimentState.FINISHED, 40, 0)


def test_the_same_plan_again_is_the_same_experiment_and_asks_nothing(
    experiments: Experiments, metadata: Metadata, system: Scripted, jobs: Jobs, admin: Principal, live: str
) -> None:
    first = experiments.start(admin, "triage", trials=1)
    entries = ledger(metadata)
    second = experiments.start(admin, "triage", trials=1)
    assert [record.experiment_id for record in second] == [record.experiment_id for record in first]
    assert len(jobs.started) == 2
    assert set(system.asked.values()) == {1}
    assert ledger(metadata) == entries
    third = experiments.start(admin, "triage", trials=2)
    assert third[0].experiment_id != first[0].experiment_id


def test_errored_answers_and_only_those_are_asked_for_again(
    experiments: Experiments, system: Scripted, admin: Principal, live: str
) -> None:
    good = system.script
    system.script = lambda q: Answer("", error="HTTP 500") if q.item_id == "i003" else good(q)
    candidate, _ = experiments.start(admin, "triage", trials=1)
    assert experiments.progress(admin, candidate.experiment_id).errored == 1
    system.script = good
    system.asked.clear()
    experiments.start(admin, "triage", trials=1)
    assert {item_id for _, item_id, _ in system.asked} == {"i003"}
    assert experiments.progress(admin, candidate.experiment_id).answered == 40


def test_an_unfinished_experiment_is_taken_up_again(
    experiments: Experiments, metadata: Metadata, jobs: Jobs, admin: Principal, live: str
) -> None:
    candidate, _ = experiments.start(admin, "triage", trials=1)
    with metadata.transaction() as tx:
        tx.experiments.reopen("p", candidate.experiment_id)
    jobs.started.clear()
    experiments.start(admin, "triage", trials=1)
    assert jobs.started == [candidate.experiment_id]


def test_the_baseline_is_what_is_live_else_what_the_service_declares_and_never_the_release_itself(
    experiments: Experiments, metadata: Metadata, registry: Registry, admin: Principal, make_files: Files
) -> None:
    files = make_files(3)
    pushed = registry.push(admin, files)
    assert [record.release for record in experiments.start(admin, "triage")] == [pushed.release]
    files["service.toml"] += b'[baseline]\nprompt = "old.jinja"\n'
    files["old.jinja"] = b"old {{ review }}"
    declared = registry.push(admin, files)
    assert declared.baseline is not None
    assert [record.release for record in experiments.start(admin, "triage")] == [declared.release, declared.baseline]
    put_live(metadata, pushed.release)
    assert [record.release for record in experiments.start(admin, "triage")] == [pushed.release]


@pytest.mark.parametrize("trials", [0, -1, 101])
def test_trials_out_of_range_are_refused(experiments: Experiments, admin: Principal, live: str, trials: int) -> None:
    with pytest.raises(Invalid) as raised:
        experiments.start(admin, "triage", trials=trials)
    assert raised.value.path == "trials"


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (ExperimentOptions(concurrency=0), "concurrency"),
        (ExperimentOptions(concurrency=1000), "concurrency"),
        (ExperimentOptions(requests_per_s=0.0), "requests_per_s"),
        (ExperimentOptions(requests_per_s=float("nan")), "requests_per_s"),
        (ExperimentOptions(tokens_per_min=-1), "tokens_per_min"),
    ],
)
def test_options_out_of_range_are_refused(
    experiments: Experiments, admin: Principal, live: str, options: ExperimentOptions, path: str
) -> None:
    with pytest.raises(Invalid) as raised:
        experiments.start(admin, "triage", options=options)
    assert raised.value.path == path


# What was answered before


def test_a_release_that_differs_in_its_evaluators_alone_is_judged_anew_and_asked_nothing(
    experiments: Experiments,
    metadata: Metadata,
    registry: Registry,
    system: Scripted,
    admin: Principal,
    make_files: Files,
) -> None:
    files = make_files(5)
    registry.push(admin, files)
    system.script = lambda q: Answer("r1", cost_usd=Decimal("0.5"), duration_ms=7.0, output_tokens=3)
    (first,) = experiments.start(admin, "triage")
    system.asked.clear()

    files["evaluators.toml"] += b'[[evaluator]]\nname = "again"\nkind = "exact"\n'
    registry.push(admin, files)
    (second,) = experiments.start(admin, "triage")

    assert second.experiment_id != first.experiment_id
    assert not system.asked
    before = {(t.item_id, t.trial): t for t in trials_of(metadata, first.experiment_id)}
    for trial in trials_of(metadata, second.experiment_id):
        earlier = before[trial.item_id, trial.trial]
        assert (trial.state, trial.is_cached, earlier.is_cached) == (TrialState.ANSWERED, True, False)
        assert (trial.output, trial.cost_usd, trial.duration_ms) == ("r1", Decimal("0.5"), 7.0)
        assert (trial.trace_id, trial.output_tokens) == (earlier.trace_id, 3)
        assert set(trial.scores or {}) == {"match", "again"}
    spending = experiments.spending(admin, second.experiment_id)
    assert (spending.calls, spending.system_usd) == (0, Decimal(0))
    assert (spending.cached_answers, spending.saved_usd) == (10, Decimal(5))
    assert experiments.spending(admin, first.experiment_id).system_usd == Decimal(5)


def test_items_that_are_added_are_asked_and_the_others_are_not(
    experiments: Experiments, registry: Registry, system: Scripted, admin: Principal, make_files: Files
) -> None:
    registry.push(admin, make_files(4))
    experiments.start(admin, "triage", trials=1)
    system.asked.clear()
    registry.push(admin, make_files(6))
    experiments.start(admin, "triage", trials=1)
    assert {item_id for _, item_id, _ in system.asked} == {"i004", "i005"}


def test_more_trials_use_those_that_are_there(
    experiments: Experiments, registry: Registry, system: Scripted, admin: Principal, make_files: Files
) -> None:
    registry.push(admin, make_files(3))
    experiments.start(admin, "triage", trials=1)
    system.asked.clear()
    experiments.start(admin, "triage", trials=3)
    assert {trial for _, _, trial in system.asked} == {1, 2}


@pytest.mark.parametrize("change", ["prompt", "parameter", "input"])
def test_what_an_answer_depends_on_is_asked_anew(
    experiments: Experiments, registry: Registry, system: Scripted, admin: Principal, make_files: Files, change: str
) -> None:
    files = make_files(2)
    registry.push(admin, files)
    experiments.start(admin, "triage", trials=1)
    system.asked.clear()
    if change == "prompt":
        files["prompt.jinja"] = b"please: {{ review }}"
    elif change == "parameter":
        files["service.toml"] += b"parameters = { temperature = 0.5 }\n"
    else:
        files["datasets/golden.jsonl"] = files["datasets/golden.jsonl"].replace(b'"review": "r', b'"review": "R')
    registry.push(admin, files)
    experiments.start(admin, "triage", trials=1)
    assert len(system.asked) == 2


def test_two_items_of_one_input_have_answers_of_their_own(
    experiments: Experiments, registry: Registry, system: Scripted, admin: Principal, make_files: Files
) -> None:
    files = make_files(1)
    twin = json.dumps({"id": "twin", "input": {"review": "r0"}, "expected": "r0"}).encode()
    files["datasets/golden.jsonl"] += b"\n" + twin
    registry.push(admin, files)
    experiments.start(admin, "triage", trials=1)
    assert len(system.asked) == 2
    system.asked.clear()
    files["evaluators.toml"] += b'[[evaluator]]\nname = "again"\nkind = "exact"\n'
    registry.push(admin, files)
    experiments.start(admin, "triage", trials=1)
    assert not system.asked


def test_a_fresh_run_asks_everything_again_in_an_experiment_of_its_own(
    experiments: Experiments, registry: Registry, system: Scripted, admin: Principal, make_files: Files
) -> None:
    registry.push(admin, make_files(3))
    (first,) = experiments.start(admin, "triage", trials=1)
    (second,) = experiments.start(admin, "triage", trials=1, options=ExperimentOptions(is_fresh=True))
    assert first.experiment_id != second.experiment_id
    assert set(system.asked.values()) == {2}


def test_an_errored_answer_is_never_used_again(
    experiments: Experiments, registry: Registry, system: Scripted, admin: Principal, make_files: Files
) -> None:
    files = make_files(1)
    registry.push(admin, files)
    system.script = lambda _: Answer("", error="HTTP 400", is_retryable=False)
    experiments.start(admin, "triage", trials=1)
    files["evaluators.toml"] += b'[[evaluator]]\nname = "again"\nkind = "exact"\n'
    registry.push(admin, files)
    experiments.start(admin, "triage", trials=1)
    assert sum(system.asked.values()) == 2


def test_an_answer_keeps_its_tool_calls_and_tokens(
    experiments: Experiments,
    metadata: Metadata,
    registry: Registry,
    system: Scripted,
    admin: Principal,
    make_files: Files,
) -> None:
    registry.push(admin, make_files(1))
    calls = (ToolCall("search", '{"q": "\x00"}', "c1"),)
    system.script = lambda _: Answer("r0", tool_calls=calls, input_tokens=11, output_tokens=2)
    (record,) = experiments.start(admin, "triage", trials=1)
    (trial,) = trials_of(metadata, record.experiment_id)
    assert trial.tool_calls == ({"name": "search", "arguments": '{"q": "�"}', "call_id": "c1"},)
    assert (trial.input_tokens, trial.output_tokens) == (11, 2)


# Stopping early


@pytest.fixture
def stoppable(metadata: Metadata, registry: Registry, admin: Principal, make_files: Files) -> str:
    """A live release beside a candidate, with enough items to stop before the last one."""
    release = registry.push(admin, make_files(400, prompt="old {{ review }}")).release
    put_live(metadata, release)
    registry.push(admin, make_files(400))
    return release


EARLY = ExperimentOptions(early_stop=True, seed=3)


def test_a_gate_that_is_decided_early_stops_both_on_the_same_whole_items(
    experiments: Experiments, metadata: Metadata, system: Scripted, jobs: Jobs, admin: Principal, stoppable: str
) -> None:
    good = system.script
    system.script = lambda q: Answer("wrong") if q.release == stoppable else good(q)
    candidate, baseline = experiments.start(admin, "triage", trials=2, options=EARLY)
    assert jobs.started == [candidate.experiment_id]
    ours, theirs = (experiments.progress(admin, r.experiment_id) for r in (candidate, baseline))
    stopped = ours.experiment.stopped_items
    assert stopped is not None
    assert (0 < stopped < 400, stopped % 8) == (True, 0)
    assert theirs.experiment.stopped_items == stopped
    assert (ours.answered, theirs.answered) == (2 * stopped, 2 * stopped)
    assert {ours.experiment.state, theirs.experiment.state} == {ExperimentState.FINISHED}
    assert ours.experiment.planned == 2 * stopped
    items = [{trial.item_id for trial in trials_of(metadata, record.experiment_id)} for record in (candidate, baseline)]
    assert items[0] == items[1] != {f"i{number:03d}" for number in range(stopped)}
    action, payload = ledger(metadata)[-1]
    assert (action, payload["items"], payload["of_items"], payload["seed"]) == ("experiment_stopped", stopped, 400, 3)


def test_a_stopped_experiment_stays_stopped_and_asks_nothing_more(
    experiments: Experiments, system: Scripted, admin: Principal, stoppable: str
) -> None:
    good = system.script
    system.script = lambda q: Answer("wrong") if q.release == stoppable else good(q)
    candidate, _ = experiments.start(admin, "triage", trials=1, options=EARLY)
    stopped = experiments.progress(admin, candidate.experiment_id).experiment.stopped_items
    system.asked.clear()
    again, _ = experiments.start(admin, "triage", trials=1)
    assert not system.asked
    assert again.stopped_items == stopped
    assert again.options.early_stop


def test_what_failed_before_the_stop_is_asked_again_and_nothing_behind_it(
    experiments: Experiments, registry: Registry, system: Scripted, admin: Principal, stoppable: str
) -> None:
    items = registry.open("p", stoppable).dataset
    failing = {item.id for item in item_order(items, EARLY.seed)[:2]}

    def answer(question: Question) -> Answer:
        if question.item_id in failing:
            return Answer("", error="HTTP 400", is_retryable=False)
        return Answer("wrong" if question.release == stoppable else str(question.variables["review"]))

    system.script = answer
    candidate, baseline = experiments.start(admin, "triage", trials=1, options=EARLY)
    progress = experiments.progress(admin, candidate.experiment_id)
    stopped = progress.experiment.stopped_items
    assert stopped is not None
    assert progress.errored == 2

    failing.clear()
    system.asked.clear()
    experiments.start(admin, "triage", trials=1, options=EARLY)

    for record in (candidate, baseline):
        mended = experiments.progress(admin, record.experiment_id)
        assert (mended.errored, mended.answered) == (0, stopped)
        assert (mended.experiment.state, mended.experiment.stopped_items) == (ExperimentState.FINISHED, stopped)
    assert len(system.asked) == 4


def test_what_is_not_decided_runs_to_its_end(
    experiments: Experiments, registry: Registry, metadata: Metadata, admin: Principal, make_files: Files
) -> None:
    put_live(metadata, registry.push(admin, make_files(20, prompt="old {{ review }}")).release)
    registry.push(admin, make_files(20))
    records = experiments.start(admin, "triage", trials=1, options=EARLY)
    for record in records:
        progress = experiments.progress(admin, record.experiment_id)
        assert (progress.answered, progress.experiment.stopped_items) == (20, None)
        assert progress.experiment.state == ExperimentState.FINISHED


def test_a_baseline_that_was_stopped_goes_on_for_the_next_candidate(
    experiments: Experiments, registry: Registry, system: Scripted, admin: Principal, make_files: Files, stoppable: str
) -> None:
    good = system.script
    system.script = lambda q: Answer("wrong") if q.release == stoppable else good(q)
    experiments.start(admin, "triage", trials=1, options=EARLY)
    registry.push(admin, make_files(400, prompt="other {{ review }}"))
    _, baseline = experiments.start(admin, "triage", trials=1)
    progress = experiments.progress(admin, baseline.experiment_id)
    assert (progress.answered, progress.experiment.stopped_items) == (400, None)
    assert set(system.asked.values()) == {1}


@pytest.mark.parametrize("gate", ["floor = 0.5\n", "margin = 0.2\nfloor = 0.5\n"])
def test_a_gate_that_asks_for_more_than_margins_cannot_stop_early(
    experiments: Experiments, registry: Registry, metadata: Metadata, admin: Principal, make_files: Files, gate: str
) -> None:
    put_live(metadata, registry.push(admin, make_files(20, prompt="old {{ review }}", gate=gate)).release)
    registry.push(admin, make_files(20, gate=gate))
    with pytest.raises(Invalid, match="'match' is not asked for a margin alone") as raised:
        experiments.start(admin, "triage", options=EARLY)
    assert raised.value.path == "early_stop"


def test_items_of_one_cluster_cannot_stop_early(
    experiments: Experiments, registry: Registry, metadata: Metadata, admin: Principal, make_files: Files
) -> None:
    files = make_files(3)
    files["datasets/golden.jsonl"] = files["datasets/golden.jsonl"].replace(b'"input"', b'"cluster": "a", "input"')
    registry.push(admin, files)
    with pytest.raises(Invalid, match="3 items are of 1 clusters"):
        experiments.start(admin, "triage", options=EARLY)


def test_without_a_baseline_nothing_can_stop_early(
    experiments: Experiments, registry: Registry, admin: Principal, make_files: Files
) -> None:
    registry.push(admin, make_files(3))
    with pytest.raises(Invalid, match="no baseline"):
        experiments.start(admin, "triage", options=EARLY)


# Who and what


def test_an_experiment_that_is_not_there_is_not_found(experiments: Experiments, admin: Principal) -> None:
    with pytest.raises(NotFound):
        experiments.progress(admin, "unknown")
    with pytest.raises(NotFound):
        experiments.spending(admin, "unknown")


def test_who_only_reads_starts_nothing(experiments: Experiments, admin: Principal, live: str) -> None:
    records = experiments.start(admin, "triage", trials=1)
    reader = Principal("p", "k2", "bob", frozenset({Role.READ}))
    with pytest.raises(Forbidden):
        experiments.start(reader, "triage")
    assert experiments.progress(reader, records[0].experiment_id).answered == 40
    assert {record.experiment_id for record in experiments.list(reader, "triage")} == {
        record.experiment_id for record in records
    }
