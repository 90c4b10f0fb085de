"""chrF of one text: sequences of characters that output and expected output share."""

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.grading import grade, threshold_problem
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF


class ChrfOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``chrf``."""

    characters: int = 6
    """Longest sequence of characters."""
    words: int = 0
    """Longest sequence of words; 2 gives chrF++."""
    beta: int = 2
    """How many times as much recall counts as precision."""
    lowercase: bool = False
    """Upper and lower case count as the same."""
    threshold: float | None = None
    """Smallest value that passes; the score is 1 or 0 then, with the value in the details."""


def score(options: ChrfOptions, subject: Subject, _: Tools) -> Score:
    """Return chrF of the output against the expected output, as a share of 1 (papers give a share of 100).

    White space is no character. Works in every alphabet. Both texts empty is 1. An item without an expected output is
    unscored.

    Source: Popović (2015), chrF, equation 1; Popović (2017) for chrF++; computed by sacrebleu.
    """
    expected = subject.item.expected
    if expected is None:
        return Unscored("the item has no expected output")
    if not expected.strip() and not subject.output.strip():
        return grade(1.0, options.threshold)
    metric = _metric(options.characters, options.words, options.beta, options.lowercase)
    return grade(metric.sentence_score(subject.output, [expected]).score / 100, options.threshold)


@lru_cache(maxsize=16)
def _metric(characters: int, words: int, beta: int, lowercase: bool) -> "CHRF":
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415 (loaded where it is used: the core starts without it)

    return CHRF(char_order=characters, word_order=words, beta=beta, lowercase=lowercase)


def _check(options: ChrfOptions) -> str:
    if not 1 <= options.characters <= 20 or not 0 <= options.words <= 10 or not 1 <= options.beta <= 100:
        return "characters is from 1 to 20, words from 0 to 10, beta from 1 to 100"
    return threshold_problem(options.threshold)


KIND = EvaluatorKind(
    "chrf", "shares character sequences with the expected output (chrF)", ChrfOptions, score, check=_check
)
