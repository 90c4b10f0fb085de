"""Taking in what OpenTelemetry exporters send: accepted means it is on disk."""

from dataclasses import dataclass

from zirkel.core import Invalid, Principal, Role, TooLarge, Unsupported, encode_spans
from zirkel.lib.otlp import Malformed, Media, UnsupportedMedia, decode_traces, decompress
from zirkel.lib.otlp import TooLarge as BodyTooLarge
from zirkel.observe.normalise import normalise_span
from zirkel.observe.ports import DurableSink

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Before and after decompression. Source: the OTLP specification recommends 64 MiB."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch."""

    stored: int
    rejected: int
    message: str
    """Why spans were rejected or read differently than they were sent; empty if nothing is to be said."""


class Intake:
    """Decodes, normalises and spools."""

    def __init__(self, sink: DurableSink) -> None:
        self._sink = sink

    def accept_traces(self, actor: Principal, body: bytes, media: Media, encoding: str) -> Accepted:
        """Take a batch of spans; on return they are on disk. A bad span never costs its batch.

        Raises:
            Forbidden: If the key may not write telemetry.
            Invalid: If the body cannot be decoded.
            TooLarge: If it is over the limit, before or after decompression.
            Unsupported: If its encoding is not known.
            Overloaded: If the spool is full; nothing was taken.
        """
        actor.require(Role.INGEST)
        try:
            decoded = decode_traces(decompress(body, encoding, limit_bytes=MAX_BODY_BYTES), media)
        except BodyTooLarge as error:
            raise TooLarge(str(error)) from error
        except UnsupportedMedia as error:
            raise Unsupported(str(error)) from error
        except Malformed as error:
            raise Invalid(str(error)) from error
        spans = [normalise_span(span, project_id=actor.project_id) for span in decoded.spans]
        if spans:
            self._sink.append_durable(encode_spans(spans))
        said = dict.fromkeys([*decoded.rejected_reasons, *decoded.warnings])
        return Accepted(len(spans), decoded.rejected, "; ".join(said))
