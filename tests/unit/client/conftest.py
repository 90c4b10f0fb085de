"""Spans of the tests' own tracer provider; OpenTelemetry takes one provider for a whole process."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@dataclass(frozen=True)
class Seen:
    """The spans that have ended since the test began."""

    exporter: InMemorySpanExporter

    def spans(self) -> list[ReadableSpan]:
        """Return them in the order in which they ended."""
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        """Return the only one of a name."""
        (found,) = (span for span in self.spans() if span.name.endswith(name))
        return found

    def attributes(self, name: str) -> Mapping[str, object]:
        """Return the attributes of the only one of a name."""
        return dict(self.named(name).attributes or {})


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """The exporter of this process's tracer provider."""
    made = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(made))
    trace.set_tracer_provider(provider)
    return made


@pytest.fixture
def seen(exporter: InMemorySpanExporter) -> Iterator[Seen]:
    """What the test's own code leaves behind."""
    exporter.clear()
    yield Seen(exporter)
    exporter.clear()
