"""Judging answers beside asking for them: quick evaluators together, those that ask a model each by itself."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

from zirkel.core import Errored, EvaluatorSpec, Json, Score, TrialRecord, TrialState, score_to_json
from zirkel.evaluate.evaluators import Tools, score_subject
from zirkel.evaluate.needs import asks_model
from zirkel.evaluate.subject import Subject

QUICK_THREADS = 2
"""Threads of the evaluators that do not ask a model; they take the processor, not time."""


LocalJudge = Callable[[Subject], Score]
"""A function of the caller's that judges."""


class Scorer:
    """Lets evaluators judge, in threads of its own; ``with`` ends them."""

    def __init__(
        self,
        evaluators: Sequence[EvaluatorSpec],
        tools: Tools,
        *,
        judges: int,
        functions: Mapping[str, LocalJudge] | None = None,
    ) -> None:
        """Prepare for evaluators of one plan.

        Args:
            evaluators: What judges.
            tools: What they may use.
            judges: How many models are asked at once.
            functions: What judges in the place of an evaluator's kind, by evaluator.
        """
        self._functions = functions or {}
        self._quick = [spec for spec in evaluators if not asks_model(spec)]
        self._slow = [spec for spec in evaluators if asks_model(spec)]
        self._tools = tools
        self._quick_pool = ThreadPoolExecutor(QUICK_THREADS, thread_name_prefix="evaluators")
        self._slow_pool = ThreadPoolExecutor(judges, thread_name_prefix="judges")

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._quick_pool.shutdown(cancel_futures=True)
        self._slow_pool.shutdown(cancel_futures=True)

    async def judge(self, record: TrialRecord, subject: Subject) -> TrialRecord:
        """Return the answer with all of its scores; evaluators that have judged it already are not asked again."""
        done = {name: score for name, score in (record.scores or {}).items() if score.get("state") != "errored"}
        groups: list[tuple[Executor, list[EvaluatorSpec]]] = [
            (self._quick_pool, [spec for spec in self._quick if spec.name not in done]),
            *((self._slow_pool, [spec]) for spec in self._slow if spec.name not in done),
        ]
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(pool, self._score, specs, subject) for pool, specs in groups if specs]
        found = {name: score for part in await asyncio.gather(*jobs) for name, score in part.items()}
        return _judged(record, done, found)

    def _score(self, specs: Sequence[EvaluatorSpec], subject: Subject) -> dict[str, Score]:
        return {spec.name: self._score_one(spec, subject) for spec in specs}

    def _score_one(self, spec: EvaluatorSpec, subject: Subject) -> Score:
        function = self._functions.get(spec.name)
        if function is None:
            return score_subject(spec, subject, self._tools)
        try:
            return function(subject)
        except Exception as error:  # noqa: BLE001 (somebody else's code: what it raises is recorded)
            return Errored(f"{type(error).__name__}: {error}")


def _judged(record: TrialRecord, done: Mapping[str, Mapping[str, Json]], found: Mapping[str, Score]) -> TrialRecord:
    spent: Decimal | None = record.judges_usd
    for score in found.values():
        spent = None if spent is None or score.cost_usd is None else spent + score.cost_usd
    scores = {**done, **{name: score_to_json(score) for name, score in found.items()}}
    return replace(
        record,
        state=TrialState.ANSWERED,
        scores=dict(sorted(scores.items())),
        judges_usd=spent,
        errored_scores=sum(score.get("state") == "errored" for score in scores.values()),
    )
