"""An answer and what an evaluator says of it, for tests of the kinds."""

from zirkel.core import DatasetItem, EvaluatorSpec, JsonObject, Score, Scored
from zirkel.evaluate.evaluators import Tools, check_evaluator, score_subject
from zirkel.evaluate.subject import Subject
from zirkel.evaluate.tools import NoTools


def judge(
    kind: str,
    output: str,
    expected: str | None = None,
    options: JsonObject | None = None,
    tools: Tools | None = None,
) -> Score:
    """Return what a kind says of an output; its options are checked first, as a push would."""
    return judge_subject(kind, Subject(DatasetItem(id="1", input={}, expected=expected), output), options, tools)


def judge_subject(kind: str, subject: Subject, options: JsonObject | None = None, tools: Tools | None = None) -> Score:
    """Return what a kind says of an answer with all that is known of it."""
    spec = EvaluatorSpec(name="x", kind=kind, options=options or {})
    check_evaluator(spec)
    return score_subject(spec, subject, tools or NoTools())


def value(score: Score) -> float:
    """Return the value of a score that has one."""
    assert isinstance(score, Scored), score
    return score.value
