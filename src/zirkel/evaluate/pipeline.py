"""Asking and judging side by side: so many calls at once, and judges that follow at their own speed."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from zirkel.core import TrialRecord, TrialState
from zirkel.evaluate.asking import Asker
from zirkel.evaluate.ports import Answer, Question
from zirkel.evaluate.scoring import Scorer
from zirkel.evaluate.subject import Subject
from zirkel.lib.tasks import OwnedTasks

JUDGED_AT_ONCE = 32
"""Answers that are with the evaluators at the same time; how many models those ask at once is bounded apart."""
MOST_UNJUDGED = 1024
"""Answers that may wait for slow judges in memory before asking waits, too."""


class TrialJournal(Protocol):
    """Where trials are written; ``journal.Journal`` on disk."""

    @property
    def is_full(self) -> bool:
        """Whether enough is waiting for a commit of its own."""
        ...

    def note(self, record: TrialRecord) -> None:
        """Take an answer or its scores for the next commit."""
        ...

    async def commit(self, claims: Sequence[TrialRecord] = ()) -> list[TrialRecord]:
        """Write what is waiting, and claim answers; return the claims as they stand now."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """What a pipeline does to the trials of one experiment."""

    question: Callable[[TrialRecord], Question]
    subject: Callable[[TrialRecord], Subject]
    judge_now: bool
    """Whether answers are judged as they come; else they stay to be judged, when more is known of them."""


class Pipeline:
    """Takes trials through asking, judging and writing. Used once."""

    def __init__(self, asker: Asker, scorer: Scorer, journal: TrialJournal, work: Work, *, concurrency: int) -> None:
        self._asker = asker
        self._scorer = scorer
        self._journal = journal
        self._work = work
        self._concurrency = concurrency
        self._claims: asyncio.Queue[TrialRecord | None] = asyncio.Queue(2 * concurrency)
        self._answers: asyncio.Queue[TrialRecord | None] = asyncio.Queue(MOST_UNJUDGED)
        self._news = asyncio.Event()

    async def run(self, groups: Iterator[Sequence[TrialRecord]], judging: Sequence[TrialRecord]) -> None:
        """Judge answers that are there, claim and ask the groups one after the other, and judge and write all.

        A group is claimed while the one before is being asked, so that no call waits for the disk.

        Raises:
            Conflict: If another run has claimed some of it.
        """
        tasks = OwnedTasks()
        writing = tasks.start(self._write(), name="experiment writes")
        judges = [tasks.start(self._judge_all(), name="experiment judges") for _ in range(JUDGED_AT_ONCE)]
        asking = [tasks.start(self._ask_all(), name="experiment asks") for _ in range(self._concurrency)]
        try:
            feeding = tasks.start(self._feed(groups, judging), name="experiment claims")
            await _all_or_first_error([feeding, *asking, writing], until=[feeding, *asking])
            for _ in judges:
                await self._answers.put(None)
            await _all_or_first_error([*judges, writing], until=judges)
            await self._journal.commit()
        finally:
            await tasks.close(grace_s=0)

    async def _feed(self, groups: Iterator[Sequence[TrialRecord]], judging: Sequence[TrialRecord]) -> None:
        for record in judging:
            await self._answers.put(record)
        for group in groups:
            for record in await self._journal.commit(group):
                if record.state == TrialState.CLAIMED:
                    await self._claims.put(record)
                elif self._work.judge_now:
                    await self._answers.put(record)
        for _ in range(self._concurrency):
            await self._claims.put(None)

    async def _ask_all(self) -> None:
        while (claim := await self._claims.get()) is not None:
            answer = await self._asker.ask(self._work.question(claim))
            record = with_outcome(claim, answer)
            self._note(record)
            if self._work.judge_now and record.state == TrialState.JUDGING:
                await self._answers.put(record)

    async def _judge_all(self) -> None:
        while (record := await self._answers.get()) is not None:
            self._note(await self._scorer.judge(record, self._work.subject(record)))

    def _note(self, record: TrialRecord) -> None:
        self._journal.note(record)
        if self._journal.is_full:
            self._news.set()

    async def _write(self) -> None:
        """Commit whenever enough is waiting, and soon after anything is, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(COMMIT_EVERY_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            await self._journal.commit()


COMMIT_EVERY_S = 0.25
"""How long an answer waits for others to be written with it."""


def with_outcome(claim: TrialRecord, answer: Answer) -> TrialRecord:
    """Return a claimed trial with what the system said: to be judged, or errored."""
    return replace(
        claim,
        state=TrialState.ERRORED if answer.error else TrialState.JUDGING,
        output=_storable(answer.output),
        error=_storable(answer.error),
        cost_usd=answer.cost_usd,
        duration_ms=answer.duration_ms,
        tool_calls=tuple(
            {"name": _storable(call.name), "arguments": _storable(call.arguments), "call_id": _storable(call.call_id)}
            for call in answer.tool_calls
        ),
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
    )


async def _all_or_first_error(tasks: Sequence["asyncio.Task[None]"], until: Sequence["asyncio.Task[None]"]) -> None:
    """Return when ``until`` have ended.

    Raises:
        Exception: What one of ``tasks`` ended with.
    """
    waiting = set(until)
    while waiting:
        await asyncio.wait({*tasks} - {task for task in tasks if task.done()}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        waiting = {task for task in waiting if not task.done()}


def _storable(text: str) -> str:
    """Return ``text`` without what no database takes: halves of surrogate pairs and NUL characters."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")
