"""A judge that answers from a script, and remembers what it was asked."""

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from zirkel.core import DatasetItem, EvaluatorSpec, Score
from zirkel.evaluate.chat import ChatAnswer, ChatRequest
from zirkel.evaluate.code_runner import CodeAnswer, CodeSpec
from zirkel.evaluate.evaluators import score_subject
from zirkel.evaluate.posting import Post
from zirkel.evaluate.subject import Subject

Script = Callable[[ChatRequest], str]
CALL_USD = Decimal("0.01")
_FENCED = re.compile(r"<<<(\w+) ([0-9a-f]{16})>>>\n(.*?)\n<<<end \1 \2>>>", re.DOTALL)


class ScriptedTools:
    """Each call costs ``CALL_USD``. A script may raise what ``Tools.chat`` raises."""

    def __init__(self, *answers: str | Script) -> None:
        """Answer with ``answers`` in turn, the last one for all that follow."""
        self._answers = list(answers)
        self.asked: list[ChatRequest] = []

    def chat(self, request: ChatRequest) -> ChatAnswer:
        self.asked.append(request)
        said = self._answers[min(len(self.asked), len(self._answers)) - 1]
        text = said if isinstance(said, str) else said(request)
        return ChatAnswer(text, CALL_USD, f"{len(self.asked):032x}")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise AssertionError(f"a judge embeds nothing, not {texts}")

    def run_code(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
        raise AssertionError(f"a judge runs no code, not {spec} on {call!r}")

    def post(self, post: Post) -> bytes:
        raise AssertionError(f"a judge posts nothing, not {post}")


def judge(kind: str, subject: Subject, tools: ScriptedTools, **options: object) -> Score:
    """Return what an evaluator named ``e`` says."""
    named = {} if kind == "jury" else {"model": "up/judge"}
    return score_subject(EvaluatorSpec(name="e", kind=kind, options={**named, **options}), subject, tools)


def subject_of(
    output: str, *, expected: str | None = None, contexts: Sequence[str] = (), other: str | None = None
) -> Subject:
    item = DatasetItem(id="i1", input={"question": "Where is Bonn?"}, expected=expected, contexts=list(contexts))
    return Subject(item, output, other_output=other, project_id="p", experiment_id="x", trial=2, trace_id="ab" * 16)


def findings(prefix: str, *answers: bool | str) -> str:
    """Return a judge's answer to numbered yes-or-no questions."""
    words = {True: "yes", False: "no"}
    said = [words[one] if isinstance(one, bool) else one for one in answers]
    return json.dumps({f"{prefix}_{n}": {"reason": f"reason {n}", "answer": one} for n, one in enumerate(said, 1)})


def sections(request: ChatRequest) -> dict[str, str]:
    """Return the material that a judge was shown, by name."""
    return {name: text for name, _, text in _FENCED.findall(request.messages[1].content)}


def outside(request: ChatRequest) -> str:
    """Return what a judge was told outside the material: what an obedient model would follow."""
    return "\n".join([request.messages[0].content, _FENCED.sub("", request.messages[1].content)])
