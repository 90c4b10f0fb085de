"""Data points in protobuf."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from zirkel.lib.otlp.buckets import (
    ExponentialBuckets,
    check_buckets,
    explicit_buckets,
    finite,
    temporality_of,
    within_doubles,
)
from zirkel.lib.otlp.collect import Notes
from zirkel.lib.otlp.errors import Malformed
from zirkel.lib.otlp.model import DecodedMetric, DecodedPoint, Origin
from zirkel.lib.otlp.protobuf import attributes_of, read_items
from zirkel.lib.otlp.wire import count_parts

_NO_RECORDED_VALUE = 1
_KIND_FIELDS = (5, 7, 9, 10, 11)
_POINTS_FIELD = 1

P = TypeVar("P")


def points_from_protobuf(body: bytes, notes: Notes) -> Iterator[DecodedPoint]:
    """Return the data points of an ``ExportMetricsServiceRequest``, each read when it is taken; may be empty.

    Raises:
        Malformed: At once, if the body is not such a message down to its metrics.
        TooLarge: At once, if it has too many of them.
    """
    return read_items(body, notes, pb.Metric, _points, _count_points)


def _count_points(metric: bytes) -> int:
    return max(count_parts(metric, field, _POINTS_FIELD) for field in _KIND_FIELDS)


def _points(metric: pb.Metric, origin: Origin, notes: Notes) -> Iterator[DecodedPoint]:
    match metric.WhichOneof("data"):
        case "gauge":
            about = DecodedMetric(origin, metric.name, "gauge", metric.unit)
            return _each(about, metric.gauge.data_points, _number, notes)
        case "sum":
            temporality = temporality_of(metric.sum.aggregation_temporality)
            about = DecodedMetric(origin, metric.name, "sum", metric.unit, temporality, metric.sum.is_monotonic)
            return _each(about, metric.sum.data_points, _number, notes)
        case "histogram":
            temporality = temporality_of(metric.histogram.aggregation_temporality)
            about = DecodedMetric(origin, metric.name, "histogram", metric.unit, temporality)
            return _each(about, metric.histogram.data_points, _histogram, notes)
        case "exponential_histogram":
            temporality = temporality_of(metric.exponential_histogram.aggregation_temporality)
            about = DecodedMetric(origin, metric.name, "exponential_histogram", metric.unit, temporality)
            return _each(about, metric.exponential_histogram.data_points, _exponential, notes)
        case "summary":
            about = DecodedMetric(origin, metric.name, "summary", metric.unit)
            return _each(about, metric.summary.data_points, _summary, notes)
    return iter(())


def _each(
    about: DecodedMetric, points: Iterable[P], read: Callable[[DecodedMetric, P], DecodedPoint], notes: Notes
) -> Iterator[DecodedPoint]:
    for point in points:
        try:
            yield read(about, point)
        except Malformed as error:
            notes.reject(f"metric {about.name[:80]!r}: {error}")


def _number(about: DecodedMetric, point: pb.NumberDataPoint) -> DecodedPoint:
    value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    is_recorded = point.HasField("as_int") or point.HasField("as_double")
    return DecodedPoint(
        about,
        attributes_of(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        finite(float(value)) if is_recorded and not point.flags & _NO_RECORDED_VALUE else None,
    )


def _histogram(about: DecodedMetric, point: pb.HistogramDataPoint) -> DecodedPoint:
    check_buckets(point.explicit_bounds, point.bucket_counts)
    return DecodedPoint(
        about,
        attributes_of(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        count=point.count,
        sum=finite(point.sum) if point.HasField("sum") else None,
        minimum=finite(point.min) if point.HasField("min") else None,
        maximum=finite(point.max) if point.HasField("max") else None,
        bounds=[within_doubles(bound) for bound in point.explicit_bounds],
        buckets=[float(count) for count in point.bucket_counts],
    )


def _exponential(about: DecodedMetric, point: pb.ExponentialHistogramDataPoint) -> DecodedPoint:
    bounds, buckets = explicit_buckets(
        point.scale,
        point.zero_count,
        within_doubles(point.zero_threshold),
        ExponentialBuckets(point.negative.offset, point.negative.bucket_counts),
        ExponentialBuckets(point.positive.offset, point.positive.bucket_counts),
    )
    return DecodedPoint(
        about,
        attributes_of(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        count=point.count,
        sum=finite(point.sum) if point.HasField("sum") else None,
        minimum=finite(point.min) if point.HasField("min") else None,
        maximum=finite(point.max) if point.HasField("max") else None,
        bounds=bounds,
        buckets=buckets,
    )


def _summary(about: DecodedMetric, point: pb.SummaryDataPoint) -> DecodedPoint:
    known = [one for one in point.quantile_values if math.isfinite(one.value)]
    return DecodedPoint(
        about,
        attributes_of(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        count=point.count,
        sum=finite(point.sum),
        bounds=[within_doubles(one.quantile) for one in known],
        buckets=[one.value for one in known],
    )
