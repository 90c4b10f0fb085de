"""After a crash: answers that were under way are looked for in the telemetry before anything is asked again."""

from collections.abc import Sequence
from dataclasses import replace

from zirkel.core import Clock, TrialRecord
from zirkel.evaluate.pace import Sleep
from zirkel.evaluate.pipeline import with_outcome
from zirkel.evaluate.ports import EvaluateMetadata, RecordedAnswers

LOOK_EVERY_S = 0.5


class Recovery:
    """Finishes claims that the last run left."""

    def __init__(
        self, metadata: EvaluateMetadata, recorded: RecordedAnswers, clock: Clock, sleep: Sleep, *, grace_s: float
    ) -> None:
        """Prepare; ``grace_s`` is how long an answer on its way may take to arrive in the telemetry."""
        self._metadata = metadata
        self._recorded = recorded
        self._clock = clock
        self._sleep = sleep
        self._grace_s = grace_s

    async def recover(self, claimed: Sequence[TrialRecord]) -> list[TrialRecord]:
        """Return the answers that were found, written and still to be judged; what was not found is freed."""
        deadline_ns = self._clock.now_ns() + int(self._grace_s * 1e9)
        found: list[TrialRecord] = []
        missing = list(claimed)
        while missing:
            recorded = self._recorded.recorded(missing[0].project_id, missing[0].experiment_id)
            came = [claim for claim in missing if claim.trace_id in recorded]
            answers = [with_outcome(replace(claim, is_recovered=True), recorded[claim.trace_id]) for claim in came]
            if answers:
                with self._metadata.transaction() as tx:
                    tx.experiments.answer_all(answers)
            found += answers
            missing = [claim for claim in missing if claim.trace_id not in recorded]
            if self._clock.now_ns() >= deadline_ns:
                break
            if missing:
                await self._sleep(LOOK_EVERY_S)
        with self._metadata.transaction() as tx:
            tx.experiments.release(missing)
        return found
