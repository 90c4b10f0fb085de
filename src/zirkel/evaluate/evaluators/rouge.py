"""ROUGE: words and word sequences that output and expected output share."""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import msgspec

from zirkel.core import Score, Scored, Unscored
from zirkel.evaluate.evaluators.grading import grade, threshold_problem
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer


class RougeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``rouge``."""

    variant: Literal["rouge1", "rouge2", "rougeL", "rougeLsum"] = "rougeL"
    """Single words, pairs of words, the longest common subsequence, or that by lines."""
    measure: Literal["f1", "precision", "recall"] = "f1"
    """Share of the output's words that are expected, share of the expected ones that are there, or both together."""
    stemming: bool = False
    """English words count as the same if Porter's stemmer makes them so."""
    threshold: float | None = None
    """Smallest value that passes; the score is 1 or 0 then, with the value in the details."""


def score(options: RougeOptions, subject: Subject, _: Tools) -> Score:
    """Return the ROUGE value of the output against the expected output, from 0 to 1.

    The reference tokeniser lowers case and knows the letters a to z and the digits alone: an expected output without
    any of them is unscored, and text in other alphabets counts for nothing. An item without an expected output is
    unscored.

    Source: Lin (2004), ROUGE: A Package for Automatic Evaluation of Summaries; computed by rouge-score.
    """
    expected = subject.item.expected
    if expected is None:
        return Unscored("the item has no expected output")
    if not any(letter.isascii() and letter.isalnum() for letter in expected):
        return Unscored("the expected output has no word that ROUGE's tokeniser knows; chrf works in every alphabet")
    found = _scorer(options.variant, options.stemming).score(expected, subject.output)[options.variant]
    value = {"f1": found.fmeasure, "precision": found.precision, "recall": found.recall}[options.measure]
    graded = grade(value, options.threshold)
    details = {"precision": found.precision, "recall": found.recall, "f1": found.fmeasure}
    return Scored(graded.value, details={**graded.details, **details})


@lru_cache(maxsize=8)
def _scorer(variant: str, stemming: bool) -> "RougeScorer":
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 (takes a second to load)

    return RougeScorer([variant], use_stemmer=stemming)


KIND = EvaluatorKind(
    "rouge",
    "shares words with the expected output (ROUGE)",
    RougeOptions,
    score,
    check=lambda options: threshold_problem(options.threshold),
)
