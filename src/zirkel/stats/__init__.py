"""Statistics: pure functions on arrays, numpy and scipy only. Every result is a frozen record with ``to_dict``."""

from zirkel.stats.adjust import Adjusted, Adjustment, adjust, adjust_e_values
from zirkel.stats.agreement import Agreement, Coefficient, CoefficientName, agreement
from zirkel.stats.betting import BettingTest, Side, bet_on, betting_cs
from zirkel.stats.bradley_terry import BradleyTerry, Strength, Ties, bradley_terry
from zirkel.stats.clusters import ClusterEffect, cluster_effect, design_effect
from zirkel.stats.confidence_sequences import ConfidenceSequence, asymptotic_cs, asymptotic_p_value, bernoulli_cs
from zirkel.stats.confusion import LEAST_YOUDEN, ConfusionMatrix, JudgeAccuracy, confusion_matrix, judge_accuracy
from zirkel.stats.drift import DriftCheck, DriftState, ks_drift
from zirkel.stats.e_values import combine_e_values, e_to_p, p_to_e
from zirkel.stats.early_stop import EarlyStop, early_stop
from zirkel.stats.equivalence import Equivalence, EquivalenceVerdict, equivalence
from zirkel.stats.human_ceiling import HumanCeiling, human_ceiling
from zirkel.stats.judge_bias import JudgeBias, JudgedPair, LengthBias, PositionBias, SelfPreference, Winner, judge_bias
from zirkel.stats.label_chances import label_chances
from zirkel.stats.label_priorities import LabelPriorities, label_priorities
from zirkel.stats.mean import mean_interval
from zirkel.stats.non_inferiority import (
    Direction,
    NonInferiority,
    Verdict,
    non_inferiority,
    non_inferiority_binary,
    non_inferiority_interval,
)
from zirkel.stats.paired import McNemarTest, mcnemar, paired_difference, t_p_value
from zirkel.stats.paired_binary import paired_binary_difference
from zirkel.stats.plan import (
    DifferenceDesign,
    Sides,
    minimum_detectable_effect,
    plan_difference,
    plan_non_inferiority_binary,
    plan_two_proportions,
    power_of_difference,
)
from zirkel.stats.prediction_powered import IntervalKind, JudgedSample, PredictionPowered, ppi_difference, ppi_mean
from zirkel.stats.proportion import beta_interval, clopper_pearson_interval, proportion_lower_bound, wilson_interval
from zirkel.stats.ranks import rank_ranges
from zirkel.stats.ratings import Rating, RatingMatrix, Scale, Weights
from zirkel.stats.ratio import RatioBounds, paired_ratio
from zirkel.stats.report import Plain, Report
from zirkel.stats.resampling import BootstrapInterval, SignFlipTest, paired_bootstrap, sign_flip_test
from zirkel.stats.result import Interval, LowerBound, MeanInterval, PlainValue, Result
from zirkel.stats.rogan_gladen import allocate_calibration, rogan_gladen
from zirkel.stats.samples import Alternative, Clusters, Samples
from zirkel.stats.segments import SegmentDifference, compare_segments
from zirkel.stats.trials import flip_rate, pass_at_k, pass_hat_k
from zirkel.stats.two_proportions import TwoProportionMethod, two_proportion_interval
from zirkel.stats.variance import (
    PairedVarianceComponents,
    VarianceComponents,
    paired_variance_components,
    variance_components,
)

__all__ = [
    "LEAST_YOUDEN",
    "Adjusted",
    "Adjustment",
    "Agreement",
    "Alternative",
    "BettingTest",
    "BootstrapInterval",
    "BradleyTerry",
    "ClusterEffect",
    "Clusters",
    "Coefficient",
    "CoefficientName",
    "ConfidenceSequence",
    "ConfusionMatrix",
    "DifferenceDesign",
    "Direction",
    "DriftCheck",
    "DriftState",
    "EarlyStop",
    "Equivalence",
    "EquivalenceVerdict",
    "HumanCeiling",
    "Interval",
    "IntervalKind",
    "JudgeAccuracy",
    "JudgeBias",
    "JudgedPair",
    "JudgedSample",
    "LabelPriorities",
    "LengthBias",
    "LowerBound",
    "McNemarTest",
    "MeanInterval",
    "NonInferiority",
    "PairedVarianceComponents",
    "Plain",
    "PlainValue",
    "PositionBias",
    "PredictionPowered",
    "Rating",
    "RatingMatrix",
    "RatioBounds",
    "Report",
    "Result",
    "Samples",
    "Scale",
    "SegmentDifference",
    "SelfPreference",
    "Side",
    "Sides",
    "SignFlipTest",
    "Strength",
    "Ties",
    "TwoProportionMethod",
    "VarianceComponents",
    "Verdict",
    "Weights",
    "Winner",
    "adjust",
    "adjust_e_values",
    "agreement",
    "allocate_calibration",
    "asymptotic_cs",
    "asymptotic_p_value",
    "bernoulli_cs",
    "bet_on",
    "beta_interval",
    "betting_cs",
    "bradley_terry",
    "clopper_pearson_interval",
    "cluster_effect",
    "combine_e_values",
    "compare_segments",
    "confusion_matrix",
    "design_effect",
    "e_to_p",
    "early_stop",
    "equivalence",
    "flip_rate",
    "human_ceiling",
    "judge_accuracy",
    "judge_bias",
    "ks_drift",
    "label_chances",
    "label_priorities",
    "mcnemar",
    "mean_interval",
    "minimum_detectable_effect",
    "non_inferiority",
    "non_inferiority_binary",
    "non_inferiority_interval",
    "p_to_e",
    "paired_binary_difference",
    "paired_bootstrap",
    "paired_difference",
    "paired_ratio",
    "paired_variance_components",
    "pass_at_k",
    "pass_hat_k",
    "plan_difference",
    "plan_non_inferiority_binary",
    "plan_two_proportions",
    "power_of_difference",
    "ppi_difference",
    "ppi_mean",
    "proportion_lower_bound",
    "rank_ranges",
    "rogan_gladen",
    "sign_flip_test",
    "t_p_value",
    "two_proportion_interval",
    "variance_components",
    "wilson_interval",
]
