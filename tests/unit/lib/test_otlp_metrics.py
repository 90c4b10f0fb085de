import json
import math
import sys
from itertools import pairwise

import pytest
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from zirkel.lib.otlp import DecodedPoint, Malformed, Media, Notes, read_points
from zirkel.lib.otlp.buckets import ExponentialBuckets, explicit_buckets


def decode(body: bytes, media: Media) -> tuple[list[DecodedPoint], Notes]:
    notes = Notes()
    return list(read_points(body, media, notes)), notes


def decode_json(*metrics: object) -> tuple[list[DecodedPoint], Notes]:
    request = {"resourceMetrics": [{"scopeMetrics": [{"scope": {"name": "sc"}, "metrics": list(metrics)}]}]}
    return decode(json.dumps(request).encode(), "json")


def one_point(**metric: object) -> DecodedPoint:
    (point,), notes = decode_json({"name": "m", "unit": "s", **metric})
    assert notes.message == ""
    return point


@pytest.mark.parametrize(("value", "expected"), [({"asInt": "7"}, 7.0), ({"asInt": 7}, 7.0), ({"asDouble": 0.5}, 0.5)])
def test_a_gauge_has_a_value_and_no_temporality(value: dict[str, object], expected: float) -> None:
    point = one_point(gauge={"dataPoints": [{"timeUnixNano": "9", **value}]})
    assert (point.metric.kind, point.metric.unit, point.metric.temporality) == ("gauge", "s", "")
    assert (point.value, point.time_ns, point.count) == (expected, 9, None)


@pytest.mark.parametrize(("number", "name"), [(0, ""), (1, "delta"), (2, "cumulative"), (9, "")])
def test_a_sum_says_its_temporality(number: int, name: str) -> None:
    data = {"aggregationTemporality": number, "isMonotonic": True, "dataPoints": [{"asInt": "1"}]}
    point = one_point(sum=data)
    assert (point.metric.kind, point.metric.temporality, point.metric.is_monotonic) == ("sum", name, True)


@pytest.mark.parametrize("value", [{}, {"asDouble": "NaN"}, {"asDouble": "Infinity"}, {"asInt": 3, "flags": 1}])
def test_what_is_not_recorded_or_not_finite_is_no_value(value: dict[str, object]) -> None:
    assert one_point(gauge={"dataPoints": [value]}).value is None


def test_a_histogram_keeps_bounds_and_counts() -> None:
    data = {"count": "3", "sum": 1.5, "min": 0.1, "max": 1, "explicitBounds": [1, "2"], "bucketCounts": ["2", 1, "0"]}
    point = one_point(histogram={"aggregationTemporality": 2, "dataPoints": [data]})
    assert (point.count, point.sum, point.minimum, point.maximum) == (3, 1.5, 0.1, 1.0)
    assert (point.bounds, point.buckets) == ([1.0, 2.0], [2.0, 1.0, 0.0])


def test_a_histogram_without_buckets_is_taken() -> None:
    point = one_point(histogram={"dataPoints": [{"count": "3"}]})
    assert (point.count, point.sum, point.bounds, point.buckets) == (3, None, [], [])


def test_a_summary_keeps_quantiles_and_values() -> None:
    quantiles = [{"quantile": 0.5, "value": 3}, {"quantile": 1, "value": "NaN"}]
    point = one_point(summary={"dataPoints": [{"count": "2", "sum": 4, "quantileValues": quantiles}]})
    assert (point.metric.kind, point.count, point.sum) == ("summary", 2, 4.0)
    assert (point.bounds, point.buckets) == ([0.5], [3.0])


def test_a_bad_point_costs_only_itself_and_the_count_is_exact() -> None:
    good: dict[str, object] = {"asInt": 1}
    points, notes = decode_json(
        {"name": "a", "gauge": {"dataPoints": [good, {"asInt": "x"}, 7, {"timeUnixNano": -1}]}},
        {"name": "b", "histogram": {"dataPoints": [{"explicitBounds": [1], "bucketCounts": [1]}]}},
        {"name": 9, "sum": {"dataPoints": [good, good]}},
        "no metric",
        {"name": "c", "gauge": {"dataPoints": [good]}},
    )
    assert [point.metric.name for point in points] == ["a", "c"]
    assert notes.rejected == 3 + 1 + 2 + 1


def test_an_unreadable_metric_in_protobuf_counts_its_points() -> None:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    for name in ("first", "MARK", "last"):
        metric = metrics.add(name=name)
        metric.sum.data_points.extend([pb.NumberDataPoint(as_int=1), pb.NumberDataPoint(as_int=2)])
        metric.sum.data_points[0].attributes.add(key=f"{name}!")
    # The length of the first point's key reaches beyond the point.
    broken = request.SerializeToString().replace(b"\x05MARK!", b"\x7fMARK!")
    points, notes = decode(broken, "protobuf")
    assert [point.metric.name for point in points] == ["first", "first", "last", "last"]
    assert notes.rejected == 2


def test_a_metric_of_an_unknown_type_has_no_points() -> None:
    assert decode_json({"name": "m", "future": {"dataPoints": [{}]}}, {"name": "m"})[0] == []


