"""Exact match with the expected output, by the whole text or by one field of a JSON output."""

from zirkel.core import Score, Scored, Unscored
from zirkel.evaluate.evaluators.fields import read_field
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.evaluators.text_forms import TextForm, reduce_text
from zirkel.evaluate.subject import Subject


class ExactOptions(TextForm, frozen=True, forbid_unknown_fields=True):
    """Options of ``exact``."""

    field: str = ""
    """Field of the JSON output that is compared, or a path such as `/items/0/name`; empty means the whole text."""


def score(options: ExactOptions, subject: Subject, _: Tools) -> Score:
    """Return 1 if the output (or its field) equals the expected text, else 0; white space around it is ignored.

    An output without the field is a wrong output, 0. An item without an expected output is unscored.
    """
    expected = subject.item.expected
    if expected is None:
        return Unscored("the item has no expected output")
    found = read_field(subject.output, options.field)
    return Scored(float(found is not None and reduce_text(found, options) == reduce_text(expected, options)))


KIND = EvaluatorKind("exact", "equals the expected output", ExactOptions, score)
