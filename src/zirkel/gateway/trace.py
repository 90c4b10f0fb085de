"""W3C trace context: which trace a call belongs to.

Source: W3C Trace Context, section 3.2.
"""

import re

import msgspec

from zirkel.core import new_trace_id

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class TraceContext(msgspec.Struct, frozen=True):
    """The trace a call is part of, and the caller's span in it (empty for a trace that begins here)."""

    trace_id: str
    parent_span_id: str
    flags: str = "01"

    def for_span(self, span_id: str) -> str:
        """Return the ``traceparent`` that makes ``span_id`` the parent of what is called."""
        return f"00-{self.trace_id}-{span_id}-{self.flags}"


def join_trace(traceparent: str) -> TraceContext:
    """Return the context of a ``traceparent`` header, or of a new trace if it is absent or malformed."""
    found = _FORM.fullmatch(traceparent.strip()) if traceparent else None
    if found is None:
        return TraceContext(new_trace_id(), "")
    version, trace_id, span_id, flags, more = found.groups()
    is_malformed = version == "ff" or (version == "00" and more is not None)
    if is_malformed or trace_id == "0" * 32 or span_id == "0" * 16:
        return TraceContext(new_trace_id(), "")
    return TraceContext(trace_id, span_id, flags)
