"""What a pairwise judge looks at besides quality: the place of an answer, its length, who wrote it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from zirkel.stats.influence import influence_error, t_quantile
from zirkel.stats.mean import mean_interval
from zirkel.stats.paired import paired_difference
from zirkel.stats.proportion import wilson_interval
from zirkel.stats.report import Report
from zirkel.stats.result import INDEPENDENT_CLUSTERS, INDEPENDENT_ITEMS, Interval, MeanInterval, Result
from zirkel.stats.samples import Clusters, FloatArray, check_fraction

Winner = Literal["a", "b", "tie"]
_POINTS = (("a", 1.0), ("tie", 0.5), ("b", 0.0))


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two answers to the same item, ``a`` and ``b``, and what a judge said of them."""

    a_first: Winner
    """Who won when ``a`` was shown first."""
    b_first: Winner | None = None
    """Who won when ``b`` was shown first; None if that was not asked."""
    length_a: float | None = None
    """Of the answer, in characters or tokens, at least 0; None if unknown."""
    length_b: float | None = None
    own: Literal["a", "b"] | None = None
    """Which of the two is by the judge's own model family; None if neither or both."""
    reference: Winner | None = None
    """What people, or judges of other families, say; None if nobody was asked."""


@dataclass(frozen=True, slots=True)
class PositionBias(Result):
    """How often the answer that is shown first wins. Without bias it is 0.5."""

    rate: float
    """Share of the verdicts with a winner that chose the first answer."""
    low: float
    high: float
    confidence: float
    p_value: float
    """Exact two-sided binomial test of pairs (or clusters) that lean to one place against one half."""
    n_verdicts: int
    """Verdicts with a winner."""
    n_leaning: int
    """Pairs (or clusters) that lean to the first or to the second place; those whose winner is the same in both orders
    lean to neither."""


@dataclass(frozen=True, slots=True)
class LengthBias(Report):
    """Does the longer answer win? A length that readers like too is no bias: compare with the reference."""

    correlation: Interval
    """Of the verdict (1, 0, -1) with the logarithm of the ratio of lengths, over pairs."""
    longer_wins: Interval | None
    """Share of pairs with a winner in which the longer answer won; None if there is none."""
    reference_correlation: Interval | None
    """The same correlation for the reference's verdicts, on the pairs that have one."""


@dataclass(frozen=True, slots=True)
class SelfPreference(Report):
    """Does the judge prefer answers of its own family? Ties are half a win."""

    win_rate: MeanInterval
    """Of the own family's answers against others, as the judge has it. They may simply be better."""
    reference_win_rate: MeanInterval | None
    """Of the same answers, as the reference has it."""
    excess: MeanInterval | None
    """Judge minus reference on the same pairs: above 0 is self-preference."""


@dataclass(frozen=True, slots=True)
class JudgeBias(Report):
    """What a pairwise judge looks at besides quality; None where the pairs do not tell."""

    n_pairs: int
    swap_consistency: Interval | None
    """Share of pairs asked in both orders whose winner was the same."""
    position: PositionBias | None
    length: LengthBias | None
    self_preference: SelfPreference | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sample:
    """Some of the pairs, with their clusters."""

    pairs: tuple[JudgedPair, ...]
    clusters: tuple[str | int, ...] | None
    confidence: float

    def where(self, keep: Sequence[bool]) -> "_Sample | None":
        """Return the pairs to keep; None if they are fewer than 2, or of a single cluster."""
        places = [place for place, is_kept in enumerate(keep) if is_kept]
        clusters = None if self.clusters is None else tuple(self.clusters[place] for place in places)
        if len(places) < 2 or (clusters is not None and len(set(clusters)) < 2):
            return None
        return _Sample(tuple(self.pairs[place] for place in places), clusters, self.confidence)

    def share(self, flags: FloatArray) -> Interval:
        """Return the share of ones: Wilson's interval for independent pairs, else a cluster-robust one."""
        if self.clusters is None:
            return wilson_interval(int(flags.sum()), len(flags), confidence=self.confidence)
        found = mean_interval(flags, self.clusters, confidence=self.confidence)
        low, high = max(found.low, 0.0), min(found.high, 1.0)
        return Interval(
            found.estimate, low, high, found.confidence, found.method, found.n, found.n_clusters, found.warnings
        )


