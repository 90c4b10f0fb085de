"""Shared nouns: frozen, free of I/O."""

from zirkel.core.canonical import Json, canonical_json, digest, sha256_hex
from zirkel.core.clock import Clock, ManualClock, SystemClock, iso_utc
from zirkel.core.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    Held,
    Incompatible,
    Invalid,
    NotFound,
    Overloaded,
    Refused,
    TooLarge,
    Unauthenticated,
    Unsupported,
    UpstreamFailed,
    ZirkelError,
)
from zirkel.core.ids import derived_trace_id, new_id, new_span_id, new_trace_id
from zirkel.core.principal import Principal, Role
from zirkel.core.spans import MODEL_KINDS, Span, SpanEvent, SpanKind, Usage, decode_spans, encode_spans

__all__ = [
    "MODEL_KINDS",
    "Clock",
    "Conflict",
    "Corrupt",
    "Forbidden",
    "Held",
    "Incompatible",
    "Invalid",
    "Json",
    "ManualClock",
    "NotFound",
    "Overloaded",
    "Principal",
    "Refused",
    "Role",
    "Span",
    "SpanEvent",
    "SpanKind",
    "SystemClock",
    "TooLarge",
    "Unauthenticated",
    "Unsupported",
    "UpstreamFailed",
    "Usage",
    "ZirkelError",
    "canonical_json",
    "decode_spans",
    "derived_trace_id",
    "digest",
    "encode_spans",
    "iso_utc",
    "new_id",
    "new_span_id",
    "new_trace_id",
    "sha256_hex",
]
