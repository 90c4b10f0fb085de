"""How far a judge and people agree, and what else the judge looks at. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from zirkel.core import Scored
from zirkel.evaluate.calibration_family import family_of, judge_models
from zirkel.evaluate.calibration_material import Matched, Side
from zirkel.evaluate.label_queue_sampling import Cell
from zirkel.evaluate.labels_question import LabelQuestion
from zirkel.stats.agreement import Agreement, agreement
from zirkel.stats.confusion import ConfusionMatrix, JudgeAccuracy, confusion_matrix, judge_accuracy
from zirkel.stats.human_ceiling import HumanCeiling, human_ceiling
from zirkel.stats.judge_bias import JudgeBias, JudgedPair, Winner, judge_bias
from zirkel.stats.ratings import Rating, Scale
from zirkel.stats.report import Report

PASS = 0.5
"""A score of at least this counts as yes."""


@dataclass(frozen=True, slots=True)
class JudgeMeasures(Report):
    """What labels say of a judge; None where there is too little to say it."""

    rated: int
    """Ratings that were compared: answers, or items of rubrics."""
    agreement: Agreement | None
    """Of the judge with people."""
    confusion: ConfusionMatrix | None
    accuracy: JudgeAccuracy | None
    """Of yes-or-no questions."""
    people: Agreement | None
    """Of people with each other."""
    ceiling: HumanCeiling | None
    """The judge beside one more person, on answers that several people labelled."""
    bias: JudgeBias | None


@dataclass(frozen=True, slots=True)
class _Rated:
    """One thing that was rated: what people say in the end, the judge, and each person."""

    source: str
    people: Rating
    judge: Rating
    raters: Mapping[str, Rating]


def measure(target: Side, matched: Sequence[Matched], other: Side | None) -> JudgeMeasures:
    """Return what labelled answers say of a judge.

    Args:
        target: The experiment in question.
        matched: Labelled answers that this judge scored.
        other: The baseline's experiment, whose answers show what the judge looks at besides quality; None without.
    """
    question = target.question
    rated = [one for found in matched for one in _rated(question, found)]
    scale, categories = _scale(question)
    enough = len(rated) > 1
    clusters = [one.source for one in rated]
    grouped = clusters if 1 < len(set(clusters)) < len(clusters) else None
    ours, theirs = [one.people for one in rated], [one.judge for one in rated]
    names = sorted({name for one in rated for name in one.raters})
    by_person = [[one.raters.get(name) for one in rated] for name in names]
    several = sum(len(one.raters) > 1 for one in rated) > 1 and len(names) > 1
    is_binary = question.kind in ("binary", "rubric")
    return JudgeMeasures(
        rated=len(rated),
        agreement=agreement([ours, theirs], scale, categories=categories, clusters=grouped) if enough else None,
        confusion=confusion_matrix(ours, theirs, categories) if enough and categories else None,
        accuracy=judge_accuracy([bool(v) for v in ours], [bool(v) for v in theirs]) if enough and is_binary else None,
        people=agreement(by_person, scale, categories=categories, clusters=grouped) if several else None,
        ceiling=human_ceiling(theirs, by_person, scale, categories=categories) if several else None,
        bias=_bias(target, matched, other),
    )


def _scale(question: LabelQuestion) -> tuple[Scale, tuple[Rating, ...]]:
    """Return what differences between ratings mean, and all ratings that are possible."""
    match question.kind:
        case "score":
            return "interval", tuple(range(question.low, question.high + 1))
        case "category":
            return "nominal", tuple(category.label for category in question.categories)
        case "pair":
            return "nominal", ("win", "tie", "loss")
        case _:
            return "nominal", (False, True)


def _rated(question: LabelQuestion, found: Matched) -> Iterator[_Rated]:
    """Yield what can be compared of one answer: it as a whole, or each item of a rubric."""
    source, resolution, score = found.answer.source, found.said.resolution, found.answer.score
    if question.kind == "rubric":
        yield from _rated_items(question, found)
        return
    people = _whole(question, resolution.value, resolution.category)
    judge = _whole(question, score.value, score.label)
    if people is not None and judge is not None:
        raters = {label.rater_id: _whole(question, label.value, label.category) for label in found.said.given}
        yield _Rated(source, people, judge, {name: said for name, said in raters.items() if said is not None})


def _whole(question: LabelQuestion, value: float | None, label: str) -> Rating | None:
    match question.kind:
        case "category":
            return label if label in {category.label for category in question.categories} else None
        case "pair":
            return label if label in ("win", "tie", "loss") else None
        case "score":
            return None if value is None else round(question.low + value * (question.high - question.low))
        case _:
            return None if value is None else value >= PASS


def _rated_items(question: LabelQuestion, found: Matched) -> Iterator[_Rated]:
    judged = _judged_items(found.answer.score)
    deciding = found.said.settled or found.said.given
    for item in question.items:
        said = {label.rater_id: label.items[item.name] for label in found.said.given if item.name in label.items}
        last = [label.items[item.name] for label in deciding if item.name in label.items]
        if last and item.name in judged:
            yield _Rated(found.answer.source, last[-1], judged[item.name], said)


def _judged_items(score: Scored) -> Mapping[str, bool]:
    """Return what a judge says of each item of its rubric, by name."""
    listed = score.details.get("items")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return {}
    found = {str(item.get("name")): item.get("satisfied") for item in listed if isinstance(item, Mapping)}
    return {name: value for name, value in found.items() if isinstance(value, bool)}


def _bias(target: Side, matched: Sequence[Matched], other: Side | None) -> JudgeBias | None:
    """Return what a judge looks at besides quality, from pairs of candidate's and baseline's answers."""
    if target.question.kind == "pair":
        labels = {found.said.cell: found.said.resolution.category for found in matched if found.by is target}
        pairs = [(answer, _asked_pair(target, other, cell, labels)) for cell, answer in target.answers.items()]
    elif other is not None:
        said = {(found.by.experiment.experiment_id, found.said.cell): found.said.resolution.value for found in matched}
        shared = [cell for cell in target.answers if cell in other.answers]
        pairs = [(target.answers[cell], _scored_pair(target, other, cell, said)) for cell in shared]
    else:
        return None
    known = [(answer.source, pair) for answer, pair in pairs if pair is not None]
    sources = [source for source, _ in known]
    if len(known) < 2 or len(set(sources)) < 2:
        return None
    found_bias = judge_bias([pair for _, pair in known], sources if len(set(sources)) < len(sources) else None)
    if target.question.kind == "pair":
        return found_bias
    # Answers that were scored one by one have no place.
    return replace(found_bias, position=None, swap_consistency=None, warnings=())


def _asked_pair(target: Side, other: Side | None, cell: Cell, labels: Mapping[Cell, str]) -> JudgedPair | None:
    """Return a pairwise judge's two verdicts; None if it was not asked because the answers are the same."""
    details = target.answers[cell].score.details
    orders = details.get("orders")
    if not isinstance(orders, Sequence) or isinstance(orders, str) or not orders:
        return None
    winners = {str(o["first"]): _WINNERS[str(o["winner"])] for o in orders if isinstance(o, Mapping)}
    lengths = [details.get("output_length"), details.get("other_length")]
    sizes = [float(size) if isinstance(size, int | float) else None for size in lengths]
    reference = _REFERENCES.get(labels.get(cell, ""))
    if "output" not in winners:
        return None
    return JudgedPair(winners["output"], winners.get("other"), sizes[0], sizes[1], _own(target, other), reference)


