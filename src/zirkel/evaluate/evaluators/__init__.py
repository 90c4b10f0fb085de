"""Evaluators, one file a kind. Each is a pure function of its specification, an item and an output."""

from collections.abc import Callable, Mapping

from zirkel.core import DatasetItem, EvaluatorSpec, Score
from zirkel.evaluate.evaluators import exact, json_field

Evaluator = Callable[[EvaluatorSpec, DatasetItem, str], Score]

EVALUATORS: Mapping[str, Evaluator] = {"exact": exact.score, "json_field": json_field.score}
"""By ``kind`` in ``evaluators.toml``."""


def score_output(spec: EvaluatorSpec, item: DatasetItem, output: str) -> Score:
    """Return what an evaluator says of one output."""
    return EVALUATORS[spec.kind](spec, item, output)


__all__ = ["EVALUATORS", "Evaluator", "score_output"]
