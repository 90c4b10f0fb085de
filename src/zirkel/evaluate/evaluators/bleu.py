"""BLEU of one text: word sequences of the output that are in the expected output."""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import msgspec

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.grading import grade, threshold_problem
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU


class BleuOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``bleu``."""

    tokenizer: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """What a word is: as in WMT's evaluations, for all alphabets, for Chinese, each character, or by white space."""
    lowercase: bool = False
    """Upper and lower case count as the same."""
    smoothing: Literal["exp", "floor", "add-k", "none"] = "exp"
    """What stands in for sequences of a length of which none matches; with `none` the value is 0 then."""
    threshold: float | None = None
    """Smallest value that passes; the score is 1 or 0 then, with the value in the details."""


def score(options: BleuOptions, subject: Subject, _: Tools) -> Score:
    """Return BLEU of the output against the expected output, as a share of 1 (papers give a share of 100).

    Sequences of up to four words, of fewer where the texts are shorter; both texts empty is 1. The mean over items is
    not the corpus BLEU that papers give. An item without an expected output is unscored.

    Source: Papineni et al. (2002), BLEU, section 2; Chen and Cherry (2014) for smoothing; computed by sacrebleu.
    """
    expected = subject.item.expected
    if expected is None:
        return Unscored("the item has no expected output")
    if not expected.strip() and not subject.output.strip():
        return grade(1.0, options.threshold)
    metric = _metric(options.tokenizer, options.lowercase, options.smoothing)
    return grade(metric.sentence_score(subject.output, [expected]).score / 100, options.threshold)


@lru_cache(maxsize=16)
def _metric(tokenizer: str, lowercase: bool, smoothing: str) -> "BLEU":
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415 (loaded where it is used: the core starts without it)

    return BLEU(tokenize=tokenizer, lowercase=lowercase, smooth_method=smoothing, effective_order=True)


KIND = EvaluatorKind(
    "bleu",
    "shares word sequences with the expected output (BLEU)",
    BleuOptions,
    score,
    check=lambda options: threshold_problem(options.threshold),
)