def test_exponential_buckets_are_explicit_ones_of_the_protocols_formula() -> None:
    # Scale 0: base 2. Offset 1: (2, 4], (4, 8]; the negative side: [-2, -1).
    bounds, counts = explicit_buckets(0, 5, 0.0, ExponentialBuckets(0, [7]), ExponentialBuckets(1, [3, 4]))
    assert bounds == [-2.0, -1.0, 0.0, 0.0, 2.0, 4.0, 8.0]
    assert counts == [0.0, 7.0, 0.0, 5.0, 0.0, 3.0, 4.0, 0.0]


def test_a_histogram_of_zeros_alone_has_one_bucket_and_the_rest() -> None:
    assert explicit_buckets(3, 5, 0.25, ExponentialBuckets(), ExponentialBuckets()) == ([0.25], [5.0, 0.0])


COUNTS = st.lists(st.integers(0, 2**40), max_size=5)
SIDES = st.builds(ExponentialBuckets, st.integers(-(2**31), 2**31 - 1), COUNTS)


@given(scale=st.integers(-(2**31), 2**31 - 1), zeros=st.integers(0, 2**40), negative=SIDES, positive=SIDES)
def test_explicit_buckets_of_any_exponential_ones_rise_and_lose_no_count(
    scale: int, zeros: int, negative: ExponentialBuckets, positive: ExponentialBuckets
) -> None:
    bounds, counts = explicit_buckets(scale, zeros, 0.0, negative, positive)
    assert len(counts) == len(bounds) + 1
    assert all(lower <= upper for lower, upper in pairwise(bounds))
    assert all(abs(bound) <= sys.float_info.max for bound in bounds)
    assert sum(counts) == sum(negative.counts) + sum(positive.counts) + zeros


UINT64 = st.integers(0, 2**64 - 1)
NUMBERS = st.lists(
    st.builds(pb.NumberDataPoint, as_int=st.integers(-(2**63), 2**63 - 1), time_unix_nano=UINT64)
    | st.builds(pb.NumberDataPoint, as_double=st.floats(), start_time_unix_nano=UINT64, flags=st.integers(0, 1)),
    max_size=3,
)
OPTIONAL = st.none() | st.floats()


@st.composite
def histograms(draw: st.DrawFn) -> pb.HistogramDataPoint:
    bounds = draw(st.lists(st.floats(allow_nan=False), max_size=3))
    counts = draw(st.lists(UINT64, min_size=len(bounds), max_size=len(bounds) + 1))
    return pb.HistogramDataPoint(
        explicit_bounds=bounds, bucket_counts=counts, count=draw(UINT64), sum=draw(OPTIONAL), min=draw(OPTIONAL)
    )


BUCKETS = st.builds(
    pb.ExponentialHistogramDataPoint.Buckets, offset=st.integers(-(2**31), 2**31 - 1), bucket_counts=COUNTS
)
EXPONENTIAL = st.builds(
    pb.ExponentialHistogramDataPoint,
    scale=st.integers(-(2**31), 2**31 - 1),
    zero_count=UINT64,
    zero_threshold=st.floats(),
    positive=BUCKETS,
    negative=BUCKETS,
    max=OPTIONAL,
)
SUMMARIES = st.builds(
    pb.SummaryDataPoint,
    count=UINT64,
    sum=st.floats(),
    quantile_values=st.lists(
        st.builds(pb.SummaryDataPoint.ValueAtQuantile, quantile=st.floats(), value=st.floats()), max_size=2
    ),
)
TEMPORALITIES = st.integers(0, 2)
METRICS = st.one_of(
    st.builds(pb.Metric, name=st.just("m"), gauge=st.builds(pb.Gauge, data_points=NUMBERS)),
    st.builds(
        pb.Metric,
        sum=st.builds(pb.Sum, data_points=NUMBERS, aggregation_temporality=TEMPORALITIES, is_monotonic=st.booleans()),
    ),
    st.builds(
        pb.Metric,
        histogram=st.builds(
            pb.Histogram, data_points=st.lists(histograms(), max_size=2), aggregation_temporality=TEMPORALITIES
        ),
    ),
    st.builds(
        pb.Metric,
        exponential_histogram=st.builds(pb.ExponentialHistogram, data_points=st.lists(EXPONENTIAL, max_size=2)),
    ),
    st.builds(pb.Metric, unit=st.just("s"), summary=st.builds(pb.Summary, data_points=st.lists(SUMMARIES, max_size=2))),
)


@settings(max_examples=150)
@given(metric=METRICS)
def test_protobuf_and_json_of_the_same_metric_decode_equally(metric: pb.Metric) -> None:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.append(metric)
    points, notes = decode(request.SerializeToString(), "protobuf")
    mapped = json.dumps(MessageToDict(request, use_integers_for_enums=True)).encode()
    from_json, json_notes = decode(mapped, "json")
    assert from_json == points
    assert json_notes.rejected == notes.rejected
    for point in points:
        numbers = [point.value, point.sum, point.minimum, point.maximum, *point.bounds, *point.buckets]
        assert all(number is None or math.isfinite(number) for number in numbers)


@given(body=st.binary(max_size=80))
def test_any_bytes_are_a_request_or_malformed(body: bytes) -> None:
    problem = ""
    found: list[DecodedPoint] | None = None
    try:
        found = decode(body, "protobuf")[0]
    except Malformed as error:
        problem = str(error)
    assert (found is None) == bool(problem)
