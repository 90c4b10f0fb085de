"""Two experiments that belong together: whose slice is next, and when both may stop."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from zirkel.core import Clock, DatasetItem, ExperimentRecord, ExperimentState, Json, NotFound, TrialState
from zirkel.evaluate.early_stop import is_decided
from zirkel.evaluate.identity import item_order
from zirkel.evaluate.ports import EvaluateMetadata, Releases

BLOCK_ITEMS = 64
"""Items between two looks at whether it is decided."""
ACTOR = "experiments"
"""Who stops, in the ledger."""
_DONE = (TrialState.ANSWERED, TrialState.ERRORED)


class SliceRunner(Protocol):
    """Takes an experiment one slice further."""

    def run_slice(self, project_id: str, experiment_id: str, items: int | None = None) -> bool:
        """Return False when nothing is left to do, of the first ``items`` or of all."""
        ...


class Turns:
    """Runs experiments that stand alone as they are, and a candidate's together with its baseline's.

    Where evaluators compare, the baseline goes first: its answers are what the candidate's are compared with. Where
    both may stop early they go block by block, in one random order of items, and stop between two blocks.
    """

    def __init__(
        self,
        metadata: EvaluateMetadata,
        releases: Releases,
        runner: SliceRunner,
        clock: Clock,
        *,
        block_items: int = BLOCK_ITEMS,
    ) -> None:
        self._metadata = metadata
        self._releases = releases
        self._runner = runner
        self._clock = clock
        self._block_items = block_items

    def run_slice(self, project_id: str, experiment_id: str) -> bool:
        """Take an experiment, or the one that it waits for, one slice further; return False when nothing is left.

        Raises:
            NotFound: If there is no such experiment.
            Conflict: If another run has claimed some of it.
        """
        with self._metadata.transaction() as tx:
            ours = tx.experiments.get(project_id, experiment_id)
            if ours is None:
                raise NotFound(f"experiment {experiment_id!r} does not exist")
            theirs = tx.experiments.get(project_id, ours.other_experiment_id) if ours.other_experiment_id else None
        # What was stopped has nothing left but what failed.
        if theirs is None or ours.stopped_items is not None:
            return self._runner.run_slice(project_id, experiment_id)
        if ours.options.early_stop:
            return self._run_block(ours, theirs)
        if theirs.state == ExperimentState.RUNNING and self._runner.run_slice(project_id, theirs.experiment_id):
            return True
        return self._runner.run_slice(project_id, experiment_id)

    def _run_block(self, ours: ExperimentRecord, theirs: ExperimentRecord) -> bool:
        items = item_order(self._releases.dataset(ours.project_id, ours.dataset_digest), ours.options.seed)
        done, theirs_done = self._whole_items(ours, items), self._whole_items(theirs, items)
        # Whole blocks only: what is looked at never depends on which answers came first.
        may_look = 0 < done < len(items) and done % self._block_items == 0 and theirs_done >= done
        if may_look and self._decide(ours, theirs, items[:done]):
            return False
        target = min(len(items), (done // self._block_items + 1) * self._block_items)
        behind = theirs if theirs_done < target else ours
        if done == len(items):
            return self._runner.run_slice(theirs.project_id, theirs.experiment_id) or self._runner.run_slice(
                ours.project_id, ours.experiment_id
            )
        self._runner.run_slice(behind.project_id, behind.experiment_id, target)
        return True

    def _whole_items(self, experiment: ExperimentRecord, items: Sequence[DatasetItem]) -> int:
        """Return how many items, from the first on, have all their answers and scores."""
        with self._metadata.transaction() as tx:
            states = tx.experiments.states(experiment.project_id, experiment.experiment_id)
        for count, item in enumerate(items):
            if any(states.get((item.id, trial)) not in _DONE for trial in range(experiment.trials)):
                return count
        return len(items)

    def _decide(self, ours: ExperimentRecord, theirs: ExperimentRecord, items: Sequence[DatasetItem]) -> bool:
        """Stop both if these items decide the gate, and return whether they do."""
        gate = self._releases.open(ours.project_id, ours.release).gate
        evaluators = self._releases.evaluators(ours.project_id, ours.evaluators_digest)
        with self._metadata.transaction() as tx:
            our_trials = tx.experiments.trials(ours.project_id, ours.experiment_id)
            their_trials = tx.experiments.trials(theirs.project_id, theirs.experiment_id)
        if not is_decided(gate, evaluators, items, our_trials, their_trials):
            return False
        self._stop(ours, theirs, len(items))
        return True

    def _stop(self, ours: ExperimentRecord, theirs: ExperimentRecord, items: int) -> None:
        payload: Json = {
            "experiment_id": ours.experiment_id,
            "baseline_experiment_id": theirs.experiment_id,
            "items": items,
            "of_items": ours.items,
            "seed": ours.options.seed,
        }
        with self._metadata.transaction() as tx:
            for record in (ours, theirs):
                # A baseline that is finished already has more than this candidate needs.
                if record.state == ExperimentState.RUNNING:
                    tx.experiments.replan(_stopped(record, items, self._clock.now_ns()))
            tx.ledger.append(ours.project_id, ACTOR, "experiment_stopped", payload)


def _stopped(record: ExperimentRecord, items: int, now_ns: int) -> ExperimentRecord:
    return replace(record, state=ExperimentState.FINISHED, finished_ns=now_ns, stopped_items=items)
