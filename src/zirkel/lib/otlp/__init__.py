"""OTLP on the server's side: bodies in, plain data classes out, answers in the request's encoding.

Knows the protocol and nothing of the product. Source: the OTLP specification of opentelemetry-proto 1.11.
"""

from zirkel.lib.otlp.answers import Signal, encode_status, encode_success
from zirkel.lib.otlp.body import Media, decompress, parse_media_type
from zirkel.lib.otlp.collect import Notes
from zirkel.lib.otlp.decode import decode_traces, read_logs, read_points, read_spans
from zirkel.lib.otlp.errors import Malformed, OtlpError, TooLarge, UnsupportedMedia
from zirkel.lib.otlp.model import (
    DecodedEvent,
    DecodedLink,
    DecodedLog,
    DecodedMetric,
    DecodedPoint,
    DecodedSpan,
    DecodedTraces,
    JsonLike,
    Origin,
)

__all__ = [
    "DecodedEvent",
    "DecodedLink",
    "DecodedLog",
    "DecodedMetric",
    "DecodedPoint",
    "DecodedSpan",
    "DecodedTraces",
    "JsonLike",
    "Malformed",
    "Media",
    "Notes",
    "Origin",
    "OtlpError",
    "Signal",
    "TooLarge",
    "UnsupportedMedia",
    "decode_traces",
    "decompress",
    "encode_status",
    "encode_success",
    "parse_media_type",
    "read_logs",
    "read_points",
    "read_spans",
]
