"""Judged elsewhere: the scores came with the experiment, from code that is not here."""

import msgspec

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject


class ReportedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``reported``."""

    source: str = ""
    """What judged, e.g. a function's name or another tool's scorer."""
    version: str = ""
    """Of that: scores of another version are another measure."""
    share: bool = True
    """Whether scores lie from 0 to 1; else they are numbers without bounds."""


def score(options: ReportedOptions, subject: Subject, _: Tools) -> Score:
    """Return that nothing here can judge it."""
    del subject
    return Unscored(f"scores of {options.source or 'this evaluator'} come with the experiment")


KIND = EvaluatorKind(
    "reported",
    "was judged elsewhere; the scores came with the experiment",
    ReportedOptions,
    score,
    unit="number",
    has_limit=lambda options: options.share,
)
