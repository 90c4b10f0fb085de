"""Judged by people."""

import msgspec

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject


class HumanOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``human``."""

    question: str = ""
    """What people are asked about each answer."""


def score(options: HumanOptions, subject: Subject, _: Tools) -> Score:
    """Return that the answer waits for people: its score is what they say in the labelling queue, from 0 to 1."""
    del options, subject
    return Unscored("waits for people")


KIND = EvaluatorKind("human", "is judged by people in the labelling queue", HumanOptions, score)
