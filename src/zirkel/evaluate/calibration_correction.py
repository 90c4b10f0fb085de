"""A judge's mean, corrected by people's labels of a probability sample of the same answers. Pure."""

from collections.abc import Sequence

import numpy as np

from zirkel.evaluate.calibration_ports import LabelledScore
from zirkel.stats.prediction_powered import JudgedSample, PredictionPowered, ppi_difference, ppi_mean

FEWEST_LABELS = 50
"""Answers (or pairs of answers) with a label that a correction needs."""


def correct(answers: Sequence[LabelledScore], *, confidence: float = 0.95) -> PredictionPowered | None:
    """Return the mean of what people would say, or of its difference, from a judge's scores and the labels there are.

    Each answer counts once, and those of one source (the trials of an item, the items of a cluster) are taken as one
    unit. If labels were more probable for some answers than for others, they are weighted by that.

    Args:
        answers: Everything the judge scored, labelled or not; all with an other score (pairs), or all without.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Returns:
        None with fewer than ``FEWEST_LABELS`` labels, or if they are all of one source.

    Source: as ``stats.ppi_mean`` and ``stats.ppi_difference``.
    """
    known = [answer for answer in answers if answer.has_label]
    others = [answer for answer in answers if not answer.has_label]
    if len(known) < FEWEST_LABELS or len({answer.source for answer in known}) < 2:
        return None
    ordered = [*known, *others]
    sources = [answer.source for answer in ordered]
    clusters = sources if len(set(sources)) < len(sources) else None
    chances = np.array([answer.chance for answer in known])
    inclusion = chances if float(np.ptp(chances)) > 1e-9 else None
    ours = _sample(known, others)
    if ordered[0].other_score is None:
        return ppi_mean(
            ours.labels,
            ours.judged,
            ours.judged_unlabelled,
            inclusion=inclusion,
            clusters=clusters,
            confidence=confidence,
        )
    theirs = JudgedSample(
        np.array([answer.other_label for answer in known], dtype=np.float64),
        np.array([answer.other_score for answer in known], dtype=np.float64),
        np.array([answer.other_score for answer in others], dtype=np.float64),
    )
    return ppi_difference(ours, theirs, inclusion=inclusion, clusters=clusters, confidence=confidence)


def _sample(known: Sequence[LabelledScore], others: Sequence[LabelledScore]) -> JudgedSample:
    return JudgedSample(
        np.array([answer.label for answer in known], dtype=np.float64),
        np.array([answer.score for answer in known], dtype=np.float64),
        np.array([answer.score for answer in others], dtype=np.float64),
    )
