"""Data points in JSON. Unknown fields are ignored. Source: as ``jsonfields``."""

import math
from collections.abc import Callable, Iterator

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
from zirkel.lib.otlp.jsonfields import (
    INT32,
    INT64,
    UINT32,
    UINT64,
    JsonObject,
    as_double,
    as_integer,
    as_object,
    read_attributes,
    read_boolean,
    read_enum,
    read_integer,
    read_list,
    read_object,
    read_objects,
    read_string,
)
from zirkel.lib.otlp.jsonmap import read_json_items
from zirkel.lib.otlp.jsontext import split_json
from zirkel.lib.otlp.model import DecodedMetric, DecodedPoint, Origin, PointKind

_NO_RECORDED_VALUE = 1


def points_from_json(body: bytes, notes: Notes) -> Iterator[DecodedPoint]:
    """Return the data points of an ``ExportMetricsServiceRequest``, each read when it is taken; may be empty.

    Raises:
        Malformed: At once, if the body is not a JSON object with arrays of objects down to its metrics.
        TooLarge: At once, if it has too many of them.
    """
    return read_json_items(split_json(body, "resourceMetrics", "scopeMetrics", "metrics"), notes, "metric", _points)


def _points(metric: JsonObject, origin: Origin, notes: Notes) -> Iterator[DecodedPoint]:
    for field, (kind, read) in _KINDS.items():
        if metric.get(field) is not None:
            data = read_object(metric, field)
            points = read_list(data, "dataPoints")
            try:
                about = _about(metric, data, kind, origin, notes)
            except Malformed as error:
                notes.reject(f"metric: {error}", len(points))
                return
            yield from _each(about, points, read, notes)
            return


def _about(metric: JsonObject, data: JsonObject, kind: PointKind, origin: Origin, notes: Notes) -> DecodedMetric:
    return DecodedMetric(
        origin,
        read_string(metric, "name"),
        kind,
        read_string(metric, "unit"),
        temporality_of(read_enum(data, "aggregationTemporality", notes)),
        read_boolean(data, "isMonotonic"),
    )


def _each(
    about: DecodedMetric,
    points: list[object],
    read: Callable[[DecodedMetric, JsonObject], DecodedPoint],
    notes: Notes,
) -> Iterator[DecodedPoint]:
    for point in points:
        try:
            yield read(about, as_object(point, "a data point"))
        except Malformed as error:
            notes.reject(f"metric {about.name[:80]!r}: {error}")


def _number(about: DecodedMetric, point: JsonObject) -> DecodedPoint:
    value: float | None = None
    if point.get("asDouble") is not None:
        value = finite(as_double(point["asDouble"], "asDouble"))
    elif point.get("asInt") is not None:
        value = float(read_integer(point, "asInt", INT64))
    is_recorded = not read_integer(point, "flags", UINT32) & _NO_RECORDED_VALUE
    start_ns, time_ns = _times(point)
    return DecodedPoint(about, read_attributes(point), start_ns, time_ns, value if is_recorded else None)


def _histogram(about: DecodedMetric, point: JsonObject) -> DecodedPoint:
    bounds = [within_doubles(as_double(item, "explicitBounds")) for item in read_list(point, "explicitBounds")]
    buckets = [float(count) for count in _counts(point)]
    check_buckets(bounds, buckets)
    return _distribution(about, point, bounds, buckets)


def _exponential(about: DecodedMetric, point: JsonObject) -> DecodedPoint:
    threshold = _double(point, "zeroThreshold")
    bounds, buckets = explicit_buckets(
        read_integer(point, "scale", INT32),
        read_integer(point, "zeroCount", UINT64),
        0.0 if threshold is None else within_doubles(threshold),
        _side(point, "negative"),
        _side(point, "positive"),
    )
    return _distribution(about, point, bounds, buckets)


def _summary(about: DecodedMetric, point: JsonObject) -> DecodedPoint:
    pairs = [(_double(one, "quantile") or 0.0, _double(one, "value") or 0.0) for one in _quantiles(point)]
    known = [(quantile, value) for quantile, value in pairs if math.isfinite(value)]
    start_ns, time_ns = _times(point)
    return DecodedPoint(
        about,
        read_attributes(point),
        start_ns,
        time_ns,
        count=read_integer(point, "count", UINT64),
        sum=finite(_double(point, "sum") or 0.0),
        bounds=[within_doubles(quantile) for quantile, _ in known],
        buckets=[value for _, value in known],
    )


def _distribution(about: DecodedMetric, point: JsonObject, bounds: list[float], buckets: list[float]) -> DecodedPoint:
    start_ns, time_ns = _times(point)
    return DecodedPoint(
        about,
        read_attributes(point),
        start_ns,
        time_ns,
        count=read_integer(point, "count", UINT64),
        sum=_finite(point, "sum"),
        minimum=_finite(point, "min"),
        maximum=_finite(point, "max"),
        bounds=bounds,
        buckets=buckets,
    )


def _quantiles(point: JsonObject) -> list[JsonObject]:
    return read_objects(point, "quantileValues")


def _side(point: JsonObject, field: str) -> ExponentialBuckets:
    side = read_object(point, field)
    return ExponentialBuckets(read_integer(side, "offset", INT32), _counts(side))


def _counts(owner: JsonObject) -> list[int]:
    return [as_integer(item, "bucketCounts", UINT64) for item in read_list(owner, "bucketCounts")]


def _double(owner: JsonObject, field: str) -> float | None:
    value = owner.get(field)
    return None if value is None else as_double(value, field)


def _finite(owner: JsonObject, field: str) -> float | None:
    value = _double(owner, field)
    return None if value is None else finite(value)


def _times(point: JsonObject) -> tuple[int, int]:
    return read_integer(point, "startTimeUnixNano", UINT64), read_integer(point, "timeUnixNano", UINT64)


_KINDS: dict[str, tuple[PointKind, Callable[[DecodedMetric, JsonObject], DecodedPoint]]] = {
    "gauge": ("gauge", _number),
    "sum": ("sum", _number),
    "histogram": ("histogram", _histogram),
    "exponentialHistogram": ("exponential_histogram", _exponential),
    "summary": ("summary", _summary),
}
