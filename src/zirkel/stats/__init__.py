"""Statistics: pure functions on arrays, numpy and scipy only. Every result is a frozen record with ``to_dict``."""

from zirkel.stats.drift import DriftCheck, DriftState, ks_drift
from zirkel.stats.mean import VarianceComponents, mean_interval, variance_components
from zirkel.stats.non_inferiority import (
    Direction,
    NonInferiority,
    Verdict,
    non_inferiority,
    non_inferiority_binary,
    plan_non_inferiority_binary,
)
from zirkel.stats.paired import McNemarTest, mcnemar, paired_difference
from zirkel.stats.paired_binary import paired_binary_difference
from zirkel.stats.proportion import clopper_pearson_interval, proportion_lower_bound, wilson_interval
from zirkel.stats.result import Interval, LowerBound, MeanInterval, PlainValue, Result

__all__ = [
    "Direction",
    "DriftCheck",
    "DriftState",
    "Interval",
    "LowerBound",
    "McNemarTest",
    "MeanInterval",
    "NonInferiority",
    "PlainValue",
    "Result",
    "VarianceComponents",
    "Verdict",
    "clopper_pearson_interval",
    "ks_drift",
    "mcnemar",
    "mean_interval",
    "non_inferiority",
    "non_inferiority_binary",
    "paired_binary_difference",
    "paired_difference",
    "plan_non_inferiority_binary",
    "proportion_lower_bound",
    "variance_components",
    "wilson_interval",
]
