"""What a judge can be asked of one answer: a rubric of yes-or-no items, a score on a scale, or a category."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from zirkel.core import Score, Scored, Unscored
from zirkel.evaluate.chat import ChatMessage
from zirkel.evaluate.evaluators.kind import Tools
from zirkel.evaluate.judging import AskOptions, Presence, ask_judge, input_section
from zirkel.evaluate.judging_answer import Finding, choice_form, finding_details, yes_no_form
from zirkel.evaluate.judging_material import Section, check_placeholders, judge_messages
from zirkel.evaluate.subject import Subject

_ITEM = "item"
_MOST_STEPS = 101
PLACEHOLDERS = ("input", "answer", "reference", "contexts")
_INSTRUCTIONS = "Judge the answer that a program gave to the input."
_REFERENCE = "\n\nThe reference is a right answer. The answer may put it in other words, and may say more."
_CONTEXTS = "\n\nThe contexts are texts that a right answer rests on."
_RUBRIC = """\
Judge the answer by each of these items, each by itself:
{items}

For each item write first a short reason that names what in the answer decides it, then "yes" if the answer satisfies \
the item, or "no" if it does not or if it cannot be told."""
_SCALE = """\
Give the answer a whole number from {minimum} to {maximum}; higher is better.{meanings}

Write first a short reason that names what in the answer decides it, then the number."""
_CATEGORIES = """\
Put the answer into exactly one of these categories:
{categories}

Write first a short reason that names what in the answer decides it, then the category."""


class RubricItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One yes-or-no item."""

    name: str
    ask: str
    """What an answer has to satisfy."""
    weight: float = 1.0
    must: bool = False
    """An answer that does not satisfy it gets 0, whatever else it does."""


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scale of whole numbers."""

    min: int = 1
    max: int = 5
    meanings: dict[str, str] = {}
    """What numbers stand for, by number."""


class Category(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One category."""

    label: str
    means: str = ""
    value: float | None = None
    """0 to 1; an answer in a category without a value is not scored."""


