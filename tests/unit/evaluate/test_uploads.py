"""Experiments that were run elsewhere: taken whole, in parts, once."""

from collections.abc import Callable, Sequence
from typing import cast

import msgspec
import pytest

from zirkel.core import (
    Conflict,
    DatasetItem,
    EvaluatorSpec,
    EvaluatorsSpec,
    ExperimentState,
    Forbidden,
    Invalid,
    ManualClock,
    NotFound,
    Principal,
    Role,
    TrialState,
)
from zirkel.evaluate import Experiments, UploadedAnswer, UploadPlan, Uploads
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

ITEMS = [DatasetItem(id=name, input={"review": name}, expected=name) for name in ("a", "b")]
PLAN = UploadPlan(name="bot", version="1", items=ITEMS, evaluators=[EvaluatorSpec(name="m", kind="reported")], trials=2)


class MemoryParts:
    """Keeps parts in a registry's place."""

    def __init__(self) -> None:
        self.datasets: dict[str, list[DatasetItem]] = {}

    def keep_dataset(self, _actor: Principal, name: str, items: Sequence[DatasetItem]) -> str:
        self.datasets[f"dataset of {name}"] = list(items)
        return f"dataset of {name}"

    def keep_evaluators(self, _actor: Principal, name: str, evaluators: EvaluatorsSpec) -> str:
        return f"{len(evaluators.evaluator)} evaluators of {name}"


class WithParts(Registry):
    """The real registry, which also finds what was kept."""

    parts: MemoryParts

    def dataset(self, project_id: str, digest: str) -> list[DatasetItem]:
        return self.parts.datasets.get(digest) or super().dataset(project_id, digest)


@pytest.fixture
def uploads(metadata: Metadata, registry: Registry, clock: ManualClock) -> Uploads:
    found = WithParts(metadata, registry._blobs, clock)
    found.parts = MemoryParts()
    return Uploads(metadata, found, found.parts, clock)


def answers(*cells: tuple[str, int], value: float = 1.0) -> list[UploadedAnswer]:
    return [
        UploadedAnswer(item_id=item, trial=trial, output="x", scores={"m": {"state": "scored", "value": value}})
        for item, trial in cells
    ]


def test_an_upload_is_an_experiment_that_is_finished_with_its_last_answer(
    uploads: Uploads, experiments: Experiments, metadata: Metadata, admin: Principal
) -> None:
    begun = uploads.begin(admin, PLAN)
    assert (begun.origin, begun.service, begun.items, begun.state) == ("local", "bot", 2, ExperimentState.RUNNING)
    half = uploads.add(admin, begun.experiment_id, answers(("a", 0), ("a", 1)))
    assert half.state == ExperimentState.RUNNING
    failed = UploadedAnswer(item_id="b", trial=1, error="boom", cost_usd="0.5")
    whole = uploads.add(admin, begun.experiment_id, [*answers(("b", 0)), failed])
    assert whole.state == ExperimentState.FINISHED
    progress = experiments.progress(admin, begun.experiment_id)
    assert (progress.answered, progress.errored) == (3, 1)
    with metadata.transaction() as tx:
        actions = [entry.action for entry in tx.ledger.entries("p")]
        trials = tx.experiments.trials("p", begun.experiment_id)
    assert actions == ["experiment_uploaded"]
    assert [(t.item_id, t.trial, t.state) for t in trials][-1] == ("b", 1, TrialState.ERRORED)
    assert len({trial.trace_id for trial in trials}) == 4


def test_the_same_upload_again_changes_nothing(uploads: Uploads, metadata: Metadata, admin: Principal) -> None:
    first = uploads.begin(admin, PLAN)
    uploads.add(admin, first.experiment_id, answers(("a", 0), value=1.0))
    assert uploads.begin(admin, PLAN) == first
    uploads.add(admin, first.experiment_id, answers(("a", 0), ("a", 1), value=0.0))
    with metadata.transaction() as tx:
        scores = [cast(float, (t.scores or {})["m"]["value"]) for t in tx.experiments.trials("p", first.experiment_id)]
    assert scores == [1.0, 0.0]


