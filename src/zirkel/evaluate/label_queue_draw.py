"""Drawing the sample of answers that people are asked about."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from zirkel.core import (
    DatasetItem,
    EvaluatorSpec,
    ExperimentRecord,
    ExperimentState,
    Invalid,
    Json,
    NotFound,
    Scored,
    TrialRecord,
    TrialState,
    digest,
    score_from_json,
)
from zirkel.core.labels import Label, LabelSample, LabelTask, answer_digest, task_id_of
from zirkel.evaluate.evaluators import kind_of
from zirkel.evaluate.evaluators.human import KIND as HUMAN_KIND
from zirkel.evaluate.label_queue_sampling import RULE, Candidate, Cell, chances, draw, joined
from zirkel.evaluate.labels_ports import LabelReleases, LabelTransaction
from zirkel.evaluate.labels_question import question_digest, question_of, write_question
from zirkel.evaluate.labels_resolve import resolve

HUMAN = HUMAN_KIND.name


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be drawn."""

    spec: EvaluatorSpec
    answers: int
    """How many more, over all experiments together."""
    second_share: float
    """Share of them that two people are asked about."""


def judged_score(trial: TrialRecord, spec: EvaluatorSpec) -> Scored | None:
    """Return what an evaluator says of an answer; None if it could not score it.

    An evaluator that is people themselves says nothing beforehand: its score is 0 for each answer, and a correction
    by people's labels then rests on these alone.
    """
    if trial.state != TrialState.ANSWERED:
        return None
    if spec.kind == HUMAN:
        return Scored(0.0)
    stored = (trial.scores or {}).get(spec.name)
    score = score_from_json(stored) if stored else None
    return score if isinstance(score, Scored) else None


def needs_people(spec: EvaluatorSpec) -> bool:
    """Return whether people's labels are needed: of what a model judges, and of what people judge themselves."""
    return spec.kind == HUMAN or kind_of(spec).uses_model


