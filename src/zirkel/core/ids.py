"""Identifiers: UUIDv7 for things, W3C ids for traces."""

import hashlib
import os
import secrets
import uuid

from zirkel.core.clock import Clock


def new_id(clock: Clock) -> str:
    """Return a UUIDv7 as 36 characters: sortable by the millisecond it was made in.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = clock.now_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    return str(uuid.UUID(int=value))


def new_trace_id() -> str:
    """Return a random W3C trace id, 32 hex digits, not all zero."""
    return os.urandom(16).hex()


def new_span_id() -> str:
    """Return a random W3C span id, 16 hex digits, not all zero."""
    return os.urandom(8).hex()


def derived_trace_id(*parts: str) -> str:
    """Return the trace id that belongs to ``parts``: the same parts give the same id, 32 hex digits.

    An experiment names its calls this way, so that an answer can be found again after a crash.
    """
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:32]


def judging_trace_id(trace_id: str) -> str:
    """Return the trace of what judges were asked about an answer, by the answer's own trace.

    It is another one, so that what a system did is not mixed with what was said of it; and whoever erases the answer
    finds it.
    """
    return derived_trace_id(trace_id, "judging")
