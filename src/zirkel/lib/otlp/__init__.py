"""OTLP/HTTP on the server's side: bodies in, plain data classes out, answers in the request's encoding.

Knows the protocol and nothing of the product. Source: the OTLP specification of opentelemetry-proto 1.11.
"""

from zirkel.lib.otlp.answers import Signal, encode_status, encode_success
from zirkel.lib.otlp.body import Media, decompress, parse_media_type
from zirkel.lib.otlp.decode import decode_traces
from zirkel.lib.otlp.errors import Malformed, OtlpError, TooLarge, UnsupportedMedia
from zirkel.lib.otlp.model import DecodedEvent, DecodedLink, DecodedSpan, DecodedTraces, JsonLike

__all__ = [
    "DecodedEvent",
    "DecodedLink",
    "DecodedSpan",
    "DecodedTraces",
    "JsonLike",
    "Malformed",
    "Media",
    "OtlpError",
    "Signal",
    "TooLarge",
    "UnsupportedMedia",
    "decode_traces",
    "decompress",
    "encode_status",
    "encode_success",
    "parse_media_type",
]
