"""The kinds there are: those built in, and those that installed packages bring."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

import msgspec

from zirkel.core import Errored, EvaluatorSpec, Invalid, Score
from zirkel.evaluate.chat import TransientFailure
from zirkel.evaluate.evaluators import exact, json_field
from zirkel.evaluate.evaluators.kind import EvaluatorKind, OptionsError, Tools, parse_options
from zirkel.evaluate.subject import Subject

ENTRY_POINTS = "zirkel.evaluators"
"""Group of entry points: each names an ``EvaluatorKind`` of the same name."""

_BUILT_IN = (exact.KIND, json_field.KIND)


@cache
def known_kinds() -> Mapping[str, EvaluatorKind[msgspec.Struct]]:
    """Return the kinds by name; one that is built in is never replaced by a package's.

    Raises:
        Invalid: If a package's entry point cannot be loaded, or is no kind.
    """
    kinds: dict[str, EvaluatorKind[msgspec.Struct]] = {}
    for point in entry_points(group=ENTRY_POINTS):
        try:
            found = point.load()
        except Exception as error:
            raise Invalid(f"the evaluator {point.name!r} of {point.value} cannot be loaded: {error}") from error
        if not isinstance(found, EvaluatorKind):
            raise Invalid(f"the evaluator {point.name!r} of {point.value} is no EvaluatorKind")
        kinds[found.name] = found
    for kind in _BUILT_IN:
        kinds[kind.name] = kind  # type: ignore[assignment]
    return kinds


def kind_of(spec: EvaluatorSpec) -> EvaluatorKind[msgspec.Struct]:
    """Return the kind of an evaluator.

    Raises:
        Invalid: If there is none of that name.
    """
    kinds = known_kinds()
    if spec.kind not in kinds:
        known = ", ".join(sorted(kinds))
        raise Invalid(f"evaluator {spec.name!r}: kind {spec.kind!r} is unknown; known are {known}", path="kind")
    return kinds[spec.kind]


def check_evaluator(spec: EvaluatorSpec) -> None:
    """Check an evaluator before it is used.

    Raises:
        Invalid: If its kind is unknown or its options are wrong.
    """
    try:
        parse_options(kind_of(spec), spec.options)
    except OptionsError as error:
        raise Invalid(f"evaluators.toml: {spec.name!r} ({spec.kind}): {error}", path="evaluators.toml") from error


def score_subject(spec: EvaluatorSpec, subject: Subject, tools: Tools) -> Score:
    """Return what an evaluator says of an answer; a failure of the evaluator is a score too, ``Errored``."""
    try:
        kind = kind_of(spec)
        return kind.score(parse_options(kind, spec.options), subject, tools)
    except TransientFailure as error:
        return Errored(str(error))
    except Exception as error:  # noqa: BLE001 (an evaluator is a plug-in: its failure is recorded, not raised)
        return Errored(f"{type(error).__name__}: {error}")
