"""How much of the expected text would have to be edited to get the output."""

from typing import Literal

import msgspec

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.grading import grade, threshold_problem
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject


class EditSimilarityOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``edit_similarity``."""

    by: Literal["characters", "words"] = "characters"
    """What one edit inserts, deletes or replaces."""
    ignore_case: bool = False
    """Upper and lower case count as the same."""
    threshold: float | None = None
    """Smallest similarity that passes; the score is 1 or 0 then, with the similarity in the details."""


def score(options: EditSimilarityOptions, subject: Subject, _: Tools) -> Score:
    """Return 1 - (Levenshtein distance / length of the longer text), from 0 (nothing alike) to 1 (equal).

    White space around both texts is ignored; two empty texts are equal. An item without an expected output is unscored.

    Source: Levenshtein (1966); computed by rapidfuzz.
    """
    if subject.item.expected is None:
        return Unscored("the item has no expected output")
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415 (loaded where it is used: the core starts without it)

    output, expected = subject.output.strip(), subject.item.expected.strip()
    if options.ignore_case:
        output, expected = output.casefold(), expected.casefold()
    if options.by == "words":
        return grade(Levenshtein.normalized_similarity(output.split(), expected.split()), options.threshold)
    return grade(Levenshtein.normalized_similarity(output, expected), options.threshold)


KIND = EvaluatorKind(
    "edit_similarity",
    "is like the expected output, letter by letter or word by word",
    EditSimilarityOptions,
    score,
    check=lambda options: threshold_problem(options.threshold),
)
