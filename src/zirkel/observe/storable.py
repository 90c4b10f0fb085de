"""What a store of telemetry has room for: an item beyond it is told to its sender, and never costs the others. Pure."""

from decimal import Decimal

from zirkel.core import LogRecord, MetricPoint, Span

_LAST_NS = 5_662_224_000 * 1_000_000_000
"""2149-06-05, the last day that days are counted to."""
_LAST_INT = 2**63 - 1
_USD_LIMIT = Decimal(1_000_000)


class Unstorable(ValueError):
    """An item has a value that cannot be kept. ``str()`` says which, for the sender to read."""


def storable_span(span: Span) -> Span:
    """Return the span.

    Raises:
        Unstorable: If it starts after 2149, or cost a million USD or more.
    """
    subject = f"span {span.name[:80]!r}"
    _check_time(subject, span.start_ns)
    if span.cost_usd is not None and not abs(span.cost_usd) < _USD_LIMIT:
        raise Unstorable(f"{subject}: a cost of {span.cost_usd} USD is not below {_USD_LIMIT}")
    return span


def storable_log(record: LogRecord) -> LogRecord:
    """Return the record.

    Raises:
        Unstorable: If it happened after 2149.
    """
    _check_time("log record", record.time_ns)
    return record


def storable_point(point: MetricPoint) -> MetricPoint:
    """Return the data point.

    Raises:
        Unstorable: If it is of after 2149, or counts more than a 64-bit integer holds.
    """
    subject = f"metric {point.name[:80]!r}"
    _check_time(subject, point.time_ns)
    if (point.count or 0) > _LAST_INT:
        raise Unstorable(f"{subject}: a count of {point.count} is more than {_LAST_INT}")
    return point


def _check_time(subject: str, time_ns: int) -> None:
    if time_ns > _LAST_NS:
        raise Unstorable(f"{subject}: the time {time_ns} ns is after 2149-06-05")