def choose_evaluator(specs: Sequence[EvaluatorSpec], name: str) -> EvaluatorSpec:
    """Return the evaluator of a name, or the only one that needs people if no name is given.

    Raises:
        NotFound: If there is none of that name.
        Invalid: If no name is given and not exactly one evaluator needs people.
    """
    if name:
        found = next((spec for spec in specs if spec.name == name), None)
        if found is None:
            known = ", ".join(spec.name for spec in specs)
            raise NotFound(f"there is no evaluator {name!r}; known are {known}")
        return found
    judges = [spec for spec in specs if needs_people(spec)]
    if len(judges) != 1:
        said = f"{len(judges)} evaluators ask a model or people" if judges else "no evaluator asks a model or people"
        raise Invalid(f"{said}; name one of {', '.join(spec.name for spec in specs)}", path="evaluator")
    return judges[0]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose experiments are drawn from."""

    project_id: str
    service: str
    release: str
    environment: str
    """Whose stable release is the baseline."""
    declared_baseline: str | None
    """The baseline while nothing is live."""


def wanted_experiments(releases: LabelReleases, project_id: str, service: str, reference: str) -> Wanted:
    """Return what a release is compared with.

    Raises:
        NotFound: If service or release are unknown.
    """
    release = releases.resolve(project_id, service, reference)
    declared = releases.service(project_id, service).baseline_release
    return Wanted(project_id, service, release, releases.open(project_id, release).gate.environment, declared)


def find_experiments(tx: LabelTransaction, wanted: Wanted) -> list[ExperimentRecord]:
    """Return the newest finished experiment of a release, and that of its baseline on the same plan if there is one.

    Raises:
        NotFound: If the release has no finished experiment.
    """
    known = tx.experiments.list(wanted.project_id, wanted.service)
    finished = [experiment for experiment in known if experiment.state == ExperimentState.FINISHED]
    ours = next((e for e in finished if e.release == wanted.release), None)
    if ours is None:
        said = f"release {wanted.release[:12]} has no finished experiment; run: zirkel eval {wanted.service}"
        raise NotFound(said)
    live = tx.environments.get(wanted.project_id, wanted.service, wanted.environment)
    baseline = live.stable_release if live else wanted.declared_baseline
    same_plan = [e for e in finished if _plan(e) == _plan(ours) and e.release == baseline != wanted.release]
    return [ours, *same_plan[:1]]


def draw_sample(
    tx: LabelTransaction,
    experiments: Sequence[ExperimentRecord],
    items: Mapping[str, DatasetItem],
    order: Order,
    now_ns: int,
    by: str,
) -> list[LabelSample]:
    """Draw items and trials, beside those drawn before, and queue each experiment's answer to them.

    People so label the answers of candidate and baseline to the same items, which makes their difference the surest.
    What was drawn for one of the experiments before is used for the other, too.

    Args:
        tx: The transaction; it holds the lock of labels.
        experiments: One, or two of the same plan. An answer is drawn only if each has a judged one.
        items: Of their data set, by id.
        order: What is drawn.
        now_ns: The time.
        by: Who draws.

    Returns:
        The sample of each experiment as it is then.
    """
    sides = [_Side.read(tx, experiment, items, order.spec) for experiment in experiments]
    shared = [cell for cell in sides[0].answers if all(cell in side.answers for side in sides)]
    candidates = [_candidate(cell, sides, items) for cell in shared]
    known = joined([side.known for side in sides], [side.tasks for side in sides])
    earlier = [known.get(cell, 0.0) for cell in shared]
    is_drawn = [any(cell in side.tasks for side in sides) for cell in shared]
    pairs = -(-order.answers // len(sides))
    total = chances(candidates, [_label(cell, sides) for cell in shared], earlier, sum(is_drawn) + pairs)
    # Derived, so that whoever has the experiments can draw the same sample again.
    named: Json = [*(experiment.experiment_id for experiment in experiments), order.spec.name, sum(is_drawn)]
    random = Random(int(digest(named)[:16], 16))  # noqa: S311 (see above)
    chosen = draw(candidates, earlier, total, is_drawn, random)
    wanted = {shared[place] for place in (*chosen, *(place for place, drawn in enumerate(is_drawn) if drawn))}
    found = dict(zip(shared, total, strict=True))
    return [_queue(tx, side, wanted, found, items, order, random, _Stamp(now_ns, by)) for side in sides]


@dataclass(frozen=True, slots=True)
class _Stamp:
    """When, and by whom."""

    now_ns: int
    by: str


@dataclass(frozen=True, slots=True)
class _Side:
    """One experiment: what was judged, and what was drawn before."""

    experiment: ExperimentRecord
    answers: Mapping[Cell, tuple[TrialRecord, float]]
    known: Mapping[Cell, float]
    tasks: Mapping[Cell, LabelTask]
    labels: Mapping[Cell, float]
    """What people said, where they agree or it is settled."""

    @classmethod
    def read(
        cls, tx: LabelTransaction, experiment: ExperimentRecord, items: Mapping[str, DatasetItem], spec: EvaluatorSpec
    ) -> "_Side":
        key = (experiment.project_id, experiment.experiment_id, spec.name)
        answers = {
            (trial.item_id, trial.trial): (trial, score.value)
            for trial in tx.experiments.trials(experiment.project_id, experiment.experiment_id)
            if trial.item_id in items and (score := judged_score(trial, spec)) is not None
        }
        before = tx.labels.sample(*key)
        known = {(item, trial): chance for item, trial, chance in before.probabilities} if before else {}
        drawn = [task for task in tx.labels.tasks(*key) if task.probability is not None]
        said: dict[str, list[Label]] = {}
        for label in tx.labels.list(*key):
            said.setdefault(label.task_id, []).append(label)
        question = question_of(spec)
        tasks = {(task.item_id, task.trial): task for task in drawn}
        found = {cell: resolve(question, said.get(task.task_id, [])).value for cell, task in tasks.items()}
        labels = {cell: value for cell, value in found.items() if value is not None}
        return cls(experiment, answers, known, tasks, labels)


def _candidate(cell: Cell, sides: Sequence[_Side], items: Mapping[str, DatasetItem]) -> Candidate:
    scores = [side.answers[cell][1] for side in sides]
    return Candidate(cell[0], cell[1], scores[0], scores[1] if len(scores) > 1 else None, items[cell[0]].cluster)


def _label(cell: Cell, sides: Sequence[_Side]) -> float | None:
    if any(cell not in side.labels for side in sides):
        return None
    ours, *theirs = (side.labels[cell] for side in sides)
    return ours - sum(theirs)


def _queue(
    tx: LabelTransaction,
    side: _Side,
    wanted: Collection[Cell],
    probabilities: Mapping[Cell, float],
    items: Mapping[str, DatasetItem],
    order: Order,
    random: Random,
    stamp: _Stamp,
) -> LabelSample:
    """Put the answers of one experiment that are wanted into the queue, behind those that are in it."""
    question = question_of(order.spec)
    asked = question_digest(question)
    behind = max((int(task.place) + 1 for task in side.tasks.values()), default=0)
    tasks = []
    for cell in sorted(wanted):
        known = side.tasks.get(cell)
        trial = side.answers[cell][0]
        place, wants_second = behind + random.random(), random.random() < order.second_share
        task = known or LabelTask(
            project_id=trial.project_id,
            task_id=task_id_of(trial.experiment_id, order.spec.name, trial.item_id, trial.trial),
            experiment_id=trial.experiment_id,
            evaluator=order.spec.name,
            item_id=trial.item_id,
            trial=trial.trial,
            answer_digest=answer_digest(items[trial.item_id].input, trial.output),
            question_digest=asked,
            probability=None,
            place=place,
            raters=2 if wants_second else 1,
        )
        tasks.append(dataclasses.replace(task, probability=probabilities[cell]))
    tx.labels.put_tasks(tasks)
    sample = LabelSample(
        project_id=side.experiment.project_id,
        experiment_id=side.experiment.experiment_id,
        evaluator=order.spec.name,
        service=side.experiment.service,
        question=write_question(question),
        question_digest=asked,
        probabilities=tuple((item, trial, chance) for (item, trial), chance in probabilities.items()),
        rule=RULE,
        drawn=len(tasks),
        drawn_ns=stamp.now_ns,
        drawn_by=stamp.by,
    )
    tx.labels.put_sample(sample)
    return sample


def _plan(experiment: ExperimentRecord) -> tuple[str, str, int]:
    return experiment.dataset_digest, experiment.evaluators_digest, experiment.trials
