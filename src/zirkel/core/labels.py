"""What people say of answers: samples, tasks, who holds which, and labels. Rows that store and evaluation share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zirkel.core.canonical import Json, digest


@dataclass(frozen=True, slots=True)
class LabelSample:
    """The answers of one experiment that people are asked about for one evaluator: a probability sample."""

    project_id: str
    experiment_id: str
    evaluator: str
    """Name of the evaluator whose question is asked."""
    service: str
    question: str
    """Canonical JSON of what is asked."""
    question_digest: str
    """Labels of different questions are never mixed."""
    probabilities: tuple[tuple[str, int, float], ...]
    """Item, trial, and with which probability the answer is in the sample, of every answer that could have been."""
    rule: str
    """How the probabilities were chosen."""
    drawn: int
    """Answers in the sample."""
    drawn_ns: int
    drawn_by: str


@dataclass(frozen=True, slots=True)
class LabelTask:
    """One answer that people are asked about."""

    project_id: str
    task_id: str
    """32 hex digits that say nothing of the release."""
    experiment_id: str
    evaluator: str
    item_id: str
    trial: int
    answer_digest: str
    """Of the item's input and the answer's text: the label is about these."""
    question_digest: str
    probability: float | None
    """With which the answer came into the sample; ``None`` if somebody chose it, so that it stands for itself alone."""
    place: float
    """Where it is in the queue: random, so that those labelled first are a probability sample too."""
    raters: int
    """How many people are asked."""


@dataclass(frozen=True, slots=True)
class LabelHold:
    """A rater has a task on the screen, or does not want to label it."""

    project_id: str
    task_id: str
    rater_id: str
    until_ns: int
    """When the task is given to others again."""
    is_skipped: bool = False
    """True if this rater is not to be asked again."""


@dataclass(frozen=True, slots=True)
class Label:
    """What one person said of one answer. A correction is a further version; earlier ones stay."""

    project_id: str
    task_id: str
    rater_id: str
    version: int
    """Counts from 1 for each task and rater."""
    rater: str
    """Name for people to read."""
    value: float | None
    """In the evaluator's unit; pass or fail is 1 or 0. ``None`` for a category that is not scored."""
    category: str
    """Of a question with categories; else empty."""
    items: Mapping[str, bool] = field(default_factory=dict)
    """Of a rubric: each item's answer."""
    comment: str = ""
    is_adjudication: bool = False
    """True if it decides between raters who differ."""
    is_withdrawn: bool = False
    labelled_ns: int = 0


def answer_digest(item_input: Mapping[str, object], output: str) -> str:
    """Return the digest of what a label is about: the input and the answer's text, 64 hex digits.

    Raises:
        ValueError: If the input is not JSON.
    """
    asked: Json = dict(item_input)  # type: ignore[arg-type]
    return digest({"input": asked, "output": output})


def task_id_of(experiment_id: str, evaluator: str, item_id: str, trial: int) -> str:
    """Return the id of the task for one answer and evaluator, the same at every draw: 32 hex digits."""
    return digest([experiment_id, evaluator, item_id, trial])[:32]
