"""Does the output mean what the expected output means, by a local model?"""

import msgspec

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.grading import grade, threshold_problem
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject


class EmbeddingSimilarityOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``embedding_similarity``."""

    threshold: float | None = None
    """Smallest similarity that passes; the score is 1 or 0 then, with the similarity in the details."""


def score(options: EmbeddingSimilarityOptions, subject: Subject, tools: Tools) -> Score:
    """Return the cosine of the two texts' vectors, from 0 (unrelated, or opposite in direction) to 1 (the same).

    It tells topics apart, and neither truth from falsehood nor "is" from "is not". The model reads English. Costs no
    call of a model behind the gateway, and needs the extra ``semantic``. An item without an expected output is
    unscored.

    Source: Reimers and Gurevych (2019), Sentence-BERT, section 3.
    """
    if subject.item.expected is None:
        return Unscored("the item has no expected output")
    output, expected = tools.embed([subject.output, subject.item.expected])
    return grade(float(output @ expected), options.threshold)


KIND = EvaluatorKind(
    "embedding_similarity",
    "means what the expected output means, by a local model",
    EmbeddingSimilarityOptions,
    score,
    check=lambda options: threshold_problem(options.threshold),
)