def judge_bias(pairs: Sequence[JudgedPair], clusters: Clusters | None = None, *, confidence: float = 0.95) -> JudgeBias:
    """Return swap consistency, position, length and self-preference bias of a pairwise judge.

    A verdict that changes with the order counts as a tie for length and self-preference.

    Args:
        pairs: At least 2. Where only one order was asked, which answer came first must have been drawn by chance, or
            the position bias is confounded with quality.
        clusters: One label per pair; pairs of one item or source share one.
        confidence: Two-sided coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken or a length is below 0.

    Source: Zheng et al. (2023), arXiv:2306.05685, section 3.3 (position, verbosity, self-enhancement); Shi et al.
        (2024), arXiv:2406.07791 (position).
    """
    check_fraction(confidence, "confidence")
    labels = None if clusters is None else tuple(clusters)
    if labels is not None and len(labels) != len(pairs):
        raise ValueError(f"{len(labels)} cluster labels for {len(pairs)} pairs; one per pair is needed")
    everything = _Sample(tuple(pairs), labels, float(confidence)).where([True] * len(pairs))
    if everything is None:
        raise ValueError(f"{len(pairs)} pairs; at least 2, of at least 2 clusters, are needed")
    swapped = everything.where([pair.b_first is not None for pair in pairs])
    sized = everything.where([pair.length_a is not None and pair.length_b is not None for pair in pairs])
    related = everything.where([pair.own is not None for pair in pairs])
    said = () if swapped else ("pairs were judged in one order only: how often the order decides is not known",)
    preference = _self_preference(related) if related else None
    if preference and preference.excess is None:
        said = (*said, "no reference verdicts: a family that wins often may simply be better")
    return JudgeBias(
        n_pairs=len(pairs),
        swap_consistency=swapped.share(np.array([float(p.a_first == p.b_first) for p in swapped.pairs]))
        if swapped
        else None,
        position=_position(everything),
        length=_length(sized) if sized else None,
        self_preference=preference,
        warnings=said,
    )


def _points(winner: Winner) -> float:
    """Return what ``a`` gets: 1, a half or 0."""
    return dict(_POINTS)[winner]


def _score(pair: JudgedPair) -> float:
    """Return what ``a`` gets over both orders; who wins only in one place gets a half."""
    if pair.b_first is None or pair.a_first == pair.b_first:
        return _points(pair.a_first)
    return 0.5


def _position(sample: _Sample) -> PositionBias | None:
    firsts = np.array([(p.a_first == "a") + (p.b_first == "b") for p in sample.pairs], dtype=np.float64)
    seconds = np.array([(p.a_first == "b") + (p.b_first == "a") for p in sample.pairs], dtype=np.float64)
    verdicts = firsts + seconds
    n = int(verdicts.sum())
    if not n:
        return None
    rate = float(firsts.sum()) / n
    error, df = influence_error((firsts - rate * verdicts) / float(verdicts.mean()), sample.clusters)
    wilson = wilson_interval(int(firsts.sum()), n, confidence=sample.confidence)
    radius = t_quantile(sample.confidence, df) * error
    # One order and no clusters: independent verdicts. No spread at all: do not take it for certainty.
    is_plain = error == 0 or (sample.clusters is None and all(p.b_first is None for p in sample.pairs))
    labels = sample.clusters or tuple(range(len(sample.pairs)))
    leaning: dict[str | int, float] = dict.fromkeys(labels, 0.0)
    for label, lean in zip(labels, firsts - seconds, strict=True):
        leaning[label] += lean
    forward, backward = (sum(bool(sign * lean > 0) for lean in leaning.values()) for sign in (1, -1))
    test = stats.binomtest(forward, forward + backward).pvalue if forward + backward else 1.0
    return PositionBias(
        rate=rate,
        low=wilson.low if is_plain else max(rate - radius, 0.0),
        high=wilson.high if is_plain else min(rate + radius, 1.0),
        confidence=sample.confidence,
        p_value=float(test),
        n_verdicts=n,
        n_leaning=forward + backward,
    )