@pytest.mark.parametrize("change", [{"version": "2"}, {"name": "other"}, {"trials": 3}, {"repetition": "again"}])
def test_another_version_or_run_is_another_experiment(
    uploads: Uploads, admin: Principal, change: dict[str, object]
) -> None:
    other = msgspec.structs.replace(PLAN, **change)
    assert uploads.begin(admin, PLAN).experiment_id != uploads.begin(admin, other).experiment_id


def test_answers_taken_for_a_pushed_release_on_its_own_plan_are_evidence_for_its_gate(
    uploads: Uploads, registry: Registry, admin: Principal, make_files: Callable[..., dict[str, bytes]]
) -> None:
    pushed = registry.push(admin, make_files(3))
    bundle = registry.open("p", pushed.release)
    same = UploadPlan(
        name="triage",
        release="candidate",
        items=list(bundle.dataset),
        evaluators=list(bundle.evaluators.evaluator),
        trials=1,
    )
    record = uploads.begin(admin, same)
    assert record.release == pushed.release
    assert (record.dataset_digest, record.evaluators_digest) == (
        bundle.artefacts["dataset"],
        bundle.artefacts["evaluators"],
    )
    fewer = uploads.begin(admin, msgspec.structs.replace(same, items=list(bundle.dataset)[:2]))
    assert fewer.release == pushed.release
    assert fewer.dataset_digest == "dataset of triage"


def test_an_experiment_of_the_gateway_takes_no_upload(
    uploads: Uploads,
    experiments: Experiments,
    registry: Registry,
    admin: Principal,
    make_files: Callable[..., dict[str, bytes]],
) -> None:
    bundle = registry.open("p", registry.push(admin, make_files(2)).release)
    (record,) = experiments.start(admin, "triage", trials=1)
    with pytest.raises(NotFound, match="is no upload"):
        uploads.add(admin, record.experiment_id, answers(("i000", 0)))
    same = UploadPlan(
        name="triage",
        release="candidate",
        items=list(bundle.dataset),
        evaluators=list(bundle.evaluators.evaluator),
        trials=1,
    )
    with pytest.raises(Conflict):
        uploads.begin(admin, same)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"trials": 0}, "trials"),
        ({"name": ""}, "name"),
        ({"items": []}, "items"),
        ({"evaluators": []}, "evaluators"),
        ({"evaluators": [EvaluatorSpec(name="m", kind="exact")] * 2}, "evaluators"),
        ({"evaluators": [EvaluatorSpec(name="m", kind="magic")]}, "evaluators.toml"),
        ({"origin": "gateway"}, "origin"),
    ],
)
def test_a_plan_that_will_not_do_is_refused(
    uploads: Uploads, admin: Principal, change: dict[str, object], path: str
) -> None:
    with pytest.raises(Invalid) as raised:
        uploads.begin(admin, msgspec.structs.replace(PLAN, **change))
    assert raised.value.path == path


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (UploadedAnswer(item_id="z"), "item_id"),
        (UploadedAnswer(item_id="a", trial=2), "item_id"),
        (UploadedAnswer(item_id="a", trial=-1), "item_id"),
        (UploadedAnswer(item_id="a", cost_usd="much"), "cost_usd"),
        (UploadedAnswer(item_id="a", cost_usd="-1"), "cost_usd"),
        (UploadedAnswer(item_id="a", scores={"m": {"state": "great"}}), "scores.m"),
    ],
)
def test_an_answer_that_will_not_do_is_refused_with_all_that_came_with_it(
    uploads: Uploads, experiments: Experiments, admin: Principal, answer: UploadedAnswer, path: str
) -> None:
    record = uploads.begin(admin, PLAN)
    with pytest.raises(Invalid) as raised:
        uploads.add(admin, record.experiment_id, [*answers(("b", 0)), answer])
    assert raised.value.path == path
    assert experiments.progress(admin, record.experiment_id).answered == 0


def test_who_only_reads_uploads_nothing(uploads: Uploads) -> None:
    reader = Principal("p", "k2", "bob", frozenset({Role.READ}))
    with pytest.raises(Forbidden):
        uploads.begin(reader, PLAN)
    with pytest.raises(Forbidden):
        uploads.add(reader, "e", [])
