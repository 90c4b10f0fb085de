"""Content that instrumentations send on the logs signal, joined with the span it belongs to. Pure.

Three generations are read: one event per message (``gen_ai.user.message`` … ``gen_ai.choice``), one event per call
(``gen_ai.client.inference.operation.details``), and prompts and completions as events. It does not matter whether
the events came before or after their span. Source: GenAI conventions 1.27 to 1.41, events.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from zirkel.core import LogRecord, Span
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise import normalise_span

_PREFIX = "gen_ai."
_NOT_CONTENT = ("gen_ai.evaluation.", "gen_ai.client.operation.exception")


@dataclass(frozen=True, slots=True)
class SpanContent:
    """What log records say of one span; JSON as text, empty where they do not say it."""

    input: str = ""
    output: str = ""
    tools: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Values as JSON text."""
    finish_reason: str = ""

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.input or self.output or self.tools or self.parameters or self.finish_reason)


def is_content(log: LogRecord) -> bool:
    """Return whether a log record can carry content of a span."""
    name = event_name(log)
    return bool(log.span_id) and name.startswith(_PREFIX) and not name.startswith(_NOT_CONTENT)


def event_name(log: LogRecord) -> str:
    """Return the name of an event, which older senders have in an attribute only; empty if the record is none."""
    return log.event_name or _text(_decode(log.attributes.get("event.name", "")))


def content_of_logs(logs: Sequence[LogRecord]) -> SpanContent:
    """Return what the log records of one span say of it; records that carry no content are passed over.

    A record that is there twice counts once. What an event says of the whole call comes before what is put together
    from events of single messages, and the first of several such events before the later ones.
    """
    unique = {log.log_id: log for log in sorted(logs, key=lambda log: log.time_ns) if is_content(log)}
    readings = [_read(log) for log in unique.values() if _is_whole(log)]
    single = [_as_event(log) for log in unique.values() if not _is_whole(log)]
    if single:
        readings.append(_normalised({"gen_ai.operation.name": "chat", "events": list(single)}))
    return SpanContent(
        input=_first(span.input for span in readings),
        output=_first(span.output for span in readings),
        tools=_first(span.tools for span in readings),
        parameters=next((span.parameters for span in readings if span.parameters), {}),
        finish_reason=_first(span.finish_reason for span in readings),
    )


def join_content(span: Span, content: SpanContent) -> Span:
    """Return the span with what it does not say itself taken from ``content``."""
    if not content:
        return span
    return msgspec.structs.replace(
        span,
        input=span.input or content.input,
        output=span.output or content.output,
        tools=span.tools or content.tools,
        parameters=span.parameters or dict(content.parameters),
        finish_reason=span.finish_reason or content.finish_reason,
    )


def join_logs(spans: Sequence[Span], logs: Iterable[LogRecord]) -> list[Span]:
    """Return the spans, in their order, each with the content that its own log records carry.

    Spans of no dialect get none: events of a streamed call are sent when its span is no longer the current one, and
    name the one around it (OpenLIT).
    """
    by_span: dict[tuple[str, str, str], list[LogRecord]] = {}
    for log in logs:
        if is_content(log):
            by_span.setdefault((log.project_id, log.trace_id, log.span_id), []).append(log)
    if not by_span:
        return list(spans)
    return [
        _joined(span, by_span.get((span.project_id, span.trace_id, span.span_id), ())) if span.dialect else span
        for span in spans
    ]


def _joined(span: Span, logs: Sequence[LogRecord]) -> Span:
    return join_content(span, content_of_logs(logs)) if logs else span


def _is_whole(log: LogRecord) -> bool:
    """Return whether a record has the attributes of a whole call, as an inference span would."""
    return any(name in log.attributes for name in ("gen_ai.input.messages", "gen_ai.output.messages")) or (
        event_name(log) == "gen_ai.client.inference.operation.details"
    )


def _read(log: LogRecord) -> Span:
    attributes = {name: _decode(value) for name, value in log.attributes.items()}
    body = _decode(log.body)
    within = body if isinstance(body, dict) else {}
    return _normalised({**{name: value for name, value in within.items() if name.startswith(_PREFIX)}, **attributes})


def _as_event(log: LogRecord) -> JsonLike:
    """Return a record as one of the events that some instrumentations list in an attribute of the span."""
    body = _decode(log.body)
    fields: dict[str, JsonLike] = {name: _decode(value) for name, value in log.attributes.items()}
    if isinstance(body, dict):
        fields |= body
    elif body not in (None, ""):
        fields["content"] = body
    return {**fields, "event.name": event_name(log)}


def _normalised(attributes: dict[str, JsonLike]) -> Span:
    record = DecodedSpan(trace_id="", span_id="", name="", start_ns=0, end_ns=0, attributes=attributes)
    return normalise_span(record, project_id="")


def _decode(text: str) -> JsonLike:
    if not text:
        return None
    try:
        value: JsonLike = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
    return value


def _text(value: JsonLike) -> str:
    return value if isinstance(value, str) else ""


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
