"""Experiments, comparisons and gates as they are asked for, over a real database and registry."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import pytest

from tests.unit.evaluate.live_release import put_live
from zirkel.core import (
    EvidencePack,
    ExperimentRecord,
    Forbidden,
    ManualClock,
    NotFound,
    Principal,
    Role,
    digest,
    verify_pack,
)
from zirkel.evaluate import Answer, Evaluation, Experiments, Question
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


def test_a_comparison_pairs_candidate_and_baseline(
    evaluation: Evaluation, experiments: Experiments, system: Scripted, admin: Principal, live: str
) -> None:
    good = system.script
    system.script = lambda q: Answer("wrong") if q.release == live and q.item_id < "i010" else good(q)
    experiments.start(admin, "triage", trials=1)
    found = evaluation.compare(admin, "triage")
    assert found.baseline is not None
    assert found.paired is not None
    assert found.baseline.experiment.release == live
    metric = found.paired["match"]
    assert (metric.better_items, metric.worse_items, metric.shared_items) == (10, 0, 40)
    assert metric.difference is not None
    assert metric.difference.estimate == pytest.approx(0.25)


def test_nothing_live_compares_with_nothing(
    evaluation: Evaluation, experiments: Experiments, registry: Registry, admin: Principal, make_files: Files
) -> None:
    registry.push(admin, make_files(3))
    with pytest.raises(NotFound, match="was not evaluated yet; run: zirkel eval triage"):
        evaluation.compare(admin, "triage")
    experiments.start(admin, "triage", trials=1)
    found = evaluation.compare(admin, "triage")
    assert (found.baseline, found.paired) == (None, None)


def test_a_baseline_that_was_not_evaluated_on_this_plan_is_named(
    evaluation: Evaluation,
    experiments: Experiments,
    metadata: Metadata,
    registry: Registry,
    admin: Principal,
    make_files: Files,
) -> None:
    old = registry.push(admin, make_files(3, prompt="old {{ review }}")).release
    registry.push(admin, make_files(3))
    experiments.start(admin, "triage", trials=1)
    put_live(metadata, old)
    with pytest.raises(NotFound, match=f"the baseline {old[:12]} was not evaluated on this data set"):
        evaluation.compare(admin, "triage")


@pytest.mark.parametrize(
    ("candidate", "baseline", "verdict"), [(40, 40, "PASS"), (40, 10, "SUPERIOR"), (5, 40, "FAIL")]
)
def test_a_gate_writes_its_verdict_and_the_digest_of_its_evidence_into_the_ledger(
    evaluation: Evaluation,
    experiments: Experiments,
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
    experiments.start(admin, "triage", trials=1)
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
    evaluation: Evaluation, experiments: Experiments, system: Scripted, admin: Principal, live: str
) -> None:
    system.script = lambda q: Answer("", error="HTTP 500") if q.item_id == "i003" else Answer("x")
    experiments.start(admin, "triage", trials=1)
    result = evaluation.gate(admin, "triage")
    assert (result.decision.verdict, result.decision.metrics) == ("INCONCLUSIVE", ())


def test_the_newest_experiment_of_a_release_is_its_offline_quality(
    evaluation: Evaluation, experiments: Experiments, clock: ManualClock, admin: Principal, live: str
) -> None:
    assert evaluation.latest_summary("p", "triage", live) is None
    experiments.start(admin, "triage", trials=1)
    clock.advance(1)
    experiments.start(admin, "triage", trials=2)
    found = evaluation.latest_summary("p", "triage", live)
    assert found is not None
    assert (found.experiment.trials, found.measured.answered) == (2, 80)
    assert found.metrics["match"].scored_items == 40


def test_what_is_not_there_is_not_found(
    evaluation: Evaluation, experiments: Experiments, admin: Principal, live: str
) -> None:
    with pytest.raises(NotFound):
        experiments.progress(admin, "unknown")
    with pytest.raises(NotFound):
        experiments.start(admin, "unknown")
    with pytest.raises(NotFound):
        evaluation.gate(admin, "triage", "17")


def test_who_only_reads_starts_and_decides_nothing(
    evaluation: Evaluation, experiments: Experiments, admin: Principal, live: str
) -> None:
    records: list[ExperimentRecord] = experiments.start(admin, "triage", trials=1)
    reader = Principal("p", "k2", "bob", frozenset({Role.READ}))
    with pytest.raises(Forbidden):
        experiments.start(reader, "triage")
    with pytest.raises(Forbidden):
        evaluation.gate(reader, "triage")
    assert experiments.progress(reader, records[0].experiment_id).answered == 40
    assert evaluation.compare(reader, "triage").baseline is not None