_WINNERS: Mapping[str, Winner] = {"output": "a", "other": "b", "tie": "tie"}
_REFERENCES: Mapping[str, Winner] = {"win": "a", "loss": "b", "tie": "tie"}


def _scored_pair(
    target: Side, other: Side, cell: Cell, said: Mapping[tuple[str, Cell], float | None]
) -> JudgedPair | None:
    ours, theirs = target.answers[cell], other.answers[cell]
    our_label = said.get((target.experiment.experiment_id, cell))
    their_label = said.get((other.experiment.experiment_id, cell))
    reference = None if our_label is None or their_label is None else _winner(our_label, their_label)
    return JudgedPair(
        a_first=_winner(ours.score.value, theirs.score.value),
        length_a=float(ours.length),
        length_b=float(theirs.length),
        own=_own(target, other),
        reference=reference,
    )


def _own(target: Side, other: Side | None) -> Literal["a", "b"] | None:
    families = {family_of(model) for model in judge_models(target.spec)}
    ours = bool(target.model) and family_of(target.model) in families
    theirs = other is not None and bool(other.model) and family_of(other.model) in families
    if other is None or ours == theirs:
        return None
    return "a" if ours else "b"


def _winner(ours: float, theirs: float) -> Winner:
    return "a" if ours > theirs else "b" if ours < theirs else "tie"
