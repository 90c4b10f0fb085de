"""Taking in what OpenTelemetry exporters send: accepted means it is on disk."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from zirkel.core import (
    Batch,
    Invalid,
    LogRecord,
    MetricPoint,
    Overloaded,
    Principal,
    Role,
    ScoreRecord,
    Span,
    TooLarge,
    Unsupported,
    encode_batch,
)
from zirkel.lib import otlp
from zirkel.lib.otlp import DecodedLog, Media, Notes, Signal
from zirkel.observe.in_flight import InFlight, Share
from zirkel.observe.normalise import normalise_span
from zirkel.observe.ports import DurableSink
from zirkel.observe.signals import log_record, metric_point, score_of_log
from zirkel.observe.storable import Unstorable, storable_log, storable_point, storable_span

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Before and after decompression. Source: the OTLP specification recommends 64 MiB."""
MAX_IN_FLIGHT_BYTES = 256 * 1024 * 1024
"""Bodies that are worked on at the same time, as received and decompressed."""
_ITEMS_AT_ONCE = 500
"""So many items are in memory in their decoded form; the rest of the body is still bytes."""
_RECORD_BYTES = 8 * 1024 * 1024
"""Longest spool record that could be split: what the core stores in one go."""

Item = TypeVar("Item")
Kept = TypeVar("Kept")

log = logging.getLogger(__name__)


class BatchMask(Protocol):
    """Takes out of a batch what must not reach a disk."""

    def mask(self, project_id: str, batch: Batch) -> Batch:
        """Return the batch as the project's rules want it."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request."""

    stored: int
    """Spans, log records or data points that are on disk."""
    rejected: int
    message: str
    """Why items were rejected or read differently than they were sent; empty if nothing is to be said."""


class Intake:
    """Decodes, normalises, masks and spools. Thread safe."""

    def __init__(
        self, sink: DurableSink, mask: BatchMask | None = None, *, max_in_flight_bytes: int = MAX_IN_FLIGHT_BYTES
    ) -> None:
        self._sink = sink
        self._mask = mask
        self._in_flight = InFlight(max_in_flight_bytes)

    def share(self) -> AbstractContextManager[Share]:
        """Give a request its share of the bytes that may be worked on; it grows as the body is received."""
        return self._in_flight.share()

    def accept(
        self,
        actor: Principal,
        signal: Signal,
        body: bytes,
        media: Media,
        encoding: str = "identity",
        share: Share | None = None,
    ) -> Accepted:
        """Take a request; on return it is on disk. A bad item never costs the others.

        After an error a part may be on disk. Items have ids of their own, so sending all of it again stores it once.

        Args:
            actor: Whose key it is.
            signal: Which of the three services the request is for.
            body: As received.
            media: What it is.
            encoding: Its content encoding.
            share: Where the body's bytes are counted already; without one they are counted here.

        Raises:
            Forbidden: If the key may not write telemetry.
            Invalid: If the body cannot be decoded.
            TooLarge: If it is over the limit, before or after decompression, or has too many items.
            Unsupported: If its encoding is not known.
            Overloaded: If too much is worked on, or the spool is full or cannot be written.
        """
        actor.require(Role.INGEST)
        if share is None:
            with self.share() as own:
                own.grow(len(body))
                return self.accept(actor, signal, body, media, encoding, own)
        notes = Notes()
        stored = 0
        for batch in self._batches(actor.project_id, signal, body, media, encoding, share, notes):
            stored += self._spool(self._mask.mask(actor.project_id, batch) if self._mask else batch, notes)
        return Accepted(stored, notes.rejected, notes.message)

    def _batches(
        self, project_id: str, signal: Signal, body: bytes, media: Media, encoding: str, share: Share, notes: Notes
    ) -> Iterator[Batch]:
        """Return the request in small batches; what is wrong with the body as a whole is raised at once."""
        try:
            plain = otlp.decompress(body, encoding, limit_bytes=MAX_BODY_BYTES, grow=share.grow)
            match signal:
                case "traces":
                    return _span_batches(otlp.read_spans(plain, media, notes), project_id, notes)
                case "logs":
                    return _log_batches(otlp.read_logs(plain, media, notes), project_id, notes)
                case "metrics":
                    return _point_batches(otlp.read_points(plain, media, notes), project_id, notes)
        except otlp.TooLarge as error:
            raise TooLarge(str(error)) from error
        except otlp.UnsupportedMedia as error:
            raise Unsupported(str(error)) from error
        except otlp.Malformed as error:
            raise Invalid(str(error)) from error

    def _spool(self, batch: Batch, notes: Notes) -> int:
        """Bring a batch to disk and return the items stored; in halves, if it is too large for one record."""
        count = _items_in(batch)
        if count == 0:
            return 0
        payload = encode_batch(batch)
        if len(payload) > _RECORD_BYTES and count > 1:
            return sum(self._spool(half, notes) for half in _halves(batch))
        try:
            self._sink.append_durable(payload)
        except OSError as error:
            log.exception("the spool cannot be written")
            raise Overloaded(f"the telemetry cannot be written to disk: {error}; try again in a moment") from error
        except TooLarge as error:
            if count > 1:
                raise
            notes.reject(f"an item of {len(payload)} bytes is too large to be stored: {error}")
            return 0
        return count


def _span_batches(spans: Iterable[otlp.DecodedSpan], project_id: str, notes: Notes) -> Iterator[Batch]:
    def read(span: otlp.DecodedSpan) -> Span:
        return storable_span(normalise_span(span, project_id=project_id))

    for chunk in _chunks(spans):
        yield Batch(spans=list(convert_each(chunk, read, notes)))


def _log_batches(logs: Iterable[DecodedLog], project_id: str, notes: Notes) -> Iterator[Batch]:
    def read(one: DecodedLog) -> tuple[LogRecord, ScoreRecord | None]:
        record = storable_log(log_record(one, project_id=project_id))
        return record, score_of_log(one, record)

    for chunk in _chunks(logs):
        pairs = list(convert_each(chunk, read, notes))
        yield Batch(logs=[record for record, _ in pairs], scores=[score for _, score in pairs if score is not None])


def _point_batches(points: Iterable[otlp.DecodedPoint], project_id: str, notes: Notes) -> Iterator[Batch]:
    def read(point: otlp.DecodedPoint) -> MetricPoint:
        return storable_point(metric_point(point, project_id=project_id))

    for chunk in _chunks(points):
        yield Batch(points=list(convert_each(chunk, read, notes)))


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while chunk := list(islice(rest, _ITEMS_AT_ONCE)):
        yield chunk


def convert_each(items: Iterable[Item], convert: Callable[[Item], Kept], notes: Notes) -> Iterator[Kept]:
    """Yield each item converted. An edge: whatever one item brings to light, it must not cost the others."""
    for item in items:
        try:
            kept = convert(item)
        except Unstorable as error:
            notes.reject(str(error))
        except Exception as error:
            reason = f"an item cannot be normalised: {type(error).__name__}; the core's log tells more"
            if reason not in notes.reasons:
                log.exception("an item of telemetry cannot be normalised")
            notes.reject(reason)
        else:
            yield kept


def _items_in(batch: Batch) -> int:
    return len(batch.spans) + len(batch.logs) + len(batch.points)


def _halves(batch: Batch) -> tuple[Batch, Batch]:
    """Return a batch of one signal in two; scores go with the first logs."""
    middle = _items_in(batch) // 2
    first = Batch(batch.spans[:middle], batch.logs[:middle], batch.points[:middle], batch.scores)
    return first, Batch(batch.spans[middle:], batch.logs[middle:], batch.points[middle:])