def _length(sample: _Sample) -> LengthBias | None:
    ratios = np.array([_log_ratio(pair) for pair in sample.pairs])
    outcomes = np.array([2 * _score(pair) - 1 for pair in sample.pairs])
    correlation = _correlation(ratios, outcomes, sample)
    if correlation is None:
        return None
    decided = (ratios != 0) & (outcomes != 0)
    deciding = sample.where(list(decided))
    referred = sample.where([pair.reference is not None for pair in sample.pairs])
    reference = None
    if referred:
        said = np.array([2 * _points(p.reference) - 1 for p in referred.pairs if p.reference])
        reference = _correlation(np.array([_log_ratio(pair) for pair in referred.pairs]), said, referred)
    return LengthBias(
        correlation=correlation,
        longer_wins=deciding.share((ratios * outcomes > 0)[decided].astype(np.float64)) if deciding else None,
        reference_correlation=reference,
    )


def _log_ratio(pair: JudgedPair) -> float:
    first, second = pair.length_a or 0.0, pair.length_b or 0.0
    if not min(first, second) >= 0:
        raise ValueError(f"lengths are {first} and {second}; they cannot be negative")
    return math.log((first + 1) / (second + 1))


def _correlation(first: FloatArray, second: FloatArray, sample: _Sample) -> Interval | None:
    """Return the correlation around 0, so that it does not matter which answer is called ``a``; on Fisher's scale."""
    spread = math.sqrt(float(np.mean(first**2)) * float(np.mean(second**2)))
    if spread == 0:
        return None
    estimate = min(max(float(np.mean(first * second)) / spread, -1.0), 1.0)
    own = first**2 / np.mean(first**2) + second**2 / np.mean(second**2)
    error, df = influence_error(first * second / spread - estimate / 2 * own, sample.clusters)
    # At a correlation of 1 Fisher's scale is infinite; the interval is then the point it seems.
    centre = math.atanh(min(max(estimate, -1 + 1e-12), 1 - 1e-12))
    radius = t_quantile(sample.confidence, df) * error / max(1 - estimate**2, 1e-12)
    clustered = sample.clusters is not None
    return Interval(
        estimate=estimate,
        low=min(math.tanh(centre - radius), estimate),
        high=max(math.tanh(centre + radius), estimate),
        confidence=sample.confidence,
        method="fisher_cr1_t" if clustered else "fisher_t",
        n=len(first),
        n_clusters=df + 1 if clustered else None,
        assumptions=INDEPENDENT_CLUSTERS if clustered else INDEPENDENT_ITEMS,
    )


def _self_preference(sample: _Sample) -> SelfPreference:
    judged = np.array([_for_own(_score(pair), pair) for pair in sample.pairs])
    referred = sample.where([pair.reference is not None for pair in sample.pairs])
    reference = excess = None
    if referred:
        said = np.array([_for_own(_points(p.reference), p) for p in referred.pairs if p.reference])
        ours = np.array([_for_own(_score(pair), pair) for pair in referred.pairs])
        reference = mean_interval(said, referred.clusters, confidence=sample.confidence)
        excess = paired_difference(ours, said, referred.clusters, confidence=sample.confidence)
    return SelfPreference(mean_interval(judged, sample.clusters, confidence=sample.confidence), reference, excess)


def _for_own(points: float, pair: JudgedPair) -> float:
    """Return what the answer of the judge's own family gets."""
    return points if pair.own == "a" else 1 - points
