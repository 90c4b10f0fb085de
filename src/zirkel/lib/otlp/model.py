"""What OTLP requests say, as plain data: the same for protobuf and JSON."""

from dataclasses import dataclass, field
from typing import Literal

JsonLike = None | bool | int | float | str | list["JsonLike"] | dict[str, "JsonLike"]
"""An AnyValue. Bytes are base64 text; NaN and infinities are the strings of the JSON mapping, so it is always JSON."""

PointKind = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
Temporality = Literal["", "delta", "cumulative"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sent an item; one object is shared by all items of a scope, its resource by all scopes of the resource."""

    resource: dict[str, JsonLike]
    scope_name: str = ""
    scope_version: str = ""


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """Something that happened at one moment of a span; the time is UTC nanoseconds."""

    name: str
    time_ns: int
    attributes: dict[str, JsonLike]


@dataclass(frozen=True, slots=True)
class DecodedLink:
    """A pointer to another span; ids are lower-case hex."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: dict[str, JsonLike]


@dataclass(frozen=True, slots=True)
class DecodedSpan:
    """One span as sent. Times are UTC nanoseconds, ids lower-case hex, enums the protocol's numbers."""

    trace_id: str
    """32 hex digits, not all zero."""
    span_id: str
    """16 hex digits, not all zero."""
    name: str
    start_ns: int
    end_ns: int
    """As sent: may be 0 or before the start."""
    parent_span_id: str = ""
    """16 hex digits, or empty for a root."""
    trace_state: str = ""
    flags: int = 0
    kind: int = 0
    """0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer."""
    status_code: int = 0
    """0 unset, 1 ok, 2 error."""
    status_message: str = ""
    attributes: dict[str, JsonLike] = field(default_factory=dict)
    """In the order sent; of a key that comes twice the later value."""
    events: tuple[DecodedEvent, ...] = ()
    links: tuple[DecodedLink, ...] = ()
    resource: dict[str, JsonLike] = field(default_factory=dict)
    """Attributes of the resource; one dict shared by all spans of it."""
    scope_name: str = ""
    scope_version: str = ""


@dataclass(frozen=True, slots=True)
class DecodedLog:
    """One log record as sent. Times are UTC nanoseconds, ids lower-case hex."""

    origin: Origin
    trace_id: str = ""
    """32 hex digits, or empty: belongs to no trace."""
    span_id: str = ""
    time_ns: int = 0
    """0 if the sender does not know when it happened."""
    observed_ns: int = 0
    severity: int = 0
    severity_text: str = ""
    event_name: str = ""
    body: JsonLike = None
    attributes: dict[str, JsonLike] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecodedMetric:
    """What all data points of a metric share."""

    origin: Origin
    name: str
    kind: PointKind
    unit: str = ""
    temporality: Temporality = ""
    is_monotonic: bool = False


@dataclass(frozen=True, slots=True)
class DecodedPoint:
    """One data point. Times are UTC nanoseconds; a number that is not finite or was not sent is ``None``."""

    metric: DecodedMetric
    attributes: dict[str, JsonLike]
    start_ns: int = 0
    time_ns: int = 0
    value: float | None = None
    """Of a gauge or sum."""
    count: int | None = None
    sum: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    bounds: list[float] = field(default_factory=list)
    """Upper bounds of the buckets but the last, also of an exponential histogram; quantiles of a summary."""
    buckets: list[float] = field(default_factory=list)
    """Counts of the buckets, one more than bounds; values at a summary's quantiles."""


@dataclass(frozen=True, slots=True)
class DecodedTraces:
    """The spans of one request, and how many of them cannot be taken."""

    spans: list[DecodedSpan] = field(default_factory=list)
    rejected: int = 0
    """Spans that cannot be read, or whose ids are invalid; they are not in ``spans``."""
    rejected_reasons: list[str] = field(default_factory=list)
    """Why, for the first ten of them."""
    warnings: list[str] = field(default_factory=list)
    """What was taken but not understood as the sender may have meant it; at most ten."""
