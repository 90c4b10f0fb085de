"""What a calibration is computed from: an experiment as an evaluator judged it, and what people said of its answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from zirkel.core import DatasetItem, EvaluatorSpec, ExperimentRecord, Scored, TrialRecord
from zirkel.core.erasure import ERASED_TEXT
from zirkel.core.labels import Label, LabelSample, LabelTask, answer_digest
from zirkel.evaluate.calibration_ports import LabelledScore
from zirkel.evaluate.label_queue_draw import judged_score
from zirkel.evaluate.label_queue_sampling import Cell
from zirkel.evaluate.labels_question import LabelQuestion, question_digest, question_of, read_question
from zirkel.evaluate.labels_resolve import Resolution, newest, resolve
from zirkel.evaluate.metrics import evaluator_digest


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer, and what the evaluator says of it."""

    item: DatasetItem
    trial: int
    score: Scored
    length: int
    """In characters."""
    about: str
    """Digest of what a label would be about."""

    @property
    def source(self) -> str:
        """What is independent of others: the item's cluster, else the item."""
        return f"c:{self.item.cluster}" if self.item.cluster else f"i:{self.item.id}"


@dataclass(frozen=True)
class Side:
    """One experiment, as one evaluator judged it."""

    experiment: ExperimentRecord
    spec: EvaluatorSpec
    answers: Mapping[Cell, JudgedAnswer]
    model: str
    """That answered; empty if it is not known."""

    @cached_property
    def question(self) -> LabelQuestion:
        """What people are asked."""
        return question_of(self.spec)

    @cached_property
    def question_digest(self) -> str:
        """Of the question."""
        return question_digest(self.question)

    @cached_property
    def evaluator_digest(self) -> str:
        """Of what the evaluator measures, its model included."""
        return evaluator_digest(self.spec)

    @cached_property
    def by_text(self) -> Mapping[str, JudgedAnswer]:
        """Return the answers by what a label would be about."""
        return {answer.about: answer for answer in self.answers.values()}


@dataclass(frozen=True, slots=True)
class SaidTask:
    """A task and what people said."""

    task: LabelTask
    given: Sequence[Label]
    """Each rater's last word, without decisions between raters."""
    settled: Sequence[Label]
    """Decisions between raters, the one that counts last."""
    resolution: Resolution

    @property
    def cell(self) -> Cell:
        """Item and trial."""
        return self.task.item_id, self.task.trial


@dataclass(frozen=True)
class SaidSample:
    """A sample with its tasks."""

    sample: LabelSample
    tasks: Sequence[SaidTask]

    @cached_property
    def drawn(self) -> Mapping[Cell, SaidTask]:
        """Return the tasks that were drawn with a known probability."""
        return {said.cell: said for said in self.tasks if said.task.probability is not None}

    @cached_property
    def chances(self) -> Mapping[Cell, float]:
        """Return with which probability each answer is in the sample."""
        return {(item, trial): chance for item, trial, chance in self.sample.probabilities}


@dataclass(frozen=True, slots=True)
class Matched:
    """An answer that people labelled and a judge scored."""

    answer: JudgedAnswer
    said: SaidTask
    by: Side
    """Whose score it is."""


def make_side(
    experiment: ExperimentRecord,
    spec: EvaluatorSpec,
    items: Mapping[str, DatasetItem],
    trials: Iterable[TrialRecord],
    model: str = "",
) -> Side:
    """Return an experiment as an evaluator judged it; answers whose item was erased are left out."""
    answers = {}
    for trial in trials:
        score = judged_score(trial, spec)
        item = items.get(trial.item_id)
        if score is None or item is None or trial.output == ERASED_TEXT:
            continue
        about = answer_digest(item.input, trial.output)
        answers[trial.item_id, trial.trial] = JudgedAnswer(item, trial.trial, score, len(trial.output), about)
    return Side(experiment, spec, answers, model)


def make_said(sample: LabelSample, tasks: Iterable[LabelTask], labels: Iterable[Label]) -> SaidSample:
    """Return a sample with what people said of each task."""
    question = read_question(sample.question)
    by_task: dict[str, list[Label]] = {}
    for label in labels:
        by_task.setdefault(label.task_id, []).append(label)
    said = []
    for task in tasks:
        given = by_task.get(task.task_id, [])
        standing = sorted(newest(given), key=lambda label: (label.labelled_ns, label.rater_id))
        rated = [label for label in standing if not label.is_adjudication]
        settled = [label for label in standing if label.is_adjudication]
        said.append(SaidTask(task, rated, settled, resolve(question, given)))
    return SaidSample(sample, said)


