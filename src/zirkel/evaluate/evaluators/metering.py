"""What judging one answer takes: each call of a model named, counted and summed up, whichever kind makes it."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from zirkel.core import Errored, Json, Score, Scored
from zirkel.evaluate.chat import ChatAnswer, ChatRequest, TransientFailure
from zirkel.evaluate.code_runner import CodeAnswer, CodeSpec
from zirkel.evaluate.evaluators.kind import Tools
from zirkel.evaluate.posting import Post
from zirkel.evaluate.subject import Subject


class MeteredTools:
    """The tools for one evaluator and one answer."""

    def __init__(self, tools: Tools, evaluator: str, subject: Subject) -> None:
        self._tools = tools
        self._evaluator = evaluator
        self._subject = subject
        self._calls: list[Json] = []
        self._cost_usd: Decimal | None = Decimal(0)

    def chat(self, request: ChatRequest) -> ChatAnswer:
        """Ask as the evaluator, about the answer."""
        subject = self._subject
        try:
            answer = self._tools.chat(
                replace(
                    request,
                    project_id=subject.project_id,
                    purpose=request.purpose or self._evaluator,
                    experiment_id=subject.experiment_id,
                    item_id=subject.item.id,
                    trial=subject.trial,
                    subject_trace_id=subject.trace_id,
                )
            )
        except TransientFailure as error:
            self._add(error.cost_usd)
            raise
        self._add(answer.cost_usd)
        self._calls.append({"trace_id": answer.trace_id, "is_cached": answer.is_cached})
        return answer

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors."""
        return self._tools.embed(texts)

    def run_code(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
        """Return what a user's code says of a call."""
        return self._tools.run_code(spec, call)

    def post(self, post: Post) -> bytes:
        """Return the body that a web address answers."""
        return self._tools.post(post)

    def charge(self, score: Score) -> Score:
        """Return a score with what the calls cost, and where they are recorded."""
        cost_usd = None if score.cost_usd is None or self._cost_usd is None else score.cost_usd + self._cost_usd
        if isinstance(score, Scored) and self._calls:
            return replace(score, cost_usd=cost_usd, details={**score.details, "calls": self._calls})
        return replace(score, cost_usd=cost_usd)

    def failed(self, error: str) -> Errored:
        """Return the score of an evaluator that failed, with what the calls cost until then."""
        return Errored(error, self._cost_usd)

    def _add(self, cost_usd: Decimal | None) -> None:
        self._cost_usd = None if self._cost_usd is None or cost_usd is None else self._cost_usd + cost_usd
