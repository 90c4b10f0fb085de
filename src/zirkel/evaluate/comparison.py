"""Two releases side by side: what each found, what differs, and in which parts of the data set. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zirkel.evaluate.compare import ExperimentSummary, PairedMetric, compare_metric, pair_columns, summarise
from zirkel.evaluate.measure import ItemFrame, Measured
from zirkel.evaluate.metrics import Metric
from zirkel.stats import SegmentDifference, compare_segments


@dataclass(frozen=True, slots=True)
class Comparison:
    """The candidate's experiment beside the baseline's."""

    service: str
    candidate: ExperimentSummary
    baseline: ExperimentSummary | None
    paired: Mapping[str, PairedMetric] | None
    """By metric; None if there is nothing to compare with."""
    segments: Mapping[str, tuple[SegmentDifference, ...]]
    """By metric; where to look, not what to decide by. Empty if nothing was asked for or compared."""


def compare(
    service: str,
    metrics: Mapping[str, Metric],
    frame: ItemFrame,
    candidate: Measured,
    baseline: Measured | None,
    *,
    with_segments: bool = False,
) -> Comparison:
    """Return what candidate and baseline found on the same plan, and their paired differences."""
    ours = summarise(candidate, frame, metrics)
    if baseline is None:
        return Comparison(service, ours, None, None, {})
    paired = {name: compare_metric(metric, candidate, baseline, frame) for name, metric in metrics.items()}
    segments = {}
    if with_segments and frame.segments:
        segments = {name: _segments(name, candidate, baseline, frame) for name in metrics}
    return Comparison(service, ours, summarise(baseline, frame, metrics), paired, segments)


def _segments(name: str, candidate: Measured, baseline: Measured, frame: ItemFrame) -> tuple[SegmentDifference, ...]:
    """Return the difference within each segment of the items that both have values for."""
    pair = pair_columns(candidate.columns[name], baseline.columns[name], frame)
    if not len(pair.rows):
        return ()
    place = np.full(len(frame.ids), -1, dtype=np.intp)
    place[pair.rows] = np.arange(len(pair.rows))
    places = {segment: (found := place[rows])[found >= 0].tolist() for segment, rows in frame.segments.items()}
    chosen = {segment: found for segment, found in places.items() if found}
    clusters = None if pair.clusters is None else pair.sources.tolist()
    return compare_segments(pair.candidate, pair.baseline, chosen, clusters)
