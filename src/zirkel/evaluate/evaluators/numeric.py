"""Is the number that the output gives near enough to the expected one?"""

from decimal import Decimal, localcontext
from typing import Literal

import msgspec

from zirkel.core import Score, Scored, Unscored
from zirkel.evaluate.evaluators.fields import read_field
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.evaluators.text_forms import find_numbers
from zirkel.evaluate.subject import Subject

_DIGITS = 200


class NumericOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``numeric``."""

    absolute: float = 0.0
    """Largest difference that is right, in the number's own unit."""
    relative: float = 0.0
    """Largest difference that is right, as a share of the expected number; the larger of both tolerances counts."""
    field: str = ""
    """Field (or path) of the JSON output that has the number; empty means the whole text."""
    take: Literal["last", "first"] = "last"
    """Which number of a text that has several."""
    decimal_sign: Literal[".", ","] = "."
    """Of the output; the expected output always has a point."""


def score(options: NumericOptions, subject: Subject, _: Tools) -> Score:
    """Return 1 if |number - expected| is at most the larger of ``absolute`` and ``relative`` x |expected|, else 0.

    Computed with decimals: without a tolerance 0.30 is 0.3, and 0.30000000000000004 is not. An output without a number
    is 0; an item whose expected output has none is unscored. The expected number is the last one of the expected
    output. A percent sign, a currency or a unit beside the number is not looked at.
    """
    wanted = _number(subject.item.expected or "", "last", ".")
    if wanted is None:
        return Unscored("the item's expected output has no number")
    text = read_field(subject.output, options.field)
    found = _number(text, options.take, options.decimal_sign) if text is not None else None
    if found is None:
        return Scored(0.0, reason="the output has no number")
    with localcontext() as context:
        context.prec = _DIGITS
        allowed = max(Decimal(str(options.absolute)), Decimal(str(options.relative)) * abs(wanted))
        is_near = abs(found - wanted) <= allowed
    return Scored(float(is_near), details={"found": f"{found:.28g}", "expected": f"{wanted:.28g}"})


def _number(text: str, take: str, decimal_sign: str) -> Decimal | None:
    found = [number.value for number in find_numbers(text, decimal_sign=decimal_sign)]
    return found[0 if take == "first" else -1] if found else None


def _check(options: NumericOptions) -> str:
    for name in ("absolute", "relative"):
        value: float = getattr(options, name)
        if not 0 <= value < float("inf"):
            return f"{name} {value} is not a number of at least 0"
    return ""


KIND = EvaluatorKind("numeric", "gives a number near the expected one", NumericOptions, score, check=_check)