def match(target: Side, samples: Sequence[SaidSample], others: Mapping[str, Side]) -> Iterator[Matched]:
    """Yield each resolved label of the target's question with a judge's score of the same answer.

    The target's score if it judged that very answer or one of the same text, else the score that stands in the label's
    own experiment, which may be another judge's.

    Args:
        target: The experiment in question.
        samples: What people said, of whichever experiments.
        others: Those experiments by id.
    """
    for said_sample in samples:
        if said_sample.sample.question_digest != target.question_digest:
            continue
        own_id = said_sample.sample.experiment_id
        for said in said_sample.tasks:
            if not said.resolution.is_resolved:
                continue
            found = _target_answer(target, said, is_own=own_id == target.experiment.experiment_id)
            if found is not None:
                yield Matched(found, said, target)
            elif own_id in others and said.cell in others[own_id].answers:
                yield Matched(others[own_id].answers[said.cell], said, others[own_id])


def own_sample(target: Side, samples: Sequence[SaidSample], others: Mapping[str, Side]) -> SaidSample | None:
    """Return the probability sample of the target's answers, or None.

    It is its own, or that of an experiment whose answers were the same, each to its character: then the judge differs,
    and what people were asked about does not.
    """
    asked = [s for s in samples if s.sample.question_digest == target.question_digest and s.drawn]
    own = next((s for s in asked if s.sample.experiment_id == target.experiment.experiment_id), None)
    if own is not None or target.question.kind == "pair":
        return own
    return next((s for s in asked if _is_same(target, s, others.get(s.sample.experiment_id))), None)


def labelled_scores(target: Side, sample: SaidSample) -> tuple[LabelledScore, ...]:
    """Return every answer that could have been drawn, with its label if it was and people said something."""
    return _rows(target, sample, None, None)


def labelled_pairs(
    candidate: Side, ours: SaidSample, baseline: Side, theirs: SaidSample
) -> tuple[LabelledScore, ...] | None:
    """Return the same of pairs of answers to the same item and trial; None if they were not drawn together."""
    shared = candidate.answers.keys() & baseline.answers.keys() & ours.chances.keys() & theirs.chances.keys()
    if any(abs(ours.chances[cell] - theirs.chances[cell]) > _SAME for cell in shared):
        return None
    return _rows(candidate, ours, baseline, theirs)


_SAME = 1e-9


def _rows(
    side: Side, sample: SaidSample, other: Side | None, other_sample: SaidSample | None
) -> tuple[LabelledScore, ...]:
    cells = [cell for cell in sample.chances if cell in side.answers and (other is None or cell in other.answers)]
    drawn = [cell for cell in cells if cell in sample.drawn]
    labels = {cell: _value(sample, cell) for cell in drawn}
    others = {cell: _value(other_sample, cell) for cell in drawn} if other_sample else {}
    said = [cell for cell in drawn if labels[cell] is not None and (other is None or others[cell] is not None)]
    # The queue is in random order, so those who were labelled so far are a random part of those drawn.
    share = len(said) / len(drawn) if drawn else 0.0
    return tuple(
        LabelledScore(
            item_id=cell[0],
            trial=cell[1],
            source=side.answers[cell].source,
            score=side.answers[cell].score.value,
            other_score=other.answers[cell].score.value if other else None,
            label=labels.get(cell),
            other_label=others.get(cell),
            chance=min(sample.chances[cell] * share, 1.0),
        )
        for cell in sorted(cells)
    )


def _value(sample: SaidSample, cell: Cell) -> float | None:
    said = sample.drawn.get(cell)
    return said.resolution.value if said else None


def _target_answer(target: Side, said: SaidTask, *, is_own: bool) -> JudgedAnswer | None:
    if is_own:
        return target.answers.get(said.cell)
    # A label of a pair is about two texts, and its digest about one.
    return None if target.question.kind == "pair" else target.by_text.get(said.task.answer_digest)


def _is_same(target: Side, sample: SaidSample, other: Side | None) -> bool:
    if other is None:
        return False
    return all(
        cell in target.answers and cell in other.answers and target.answers[cell].about == other.answers[cell].about
        for cell in sample.chances
    )
