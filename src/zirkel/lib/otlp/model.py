"""What an OTLP trace request says, as plain data: the same for protobuf and JSON."""

from dataclasses import dataclass, field

JsonLike = None | bool | int | float | str | list["JsonLike"] | dict[str, "JsonLike"]
"""An AnyValue. Bytes are base64 text; NaN and infinities are the strings of the JSON mapping, so it is always JSON."""


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
class DecodedTraces:
    """The spans of one request, and how many of them cannot be taken."""

    spans: list[DecodedSpan] = field(default_factory=list)
    rejected: int = 0
    """Spans whose ids are invalid; they are not in ``spans``."""
    rejected_reasons: list[str] = field(default_factory=list)
    """Why, for the first ten of them."""
    warnings: list[str] = field(default_factory=list)
    """What was taken but not understood as the sender may have meant it; at most ten."""
