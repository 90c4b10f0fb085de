"""What a plan knows of how much a metric varies: from earlier experiments where there are some, else assumed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zirkel.core import MetricPolicy
from zirkel.evaluate.compare import Pair, column_trials, pair_columns
from zirkel.evaluate.measure import Column, IntArray, ItemFrame, Measured
from zirkel.evaluate.metrics import Metric
from zirkel.stats import cluster_effect, paired_variance_components, variance_components

ASSUMED_CHANGES = 0.2
"""Share of pass/fail items that change between two releases, if nothing is known."""
ASSUMED_NOISE = 0.5
"""Share of that variance that comes from trial to trial, if nothing is known."""
ASSUMED_SPREAD = 0.3
"""Standard deviation of a difference as a share of the mean, for a cost or a latency that was never measured."""
ASSUMED_ICC = 0.1
"""How alike the differences of items of one cluster are, if nothing is known."""
ASSUMED_MEAN = 0.9
"""Pass rate of the candidate, if nothing is known."""
FEWEST_ITEMS = 10
"""An earlier experiment of fewer items says too little about a variance."""


@dataclass(frozen=True, slots=True)
class Basis:
    """How one metric varies, in its unit squared; for a relative margin, in shares of the baseline's mean."""

    between: float
    """Variance over items of the true difference."""
    within_candidate: float
    """Variance of repeated trials of one item."""
    within_baseline: float
    icc: float
    mean: float
    """Of the candidate; for a floor."""
    mean_variance: float
    """Over items, of the candidate's true values."""
    is_pass_fail: bool
    """Whether one trial scores 0 or 1."""
    source: str
    """Where this comes from, in words."""
    is_assumed: bool


def basis_of_pair(wanted: MetricPolicy, candidate: Measured, baseline: Measured, frame: ItemFrame) -> Basis | None:
    """Return what two experiments on the same items say; None if they say too little."""
    ours, theirs = candidate.columns[wanted.evaluator], baseline.columns[wanted.evaluator]
    pair = pair_columns(ours, theirs, frame, frame.rows(wanted.segment))
    scale = float(np.mean(pair.baseline)) if wanted.relative_margin is not None and len(pair.rows) else 1.0
    if len(pair.rows) < FEWEST_ITEMS or scale <= 0:
        return None
    n = len(frame.ids)
    parts = paired_variance_components(column_trials(ours, pair.rows, n), column_trials(theirs, pair.rows, n))
    alone = _components(ours, pair.rows, n)
    if parts.between + (parts.within_candidate or 0.0) + (parts.within_baseline or 0.0) <= 0:
        # Nothing changed: that says that changes are rare, not that there are none.
        parts_between = 1.0 / len(pair.rows) if _is_pass_fail(ours) else (pair.scale * 1e-3) ** 2
    else:
        parts_between = parts.between
    said = f"measured: releases {candidate.experiment.release[:12]} and {baseline.experiment.release[:12]}"
    return Basis(
        between=parts_between / scale**2,
        within_candidate=(parts.within_candidate or 0.0) / scale**2,
        within_baseline=(parts.within_baseline or 0.0) / scale**2,
        icc=_icc(pair),
        mean=float(np.mean(pair.candidate)),
        mean_variance=alone[0] + alone[1],
        is_pass_fail=_is_pass_fail(ours) and _is_pass_fail(theirs),
        source=f"{said}, {len(pair.rows)} items x {candidate.experiment.trials} trials",
        is_assumed=False,
    )


def assumed_basis(wanted: MetricPolicy, metric: Metric, known: Sequence[tuple[Measured, ItemFrame]]) -> Basis | None:
    """Return what is assumed where no pair was measured, with the mean and noise of one experiment if there is one.

    None for a cost or a latency that was never measured and has an absolute margin: nobody knows its size.
    """
    alone = next((found for measured, frame in known if (found := _alone(wanted, measured, frame))), None)
    if metric.unit == "share":
        return _assumed_share(alone)
    if wanted.relative_margin is not None:
        said = f"assumed: differences vary by {ASSUMED_SPREAD:.0%} of the mean; run an experiment to know"
        return _assumed(ASSUMED_SPREAD**2, alone[0] if alone else 1.0, said)
    if alone is None or alone[0] <= 0:
        return None
    said = f"assumed: differences vary by {ASSUMED_SPREAD:.0%} of the mean that one experiment found"
    return _assumed((ASSUMED_SPREAD * alone[0]) ** 2, alone[0], said)


def _assumed_share(alone: tuple[float, float, float] | None) -> Basis:
    mean = alone[0] if alone else ASSUMED_MEAN
    total = ASSUMED_CHANGES
    known = f"one experiment's mean of {mean:.2f}" if alone else f"a mean of {ASSUMED_MEAN:g}"
    said = (
        f"assumed: {known}, 1 in {1 / ASSUMED_CHANGES:.0f} items changes between releases, half of that from trial to "
        f"trial, items of a cluster alike by {ASSUMED_ICC:g}; run an experiment to know"
    )
    noise = total * ASSUMED_NOISE / 2
    return Basis(
        between=total * (1 - ASSUMED_NOISE),
        within_candidate=noise,
        within_baseline=noise,
        icc=ASSUMED_ICC,
        mean=mean,
        mean_variance=max(mean * (1 - mean), 1e-4),
        is_pass_fail=True,
        source=said,
        is_assumed=True,
    )


def _assumed(variance: float, mean: float, said: str) -> Basis:
    return Basis(variance, 0.0, 0.0, ASSUMED_ICC, mean, (ASSUMED_SPREAD * mean) ** 2, False, said, True)


def _alone(wanted: MetricPolicy, measured: Measured, frame: ItemFrame) -> tuple[float, float, float] | None:
    """Return the mean of one experiment, and its variance between and within items; None if it says too little."""
    column, n = measured.columns.get(wanted.evaluator), len(frame.ids)
    if column is None:
        return None
    rows = frame.rows(wanted.segment)
    scored = rows[column.counts(n)[rows] > 0]
    if len(scored) < FEWEST_ITEMS:
        return None
    between, within = _components(column, scored, n)
    return float(np.mean(column.means(n)[scored])), between, within


def _components(column: Column, rows: IntArray, n: int) -> tuple[float, float]:
    trials = column_trials(column, rows, n)
    if column.counts(n)[rows].max() < 2:
        return float(np.var(column.means(n)[rows], ddof=1)), 0.0
    found = variance_components(trials)
    return found.between, found.within


def _is_pass_fail(column: Column) -> bool:
    return bool(np.all((column.values == 0) | (column.values == 1)))


def _icc(pair: Pair) -> float:
    """Return how alike the differences within clusters are; nothing is known of it where nothing changed."""
    if pair.clusters is None or pair.n_sources < 2 or not np.any(pair.differences != pair.differences[0]):
        return 0.0 if pair.clusters is None else ASSUMED_ICC
    return cluster_effect(pair.differences, pair.clusters).icc
