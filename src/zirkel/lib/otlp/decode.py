"""From a request's bytes to what it says."""

from collections.abc import Iterator

from zirkel.lib.otlp.body import Media
from zirkel.lib.otlp.collect import Notes
from zirkel.lib.otlp.jsonmap import logs_from_json, spans_from_json
from zirkel.lib.otlp.jsonmetrics import points_from_json
from zirkel.lib.otlp.model import DecodedLog, DecodedPoint, DecodedSpan, DecodedTraces
from zirkel.lib.otlp.protobuf import logs_from_protobuf, spans_from_protobuf
from zirkel.lib.otlp.protometrics import points_from_protobuf


def read_spans(body: bytes, media: Media, notes: Notes) -> Iterator[DecodedSpan]:
    """Return the spans of an uncompressed request, each decoded when it is taken; an empty body has none.

    A span that cannot be read, or whose ids are invalid, is counted in ``notes`` and left out, the rest is kept, as
    partial success asks for. The notes are complete when the last span was taken.

    Raises:
        Malformed: At once, if the body as a whole cannot be read; no item raises it later.
        TooLarge: At once, if there are too many items.
    """
    return spans_from_json(body, notes) if media == "json" else spans_from_protobuf(body, notes)


def read_logs(body: bytes, media: Media, notes: Notes) -> Iterator[DecodedLog]:
    """Return the log records of an uncompressed request; as ``read_spans``."""
    return logs_from_json(body, notes) if media == "json" else logs_from_protobuf(body, notes)


def read_points(body: bytes, media: Media, notes: Notes) -> Iterator[DecodedPoint]:
    """Return the data points of an uncompressed request; as ``read_spans``."""
    return points_from_json(body, notes) if media == "json" else points_from_protobuf(body, notes)


def decode_traces(body: bytes, media: Media) -> DecodedTraces:
    """Return all spans of an uncompressed trace request at once.

    Raises:
        Malformed, TooLarge: As ``read_spans``.
    """
    notes = Notes()
    spans = list(read_spans(body, media, notes))
    return DecodedTraces(spans, notes.rejected, notes.reasons, notes.warnings)
