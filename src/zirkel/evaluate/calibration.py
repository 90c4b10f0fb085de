"""Judges as people's labels measure them: reports, corrected means, and whether a gate may decide by them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.core import Clock, EvaluatorSpec, ExperimentRecord, Json, NotFound, Principal, Role, TrialRecord, digest
from zirkel.core.labels import LabelSample, LabelTask
from zirkel.evaluate.calibration_correction import correct
from zirkel.evaluate.calibration_family import judge_models
from zirkel.evaluate.calibration_material import (
    Matched,
    SaidSample,
    Side,
    labelled_pairs,
    labelled_scores,
    make_said,
    make_side,
    match,
    own_sample,
)
from zirkel.evaluate.calibration_measures import JudgeMeasures, measure
from zirkel.evaluate.calibration_ports import CalibrationState, Corrected, LabelledScore
from zirkel.evaluate.calibration_verdict import CalibrationSettings, Judged, judge_the_judge, sort_out
from zirkel.evaluate.label_queue_draw import HUMAN, choose_evaluator, find_experiments, needs_people, wanted_experiments
from zirkel.evaluate.labels_ports import LabelMetadata, LabelReleases, LabelTransaction


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What labels say of a judge, on a release's newest experiment."""

    service: str
    release: str
    evaluator: str
    models: tuple[str, ...]
    """That judge."""
    labels: int
    """Resolved labels that count."""
    disputed: int
    """Answers of which raters differ, and nobody has settled it."""
    oldest_ns: int | None
    """When the oldest label that counts was given."""
    measures: JudgeMeasures
    mean: Corrected
    """Of the release's experiment."""
    difference: Corrected | None
    """Against the baseline's; None without one."""

    @property
    def state(self) -> CalibrationState:
        """Whether the judge is good enough."""
        return self.mean.state

    def to_dict(self) -> dict[str, Json]:
        """Return the report as plain JSON values."""
        return {
            "service": self.service,
            "release": self.release,
            "evaluator": self.evaluator,
            "evaluator_digest": self.mean.evaluator_digest,
            "models": list(self.models),
            "state": self.state.value,
            "reason": self.mean.reason,
            "labels": self.labels,
            "disputed": self.disputed,
            "oldest_ns": self.oldest_ns,
            "measures": self.measures.to_dict(),
            "mean": self.mean.to_dict(),
            "difference": self.difference.to_dict() if self.difference else None,
        }


@dataclass(frozen=True, slots=True)
class _World:
    """An experiment, and everything that people said in its service for the evaluator."""

    target: Side
    samples: Sequence[SaidSample]
    others: dict[str, Side]
    """The other experiments with labels, by id."""