class QuestionOptions(AskOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What judges are asked: exactly one of ``rubric``, ``scale`` and ``categories``."""

    rubric: tuple[RubricItem, ...] = ()
    scale: Scale | None = None
    categories: tuple[Category, ...] = ()
    instructions: str = ""
    """Instead of the built-in ones; may place the material by ``{{ answer }}`` and the like."""
    reference: Presence = "if_present"
    """Whether the item's expected output is shown."""
    contexts: Presence = "none"
    """Whether the item's contexts are shown."""


@dataclass(frozen=True, slots=True)
class RubricBallot:
    """A judge's answers to a rubric, in its order."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class ChoiceBallot:
    """A judge's number (as text) or category."""

    choice: str
    reason: str


Ballot = RubricBallot | ChoiceBallot


def check_question(options: QuestionOptions) -> str:
    """Return what is wrong with the question, empty if nothing is."""
    asked = [bool(options.rubric), options.scale is not None, bool(options.categories)]
    if sum(asked) != 1:
        return "exactly one of rubric, scale and categories says what the judge is asked"
    problem = check_placeholders(options.instructions, PLACEHOLDERS, ("answer",))
    return problem or _rubric_problem(options.rubric) or _scale_problem(options.scale) or _category_problem(options)


def ask_question(options: QuestionOptions, subject: Subject, tools: Tools, model: str, attempt: int = 0) -> Ballot:
    """Return what one judge says of an answer; raises what ``ask_judge`` raises."""
    if options.rubric:
        form = yes_no_form(_ITEM, len(options.rubric))
        items = "\n".join(f"{_ITEM}_{number}: {item.ask}" for number, item in enumerate(options.rubric, start=1))
        criteria = f"{_RUBRIC.format(items=items)}\n\n{form.words}"
        messages = _messages(options, subject, criteria)
        return RubricBallot(ask_judge(tools, options, model, messages, form, attempt=attempt))
    choice = choice_form(*_choices(options))
    messages = _messages(options, subject, f"{_choice_criteria(options)}\n\n{choice.words}")
    return ChoiceBallot(*ask_judge(tools, options, model, messages, choice, attempt=attempt))


def missing_material(options: QuestionOptions, subject: Subject) -> Unscored | None:
    """Return why an item cannot be judged, ``None`` if it can."""
    if options.reference == "required" and subject.item.expected is None:
        return Unscored("the item has no expected output")
    if options.contexts == "required" and not subject.item.contexts:
        return Unscored("the item has no contexts")
    return None


def score_ballot(options: QuestionOptions, ballot: Ballot) -> Score:
    """Return the score that a ballot comes to."""
    if isinstance(ballot, RubricBallot):
        return _rubric_score(options.rubric, ballot.findings)
    if options.scale is not None:
        scale = options.scale
        value = (int(ballot.choice) - scale.min) / (scale.max - scale.min)
        return Scored(value, ballot.choice, ballot.reason)
    values = {category.label: category.value for category in options.categories}
    found = values[ballot.choice]
    if found is None:
        return Unscored(f"the judge's category is {ballot.choice!r}, which has no value: {ballot.reason}")
    return Scored(found, ballot.choice, ballot.reason)


def _rubric_score(rubric: Sequence[RubricItem], findings: Sequence[Finding]) -> Scored:
    judged = list(zip(rubric, findings, strict=True))
    missed = [(item, finding) for item, finding in judged if not finding.is_yes]
    failed = [item.name for item, _ in missed if item.must]
    total = math.fsum(item.weight for item in rubric)
    share = 0.0 if failed else math.fsum(item.weight for item, finding in judged if finding.is_yes) / total
    return Scored(
        min(share, 1.0),
        reason="; ".join(f"{item.name}: {finding.reason}" for item, finding in missed),
        details={
            "items": [finding_details(item.name, finding) for item, finding in judged],
            **({"failed_musts": failed} if failed else {}),
        },
    )


def _messages(options: QuestionOptions, subject: Subject, criteria: str) -> Sequence[ChatMessage]:
    item = subject.item
    shows_reference = options.reference != "none" and item.expected is not None
    contexts = item.contexts if options.contexts != "none" else []
    material: Mapping[str, Sequence[Section]] = {
        "input": [input_section(subject, options.input)],
        "contexts": [Section(f"context_{number}", text) for number, text in enumerate(contexts, start=1)],
        "reference": [Section("reference", item.expected or "")] if shows_reference else [],
        "answer": [Section("answer", subject.output)],
    }
    told = options.instructions or (
        _INSTRUCTIONS + (_REFERENCE if shows_reference else "") + (_CONTEXTS if contexts else "")
    )
    return judge_messages(told, material, criteria)


def _choices(options: QuestionOptions) -> tuple[str, list[str]]:
    if options.scale is None:
        return "category", [category.label for category in options.categories]
    return "score", [str(number) for number in range(options.scale.min, options.scale.max + 1)]


def _choice_criteria(options: QuestionOptions) -> str:
    if options.scale is None:
        lines = [f"- {one.label}" + (f": {one.means}" if one.means else "") for one in options.categories]
        return _CATEGORIES.format(categories="\n".join(lines))
    scale = options.scale
    meanings = "".join(f"\n{number}: {scale.meanings[number]}" for number in sorted(scale.meanings, key=int))
    return _SCALE.format(minimum=scale.min, maximum=scale.max, meanings=meanings)


def _rubric_problem(rubric: Sequence[RubricItem]) -> str:
    names = [item.name for item in rubric]
    if len(set(names)) < len(names) or "" in names:
        return "rubric: each item has a name of its own"
    for item in rubric:
        if not (math.isfinite(item.weight) and item.weight > 0):
            return f"rubric: the weight of {item.name!r} is {item.weight}; it must be above 0"
        if not item.ask.strip():
            return f"rubric: {item.name!r} asks nothing"
    return ""


def _scale_problem(scale: Scale | None) -> str:
    if scale is None:
        return ""
    if not 1 <= scale.max - scale.min < _MOST_STEPS:
        return f"scale: from {scale.min} to {scale.max} is no scale of 2 to {_MOST_STEPS} numbers"
    numbers = {str(number) for number in range(scale.min, scale.max + 1)}
    unknown = sorted(scale.meanings.keys() - numbers)
    return f"scale: {unknown[0]!r} has a meaning and is not on the scale" if unknown else ""


def _category_problem(options: QuestionOptions) -> str:
    categories = options.categories
    if not categories:
        return ""
    labels = {category.label.strip().lower() for category in categories}
    if len(labels) < len(categories) or "" in labels or len(labels) == 1:
        return "categories: at least two, each with a label of its own"
    values = [category.value for category in categories if category.value is not None]
    if not values:
        return "categories: at least one needs a value, or nothing is ever scored"
    wrong = [value for value in values if not 0 <= value <= 1]
    return f"categories: values are 0 to 1, not {wrong[0]}" if wrong else ""
