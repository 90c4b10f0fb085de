"""OpenTelemetry's side of the SDK: spans into the outbox, beside whatever else the program does with them."""

import gzip
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import ProxyTracerProvider

from zirkel.client.outbox import Outbox
from zirkel.client.settings import SdkSettings
from zirkel.client.spool import Record, RecordKind
from zirkel.core import Invalid

INHERITED = ("session.id", "user.id", "zirkel.tags", "gen_ai.prompt.name", "gen_ai.prompt.version")
"""Attributes that a span has from its parent, so that a model's span knows session and prompt of the code around it."""
SPANS_A_REQUEST = 256
QUEUED_SPANS = 4096
BATCH_EVERY_MS = 500
_GZIP_LEVEL = 1
"""Five times smaller already; more would only cost the program's time."""


class OutboxExporter(SpanExporter):
    """Encodes spans as OTLP and puts them into the outbox, which never fails and never waits."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take a batch."""
        body = gzip.compress(encode_spans(spans).SerializeToString(), _GZIP_LEVEL)
        self._outbox.put(Record(RecordKind.SPANS, body))
        return SpanExportResult.SUCCESS


class ZirkelProcessor(SpanProcessor):
    """Gives spans what they inherit, and batches those that are sampled."""

    def __init__(self, outbox: Outbox, own: dict[str, str]) -> None:
        """Make one.

        Args:
            outbox: Where spans go.
            own: Attributes that every span gets; for a tracer provider whose resource does not have them.
        """
        self._own = own
        self._is_shut_down = False
        self._batches = BatchSpanProcessor(
            OutboxExporter(outbox),
            max_queue_size=QUEUED_SPANS,
            schedule_delay_millis=BATCH_EVERY_MS,
            max_export_batch_size=SPANS_A_REQUEST,
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Set what the span inherits, unless it says so itself."""
        # A provider does not let go of its processors: one that was replaced must not speak for its successor.
        if self._is_shut_down:
            return
        parent = trace.get_current_span(parent_context)
        given = (parent.attributes if isinstance(parent, ReadableSpan) else None) or {}
        present = span.attributes or {}
        for key in INHERITED:
            if key in given and key not in present:
                span.set_attribute(key, given[key])
        for key, value in self._own.items():
            if key not in present:
                span.set_attribute(key, value)

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if not self._is_shut_down:
            self._batches.on_end(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Encode what has been batched so far."""
        return self._batches.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Encode the rest, and take nothing more."""
        self._is_shut_down = True
        self._batches.shutdown()  # type: ignore[no-untyped-call]


def install_processor(settings: SdkSettings, outbox: Outbox) -> ZirkelProcessor:
    """Return a processor that gets the spans of the program's tracer provider; one is made if there is none.

    Raises:
        Invalid: If the program's tracer provider takes no span processors.
    """
    provider = trace.get_tracer_provider()
    names = _names(settings)
    if isinstance(provider, ProxyTracerProvider):
        service = {"service.name": settings.service} if settings.service else {}
        place = {"deployment.environment.name": settings.environment} if settings.environment else {}
        provider = TracerProvider(resource=Resource.create({**names, **service, **place}), shutdown_on_exit=False)
        processor = ZirkelProcessor(outbox, {})
        provider.add_span_processor(processor)
        trace.set_tracer_provider(provider)
        return processor
    add = getattr(provider, "add_span_processor", None)
    if not callable(add):
        kind = type(provider)
        raise Invalid(
            f"the program's tracer provider ({kind.__module__}.{kind.__qualname__}) takes no span processors; call "
            "zirkel.init before it is set, or use OpenTelemetry's own TracerProvider"
        )
    processor = ZirkelProcessor(outbox, names)
    add(processor)
    return processor


def _names(settings: SdkSettings) -> dict[str, str]:
    found = {"zirkel.service": settings.service, "zirkel.environment": settings.environment}
    return {key: value for key, value in found.items() if value}
