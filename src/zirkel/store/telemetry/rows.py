"""Telemetry as rows for ClickHouse: one JSON object each, refused if a value has no place in its column."""

import math
from collections.abc import Iterable, Iterator
from decimal import ROUND_UP, Decimal

import msgspec

from zirkel.core import Invalid, LogRecord, MetricPoint, ScoreRecord, Span, Usage

LAST_NS = 5_662_224_000 * 1_000_000_000
"""The last day that ClickHouse's Date can hold, 2149-06-05, in nanoseconds."""

_BUCKETS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))
# A provisional span counts as received before any other, whenever it comes.
_PROVISIONAL_NS = 0
_LAST_INT = (1 << 63) - 1
_COST_STEP = Decimal("1e-12")
_COST_LIMIT = Decimal(1_000_000)

_encode = msgspec.json.Encoder().encode


def span_row(span: Span, received_ns: int) -> bytes:
    """Return a span as a row.

    Raises:
        Invalid: If a value has no place in the store, such as a time before 1970.
    """
    subject = f"span {span.span_id}"
    _check(subject, _bounded_of_span(span))
    if span.cost_usd is not None:
        span = msgspec.structs.replace(span, cost_usd=_rounded_cost(subject, span.cost_usd))
    if span.reserved_usd is not None:
        span = msgspec.structs.replace(span, reserved_usd=_rounded_bound(span.reserved_usd))
    version_ns = _PROVISIONAL_NS if span.is_provisional else max(received_ns, _PROVISIONAL_NS + 1)
    return _row(subject, span, version_ns)


def log_row(record: LogRecord, received_ns: int) -> bytes:
    """Return a log record as a row. Raises ``Invalid`` as ``span_row`` does."""
    subject = f"log record {record.log_id}"
    _check(subject, [("time_ns", record.time_ns, LAST_NS), ("severity", record.severity, 255)])
    return _row(subject, record, received_ns)


def point_row(point: MetricPoint, received_ns: int) -> bytes:
    """Return a metric point as a row; numbers that are none (NaN, infinity) as unknown.

    Raises:
        Invalid: As ``span_row`` does, and if a bucket is no number.
    """
    subject = f"metric point {point.point_id}"
    times = [("time_ns", point.time_ns, LAST_NS), ("start_ns", point.start_ns, _LAST_INT)]
    _check(subject, [*times, ("count", point.count or 0, _LAST_INT)])
    for path, values in (("bounds", point.bounds), ("buckets", point.buckets)):
        if not all(map(math.isfinite, values)):
            raise Invalid(f"{subject}: {path} has a value that is no finite number: {values}", path=path)
    return _row(subject, point, received_ns)


def score_row(score: ScoreRecord, received_ns: int) -> bytes:
    """Return a score as a row. Raises ``Invalid`` as ``span_row`` does, and if its value is no finite number."""
    subject = f"score {score.score_id}"
    _check(subject, [("time_ns", score.time_ns, LAST_NS)])
    if score.value is not None and not math.isfinite(score.value):
        raise Invalid(f"{subject}: value is {score.value}; it must be a finite number", path="value")
    return _row(subject, score, received_ns)


def _row(subject: str, item: Span | LogRecord | MetricPoint | ScoreRecord, received_ns: int) -> bytes:
    """Return ``item`` with the moment of its version."""
    try:
        return b'{"received_ns":%d,' % received_ns + _encode(item)[1:]
    except UnicodeEncodeError as error:
        raise Invalid(f"{subject} has text that is not Unicode: {error}") from error


def _check(subject: str, bounded: Iterable[tuple[str, int, int]]) -> None:
    for path, value, limit in bounded:
        if not 0 <= value <= limit:
            raise Invalid(f"{subject}: {path} is {value}; it must lie in 0..{limit}", path=path)


def _bounded_of_span(span: Span) -> Iterator[tuple[str, int, int]]:
    """Yield the path, value and upper bound of each number that must fit a column."""
    yield "start_ns", span.start_ns, LAST_NS
    yield "end_ns", span.end_ns, _LAST_INT
    yield "attempt", span.attempt, (1 << 32) - 1
    yield "trial", span.trial or 0, _LAST_INT
    yield "time_to_first_token_ns", span.time_to_first_token_ns or 0, _LAST_INT
    for name in _BUCKETS:
        yield f"usage.{name}", getattr(span.usage, name) or 0, _LAST_INT
    for event in span.events:
        yield "events.time_ns", event.time_ns, _LAST_INT


def _rounded_cost(subject: str, cost: Decimal) -> Decimal:
    rounded = cost.quantize(_COST_STEP) if cost.is_finite() and abs(cost) < _COST_LIMIT else _COST_LIMIT
    if abs(rounded) >= _COST_LIMIT:
        raise Invalid(f"{subject}: cost_usd is {cost}; it must be below {_COST_LIMIT}", path="cost_usd")
    return rounded


def _rounded_bound(bound: Decimal) -> Decimal | None:
    """Return an upper bound rounded up; ``None`` where it is too large for the store."""
    if not bound.is_finite() or not 0 <= bound < _COST_LIMIT:
        return None
    rounded = bound.quantize(_COST_STEP, rounding=ROUND_UP)
    return rounded if rounded < _COST_LIMIT else None
