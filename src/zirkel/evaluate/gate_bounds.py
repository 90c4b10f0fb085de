"""Which bounds a gate uses: corrected where people labelled, anytime-valid where the experiment was stopped. Pure."""

import numpy as np

from zirkel.core import MetricPolicy
from zirkel.evaluate.anytime import anytime_alpha, betting_bounds
from zirkel.evaluate.bounds import bounds_of, difference_bounds, mean_bounds, relative_bounds
from zirkel.evaluate.calibration_correction import correct
from zirkel.evaluate.calibration_ports import Corrected
from zirkel.evaluate.compare import Pair
from zirkel.evaluate.gate_inputs import GateInputs
from zirkel.evaluate.metrics import Metric
from zirkel.stats import Interval
from zirkel.stats.prediction_powered import PredictionPowered


def floor_bounds(inputs: GateInputs, wanted: MetricPolicy, metric: Metric) -> Interval:
    """Return the bounds of the candidate's mean: of the corrected one, where there are labels."""
    rows, n = inputs.frame.rows(wanted.segment), len(inputs.frame.ids)
    corrected = corrected_mean(inputs, wanted)
    if corrected is not None:
        return bounds_of(corrected, _alpha(inputs, corrected.n_clusters or corrected.n))
    column = inputs.candidate.columns[metric.name]
    scored = rows[column.counts(n)[rows] > 0]
    sources = inputs.frame.sources[scored]
    found = mean_bounds(column.means(n)[scored], sources, metric, _alpha(inputs, len(np.unique(sources))))
    assert found is not None
    return found


def margin_bounds(inputs: GateInputs, wanted: MetricPolicy, metric: Metric, pair: Pair) -> Interval | str:
    """Return the bounds of the difference, as a share of the baseline's mean for a relative margin; why not, if so."""
    corrected = corrected_difference(inputs, wanted)
    if corrected is not None and wanted.relative_margin is not None:
        return "a metric that labels correct needs an absolute margin; use margin"
    if corrected is not None:
        return bounds_of(corrected, _alpha(inputs, corrected.n_clusters or corrected.n))
    if wanted.relative_margin is not None:
        return relative_bounds(pair, _alpha(inputs, pair.n_sources))
    if inputs.could_stop_early and metric.unit == "share" and pair.clusters is None:
        place = np.empty(len(inputs.frame.ids), dtype=np.intp)
        place[inputs.asked] = np.arange(len(inputs.asked))
        return betting_bounds(pair.differences[np.argsort(place[pair.rows])], inputs.policy.alpha)
    return difference_bounds(pair, metric, _alpha(inputs, pair.n_sources))


def _alpha(inputs: GateInputs, units: int) -> float:
    """Return the policy's alpha, or for a stopped experiment the smaller one that makes t bounds hold at every look."""
    if not inputs.could_stop_early:
        return inputs.policy.alpha
    planned = len(np.unique(inputs.frame.sources))
    return anytime_alpha(inputs.policy.alpha, units, planned)


def corrected_mean(inputs: GateInputs, wanted: MetricPolicy) -> PredictionPowered | None:
    """Return the candidate's mean as people's labels correct it; None if there are too few of them."""
    judge = inputs.judges.get(wanted.evaluator)
    return _corrected(judge.mean, inputs, wanted) if judge else None


def corrected_difference(inputs: GateInputs, wanted: MetricPolicy) -> PredictionPowered | None:
    """Return the difference as people's labels correct it; None if there are too few of them."""
    judge = inputs.judges.get(wanted.evaluator)
    return _corrected(judge.difference, inputs, wanted) if judge and judge.difference else None


def _corrected(found: Corrected, inputs: GateInputs, wanted: MetricPolicy) -> PredictionPowered | None:
    if found.interval is None:
        return None
    chosen = {inputs.frame.ids[row] for row in inputs.frame.rows(wanted.segment).tolist()}
    return correct([answer for answer in found.answers if answer.item_id in chosen])
