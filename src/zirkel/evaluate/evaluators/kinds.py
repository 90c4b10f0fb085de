"""The kinds there are: those built in, and those that installed packages bring."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import cast

import msgspec

from zirkel.core import EvaluatorSpec, Invalid, Score
from zirkel.evaluate.chat import TransientFailure
from zirkel.evaluate.evaluators import (
    answer_relevance,
    bleu,
    chrf,
    contains,
    context_precision,
    context_recall,
    cost,
    edit_similarity,
    embedding_similarity,
    exact,
    faithfulness,
    http,
    human,
    json_field,
    json_fields,
    json_schema,
    judge,
    jury,
    latency,
    length,
    numeric,
    pairwise,
    python,
    refusal,
    regex,
    reported,
    rouge,
    tool_calls,
    trajectory,
)
from zirkel.evaluate.evaluators.kind import EvaluatorKind, OptionsError, Tools, parse_options
from zirkel.evaluate.evaluators.metering import MeteredTools
from zirkel.evaluate.subject import Subject

ENTRY_POINTS = "zirkel.evaluators"
"""Group of entry points: each names an ``EvaluatorKind`` of the same name."""

_BUILT_IN = (
    exact.KIND,
    contains.KIND,
    regex.KIND,
    numeric.KIND,
    json_field.KIND,
    json_schema.KIND,
    json_fields.KIND,
    edit_similarity.KIND,
    rouge.KIND,
    bleu.KIND,
    chrf.KIND,
    embedding_similarity.KIND,
    tool_calls.KIND,
    trajectory.KIND,
    latency.KIND,
    cost.KIND,
    length.KIND,
    refusal.KIND,
    python.KIND,
    http.KIND,
    human.KIND,
    reported.KIND,
    judge.KIND,
    pairwise.KIND,
    jury.KIND,
    faithfulness.KIND,
    context_precision.KIND,
    context_recall.KIND,
    answer_relevance.KIND,
)


def built_in_kinds() -> Sequence[EvaluatorKind[msgspec.Struct]]:
    """Return the kinds that need no package, in the order in which people read of them."""
    return cast("Sequence[EvaluatorKind[msgspec.Struct]]", _BUILT_IN)


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
    own = {kind.name: kind for kind in built_in_kinds()}
    return own | {name: kind for name, kind in kinds.items() if name not in own}


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
    except Invalid as error:
        raise Invalid(f"evaluators.toml: {error}", path="evaluators.toml") from error


def score_subject(spec: EvaluatorSpec, subject: Subject, tools: Tools) -> Score:
    """Return what an evaluator says of an answer; a failure of the evaluator is a score too, ``Errored``.

    What it asked models is in the score's cost, over whatever cost the kind itself names.
    """
    metered = MeteredTools(tools, spec.name, subject)
    try:
        kind = kind_of(spec)
        return metered.charge(kind.score(parse_options(kind, spec.options), subject, metered))
    except TransientFailure as error:
        return metered.failed(str(error))
    except Exception as error:  # noqa: BLE001 (an evaluator is a plug-in: its failure is recorded, not raised)
        return metered.failed(f"{type(error).__name__}: {error}")
