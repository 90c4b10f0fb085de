"""Exact match with the expected output, by the whole text or by one field of a JSON output."""

from zirkel.core import DatasetItem, EvaluatorSpec, Score, Scored, Unscored
from zirkel.evaluate.evaluators.fields import read_field


def score(spec: EvaluatorSpec, item: DatasetItem, output: str) -> Score:
    """Return 1 if the output (or its field) equals the expected text, else 0; white space around it is ignored.

    An output without the field is a wrong output, 0. An item without an expected output is unscored.
    """
    if item.expected is None:
        return Unscored("the item has no expected output")
    found = read_field(output, spec.field)
    return Scored(float(found is not None and found.strip() == item.expected.strip()))
