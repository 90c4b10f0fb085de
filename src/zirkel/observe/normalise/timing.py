"""When the first piece of a streamed answer came."""

from collections.abc import Iterable
from datetime import datetime

from zirkel.lib.otlp import DecodedEvent, DecodedSpan

_FIRST_CHUNK_EVENTS = frozenset(
    {"First Token Stream Event", "gen_ai.content.completion.chunk", "ai.stream.firstChunk", "mlflow.chunk.item.0"}
)
_MAX_NS = 2**63 - 1


def duration_ns(value: float | None, unit_ns: int) -> int | None:
    """Return a duration reported in units of ``unit_ns`` as nanoseconds, ``None`` if absent or impossible."""
    if value is None or not 0 <= value * unit_ns <= _MAX_NS:
        return None
    return round(value * unit_ns)


def first_chunk_after_ns(span: DecodedSpan, events: Iterable[DecodedEvent]) -> int | None:
    """Return the nanoseconds from the span's start to its first chunk event, ``None`` without such an event."""
    times = [event.time_ns for event in events if event.name in _FIRST_CHUNK_EVENTS]
    return min(times) - span.start_ns if times and min(times) >= span.start_ns else None


def moment_after_ns(span: DecodedSpan, moment: str) -> int | None:
    """Return the nanoseconds from the span's start to an ISO 8601 time with a zone, ``None`` if it is not one."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return None
    since_epoch = parsed - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    microseconds = (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds
    after = microseconds * 1_000 - span.start_ns
    return after if 0 <= after <= _MAX_NS else None
