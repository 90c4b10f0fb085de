"""What a gate and a comparison ask of calibration: is a judge's word good enough, and what is its mean, corrected?"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from zirkel.core import EvaluatorSpec, Json
from zirkel.stats.prediction_powered import PredictionPowered


class CalibrationState(StrEnum):
    """What people's labels say of a judge."""

    CALIBRATED = "calibrated"
    WEAK = "weak"
    """Its judgements are not informative enough, or agree with people no better than chance."""
    TOO_FEW = "too_few_labels"
    STALE = "stale"
    """It was compared with people, but it, the data or its scores have changed since, or it is long ago."""


@dataclass(frozen=True, slots=True)
class LabelledScore:
    """One answer that a judge scored, or the two answers of a pair, with people's labels where they gave them."""

    item_id: str
    trial: int
    source: str
    """What is independent of others: the item's cluster, else the item."""
    score: float
    """The judge's."""
    other_score: float | None
    """The judge's of the baseline's answer; None where there is no pair."""
    label: float | None
    """People's; None if there is none."""
    other_label: float | None
    chance: float
    """Probability of having been labelled; of meaning only where there is a label."""

    @property
    def has_label(self) -> bool:
        """True if people labelled the answer, or both of a pair."""
        return self.label is not None and (self.other_score is None or self.other_label is not None)


@dataclass(frozen=True, slots=True)
class Corrected:
    """One evaluator's mean over an experiment, or the difference of two, as people's labels correct it."""

    evaluator: str
    evaluator_digest: str
    """Of kind, options (the model among them) and the kind's revision."""
    state: CalibrationState
    reason: str
    """In plain words, with what to do."""
    interval: PredictionPowered | None
    """Two-sided; None if there are not enough labels of a probability sample of these very answers."""
    labels: int
    """Answers (or pairs of answers) with a label, drawn with a known probability."""
    labels_digest: str
    """Over ``answers``."""
    answers: tuple[LabelledScore, ...]
    """What the interval was computed from: ``correct(answers)`` gives it again."""

    def to_dict(self) -> dict[str, Json]:
        """Return the fields as plain JSON values, but for ``answers``, of which there may be many."""
        return {
            "evaluator": self.evaluator,
            "evaluator_digest": self.evaluator_digest,
            "state": self.state.value,
            "reason": self.reason,
            "interval": self.interval.to_dict() if self.interval else None,
            "labels": self.labels,
            "labels_digest": self.labels_digest,
        }


class Calibrations(Protocol):
    """Judges as people's labels measure them. Every method opens a transaction of its own."""

    def needs_labels(self, spec: EvaluatorSpec) -> bool:
        """Return whether an evaluator's scores have to be compared with people's labels: those by a model do."""
        ...

    def corrected(self, project_id: str, experiment_id: str, evaluator: str) -> Corrected:
        """Return an evaluator's mean over an experiment, and whether it can be trusted.

        Raises:
            NotFound: If there is no such experiment or evaluator.
        """
        ...

    def corrected_difference(self, project_id: str, candidate: str, baseline: str, evaluator: str) -> Corrected:
        """Return the paired difference of two experiments' means, the first minus the second.

        Raises:
            NotFound: If there is no such experiment or evaluator.
        """
        ...
