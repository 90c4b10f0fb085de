"""Taking a text apart into claims, and checking each against contexts: what faithfulness and recall are made of."""

from collections.abc import Mapping, Sequence

from zirkel.core import Scored
from zirkel.evaluate.evaluators.kind import Tools
from zirkel.evaluate.judging import ModelOptions, ask_judge
from zirkel.evaluate.judging_answer import Finding, finding_details, list_form, yes_no_form
from zirkel.evaluate.judging_material import Section, judge_messages

MOST_CLAIMS = 60
"""Claims of one text; a text with more is not judged."""
_CLAIM = "claim"
_LIST = """\
List every claim of fact that the {text} makes, in its order. A claim is one short sentence that is true or false by \
itself: name what pronouns stand for, and split sentences that say several things. Add nothing that the {text} does \
not say. Leave out greetings, questions, offers and opinions. If it makes no claim, the list is empty."""
_CHECK = """\
Check each claim against the contexts. For each write first a short reason that quotes the words of the contexts that \
decide it, then "yes" if the contexts say it or it follows from them, or "no" if they do not say it or say otherwise. \
What you know from elsewhere does not count."""


def list_claims(
    tools: Tools, options: ModelOptions, of: str, material: Mapping[str, Sequence[Section]]
) -> Sequence[str]:
    """Return the claims of the section ``of``; raises what ``ask_judge`` raises."""
    form = list_form("claims", MOST_CLAIMS)
    criteria = f"{_LIST.format(text=of)}\n\n{form.words}"
    messages = judge_messages("Take a text apart into its claims.", material, criteria)
    return ask_judge(tools, options, options.model, messages, form)


def check_claims(
    tools: Tools, options: ModelOptions, claims: Sequence[str], contexts: Sequence[Section]
) -> tuple[Finding, ...]:
    """Return for each claim whether the contexts say it; raises what ``ask_judge`` raises.

    Claims are material, too: their words are those of the text they were taken from.
    """
    form = yes_no_form(_CLAIM, len(claims))
    material = {
        "contexts": contexts,
        "claims": [Section(f"{_CLAIM}_{number}", claim) for number, claim in enumerate(claims, start=1)],
    }
    messages = judge_messages("Check claims against contexts.", material, f"{_CHECK}\n\n{form.words}")
    return ask_judge(tools, options, options.model, messages, form)


def supported_share(claims: Sequence[str], findings: Sequence[Finding]) -> Scored:
    """Return the share of claims, at least one, that are supported; the details have each."""
    judged = list(zip(claims, findings, strict=True))
    return Scored(
        sum(finding.is_yes for finding in findings) / len(findings),
        reason="; ".join(f"{claim}: {finding.reason}" for claim, finding in judged if not finding.is_yes),
        details={"claims": [finding_details(claim, finding) for claim, finding in judged]},
    )
