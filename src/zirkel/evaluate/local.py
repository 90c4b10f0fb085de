"""An evaluation in this process, of code that is not behind the gateway: the same pipeline, in memory."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from zirkel.core import (
    Clock,
    DatasetItem,
    EvaluatorSpec,
    ExperimentRecord,
    ExperimentState,
    Invalid,
    TrialRecord,
    TrialState,
    digest,
)
from zirkel.evaluate.asking import Asker
from zirkel.evaluate.evaluators import Tools
from zirkel.evaluate.identity import cells, experiment_id, input_digests
from zirkel.evaluate.needs import Needs
from zirkel.evaluate.pace import Pace, Sleep
from zirkel.evaluate.pipeline import Pipeline, Work
from zirkel.evaluate.ports import Activity, Answer, Question, SystemUnderTest
from zirkel.evaluate.run_plan import RunPlan
from zirkel.evaluate.scoring import LocalJudge, Scorer
from zirkel.evaluate.subject import Subject

GROUP = 256
"""Answers that are planned at a time."""


@dataclass(frozen=True, slots=True)
class LocalPlan:
    """What is run."""

    name: str
    version: str
    items: Sequence[DatasetItem]
    evaluators: Sequence[EvaluatorSpec]
    judges: Mapping[str, LocalJudge]
    """Functions of the caller's that judge, by evaluator; their specs are of the kind ``reported``."""
    trials: int = 1
    concurrency: int = 4
    requests_per_s: float | None = None
    tokens_per_min: int | None = None


@dataclass(frozen=True, slots=True)
class LocalRun:
    """What was found."""

    experiment: ExperimentRecord
    items: tuple[DatasetItem, ...]
    evaluators: tuple[EvaluatorSpec, ...]
    trials: tuple[TrialRecord, ...]
    """By item and trial, in the order of the items."""


class _Memory:
    """Keeps trials instead of writing them. A ``TrialJournal``."""

    def __init__(self, done: Callable[[TrialRecord], None]) -> None:
        self.records: dict[tuple[str, int], TrialRecord] = {}
        self._done = done

    @property
    def is_full(self) -> bool:
        """Whether it is time to commit; never, since nothing is written."""
        return False

    def note(self, record: TrialRecord) -> None:
        """Keep the newest of a trial."""
        self.records[record.item_id, record.trial] = record
        if record.state in (TrialState.ANSWERED, TrialState.ERRORED):
            self._done(record)

    async def commit(self, claims: Sequence[TrialRecord] = ()) -> list[TrialRecord]:
        """Return the claims: all are to be asked."""
        return list(claims)


class _Remembering:
    """Asks a system, and remembers the contexts that it told."""

    def __init__(self, system: SystemUnderTest) -> None:
        self._system = system
        self.contexts: dict[tuple[str, int], tuple[str, ...]] = {}

    async def ask(self, question: Question) -> Answer:
        """Return the answer."""
        answer = await self._system.ask(question)
        if answer.contexts:
            self.contexts[question.item_id, question.trial] = answer.contexts
        return answer

    async def close(self) -> None:
        """Close the system's connections."""
        await self._system.close()


def run_locally(
    plan: LocalPlan,
    system: SystemUnderTest,
    tools: Tools,
    clock: Clock,
    *,
    sleep: Sleep = asyncio.sleep,
    done: Callable[[TrialRecord], None] = lambda _: None,
) -> LocalRun:
    """Ask a system every item as often as planned, and judge its answers.

    Args:
        plan: What is run.
        system: What is asked.
        tools: What evaluators may use.
        clock: Says how long answers take.
        sleep: Waits, between attempts and for limits.
        done: Told each trial when it is done.

    Raises:
        Invalid: If there are no items, or several of one id.
    """
    run_plan = _run_plan(plan, clock)
    memory = _Memory(done)
    asyncio.run(_run(plan, run_plan, _Remembering(system), tools, clock, sleep, memory))
    trials = tuple(memory.records[cell] for cell in cells(plan.items, plan.trials))
    return LocalRun(run_plan.experiment, tuple(plan.items), tuple(plan.evaluators), trials)


async def _run(
    plan: LocalPlan,
    run_plan: RunPlan,
    system: _Remembering,
    tools: Tools,
    clock: Clock,
    sleep: Sleep,
    memory: _Memory,
) -> None:
    def subject(record: TrialRecord) -> Subject:
        return run_plan.subject(record, Activity(contexts=system.contexts.get((record.item_id, record.trial), ())))

    pace = Pace(clock, sleep, requests_per_s=plan.requests_per_s, tokens_per_min=plan.tokens_per_min)
    every = list(cells(plan.items, plan.trials))
    groups = (
        [run_plan.claim(item_id, trial, clock.now_ns()) for item_id, trial in every[start : start + GROUP]]
        for start in range(0, len(every), GROUP)
    )
    work = Work(run_plan.question, subject, judge_now=True)
    try:
        with Scorer(plan.evaluators, tools, judges=plan.concurrency, functions=plan.judges) as scorer:
            asker = Asker(system, pace, sleep)
            await Pipeline(asker, scorer, memory, work, concurrency=plan.concurrency).run(groups, [])
    finally:
        await system.close()


def _run_plan(plan: LocalPlan, clock: Clock) -> RunPlan:
    items = {item.id: item for item in plan.items}
    if not items:
        raise Invalid("there are no items to evaluate on", path="dataset")
    if len(items) < len(plan.items):
        raise Invalid("two items have the same id", path="dataset")
    if plan.trials < 1 or plan.concurrency < 1:
        raise Invalid("trials and concurrency must be at least 1", path="trials")
    release = digest({"system": plan.name, "version": plan.version})
    dataset = digest(sorted(input_digests(plan.items).items()))
    evaluators = digest([f"{spec}" for spec in plan.evaluators])
    record = ExperimentRecord(
        project_id="",
        experiment_id=experiment_id(release, dataset, evaluators, plan.trials, repetition=f"{clock.now_ns()}"),
        service=plan.name,
        release=release,
        dataset_digest=dataset,
        evaluators_digest=evaluators,
        trials=plan.trials,
        items=len(items),
        state=ExperimentState.FINISHED,
        created_ns=clock.now_ns(),
        origin="local",
    )
    return RunPlan(record, items, tuple(plan.evaluators), Needs(), release, input_digests(plan.items))
