"""Did retrieval put what is useful first? The average precision of the retrieved contexts.

Source: Manning, Raghavan, Schütze (2008), "Introduction to Information Retrieval", section 8.4: the mean of the
precision at each relevant rank. Relevance is judged with yes or no.
"""

from collections.abc import Sequence

from zirkel.core import Score, Scored, Unscored
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.judging import (
    ModelOptions,
    ask_judge,
    check_asking,
    context_sections,
    input_section,
)
from zirkel.evaluate.judging_answer import finding_details, yes_no_form
from zirkel.evaluate.judging_material import Section, judge_messages
from zirkel.evaluate.subject import Subject

_INSTRUCTIONS = "A program looked for texts to answer the input with. Judge each of the contexts it found."
_REFERENCE = "\n\nThe reference is a right answer."
_ASK = """\
For each context, by itself, write first a short reason, then "yes" if it holds something that is needed for, or \
useful to, a right answer to the input, or "no" if it does not. A context that is merely about the same subject is \
a no."""


class ContextPrecisionOptions(ModelOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``context_precision``."""


def score(options: ContextPrecisionOptions, subject: Subject, tools: Tools) -> Score:
    """Return the average precision of the contexts in their order; 0 if none is relevant."""
    contexts = context_sections(subject)
    if not contexts:
        return Unscored("neither the answer nor the item has contexts")
    expected = subject.item.expected
    material = {
        "input": [input_section(subject, options.input)],
        "reference": [Section("reference", expected)] if expected is not None else [],
        "contexts": contexts,
    }
    form = yes_no_form("context", len(contexts))
    told = _INSTRUCTIONS + (_REFERENCE if expected is not None else "")
    messages = judge_messages(told, material, f"{_ASK}\n\n{form.words}")
    findings = ask_judge(tools, options, options.model, messages, form)
    return Scored(
        average_precision([finding.is_yes for finding in findings]),
        details={
            "contexts": [
                finding_details(section.name, finding) for section, finding in zip(contexts, findings, strict=True)
            ]
        },
    )


def average_precision(relevant: Sequence[bool]) -> float:
    """Return the mean over relevant ranks k of the share of relevant ones among the first k; 0 if none is.

    Source: Manning, Raghavan, Schütze (2008), section 8.4, for one query whose relevant texts are those retrieved.
    """
    found, total = 0, 0.0
    for rank, is_relevant in enumerate(relevant, start=1):
        if is_relevant:
            found += 1
            total += found / rank
    return total / found if found else 0.0


def check(options: ContextPrecisionOptions) -> str:
    """Return what is wrong with the options, empty if nothing is."""
    return check_asking(options, [options.model])


KIND = EvaluatorKind(
    "context_precision",
    "average precision of the retrieved contexts",
    ContextPrecisionOptions,
    score,
    check=check,
    uses_model=True,
    needs=frozenset({"contexts"}),
)
