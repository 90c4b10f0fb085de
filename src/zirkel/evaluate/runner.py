"""Running an experiment in slices: each slice can be cut off at any point and taken up again."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from zirkel.core import Clock, ExperimentRecord, NotFound, TrialRecord, TrialState
from zirkel.evaluate.asking import Asker
from zirkel.evaluate.evaluators import Tools
from zirkel.evaluate.identity import cells
from zirkel.evaluate.journal import Journal
from zirkel.evaluate.pace import Pace, Sleep
from zirkel.evaluate.pipeline import Pipeline, Work
from zirkel.evaluate.ports import (
    Activity,
    EvaluateMetadata,
    NoTraces,
    RecordedAnswers,
    Releases,
    SystemUnderTest,
    TraceReader,
)
from zirkel.evaluate.recovery import Recovery
from zirkel.evaluate.run_plan import RunPlan, RunPlans
from zirkel.evaluate.scoring import Scorer
from zirkel.evaluate.subject import Subject

States = Mapping[tuple[str, int], TrialState]


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """How experiments are run."""

    concurrency: int = 4
    """Calls at once, where an experiment does not say otherwise."""
    judges: int = 4
    """Models that are asked at once to judge, beside the calls."""
    grace_s: float = 10.0
    """How long an answer that was on its way when the core was killed may take to arrive in the telemetry."""
    slice_answers: int = 2048
    """Answers after which other experiments have their turn."""
    commit_answers: int = 64
    """Answers that are written in one commit."""


@dataclass(frozen=True, slots=True)
class RunnerPorts:
    """What a run needs of the world."""

    metadata: EvaluateMetadata
    releases: Releases
    system: SystemUnderTest
    recorded: RecordedAnswers
    clock: Clock
    sleep: Sleep
    tools: Tools
    traces: TraceReader = field(default_factory=NoTraces)


class Runner:
    """Asks, judges and records. One slice at a time."""

    def __init__(self, ports: RunnerPorts, settings: RunnerSettings) -> None:
        self._ports = ports
        self._settings = settings
        self._plans = RunPlans(ports.releases)
        self._recovery = Recovery(ports.metadata, ports.recorded, ports.clock, ports.sleep, grace_s=settings.grace_s)

    def run_slice(self, project_id: str, experiment_id: str, items: int | None = None) -> bool:
        """Take an experiment one slice further; return False when nothing is left to do.

        Calls that a crash cut off are looked for in the telemetry first, so that no answer is paid for twice.

        Args:
            project_id: Whose experiment.
            experiment_id: Which one; it blocks meanwhile.
            items: Only so many items, the first in its order; all, if None. It is not finished then.

        Raises:
            NotFound: If there is no such experiment.
            Conflict: If another run has claimed some of it.
        """
        with self._ports.metadata.transaction() as tx:
            experiment = tx.experiments.get(project_id, experiment_id)
            states = tx.experiments.states(project_id, experiment_id)
        if experiment is None:
            raise NotFound(f"experiment {experiment_id!r} does not exist")
        plan = self._plans.open(experiment)
        pending = self._pending(plan, states, items)
        has_rest = any(state in (TrialState.CLAIMED, TrialState.JUDGING) for state in states.values())
        if not pending and not has_rest:
            return False if items is not None else not self._finish(experiment)
        asyncio.run(self._run(plan, pending, states))
        return True

    def _pending(self, plan: RunPlan, states: States, items: int | None) -> list[tuple[str, int]]:
        most = plan.experiment.stopped_items if items is None else items
        wanted = list(plan.items.values())[:most]
        missing = (cell for cell in cells(wanted, plan.experiment.trials) if cell not in states)
        return list(islice(missing, self._settings.slice_answers))

    def _finish(self, experiment: ExperimentRecord) -> bool:
        """Return whether all is answered and judged; False if errored answers were dropped meanwhile."""
        key = (experiment.project_id, experiment.experiment_id)
        with self._ports.metadata.transaction() as tx:
            counts = tx.experiments.counts(*key)
            if counts.get(TrialState.ANSWERED, 0) + counts.get(TrialState.ERRORED, 0) < experiment.planned:
                return False
            tx.experiments.finish(*key, self._ports.clock.now_ns())
        return True

    async def _run(self, plan: RunPlan, pending: Sequence[tuple[str, int]], states: States) -> None:
        experiment = plan.experiment
        is_late = plan.needs.trace or plan.needs.other_output
        try:
            judging = await self._unfinished(plan, states)
            # Where more is needed than the answer, it is looked up for many at once, in a slice of their own.
            subject = self._late_subjects(plan, judging) if is_late else plan.subject
            groups = iter(()) if (is_late and judging) else self._groups(plan, pending)
            work = Work(plan.question, subject, judge_now=not is_late)
            options = experiment.options
            pace = Pace(
                self._ports.clock,
                self._ports.sleep,
                requests_per_s=options.requests_per_s,
                tokens_per_min=options.tokens_per_min,
            )
            asker = Asker(self._ports.system, pace, self._ports.sleep)
            with (
                Scorer(plan.evaluators, self._ports.tools, judges=self._settings.judges) as scorer,
                Journal(
                    self._ports.metadata, most_waiting=self._settings.commit_answers, is_fresh=options.is_fresh
                ) as journal,
            ):
                concurrency = options.concurrency or self._settings.concurrency
                pipeline = Pipeline(asker, scorer, journal, work, concurrency=concurrency)
                await pipeline.run(groups, judging)
        finally:
            await self._ports.system.close()

    async def _unfinished(self, plan: RunPlan, states: States) -> list[TrialRecord]:
        """Return answers that are to be judged: those of the last run, and what is found of its calls."""
        key = (plan.experiment.project_id, plan.experiment.experiment_id)
        if TrialState.CLAIMED in states.values():
            with self._ports.metadata.transaction() as tx:
                claimed = tx.experiments.trials(*key, TrialState.CLAIMED)
            await self._recovery.recover(claimed)
        elif TrialState.JUDGING not in states.values():
            return []
        with self._ports.metadata.transaction() as tx:
            return list(tx.experiments.trials(*key, TrialState.JUDGING, self._settings.slice_answers))

    def _groups(self, plan: RunPlan, pending: Sequence[tuple[str, int]]) -> Iterator[Sequence[TrialRecord]]:
        concurrency = plan.experiment.options.concurrency or self._settings.concurrency
        size = max(self._settings.commit_answers, concurrency)
        for start in range(0, len(pending), size):
            now_ns = self._ports.clock.now_ns()
            yield [plan.claim(item_id, trial, now_ns) for item_id, trial in pending[start : start + size]]

    def _late_subjects(self, plan: RunPlan, judging: Sequence[TrialRecord]) -> "SubjectOf":
        activities: Mapping[str, Activity] = {}
        others: dict[tuple[str, int], TrialRecord] = {}
        project_id = plan.experiment.project_id
        if plan.needs.trace and judging:
            activities = self._ports.traces.activities(project_id, [record.trace_id for record in judging])
        if plan.needs.other_output and judging and plan.experiment.other_experiment_id:
            with self._ports.metadata.transaction() as tx:
                found = tx.experiments.trials(project_id, plan.experiment.other_experiment_id, TrialState.ANSWERED)
            others = {(record.item_id, record.trial): record for record in found}
        return SubjectOf(plan, activities, others)


@dataclass(frozen=True, slots=True)
class SubjectOf:
    """Subjects with what was looked up for them."""

    plan: RunPlan
    activities: Mapping[str, Activity]
    others: Mapping[tuple[str, int], TrialRecord]

    def __call__(self, record: TrialRecord) -> Subject:
        """Return the subject of an answer."""
        activity = self.activities.get(record.trace_id, Activity())
        return self.plan.subject(record, activity, self.others.get((record.item_id, record.trial)))
