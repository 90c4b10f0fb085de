"""Histograms as explicit buckets. Pure."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.lib.otlp.errors import Malformed
from zirkel.lib.otlp.model import Temporality

_TEMPORALITIES: dict[int, Temporality] = {1: "delta", 2: "cumulative"}


@dataclass(frozen=True, slots=True)
class ExponentialBuckets:
    """One side of an exponential histogram: counts of the buckets from ``offset`` on."""

    offset: int = 0
    counts: Sequence[int] = ()


def explicit_buckets(
    scale: int, zero_count: int, zero_threshold: float, negative: ExponentialBuckets, positive: ExponentialBuckets
) -> tuple[list[float], list[float]]:
    """Return an exponential histogram's buckets in rising order: upper bounds of all but the last, and counts.

    Bucket *i* of the positive side is ``(base^i, base^(i+1)]`` with ``base = 2^(2^-scale)``; the negative side mirrors
    it; zeros lie between. Empty buckets fill the gaps, so that every bound is there; bounds beyond what a double
    holds are its largest number.

    Source: ``metrics.proto``, ``ExponentialHistogramDataPoint``.
    """
    bounds: list[float] = []
    counts: list[float] = []

    def close_bucket(upper: float, count: int) -> None:
        bounds.append(upper)
        counts.append(float(count))

    if negative.counts:
        size = len(negative.counts)
        close_bucket(-_bound(scale, negative.offset + size), 0)
        for index in range(size - 1, -1, -1):
            close_bucket(-_bound(scale, negative.offset + index), negative.counts[index])
        close_bucket(-zero_threshold, 0)
    close_bucket(zero_threshold, zero_count)
    if positive.counts:
        close_bucket(_bound(scale, positive.offset), 0)
        for index, count in enumerate(positive.counts):
            close_bucket(_bound(scale, positive.offset + index + 1), count)
    counts.append(0.0)
    return bounds, counts


def check_buckets(bounds: Sequence[float], counts: Sequence[float]) -> None:
    """Return if a histogram has a bucket more than bounds, or no buckets at all.

    Raises:
        Malformed: If not.

    Source: ``metrics.proto``, ``HistogramDataPoint.explicit_bounds``.
    """
    if len(counts) != len(bounds) + 1 and (counts or bounds):
        raise Malformed(f"{len(counts)} buckets do not fit {len(bounds)} bounds; there must be one more")


def finite(value: float) -> float | None:
    """Return a number, or ``None`` if it is NaN or infinite: it would spoil every sum it goes into."""
    return value if math.isfinite(value) else None


def within_doubles(value: float) -> float:
    """Return a bound; an infinite one is the largest number, NaN is 0."""
    if math.isfinite(value):
        return value
    return 0.0 if math.isnan(value) else math.copysign(sys.float_info.max, value)


def temporality_of(number: int) -> Temporality:
    """Return the name of an ``AggregationTemporality``; empty if it is unspecified or unknown."""
    return _TEMPORALITIES.get(number, "")


def _bound(scale: int, index: int) -> float:
    try:
        return math.pow(2.0, math.ldexp(index, -scale))
    except OverflowError:
        return sys.float_info.max if index > 0 else 0.0
