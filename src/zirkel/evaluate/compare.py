"""From an experiment's numbers to means with uncertainty, and to the paired difference of two releases. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from zirkel.core import ExperimentRecord
from zirkel.evaluate.measure import Column, FloatArray, IntArray, ItemFrame, Measured
from zirkel.evaluate.metrics import Metric
from zirkel.stats import (
    MeanInterval,
    PairedVarianceComponents,
    VarianceComponents,
    mean_interval,
    paired_difference,
    paired_variance_components,
    pass_at_k,
    pass_hat_k,
    variance_components,
    wilson_interval,
)

SHOWN_ATTEMPTS = (2, 5, 10)
"""For how many attempts passes are reported, beside all trials there are."""


@dataclass(frozen=True, slots=True)
class RepeatedPasses:
    """How often ``k`` attempts at an item help (at least one passes), or can be relied on (all pass)."""

    k: int
    at_least_one: MeanInterval
    """pass@k, over the items with all their trials."""
    every_one: MeanInterval
    """pass^k."""


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric's mean over the items of one experiment."""

    metric: Metric
    interval: MeanInterval | None
    """Over items (each the mean of its trials), by clusters where the data set has them; None below 2 items, or if all
    of them are of one cluster."""
    scored_items: int
    errored: int
    """Answers whose evaluator failed, or whose cost is unknown."""
    unscored: int
    """Answers that there was nothing to judge by."""
    is_pass_fail: bool
    """True if every item's mean is 0 or 1."""
    flip_rate: float | None
    """Probability that two trials of an item differ, averaged over items; None with one trial."""
    components: VarianceComponents | None
    """Where the variance comes from; None with one trial, or below 2 items."""
    repeats: tuple["RepeatedPasses", ...]
    """What several attempts do; empty unless every score is 0 or 1 and there are trials."""


@dataclass(frozen=True, slots=True)
class ExperimentSummary:
    """What one experiment found."""

    measured: Measured
    metrics: Mapping[str, MetricSummary]

    @property
    def experiment(self) -> ExperimentRecord:
        """Which experiment it is."""
        return self.measured.experiment


@dataclass(frozen=True, eq=False)
class Pair:
    """One metric of two releases on the items that both have values for: an item's value is the mean of its trials."""

    rows: IntArray
    candidate: FloatArray
    baseline: FloatArray
    sources: IntArray

    @cached_property
    def n_sources(self) -> int:
        """Independent sources the items come from; one alone tells nothing about the spread."""
        return len(np.unique(self.sources))

    @property
    def clusters(self) -> IntArray | None:
        """One code an item; None if every item is a source of its own."""
        return self.sources if self.n_sources < len(self.sources) else None

    @property
    def differences(self) -> FloatArray:
        """Candidate minus baseline."""
        return self.candidate - self.baseline

    @cached_property
    def is_pass_fail(self) -> bool:
        """Whether every value is 0 or 1, so that items change by a whole or not at all."""
        return _is_pass_fail(self.candidate) and _is_pass_fail(self.baseline)

    @cached_property
    def scale(self) -> float:
        """The largest value in size."""
        return float(max(np.max(np.abs(self.candidate), initial=0), np.max(np.abs(self.baseline), initial=0)))


@dataclass(frozen=True, slots=True)
class PairedMetric:
    """One metric's difference, candidate minus baseline, on the same items."""

    metric: Metric
    difference: MeanInterval | None
    """None below 2 shared items, or if all of them are of one cluster."""
    shared_items: int
    """Items that both releases have scores for."""
    better_items: int
    worse_items: int
    """By the metric's own direction."""
    components: PairedVarianceComponents | None
    """Where the variance of the difference comes from; None below 2 shared items."""


def summarise(measured: Measured, frame: ItemFrame, metrics: Mapping[str, Metric]) -> ExperimentSummary:
    """Return what an experiment found so far."""
    found = {name: _summarise_metric(metric, measured, frame) for name, metric in metrics.items()}
    return ExperimentSummary(measured, found)


def pair_columns(candidate: Column, baseline: Column, frame: ItemFrame, rows: IntArray | None = None) -> Pair:
    """Return two columns on the items that both have values for, of ``rows`` if given."""
    n = len(frame.ids)
    both = (candidate.counts(n) > 0) & (baseline.counts(n) > 0)
    chosen = np.flatnonzero(both) if rows is None else rows[both[rows]]
    return Pair(chosen, candidate.means(n)[chosen], baseline.means(n)[chosen], frame.sources[chosen])


def compare_metric(metric: Metric, candidate: Measured, baseline: Measured, frame: ItemFrame) -> PairedMetric:
    """Return the paired difference on the items that both releases have scores for."""
    ours, theirs, n = candidate.columns[metric.name], baseline.columns[metric.name], len(frame.ids)
    pair = pair_columns(ours, theirs, frame)
    up, down = int(np.sum(pair.differences > 0)), int(np.sum(pair.differences < 0))
    is_higher = metric.direction == "higher"
    return PairedMetric(
        metric=metric,
        difference=difference_of(pair),
        shared_items=len(pair.rows),
        better_items=up if is_higher else down,
        worse_items=down if is_higher else up,
        components=paired_variance_components(column_trials(ours, pair.rows, n), column_trials(theirs, pair.rows, n))
        if len(pair.rows) > 1
        else None,
    )


