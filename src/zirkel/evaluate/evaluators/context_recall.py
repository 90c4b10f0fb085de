"""Did retrieval find what the right answer rests on? The share of its claims that the retrieved contexts support.

Source: the context recall of RAGAS (Es et al. 2023, arXiv:2309.15217, and the project's documentation).
"""

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.judging import ModelOptions, check_asking, context_sections, input_section
from zirkel.evaluate.judging_claims import check_claims, list_claims, supported_share
from zirkel.evaluate.judging_material import Section
from zirkel.evaluate.subject import Subject


class ContextRecallOptions(ModelOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``context_recall``."""


def score(options: ContextRecallOptions, subject: Subject, tools: Tools) -> Score:
    """Return supported claims of the expected output over its claims."""
    expected, contexts = subject.item.expected, context_sections(subject)
    if expected is None:
        return Unscored("the item has no expected output")
    if not contexts:
        return Unscored("neither the answer nor the item has contexts")
    material = {
        "input": [input_section(subject, options.input)],
        "reference": [Section("reference", expected)],
    }
    claims = list_claims(tools, options, "reference", material)
    if not claims:
        return Unscored("the expected output makes no claim")
    return supported_share(claims, check_claims(tools, options, claims, contexts))


def check(options: ContextRecallOptions) -> str:
    """Return what is wrong with the options, empty if nothing is."""
    return check_asking(options, [options.model])


KIND = EvaluatorKind(
    "context_recall",
    "share of the expected output's claims that the retrieved contexts support",
    ContextRecallOptions,
    score,
    check=check,
    uses_model=True,
    needs=frozenset({"contexts"}),
)
