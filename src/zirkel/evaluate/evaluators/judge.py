"""A model judges the answer: by a rubric of yes-or-no items, on a scale, or by category."""

from zirkel.core import Score
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.judging import check_asking
from zirkel.evaluate.judging_question import (
    QuestionOptions,
    ask_question,
    check_question,
    missing_material,
    score_ballot,
)
from zirkel.evaluate.subject import Subject


class JudgeOptions(QuestionOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``judge``."""

    model: str
    """``UPSTREAM/MODEL``."""


def score(options: JudgeOptions, subject: Subject, tools: Tools) -> Score:
    """Return what the judge says, from 0 to 1.

    Of a rubric it is the weighted share of the items that are satisfied, and 0 if one that must be is not; of a scale
    the place between its ends, with the number as label; of categories the value of the one chosen, with its label.
    """
    missing = missing_material(options, subject)
    return missing or score_ballot(options, ask_question(options, subject, tools, options.model))


def check(options: JudgeOptions) -> str:
    """Return what is wrong with the options, empty if nothing is."""
    return check_asking(options, [options.model]) or check_question(options)


KIND = EvaluatorKind(
    "judge", "a model judges by a rubric, on a scale or by category", JudgeOptions, score, check=check, uses_model=True
)