def difference_of(pair: Pair) -> MeanInterval | None:
    """Return the mean difference with its interval; None if its spread cannot be told."""
    if pair.n_sources < 2:
        return None
    return paired_difference(pair.candidate, pair.baseline, pair.clusters)


def mean_of(values: FloatArray, sources: IntArray) -> MeanInterval | None:
    """Return the mean of item values with its interval, by sources; None if its spread cannot be told."""
    n_sources = len(np.unique(sources))
    if n_sources < 2:
        return None
    return mean_interval(values, sources if n_sources < len(sources) else None)


def _summarise_metric(metric: Metric, measured: Measured, frame: ItemFrame) -> MetricSummary:
    column, n = measured.columns[metric.name], len(frame.ids)
    counts = column.counts(n)
    scored = np.flatnonzero(counts)
    means, sources = column.means(n)[scored], frame.sources[scored]
    interval = mean_of(means, sources)
    k = measured.experiment.trials
    full = np.flatnonzero(counts == k)
    return MetricSummary(
        metric=metric,
        interval=_for_display(interval, is_pass_fail=_is_pass_fail(means))
        if interval and metric.unit == "share"
        else interval,
        scored_items=len(scored),
        errored=column.errored,
        unscored=column.unscored,
        is_pass_fail=_is_pass_fail(means),
        flip_rate=_flip_rate(column, counts),
        components=variance_components(column_trials(column, scored, n))
        if len(scored) > 1 and counts.max() > 1
        else None,
        repeats=_repeats(column, full, frame, k) if metric.unit == "share" else (),
    )


def _for_display(interval: MeanInterval, *, is_pass_fail: bool) -> MeanInterval:
    """Return the interval of a share, which stays between 0 and 1.

    Independent items that pass or fail get Wilson's, and so do items that all score alike, where t would give a point.
    """
    is_point = interval.standard_error == 0 and interval.estimate in (0.0, 1.0)
    if not is_point and (not is_pass_fail or interval.n_clusters is not None):
        return replace(interval, low=max(interval.low, 0.0), high=min(interval.high, 1.0))
    units = interval.n_clusters or interval.n
    wilson = wilson_interval(round(interval.estimate * units), units, confidence=interval.confidence)
    said = f"all {interval.n} items score alike: this is Wilson's interval, counting {units} independent sources"
    warnings = (said,) if is_point else interval.warnings
    return replace(interval, low=wilson.low, high=wilson.high, method=wilson.method, warnings=warnings)


def _is_pass_fail(values: FloatArray) -> bool:
    return bool(np.all((values == 0) | (values == 1)))


def _flip_rate(column: Column, counts: IntArray) -> float | None:
    """Return the mean over items of the share of pairs of trials that differ.

    Source: for pass/fail, with c passes in n trials, this is 2c(n-c)/(n(n-1)).
    """
    repeated = counts > 1
    if not np.any(repeated):
        return None
    order = np.lexsort((column.values, column.rows))
    rows, values = column.rows[order], column.values[order]
    starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]) | (values[1:] != values[:-1])])
    alike = np.diff(np.r_[starts, len(rows)])
    same_pairs = np.bincount(rows[starts], weights=alike * (alike - 1.0), minlength=len(counts))[repeated]
    pairs = counts[repeated] * (counts[repeated] - 1.0)
    return float(np.mean(1 - same_pairs / pairs))


def _repeats(column: Column, full: IntArray, frame: ItemFrame, trials: int) -> tuple[RepeatedPasses, ...]:
    sources = frame.sources[full]
    if trials < 2 or len(np.unique(sources)) < 2 or not _is_pass_fail(column.values):
        return ()
    passes = np.bincount(column.rows, weights=column.values, minlength=len(frame.ids))[full].astype(np.int64)
    tried = np.full(len(full), trials, dtype=np.int64)
    found = []
    for k in sorted({k for k in SHOWN_ATTEMPTS if k < trials} | {trials}):
        one, every = mean_of(pass_at_k(passes, tried, k), sources), mean_of(pass_hat_k(passes, tried, k), sources)
        assert one is not None
        assert every is not None
        shown = (_for_display(interval, is_pass_fail=False) for interval in (one, every))
        found.append(RepeatedPasses(k, *shown))
    return tuple(found)


def column_trials(column: Column, rows: IntArray, n: int) -> list[list[float]] | FloatArray:
    """Return the values of each item's trials, the items in the order of ``rows``; each has at least one."""
    only = column.only(rows, n)
    order = np.argsort(only.rows, kind="stable")
    sizes = only.counts(n)[rows]
    if np.all(sizes == sizes[0]):
        return only.values[order].reshape(len(rows), int(sizes[0]))
    return [part.tolist() for part in np.split(only.values[order], np.cumsum(sizes)[:-1])]
