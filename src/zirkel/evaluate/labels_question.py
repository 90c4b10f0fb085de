"""What people are asked about an answer, and what their answer is worth. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from zirkel.core import EvaluatorSpec, Invalid, canonical_json, digest
from zirkel.core.labels import Label
from zirkel.evaluate.evaluators import kind_of
from zirkel.evaluate.evaluators.human import HumanOptions
from zirkel.evaluate.evaluators.kind import parse_options
from zirkel.evaluate.evaluators.pairwise import PairwiseOptions
from zirkel.evaluate.judging_question import QuestionOptions

LONGEST_COMMENT = 4000

QuestionKind = Literal["binary", "score", "category", "rubric", "pair"]

PAIR_VALUES: Mapping[str, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
"""What a rater may say of two answers, and what that is worth for the one shown first."""


class AskedItem(msgspec.Struct, frozen=True):
    """One item of a rubric, answered by yes or no."""

    name: str
    ask: str
    weight: float = 1.0
    must: bool = False
    """An answer that does not satisfy it is worth 0, whatever else it does."""


class AskedCategory(msgspec.Struct, frozen=True):
    """One of the categories to choose from."""

    label: str
    means: str = ""
    value: float | None = None
    """0 to 1; None if an answer of this category is not scored."""


class LabelQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one answer. Which model judges, and how it is told, is no part of it: labels outlive a judge."""

    kind: QuestionKind
    text: str
    low: int = 0
    """Lowest number of a score."""
    high: int = 1
    meanings: dict[str, str] = {}
    """What numbers of a score stand for, by number."""
    categories: tuple[AskedCategory, ...] = ()
    items: tuple[AskedItem, ...] = ()


class Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody says of an answer: the field that the question's kind asks for, and perhaps why."""

    value: float | None = None
    """``binary``: 1 for yes, 0 for no. ``score``: a whole number of the scale."""
    category: str = ""
    """``category``: its label. ``pair``: ``first``, ``second`` or ``tie``."""
    items: dict[str, bool] = {}
    """``rubric``: each item's answer by its name."""
    comment: str = ""


def question_of(spec: EvaluatorSpec) -> LabelQuestion:
    """Return what people are asked for an evaluator: what it is asked itself, else whether the answer is good.

    Raises:
        Invalid: If the evaluator's kind is unknown.
        OptionsError: If its options are wrong.
    """
    kind = kind_of(spec)
    options = parse_options(kind, spec.options)
    if isinstance(options, PairwiseOptions):
        return LabelQuestion(kind="pair", text=options.criteria.strip())
    if isinstance(options, HumanOptions):
        return LabelQuestion(kind="binary", text=options.question or "Is the answer good?")
    if not isinstance(options, QuestionOptions):
        return LabelQuestion(kind="binary", text=f"Is this so: the answer {kind.summary}?")
    if options.rubric:
        items = tuple(AskedItem(item.name, item.ask, item.weight, item.must) for item in options.rubric)
        return LabelQuestion(kind="rubric", text="Is it so?", items=items)
    if options.scale is not None:
        scale = options.scale
        text = f"How good is the answer, from {scale.min} to {scale.max}?"
        return LabelQuestion(kind="score", text=text, low=scale.min, high=scale.max, meanings=dict(scale.meanings))
    categories = tuple(AskedCategory(one.label, one.means, one.value) for one in options.categories)
    return LabelQuestion(kind="category", text="Which category is the answer of?", categories=categories)


def write_question(question: LabelQuestion) -> str:
    """Return a question as canonical JSON."""
    return canonical_json(msgspec.to_builtins(question)).decode()


def read_question(text: str) -> LabelQuestion:
    """Return the question of a stored text."""
    return msgspec.json.decode(text, type=LabelQuestion)


def question_digest(question: LabelQuestion) -> str:
    """Return the digest of a question, 64 hex digits."""
    return digest(msgspec.to_builtins(question))


def value_of(question: LabelQuestion, given: Judgement) -> float | None:
    """Return what a judgement is worth in the evaluator's unit, 0 to 1; None for a category that is not scored.

    Of a rubric that is the share of its items, by weight, that are so, and 0 if one that must be is not; of a score its
    place on the scale; of a pair what it is worth for the answer shown first.

    Raises:
        Invalid: If the judgement does not answer the question.
    """
    if len(given.comment) > LONGEST_COMMENT:
        said = f"a comment has at most {LONGEST_COMMENT} characters, this one {len(given.comment)}"
        raise Invalid(said, path="comment")
    match question.kind:
        case "rubric":
            return _rubric_value(question.items, given.items)
        case "category":
            return _chosen({category.label: category.value for category in question.categories}, given.category)
        case "pair":
            return _chosen(PAIR_VALUES, given.category)
        case "score":
            return _place(question, given.value)
        case _:
            if given.value not in (0.0, 1.0):
                raise Invalid("give 1 for yes or 0 for no", path="value")
            return float(given.value)


def shows_own_first(task_id: str) -> bool:
    """Return whether the answer under test is the first of the two that a task shows: for half of the tasks it is."""
    return int(task_id[0], 16) % 2 == 0


def kept_of(question: LabelQuestion, task_id: str, given: Judgement) -> tuple[float | None, str]:
    """Return value and category as a label keeps them; of a pair, what they say of the answer under test.

    Raises:
        Invalid: If the judgement does not answer the question.
    """
    value = value_of(question, given)
    if question.kind == "pair" and value is not None:
        own = value if shows_own_first(task_id) else 1 - value
        return own, {1.0: "win", 0.5: "tie"}.get(own, "loss")
    return value, given.category if question.kind == "category" else ""


def judgement_of(question: LabelQuestion, label: Label) -> Judgement:
    """Return what was said when a label was given."""
    if question.kind == "pair":
        is_first = (label.category == "win") == shows_own_first(label.task_id)
        shown = "tie" if label.category == "tie" else "first" if is_first else "second"
        return Judgement(None, shown, comment=label.comment)
    value = label.value if question.kind == "binary" else None
    if question.kind == "score" and label.value is not None:
        value = float(round(question.low + label.value * (question.high - question.low)))
    return Judgement(value, label.category, dict(label.items), label.comment)


def _rubric_value(asked: Sequence[AskedItem], given: Mapping[str, bool]) -> float:
    names = [item.name for item in asked]
    missing = [name for name in names if name not in given]
    unknown = [name for name in given if name not in names]
    if missing or unknown:
        said = f"no answer to {', '.join(missing)}" if missing else f"{', '.join(unknown)} is not asked"
        raise Invalid(f"the rubric has the items {', '.join(names)}; {said}", path="items")
    if any(item.must and not given[item.name] for item in asked):
        return 0.0
    total = sum(item.weight for item in asked)
    return min(sum(item.weight for item in asked if given[item.name]) / total, 1.0)


def _chosen(values: Mapping[str, float | None], chosen: str) -> float | None:
    if chosen not in values:
        raise Invalid(f"category {chosen!r} is none of {', '.join(values)}", path="category")
    return values[chosen]


def _place(question: LabelQuestion, value: float | None) -> float:
    if value is None or value != int(value) or not question.low <= value <= question.high:
        raise Invalid(f"give a whole number from {question.low} to {question.high}", path="value")
    return (value - question.low) / (question.high - question.low)
