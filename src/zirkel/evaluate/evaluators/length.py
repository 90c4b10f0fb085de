"""How long an output is."""

from typing import Literal

import msgspec

from zirkel.core import Score, Scored
from zirkel.evaluate.evaluators.fields import read_field
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject


class LengthOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``length``."""

    by: Literal["characters", "words", "lines"] = "characters"
    """What is counted: characters, what white space sets apart, or lines that are not blank."""
    minimum: int | None = None
    """Shortest length that passes; the score is 1 or 0 then, with the length in the details."""
    maximum: int | None = None
    """Longest length that passes; the score is 1 or 0 then, with the length in the details."""
    field: str = ""
    """Field (or path) of the JSON output that is measured; empty means the whole text."""


def score(options: LengthOptions, subject: Subject, _: Tools) -> Score:
    """Return the length, white space around the text left out, or with a bound 1 if it is kept and 0 if not.

    An output without the field has the length 0.
    """
    text = (read_field(subject.output, options.field) or "").strip()
    if options.by == "words":
        length = len(text.split())
    elif options.by == "lines":
        length = sum(bool(line.strip()) for line in text.splitlines())
    else:
        length = len(text)
    if not _has_bound(options):
        return Scored(float(length))
    low = 0 if options.minimum is None else options.minimum
    high = length if options.maximum is None else options.maximum
    return Scored(float(low <= length <= high), details={"length": length})


def _has_bound(options: LengthOptions) -> bool:
    return options.minimum is not None or options.maximum is not None


def _check(options: LengthOptions) -> str:
    low, high = options.minimum, options.maximum
    if any(bound is not None and bound < 0 for bound in (low, high)) or (
        low is not None and high is not None and low > high
    ):
        return f"no length is from {low} to {high}"
    return ""


KIND = EvaluatorKind(
    "length",
    "how long the output is",
    LengthOptions,
    score,
    check=_check,
    unit="number",
    is_higher_better=False,
    has_limit=_has_bound,
)