class Calibration:
    """Compares judges with people. Satisfies ``Calibrations``."""

    def __init__(
        self,
        metadata: LabelMetadata,
        releases: LabelReleases,
        clock: Clock,
        settings: CalibrationSettings = CalibrationSettings(),  # noqa: B008 (immutable)
    ) -> None:
        self._metadata = metadata
        self._releases = releases
        self._clock = clock
        self._settings = settings

    def needs_labels(self, spec: EvaluatorSpec) -> bool:
        """Return whether an evaluator's scores have to be compared with people's labels."""
        return needs_people(spec)

    def report(
        self, actor: Principal, service: str, evaluator: str = "", reference: str = "candidate"
    ) -> CalibrationReport:
        """Return what labels say of a judge, on the newest experiment of a release and its baseline's.

        Raises:
            Forbidden: If the actor is no reader.
            NotFound: If service, release or evaluator are unknown, or there is no finished experiment.
            Invalid: If the evaluator has to be named.
        """
        actor.require(Role.READ)
        wanted = wanted_experiments(self._releases, actor.project_id, service, reference)
        with self._metadata.transaction() as tx:
            ours, *theirs = find_experiments(tx, wanted)
        specs = self._releases.evaluators(actor.project_id, ours.evaluators_digest).evaluator
        spec = choose_evaluator(specs, evaluator)
        world = self._world(ours, spec.name)
        other = self._other(world, theirs[0]) if theirs else None
        return self._report(world, other)

    def corrected(self, project_id: str, experiment_id: str, evaluator: str) -> Corrected:
        """Return an evaluator's mean over an experiment, and whether it can be trusted; see ``Calibrations``."""
        world = self._world(self._experiment(project_id, experiment_id), evaluator)
        return self._mean(world)

    def corrected_difference(self, project_id: str, candidate: str, baseline: str, evaluator: str) -> Corrected:
        """Return the paired difference of two experiments, and whether it can be trusted; see ``Calibrations``."""
        world = self._world(self._experiment(project_id, candidate), evaluator)
        other = self._other(world, self._experiment(project_id, baseline))
        return self._difference(world, other)

    def _report(self, world: _World, other: Side | None) -> CalibrationReport:
        target = world.target
        counting = sort_out(target, self._matched(world), self._clock.now_ns(), self._settings).counting
        return CalibrationReport(
            service=target.experiment.service,
            release=target.experiment.release,
            evaluator=target.spec.name,
            models=judge_models(target.spec),
            labels=len(counting),
            disputed=_disputed(world),
            oldest_ns=min((found.said.resolution.at_ns for found in counting), default=None),
            measures=measure(target, counting, other),
            mean=self._mean(world),
            difference=self._difference(world, other) if other else None,
        )

    def _mean(self, world: _World) -> Corrected:
        sample = own_sample(world.target, world.samples, world.others)
        answers = labelled_scores(world.target, sample) if sample else ()
        return _corrected(world.target, self._judged(world, len(_known(answers))), answers)

    def _difference(self, world: _World, other: Side) -> Corrected:
        ours = own_sample(world.target, world.samples, world.others)
        theirs = own_sample(other, world.samples, world.others)
        pairs = labelled_pairs(world.target, ours, other, theirs) if ours and theirs else ()
        return _corrected(world.target, self._judged(world, len(_known(pairs or ()))), pairs or ())

    def _judged(self, world: _World, own_labels: int) -> Judged:
        if world.target.spec.kind == HUMAN:
            return _judged_by_people(world.target, own_labels, self._settings)
        matched = self._matched(world)
        sorted_out = sort_out(world.target, matched, self._clock.now_ns(), self._settings)
        measures = measure(world.target, sorted_out.counting, None)
        return judge_the_judge(world.target, sorted_out, measures, _disputed(world), self._settings)

    def _matched(self, world: _World) -> list[Matched]:
        return list(match(world.target, world.samples, world.others))

    def _experiment(self, project_id: str, experiment_id: str) -> ExperimentRecord:
        with self._metadata.transaction() as tx:
            found = tx.experiments.get(project_id, experiment_id)
        if found is None:
            raise NotFound(f"experiment {experiment_id!r} does not exist")
        return found

    def _world(self, experiment: ExperimentRecord, evaluator: str) -> _World:
        with self._metadata.transaction() as tx:
            trials = tx.experiments.trials(experiment.project_id, experiment.experiment_id)
            samples = [
                _said(tx, sample)
                for sample in tx.labels.samples(experiment.project_id, experiment.service)
                if sample.evaluator == evaluator
            ]
            labelled = {s.sample.experiment_id for s in samples} - {experiment.experiment_id}
            found = [tx.experiments.get(experiment.project_id, other_id) for other_id in sorted(labelled)]
            others = [(e, tx.experiments.trials(e.project_id, e.experiment_id)) for e in found if e is not None]
        target = self._side(experiment, evaluator, trials)
        sides = [self._side(e, evaluator, rows) for e, rows in others]
        return _World(target, samples, {side.experiment.experiment_id: side for side in sides})

    def _other(self, world: _World, experiment: ExperimentRecord) -> Side:
        known = world.others.get(experiment.experiment_id)
        if known is not None:
            return known
        with self._metadata.transaction() as tx:
            trials = tx.experiments.trials(experiment.project_id, experiment.experiment_id)
        return self._side(experiment, world.target.spec.name, trials)

    def _side(self, experiment: ExperimentRecord, evaluator: str, trials: Sequence[TrialRecord]) -> Side:
        project_id = experiment.project_id
        specs = self._releases.evaluators(project_id, experiment.evaluators_digest).evaluator
        items = {item.id: item for item in self._releases.dataset(project_id, experiment.dataset_digest)}
        model = self._model(experiment)
        return make_side(experiment, choose_evaluator(specs, evaluator), items, trials, model)

    def _model(self, experiment: ExperimentRecord) -> str:
        """Return the model that answered; empty if the experiment is of no release, e.g. of a program's function."""
        try:
            return self._releases.open(experiment.project_id, experiment.release).targets[0].name
        except NotFound:
            return ""


def _said(tx: LabelTransaction, sample: LabelSample) -> SaidSample:
    key = (sample.project_id, sample.experiment_id, sample.evaluator)
    tasks: Sequence[LabelTask] = tx.labels.tasks(*key)
    return make_said(sample, tasks, tx.labels.list(*key))


def _disputed(world: _World) -> int:
    asked = [s for s in world.samples if s.sample.question_digest == world.target.question_digest]
    return sum(said.resolution.is_disputed for s in asked for said in s.tasks)


def _known(answers: Sequence[LabelledScore]) -> list[LabelledScore]:
    return [answer for answer in answers if answer.has_label]


def _corrected(target: Side, judged: Judged, answers: Sequence[LabelledScore]) -> Corrected:
    rows: Json = [list(dataclasses.astuple(answer)) for answer in answers]
    return Corrected(
        evaluator=target.spec.name,
        evaluator_digest=target.evaluator_digest,
        state=judged.state,
        reason=judged.reason,
        interval=correct(answers),
        labels=len(_known(answers)),
        labels_digest=digest(rows),
        answers=tuple(answers),
    )


def _judged_by_people(target: Side, labels: int, settings: CalibrationSettings) -> Judged:
    if labels >= settings.fewest_labels:
        return Judged(CalibrationState.CALIBRATED, f"people judge: {labels} answers are labelled")
    command = f"zirkel label {target.experiment.service} --evaluator {target.spec.name}"
    said = f"people judge, and {labels} of {settings.fewest_labels} answers needed are labelled; label more: {command}"
    return Judged(CalibrationState.TOO_FEW, said)
