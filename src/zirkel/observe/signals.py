"""Log records and data points as sent, as those we keep; and the scores among them. Pure: no I/O, no clock."""

import hashlib

import msgspec

from zirkel.core import LogRecord, MetricPoint, ScoreKind, ScoreOrigin, ScoreRecord
from zirkel.lib.otlp import DecodedLog, DecodedPoint, JsonLike
from zirkel.observe.normalise.attributes import Attributes, json_text
from zirkel.observe.normalise.context import session_of, user_of

_EVALUATION = "gen_ai.evaluation.result"
_MAX_NS = 2**63 - 1
_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def log_record(log: DecodedLog, *, project_id: str) -> LogRecord:
    """Return a log record; all attributes are kept, and what was sent twice gets the same id.

    An event's name may come in the attribute ``event.name`` alone (SDKs before ``LogRecord.event_name``). Times beyond
    the year 2262 become its last moment.
    """
    attributes, resource = Attributes(log.attributes), Attributes(log.origin.resource)
    return LogRecord(
        project_id=project_id,
        log_id=_log_id(log),
        trace_id=log.trace_id,
        span_id=log.span_id,
        time_ns=min(log.time_ns or log.observed_ns, _MAX_NS),
        severity=log.severity if 0 <= log.severity <= 24 else 0,
        severity_text=log.severity_text,
        event_name=log.event_name or attributes.text("event.name"),
        body="" if log.body is None else json_text(log.body),
        scope_name=log.origin.scope_name,
        attributes=_json_texts(log.attributes),
        resource=_json_texts(log.origin.resource),
        session_id=session_of(attributes, resource),
        user_id=user_of(attributes, resource),
    )


def score_of_log(log: DecodedLog, record: LogRecord) -> ScoreRecord | None:
    """Return the score that a ``gen_ai.evaluation.result`` event carries, ``None`` for any other record.

    ``None`` too if it has no name, or neither a number nor a label (an evaluation that failed); the record then tells.
    A score has its record's id: sent again it is the same score.

    Source: GenAI conventions 1.41, event ``gen_ai.evaluation.result``.
    """
    if record.event_name != _EVALUATION:
        return None
    attributes = Attributes(log.attributes)
    name = attributes.text("gen_ai.evaluation.name")
    value = attributes.number("gen_ai.evaluation.score.value")
    label = attributes.text("gen_ai.evaluation.score.label")
    if not name or (value is None and not label):
        return None
    response_id = attributes.text("gen_ai.response.id")
    return ScoreRecord(
        project_id=record.project_id,
        score_id=record.log_id,
        name=name,
        kind=ScoreKind.CATEGORICAL if value is None else ScoreKind.NUMERIC,
        value=value,
        label=label,
        trace_id=record.trace_id,
        span_id=record.span_id,
        session_id=record.session_id,
        origin=ScoreOrigin.JUDGE,
        author=attributes.text("gen_ai.request.model", "gen_ai.response.model"),
        comment=attributes.text("gen_ai.evaluation.explanation"),
        user_id=record.user_id,
        time_ns=record.time_ns,
        metadata={"gen_ai.response.id": json_text(response_id)} if response_id else {},
    )


def metric_point(point: DecodedPoint, *, project_id: str) -> MetricPoint:
    """Return a data point; its id says series and time, so that the same point twice is one."""
    metric = point.metric
    return MetricPoint(
        project_id=project_id,
        point_id=_point_id(point),
        name=metric.name,
        kind=metric.kind,
        unit=metric.unit,
        temporality=metric.temporality,
        is_monotonic=metric.is_monotonic,
        start_ns=min(point.start_ns, _MAX_NS),
        time_ns=min(point.time_ns, _MAX_NS),
        value=point.value,
        count=point.count,
        sum=point.sum,
        minimum=point.minimum,
        maximum=point.maximum,
        bounds=point.bounds,
        buckets=point.buckets,
        scope_name=metric.origin.scope_name,
        attributes=_json_texts(point.attributes),
        resource=_json_texts(metric.origin.resource),
    )


def _log_id(log: DecodedLog) -> str:
    origin = log.origin
    return _digest(
        "log", origin.resource, origin.scope_name, origin.scope_version, log.trace_id, log.span_id, log.time_ns,
        log.observed_ns, log.severity, log.severity_text, log.event_name, log.body, log.attributes,
    )  # fmt: skip


def _point_id(point: DecodedPoint) -> str:
    metric = point.metric
    return _digest(
        "point", metric.origin.resource, metric.origin.scope_name, metric.origin.scope_version, metric.name,
        metric.kind, metric.unit, metric.temporality, metric.is_monotonic, point.attributes, point.start_ns,
        point.time_ns,
    )  # fmt: skip


def _digest(*parts: JsonLike) -> str:
    """Return 32 hex digits that depend on the parts alone, not on the order of their keys."""
    return hashlib.blake2b(_encode(parts), digest_size=16).hexdigest()


def _json_texts(values: dict[str, JsonLike]) -> dict[str, str]:
    return {key: json_text(value) for key, value in values.items()}
