"""Does the answer say only what its contexts say? The share of its claims that they support.

Source: Es et al. (2023), "RAGAS", section 3, arXiv:2309.15217: faithfulness as supported statements over statements.
"""

from zirkel.core import Score, Unscored
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.judging import ModelOptions, check_asking, context_sections, input_section
from zirkel.evaluate.judging_claims import check_claims, list_claims, supported_share
from zirkel.evaluate.judging_material import Section
from zirkel.evaluate.subject import Subject


class FaithfulnessOptions(ModelOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``faithfulness``."""


def score(options: FaithfulnessOptions, subject: Subject, tools: Tools) -> Score:
    """Return supported claims over claims; an answer without a claim, e.g. "I do not know", is not scored."""
    contexts = context_sections(subject)
    if not contexts:
        return Unscored("neither the answer nor the item has contexts")
    material = {
        "input": [input_section(subject, options.input)],
        "answer": [Section("answer", subject.output)],
    }
    claims = list_claims(tools, options, "answer", material)
    if not claims:
        return Unscored("the answer makes no claim")
    return supported_share(claims, check_claims(tools, options, claims, contexts))


def check(options: FaithfulnessOptions) -> str:
    """Return what is wrong with the options, empty if nothing is."""
    return check_asking(options, [options.model])


KIND = EvaluatorKind(
    "faithfulness",
    "share of the answer's claims that its contexts support",
    FaithfulnessOptions,
    score,
    check=check,
    uses_model=True,
    needs=frozenset({"contexts"}),
)
