"""What the evaluators of a plan want to know beside the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.core import EvaluatorSpec, Invalid
from zirkel.evaluate.evaluators import OptionsError, kind_of
from zirkel.evaluate.evaluators.kind import parse_options


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be found before answers can be judged."""

    trace: bool = False
    """What the system did and retrieved on the way."""
    other_output: bool = False
    """The baseline's answer to the same item and trial."""


def needs_of(specs: Sequence[EvaluatorSpec]) -> Needs:
    """Return what any of the evaluators wants to know; one of an unknown kind, or with wrong options, wants nothing."""
    named = {need for spec in specs for need in _declared(spec)}
    return Needs(trace=bool(named & {"steps", "contexts"}), other_output="other_output" in named)


def asks_model(spec: EvaluatorSpec) -> bool:
    """Return whether an evaluator asks a model, so that it is slow and costs money."""
    try:
        return kind_of(spec).uses_model
    except Invalid:
        return False


def _declared(spec: EvaluatorSpec) -> frozenset[str]:
    try:
        kind = kind_of(spec)
        return frozenset({*kind.needs, *kind.also_needs(parse_options(kind, spec.options))})
    except (Invalid, OptionsError):
        return frozenset()
