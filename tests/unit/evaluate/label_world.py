"""Experiments whose answers a judge scored, over a real database; releases and data sets are values in memory."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import cast

from zirkel.core import (
    DatasetItem,
    EnvironmentRecord,
    EvaluatorSpec,
    EvaluatorsSpec,
    ExperimentRecord,
    ExperimentState,
    Json,
    JsonObject,
    ManualClock,
    ModelSpec,
    NotFound,
    Principal,
    ReleaseBundle,
    Role,
    Scored,
    ServiceRecord,
    TrialRecord,
    TrialState,
    score_to_json,
)
from zirkel.core.labels import Label
from zirkel.evaluate.calibration import Calibration
from zirkel.evaluate.label_queue import LabelQueue, QueueOptions
from zirkel.evaluate.labels import Labels
from zirkel.evaluate.labels_question import Judgement, kept_of, read_question
from zirkel.evaluate.labels_transfer import LabelTransfer
from zirkel.store.metadata import Metadata

PROJECT, SERVICE, CANDIDATE, BASELINE = "p", "triage", "c" * 64, "b" * 64
DATASET, EVALUATORS = "d" * 64, "e" * 64
HELPFUL: JsonObject = {"model": "openai/gpt-4o", "rubric": [{"name": "helpful", "ask": "It helps."}]}


def rater(name: str) -> Principal:
    """Return somebody who may label, and nothing else."""
    return Principal(PROJECT, f"id-{name}", name, frozenset({Role.LABEL}))


ANN, BEN, CLEO = rater("ann"), rater("ben"), rater("cleo")
ADMIN = Principal(PROJECT, "id-admin", "admin", frozenset({Role.ADMIN}))
READER = Principal(PROJECT, "id-reader", "reader", frozenset({Role.READ}))


@dataclass
class MemoryReleases:
    """Releases, data sets and evaluators."""

    items: dict[str, list[DatasetItem]] = field(default_factory=dict)
    specs: dict[str, EvaluatorsSpec] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=lambda: {CANDIDATE: "openai/gpt-4o-mini", BASELINE: "local/qwen3"})

    def open(self, project_id: str, digest: str) -> ReleaseBundle:
        if digest not in self.models:
            raise NotFound(digest)
        bundle = SimpleNamespace(
            gate=SimpleNamespace(environment="production"), targets=(ModelSpec(name=self.models[digest]),)
        )
        return cast(ReleaseBundle, bundle)

    def dataset(self, project_id: str, digest: str) -> list[DatasetItem]:
        return self.items[digest]

    def evaluators(self, project_id: str, digest: str) -> EvaluatorsSpec:
        return self.specs[digest]

    def resolve(self, project_id: str, service: str, reference: str) -> str:
        return {"candidate": CANDIDATE, "baseline": BASELINE}.get(reference, reference)

    def service(self, project_id: str, service: str) -> ServiceRecord:
        if service != SERVICE:
            raise NotFound(f"service {service!r} does not exist")
        return ServiceRecord(PROJECT, SERVICE, "", CANDIDATE, BASELINE, 1)


Score = Callable[[str, int], Scored]
"""What a judge says of the answer to an item, of a trial."""


def helpful(is_helpful: bool) -> Scored:
    """Return what a judge with the rubric ``HELPFUL`` says."""
    items: Json = [{"name": "helpful", "satisfied": is_helpful, "reason": ""}]
    return Scored(float(is_helpful), details={"items": items})


class LabelWorld:
    """A service with experiments, its queue, and people."""

    def __init__(self, metadata: Metadata, clock: ManualClock, releases: MemoryReleases | None = None) -> None:
        self.metadata, self.clock, self.releases = metadata, clock, releases or MemoryReleases()
        self.queue = LabelQueue(metadata, self.releases, clock)
        self.labels = Labels(metadata, clock)
        self.transfer = LabelTransfer(metadata, self.releases, clock)
        self.calibration = Calibration(metadata, self.releases, clock)

    def evaluator(self, digest: str = EVALUATORS, kind: str = "judge", options: JsonObject = HELPFUL) -> None:
        """Have an experiment's evaluators be one judge."""
        spec = EvaluatorSpec(name="quality", kind=kind, options=options)
        self.releases.specs[digest] = EvaluatorsSpec(evaluator=[spec])

    def dataset(self, count: int, digest: str = DATASET, cluster: Callable[[int], str] = lambda _: "") -> None:
        """Have so many items."""
        self.releases.items[digest] = [
            DatasetItem(id=f"i{n:04d}", input={"text": f"question {n}"}, expected=f"right {n}", cluster=cluster(n))
            for n in range(count)
        ]

    def experiment(
        self,
        experiment_id: str,
        score: Score,
        *,
        release: str = CANDIDATE,
        evaluators: str = EVALUATORS,
        dataset: str = DATASET,
        trials: int = 1,
        output: Callable[[str, int], str] = lambda item_id, trial: f"answer to {item_id}, {trial}",
        other: str = "",
    ) -> None:
        """Keep a finished experiment over the data set."""
        self.clock.advance(1)
        now_ns = self.clock.now_ns()
        items = self.releases.items[dataset]
        record = ExperimentRecord(
            project_id=PROJECT,
            experiment_id=experiment_id,
            service=SERVICE,
            release=release,
            dataset_digest=dataset,
            evaluators_digest=evaluators,
            trials=trials,
            items=len(items),
            state=ExperimentState.FINISHED,
            created_ns=now_ns,
            finished_ns=now_ns,
            other_experiment_id=other,
        )
        rows = [
            TrialRecord(
                project_id=PROJECT,
                experiment_id=experiment_id,
                item_id=item.id,
                trial=trial,
                state=TrialState.ANSWERED,
                claimed_ns=now_ns,
                trace_id=f"{experiment_id}{item.id}{trial}"[:32],
                output=output(item.id, trial),
                scores={"quality": score_to_json(score(item.id, trial))},
            )
            for item in items
            for trial in range(trials)
        ]
        with self.metadata.transaction() as tx:
            tx.experiments.add(record)
            tx.experiments.claim(rows)

    def live(self, release: str) -> None:
        """Have a release be stable in production."""
        with self.metadata.transaction() as tx:
            tx.environments.put(EnvironmentRecord(PROJECT, SERVICE, "production", 1, release, 1, "ann", "salt"))

    def draw(self, answers: int, *, second_share: float = 0.0) -> None:
        """Draw so many answers."""
        self.queue.draw(ADMIN, SERVICE, QueueOptions(answers=answers, second_share=second_share))

    def label_all(self, who: Principal, say: Callable[[str, str], Judgement]) -> int:
        """Have somebody label all that they are asked, by item and answer; return how many."""
        for count in range(10_000):
            task = self.queue.next(who, SERVICE).task
            if task is None:
                return count
            self.labels.give(who, task.task_id, say(task.item_id, task.output))
        raise AssertionError("the queue never ends")

    def label_at_once(self, who: Principal, say: Callable[[str], Judgement], *, most: int = 10_000) -> None:
        """Do as ``label_all``, by answer, in one transaction; at most so many."""
        with self.metadata.transaction() as tx:
            for sample in tx.labels.samples(PROJECT, SERVICE):
                key = (PROJECT, sample.experiment_id, sample.evaluator)
                known = Counter(label.task_id for label in tx.labels.list(*key))
                waiting = [task for task in tx.labels.tasks(*key) if known[task.task_id] < task.raters]
                for task in waiting[:most]:
                    output = tx.labels.answer(PROJECT, task.experiment_id, task.item_id, task.trial)
                    assert output is not None
                    given = say(output)
                    value, category = kept_of(read_question(sample.question), task.task_id, given)
                    label = Label(
                        project_id=PROJECT,
                        task_id=task.task_id,
                        rater_id=who.principal_id,
                        version=1,
                        rater=who.label,
                        value=value,
                        category=category,
                        items=given.items,
                        labelled_ns=self.clock.now_ns(),
                    )
                    tx.labels.add(label)

    def ledger(self, action: str) -> Sequence[str]:
        """Return the payloads of an action."""
        with self.metadata.transaction() as tx:
            return [entry.payload for entry in tx.ledger.entries(PROJECT) if entry.action == action]


def yes(is_so: bool) -> Judgement:
    """Return an answer to the rubric ``HELPFUL``."""
    return Judgement(items={"helpful": is_so})


def coin(seed: str, chance: float) -> bool:
    """Return true with a probability, the same for the same seed."""
    return Random(seed).random() < chance
