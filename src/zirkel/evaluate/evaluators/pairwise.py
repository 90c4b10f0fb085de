"""A model says which of two answers is better: the one under test, or the baseline's to the same item.

Judges favour a place: of the same two answers many prefer whichever comes first. So both orders are asked, and only a
verdict that is the same in both counts.

Source: Zheng et al. (2023), "Judging LLM-as-a-Judge", section 3.4, arXiv:2306.05685.
"""

from dataclasses import dataclass
from typing import Literal

from zirkel.core import Json, Score, Scored, Unscored
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.judging import ModelOptions, Presence, ask_judge, check_asking, input_section
from zirkel.evaluate.judging_answer import choice_form
from zirkel.evaluate.judging_material import Section, check_placeholders, judge_messages
from zirkel.evaluate.subject import Subject

PLACEHOLDERS = ("input", "reference", "first", "second")
_INSTRUCTIONS = "Two programs answered the same input. Judge which answer is better."
_REFERENCE = "\n\nThe reference is a right answer. An answer may put it in other words, and may say more."
_CRITERIA = "It does what the input asks for, is right, and leaves out what was not asked for."
_ASK = """\
Compare the answers called first and second by this, and by nothing else:
{criteria}

Which of them comes first means nothing, and a longer answer is not better for its length. Write first a short reason \
that names the difference that decides, then "first" or "second", or "tie" if neither is better."""
_VALUES = {"output": 1.0, "tie": 0.5, "other": 0.0}
_LABELS = {"output": "win", "tie": "tie", "other": "loss"}
Winner = Literal["output", "other", "tie"]


class PairwiseOptions(ModelOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``pairwise``."""

    criteria: str = _CRITERIA
    """What makes an answer better."""
    instructions: str = ""
    """Instead of the built-in ones; may place the material by ``{{ first }}`` and the like."""
    reference: Presence = "if_present"
    """Whether the item's expected output is shown."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the judge said in one order."""

    first: Literal["output", "other"]
    said: str
    """``first``, ``second`` or ``tie``."""
    reason: str

    @property
    def winner(self) -> Winner:
        second: Winner = "other" if self.first == "output" else "output"
        return {"first": self.first, "second": second}.get(self.said, "tie")

    def details(self) -> dict[str, Json]:
        return {"first": self.first, "said": self.said, "winner": self.winner, "reason": self.reason}


def score(options: PairwiseOptions, subject: Subject, tools: Tools) -> Score:
    """Return 1 if the answer under test wins in both orders, 0 if the baseline's does, else 0.5.

    Two answers that are the same text are a tie, and nobody is asked. The details have both verdicts with the places,
    and the lengths in characters: what statistics of position and length bias are made of.
    """
    other = subject.other_output
    if other is None:
        return Unscored("there is no baseline's answer to compare with")
    if options.reference == "required" and subject.item.expected is None:
        return Unscored("the item has no expected output")
    lengths: dict[str, Json] = {"output_length": len(subject.output), "other_length": len(other)}
    if subject.output.strip() == other.strip():
        return Scored(0.5, "tie", "both answers are the same", {"orders": [], **lengths})
    verdicts = [_compare(options, subject, other, tools, first) for first in ("output", "other")]
    winners = {verdict.winner for verdict in verdicts}
    winner: Winner = winners.pop() if len(winners) == 1 else "tie"
    reason = verdicts[0].reason if not winners else "the judge's verdict changed with the order"
    details: dict[str, Json] = {"orders": [verdict.details() for verdict in verdicts], **lengths}
    return Scored(_VALUES[winner], _LABELS[winner], reason, details)


def _compare(
    options: PairwiseOptions, subject: Subject, other: str, tools: Tools, first: Literal["output", "other"]
) -> _Verdict:
    texts = (subject.output, other) if first == "output" else (other, subject.output)
    expected = subject.item.expected if options.reference != "none" else None
    material = {
        "input": [input_section(subject, options.input)],
        "reference": [Section("reference", expected)] if expected is not None else [],
        "first": [Section("first", texts[0])],
        "second": [Section("second", texts[1])],
    }
    form = choice_form("better", ["first", "second", "tie"])
    told = options.instructions or _INSTRUCTIONS + (_REFERENCE if expected is not None else "")
    criteria = f"{_ASK.format(criteria=options.criteria.strip())}\n\n{form.words}"
    said, reason = ask_judge(tools, options, options.model, judge_messages(told, material, criteria), form)
    return _Verdict(first, said, reason)


def check(options: PairwiseOptions) -> str:
    """Return what is wrong with the options, empty if nothing is."""
    if not options.criteria.strip():
        return "criteria: they say what makes an answer better"
    return check_asking(options, [options.model]) or check_placeholders(
        options.instructions, PLACEHOLDERS, ("first", "second")
    )


KIND = EvaluatorKind(
    "pairwise",
    "a model compares with the baseline's answer, in both orders",
    PairwiseOptions,
    score,
    check=check,
    uses_model=True,
    needs=frozenset({"other_output"}),
)
