"""What a run writes: many answers, scores and claims in one commit, since each commit waits for the disk."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from zirkel.core import TrialRecord, TrialState
from zirkel.evaluate.ports import EvaluateMetadata

_Key = tuple[str, int]


class Journal:
    """Writes the trials of one experiment; ``commit`` returns when they are on disk. Belongs to one event loop.

    What is not committed when the process is killed is asked of the telemetry, or judged again: see ``recovery``.
    """

    def __init__(self, metadata: EvaluateMetadata, *, most_waiting: int, is_fresh: bool = False) -> None:
        """Prepare.

        Args:
            metadata: Where to write.
            most_waiting: From so many records on ``is_full`` says that it is time to commit.
            is_fresh: Whether answers from before are not used.
        """
        self._metadata = metadata
        self._is_fresh = is_fresh
        self._most_waiting = most_waiting
        self._waiting: dict[_Key, TrialRecord] = {}
        self._claimed: set[_Key] = set()
        self._turn = asyncio.Lock()
        # One thread: the store's transactions are written one after the other anyway.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._pool.shutdown()

    @property
    def is_full(self) -> bool:
        """Whether enough is waiting for a commit of its own."""
        return len(self._waiting) >= self._most_waiting

    def note(self, record: TrialRecord) -> None:
        """Take an answer or its scores for the next commit; of one trial the last one counts."""
        self._waiting[_key(record)] = record

    async def commit(self, claims: Sequence[TrialRecord] = ()) -> list[TrialRecord]:
        """Write what is waiting, and claim answers; return the claims as they stand now.

        A claim that has an answer from before comes back with it, to be judged; the others are to be asked.

        Raises:
            Conflict: If one is claimed by another run.
        """
        async with self._turn:
            waiting, self._waiting = self._waiting, {}
            answers = [record for key, record in waiting.items() if key in self._claimed]
            scores = [record for key, record in waiting.items() if key not in self._claimed]
            self._claimed.difference_update(waiting)
            if not (answers or scores or claims):
                return []
            loop = asyncio.get_running_loop()
            taken = await loop.run_in_executor(self._pool, self._write, answers, scores, claims)
            self._claimed.update(_key(record) for record in taken if record.state == TrialState.CLAIMED)
            return taken

    def _write(
        self, answers: Sequence[TrialRecord], scores: Sequence[TrialRecord], claims: Sequence[TrialRecord]
    ) -> list[TrialRecord]:
        with self._metadata.transaction() as tx:
            tx.experiments.answer_all(answers)
            tx.experiments.judge_all(scores)
            keys = [claim.answer_key for claim in claims if claim.answer_key and not self._is_fresh]
            known = tx.experiments.find_answers(claims[0].project_id, keys) if keys else {}
            taken = [with_answer(claim, known) for claim in claims]
            tx.experiments.claim(taken)
        return taken


def with_answer(claim: TrialRecord, known: Mapping[str, TrialRecord]) -> TrialRecord:
    """Return a claim with the answer that was given before, if there is one: it is not paid again."""
    earlier = known.get(claim.answer_key)
    if earlier is None:
        return claim
    return replace(
        claim,
        state=TrialState.JUDGING,
        # The answer is that call's, and so is what the call did.
        trace_id=earlier.trace_id,
        output=earlier.output,
        tool_calls=earlier.tool_calls,
        cost_usd=earlier.cost_usd,
        duration_ms=earlier.duration_ms,
        input_tokens=earlier.input_tokens,
        output_tokens=earlier.output_tokens,
        is_cached=True,
    )


def _key(record: TrialRecord) -> _Key:
    return record.item_id, record.trial
