"""Does the answer address what was asked? A fixed rubric of four yes-or-no items.

The usual other way has a model guess questions from the answer and compares their embeddings with the input. That
measure moves with the embedding model, punishes other words for the same thing, gives no reasons, and cannot be checked
against people's labels item by item. A rubric of yes-or-no items can, like every other judge.
"""

from zirkel.core import Score
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.judging import ModelOptions, check_asking
from zirkel.evaluate.judging_question import QuestionOptions, RubricItem, ask_question, score_ballot
from zirkel.evaluate.subject import Subject

_INSTRUCTIONS = """\
Judge whether the answer that a program gave addresses the input. Whether it is true does not matter here."""
RUBRIC = (
    RubricItem("addresses", "It responds to what the input asks for, and not to something else.", must=True),
    RubricItem("complete", "It responds to every part of what the input asks for."),
    RubricItem("focused", "It has nothing that the input does not ask for and that does not help with it."),
    RubricItem("committed", "It gives an answer, or says plainly what is missing to give one; it does not evade."),
)


class AnswerRelevanceOptions(ModelOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``answer_relevance``."""


def score(options: AnswerRelevanceOptions, subject: Subject, tools: Tools) -> Score:
    """Return the share of the rubric that is satisfied; 0 if the answer responds to something else."""
    question = QuestionOptions(
        parameters=options.parameters,
        temperature=options.temperature,
        max_tokens=options.max_tokens,
        answer_format=options.answer_format,
        input=options.input,
        rubric=RUBRIC,
        instructions=_INSTRUCTIONS,
        reference="none",
    )
    return score_ballot(question, ask_question(question, subject, tools, options.model))


def check(options: AnswerRelevanceOptions) -> str:
    """Return what is wrong with the options, empty if nothing is."""
    return check_asking(options, [options.model])


KIND = EvaluatorKind(
    "answer_relevance",
    "share of a fixed rubric of relevance that the answer satisfies",
    AnswerRelevanceOptions,
    score,
    check=check,
    uses_model=True,
)
