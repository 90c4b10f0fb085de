"""What is added to telemetry before it is stored: content that came apart from its span, and costs."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import msgspec

from zirkel.core import Batch, LogRecord, Span
from zirkel.lib.otlp import DecodedEvent, DecodedSpan, JsonLike
from zirkel.observe.joining import is_content, join_logs
from zirkel.observe.normalise import normalise_span
from zirkel.observe.span_costs import SpanPricer, with_costs

MOST_KEPT_BYTES = 16 * 1024 * 1024
"""Content kept for spans that come later, or come again; what is beyond is joined when the trace is read."""

_Place = tuple[str, str, str]
"""Project, trace and span."""


class StoredTraces(Protocol):
    """Traces that are stored already."""

    def trace(self, project_id: str, trace_id: str) -> Sequence[Span]: ...
    def logs_of_trace(self, project_id: str, trace_id: str) -> Sequence[LogRecord]: ...


class Refiner:
    """Joins content of the logs signal with spans, whichever comes first, and prices spans. For one thread."""

    def __init__(self, stored: StoredTraces, pricer: SpanPricer, most_kept_bytes: int = MOST_KEPT_BYTES) -> None:
        self._stored = stored
        self._pricer = pricer
        self._most_kept_bytes = most_kept_bytes
        self._kept: OrderedDict[_Place, dict[str, LogRecord]] = OrderedDict()
        self._kept_bytes = 0

    def refine(self, batch: Batch) -> Batch:
        """Return a batch with its spans completed, and with stored spans anew that get their content by it.

        The same batch may come again, because storing it failed: the answer is the same.
        """
        contents = [record for record in batch.logs if is_content(record)]
        spans = self._joined(batch.spans, contents) if contents or self._kept else batch.spans
        spans = with_costs(spans, self._pricer)
        return msgspec.structs.replace(batch, spans=spans)

    def _joined(self, spans: Sequence[Span], contents: Sequence[LogRecord]) -> list[Span]:
        here = {_place(span) for span in spans}
        # Kept also after they were joined: a span that is sent again replaces the one that has the content.
        kept = [record for place in here for record in self._kept.get(place, {}).values()]
        for record in contents:
            self._keep(record)
        late = self._late([record for record in contents if _place(record) not in here])
        return [*join_logs(spans, [*kept, *contents]), *late]

    def _late(self, contents: Sequence[LogRecord]) -> list[Span]:
        """Return the stored spans that content came for, with that and with what came before it."""
        wanted = {_place(record) for record in contents}
        changed: list[Span] = []
        for project_id, trace_id in dict.fromkeys((record.project_id, record.trace_id) for record in contents):
            stored = [span for span in self._stored.trace(project_id, trace_id) if _place(span) in wanted]
            if stored:
                known = [*self._stored.logs_of_trace(project_id, trace_id), *contents]
                completed = join_logs([without_joined(span) for span in stored], known)
                changed += [span for span, before in zip(completed, stored, strict=True) if span != before]
        return changed

    def _keep(self, record: LogRecord) -> None:
        place = _place(record)
        records = self._kept.setdefault(place, {})
        self._kept.move_to_end(place)
        if record.log_id not in records:
            records[record.log_id] = record
            self._kept_bytes += _size(record)
        while self._kept_bytes > self._most_kept_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= sum(map(_size, dropped.values()))


def without_joined(span: Span) -> Span:
    """Return a span without the content that log records gave it: with what its own attributes and events say."""
    if span.source != "otlp":
        return span
    own = normalise_span(_as_sent(span), project_id=span.project_id)
    return msgspec.structs.replace(
        span,
        input=span.input if own.input else "",
        output=span.output if own.output else "",
        tools=span.tools if own.tools else "",
        parameters=span.parameters if own.parameters else {},
        finish_reason=span.finish_reason if own.finish_reason else "",
    )


def _as_sent(span: Span) -> DecodedSpan:
    return DecodedSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        name=span.name,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        attributes={name: _value(text) for name, text in span.attributes.items()},
        events=tuple(
            DecodedEvent(event.name, event.time_ns, {name: _value(text) for name, text in event.attributes.items()})
            for event in span.events
        ),
    )


def _value(text: str) -> JsonLike:
    try:
        value: JsonLike = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
    return value


def _place(item: Span | LogRecord) -> _Place:
    return item.project_id, item.trace_id, item.span_id


def _size(record: LogRecord) -> int:
    return len(record.body) + sum(len(key) + len(value) for key, value in record.attributes.items()) + 200
