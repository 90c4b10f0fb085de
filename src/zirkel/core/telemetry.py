"""What telemetry is made of beside spans: log records, metric points and scores; and the batch that is spooled."""

from enum import StrEnum

import msgspec

from zirkel.core.spans import Span


class LogRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One record of OpenTelemetry's logs signal, an event included. Times are UTC nanoseconds; JSON is kept as text."""

    project_id: str
    log_id: str
    """32 hex digits, a digest of what was sent: the same record again has the same id."""
    trace_id: str = ""
    span_id: str = ""
    time_ns: int
    """When it happened; when it was observed, if the sender does not say."""
    severity: int = 0
    """OpenTelemetry's number, 1 to 24; 0 is unspecified."""
    severity_text: str = ""
    event_name: str = ""
    body: str = ""
    """JSON text."""
    scope_name: str = ""
    attributes: dict[str, str] = {}
    """Values as JSON text."""
    resource: dict[str, str] = {}
    session_id: str = ""
    user_id: str = ""


class MetricPoint(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One data point of OpenTelemetry's metrics signal. Times are UTC nanoseconds."""

    project_id: str
    point_id: str
    """32 hex digits, a digest of series and time: the same point again has the same id."""
    name: str
    kind: str
    """``gauge``, ``sum``, ``histogram``, ``exponential_histogram`` or ``summary``."""
    unit: str = ""
    temporality: str = ""
    """``delta`` or ``cumulative``; empty for gauges and summaries."""
    is_monotonic: bool = False
    start_ns: int = 0
    time_ns: int
    value: float | None = None
    """Of a gauge or sum; ``None`` where there is none."""
    count: int | None = None
    sum: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    bounds: list[float] = []
    """Upper bounds of a histogram's buckets but the last; an exponential one's are computed. Quantiles of a summary."""
    buckets: list[float] = []
    """Counts of the buckets; values at a summary's quantiles."""
    scope_name: str = ""
    attributes: dict[str, str] = {}
    """Values as JSON text."""
    resource: dict[str, str] = {}


class ScoreKind(StrEnum):
    """What a score's value is."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"
    TEXT = "text"


class ScoreOrigin(StrEnum):
    """Who gave a score."""

    PERSON = "person"
    """Somebody of the team."""
    CODE = "code"
    JUDGE = "judge"
    """A language model."""
    END_USER = "end_user"


class ScoreRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One version of a score on something that was observed. A later version with the same id corrects it."""

    project_id: str
    score_id: str
    """Unique in the project: sent again with the same content it is the same, with another content a correction."""
    name: str
    """What is judged, e.g. ``helpfulness``."""
    kind: ScoreKind
    value: float | None = None
    """The number; of a boolean 0 or 1; ``None`` for categories and texts."""
    label: str = ""
    """The category or the text."""
    trace_id: str = ""
    """What it is about: a span (with its trace), a trace, a session or an experiment (maybe one item of it)."""
    span_id: str = ""
    session_id: str = ""
    experiment_id: str = ""
    item_id: str = ""
    origin: ScoreOrigin
    author: str = ""
    """Who: a person's label, the key's id, the judge's model."""
    evaluator: str = ""
    """Name and version of the evaluator, if one gave it."""
    comment: str = ""
    """Why, in words."""
    user_id: str = ""
    """The end user who gave it."""
    time_ns: int
    """When it was given, UTC nanoseconds."""
    is_withdrawn: bool = False
    """This version takes the score back."""
    metadata: dict[str, str] = {}
    """Values as JSON text."""


class Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one spool record carries."""

    spans: list[Span] = []
    logs: list[LogRecord] = []
    points: list[MetricPoint] = []
    scores: list[ScoreRecord] = []

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.spans or self.logs or self.points or self.scores)


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Batch)


def encode_batch(batch: Batch) -> bytes:
    """Return the spool form of a batch."""
    return _encode(batch)


def encode_spans(spans: list[Span]) -> bytes:
    """Return the spool form of a batch of spans."""
    return _encode(Batch(spans))


def decode_batch(payload: bytes) -> Batch:
    """Return the batch of one spool record.

    Raises:
        msgspec.DecodeError: If the payload is none.
    """
    try:
        return _decoder.decode(payload)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"not a batch of telemetry: {error}") from error
