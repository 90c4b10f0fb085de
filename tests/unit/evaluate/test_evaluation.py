"""Experiments, comparisons and gates as they are asked for, over a real database and registry."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import pytest

from zirkel.core import (
    EnvironmentRecord,
    EvidencePack,
    ExperimentRecord,
    ExperimentState,
    Forbidden,
    Invalid,
    ManualClock,
    NotFound,
    Principal,
    Role,
    digest,
    verify_pack,
)
from zirkel.evaluate import Answer, Evaluation, Question
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


def put_live(metadata: Metadata, release: str) -> None:
    with metadata.transaction() as tx:
        tx.environments.put(EnvironmentRecord("p", "triage", "production", 1, release, 1, "ann", "salt"))


@pytest.fixture
def live(metadata: Metadata, registry: Registry, admin: Principal, make_files: Files) -> str:
    """A release that is live already; the candidate that is pushed after it differs in its prompt."""
    release = registry.push(admin, make_files(40, prompt="old {{ review }}")).release
    put_live(metadata, release)
    registry.push(admin, make_files(40))
    return release


def test_an_evaluation_runs_candidate_and_baseline_on_the_candidates_plan(
    evaluation: Evaluation, system: Scripted, jobs: Jobs, publisher: Publisher, admin: Principal, live: str
) -> None:
    candidate, baseline = evaluation.start(admin, "triage", trials=1)
    assert baseline.release == live
    assert (candidate.dataset_digest, candidate.evaluators_digest, candidate.trials) == (
        baseline.dataset_digest,
        baseline.evaluators_digest,
        1,
    )
    assert jobs.started == [candidate.experiment_id, baseline.experiment_id]
    assert publisher.published == 1
    assert len(system.asked) == 80
    progress = evaluation.progress(admin, candidate.experiment_id)
    assert (progress.experiment.state, progress.answered, progress.errored) == (ExperimentState.FINISHED, 40, 0)


def test_the_same_plan_again_is_the_same_experiment_and_asks_nothing(
    evaluation: Evaluation, metadata: Metadata, system: Scripted, jobs: Jobs, admin: Principal, live: str
) -> None:
    first = evaluation.start(admin, "triage", trials=1)
    entries = ledger(metadata)
    second = evaluation.start(admin, "triage", trials=1)
    assert [record.experiment_id for record in second] == [record.experiment_id for record in first]
    assert len(jobs.started) == 2
    assert set(system.asked.values()) == {1}
    assert ledger(metadata) == entries
    third = evaluation.start(admin, "triage", trials=2)
    assert third[0].experiment_id != first[0].experiment_id


def test_errored_answers_and_only_those_are_asked_for_again(
    evaluation: Evaluation, system: Scripted, admin: Principal, live: str
) -> None:
    good = system.script
    system.script = lambda q: Answer("", error="HTTP 500") if q.item_id == "i003" else good(q)
    candidate, _ = evaluation.start(admin, "triage", trials=1)
    assert evaluation.progress(admin, candidate.experiment_id).errored == 1
    system.script = good
    system.asked.clear()
    evaluation.start(admin, "triage", trials=1)
    assert {item_id for _, item_id, _ in system.asked} == {"i003"}
    assert evaluation.progress(admin, candidate.experiment_id).answered == 40


def test_an_unfinished_experiment_is_taken_up_again(
    evaluation: Evaluation, metadata: Metadata, jobs: Jobs, admin: Principal, live: str
) -> None:
    candidate, _ = evaluation.start(admin, "triage", trials=1)
    with metadata.transaction() as tx:
        tx.experiments.reopen("p", candidate.experiment_id)
    jobs.started.clear()
    evaluation.start(admin, "triage", trials=1)
    assert jobs.started == [candidate.experiment_id]


def test_the_baseline_is_what_is_live_else_what_the_service_declares_and_never_the_release_itself(
    evaluation: Evaluation, metadata: Metadata, registry: Registry, admin: Principal, make_files: Files
) -> None:
    files = make_files(3)
    pushed = registry.push(admin, files)
    assert [record.release for record in evaluation.start(admin, "triage")] == [pushed.release]
    files["service.toml"] += b'[baseline]\nprompt = "old.jinja"\n'
    files["old.jinja"] = b"old {{ review }}"
    declared = registry.push(admin, files)
    assert declared.baseline is not None
    assert [record.release for record in evaluation.start(admin, "triage")] == [declared.release, declared.baseline]
    put_live(metadata, pushed.release)
    assert [record.release for record in evaluation.start(admin, "triage")] == [pushed.release]


@pytest.mark.parametrize("trials", [0, -1, 101])
def test_trials_out_of_range_are_refused(evaluation: Evaluation, admin: Principal, live: str, trials: int) -> None:
    with pytest.raises(Invalid) as raised:
        evaluation.start(admin, "triage", trials=trials)
    assert raised.value.path == "trials"


def test_a_comparison_pairs_candidate_and_baseline(
    evaluation: Evaluation, system: Scripted, admin: Principal, live: str
) -> None:
    good = system.script
    system.script = lambda q: Answer("wrong") if q.release == live and q.item_id < "i010" else good(q)
    evaluation.start(admin, "triage", trials=1)
    found = evaluation.compare(admin, "triage")
    assert found.baseline is not None
    assert found.paired is not None
    assert found.baseline.experiment.release == live
    metric = found.paired["match"]
    assert (metric.better_items, metric.worse_items, metric.shared_items) == (10, 0, 40)
    assert metric.difference is not None
    assert metric.difference.estimate == pytest.approx(0.25)


def test_nothing_live_compares_with_nothing(
    evaluation: Evaluation, registry: Registry, admin: Principal, make_files: Files
) -> None:
    registry.push(admin, make_files(3))
    with pytest.raises(NotFound, match="was not evaluated yet; run: zirkel eval triage"):
        evaluation.compare(admin, "triage")
    evaluation.start(admin, "triage", trials=1)
    found = evaluation.compare(admin, "triage")
    assert (found.baseline, found.paired) == (None, None)


def test_a_baseline_that_was_not_evaluated_on_this_plan_is_named(
    evaluation: Evaluation, metadata: Metadata, registry: Registry, admin: Principal, make_files: Files
) -> None:
    old = registry.push(admin, make_files(3, prompt="old {{ review }}")).release
    registry.push(admin, make_files(3))
    evaluation.start(admin, "triage", trials=1)
    put_live(metadata, old)
    with pytest.raises(NotFound, match=f"the baseline {old[:12]} was not evaluated on this data set"):
        evaluation.compare(admin, "triage")


@pytest.mark.parametrize(
    ("candidate", "baseline", "verdict"), [(40, 40, "PASS"), (40, 10, "SUPERIOR"), (5, 40, "FAIL")]
)
def test_a_gate_writes_its_verdict_and_the_digest_of_its_evidence_into_the_ledger(
    evaluation: Evaluation,
    metadata: Metadata,
    system: Scripted,
    admin: Principal,
    live: str,
    candidate: int,
    baseline: int,
    verdict: str,
) -> None:
    def answer(question: Question) -> Answer:
        good = baseline if question.release == live else candidate
        is_good = int(question.item_id[1:]) < good
        return Answer(str(question.variables["review"]) if is_good else "wrong")

    system.script = answer
    evaluation.start(admin, "triage", trials=1)
    result = evaluation.gate(admin, "triage")
    assert (result.decision.verdict, result.record.baseline, result.record.environment) == (verdict, live, "production")
    action, payload = ledger(metadata)[-1]
    assert (action, payload["verdict"], payload["verdict_id"]) == ("gate", verdict, result.record.verdict_id)
    report = json.loads(result.record.report)
    assert payload["report_digest"] == digest(report)
    assert report["decision"]["verdict"] == verdict
    assert report["evidence"]["candidate"]["answered"] == 40
    assert report["evidence"]["paired"]["match"]["difference"]["n"] == 40
    assert evaluation.latest_verdict(admin, result.record.release, "production") == result.record
    assert evaluation.latest_verdict(admin, result.record.release, "staging") is None


def test_a_gate_on_missing_answers_is_inconclusive(
    evaluation: Evaluation, system: Scripted, admin: Principal, live: str
) -> None:
    system.script = lambda q: Answer("", error="HTTP 500") if q.item_id == "i003" else Answer("x")
    evaluation.start(admin, "triage", trials=1)
    result = evaluation.gate(admin, "triage")
    assert (result.decision.verdict, result.decision.metrics) == ("INCONCLUSIVE", ())


def test_the_newest_experiment_of_a_release_is_its_offline_quality(
    evaluation: Evaluation, clock: ManualClock, admin: Principal, live: str
) -> None:
    assert evaluation.latest_summary("p", "triage", live) is None
    evaluation.start(admin, "triage", trials=1)
    clock.advance(1)
    evaluation.start(admin, "triage", trials=2)
    found = evaluation.latest_summary("p", "triage", live)
    assert found is not None
    assert (found.experiment.trials, found.answered) == (2, 80)
    assert found.metrics["match"].scored_items == 40


def test_what_is_not_there_is_not_found(evaluation: Evaluation, admin: Principal, live: str) -> None:
    with pytest.raises(NotFound):
        evaluation.progress(admin, "unknown")
    with pytest.raises(NotFound):
        evaluation.start(admin, "unknown")
    with pytest.raises(NotFound):
        evaluation.gate(admin, "triage", "17")


def test_who_only_reads_starts_and_decides_nothing(evaluation: Evaluation, admin: Principal, live: str) -> None:
    records: list[ExperimentRecord] = evaluation.start(admin, "triage", trials=1)
    reader = Principal("p", "k2", "bob", frozenset({Role.READ}))
    with pytest.raises(Forbidden):
        evaluation.start(reader, "triage")
    with pytest.raises(Forbidden):
        evaluation.gate(reader, "triage")
    assert evaluation.progress(reader, records[0].experiment_id).answered == 40
    assert evaluation.compare(reader, "triage").baseline is not None
