"""Is the output JSON with a field, and is its value one of those allowed?"""

from zirkel.core import DatasetItem, EvaluatorSpec, Score, Scored
from zirkel.evaluate.evaluators.fields import read_field


def score(spec: EvaluatorSpec, item: DatasetItem, output: str) -> Score:  # noqa: ARG001 (the form of an evaluator)
    """Return 1 if the output is a JSON object with the field (and an allowed value, if any are named), else 0."""
    found = read_field(output, spec.field)
    return Scored(float(found is not None and (not spec.one_of or found in spec.one_of)))
