"""What is said about a request while it is read: what is left out, why, and what was read otherwise than sent."""

_MAX_NOTES = 10
_ZERO_SPAN_ID = "0" * 16


class Notes:
    """Filled by the readers as their items are taken; complete when the last item was."""

    def __init__(self) -> None:
        self.rejected = 0
        """Spans, log records or data points that are left out; exact."""
        self.reasons: list[str] = []
        """Why, for the first ten of them."""
        self.warnings: list[str] = []
        """What was taken but not understood as the sender may have meant it; at most ten."""

    def reject(self, reason: str, count: int = 1) -> None:
        """Count items that are left out for one reason."""
        self.rejected += count
        if len(self.reasons) < _MAX_NOTES:
            self.reasons.append(reason)

    def warn(self, warning: str) -> None:
        """Note something that was read otherwise than it was sent."""
        if len(self.warnings) < _MAX_NOTES and warning not in self.warnings:
            self.warnings.append(warning)

    @property
    def message(self) -> str:
        """All of it in one line for the sender to read; empty if nothing is to be said."""
        return "; ".join(dict.fromkeys([*self.reasons, *self.warnings]))


def is_valid_id(hex_id: str, digits: int) -> bool:
    """Return whether ``hex_id`` has ``digits`` lower-case hex digits that are not all zero.

    Source: W3C Trace Context, sections 3.2.2.3 and 3.2.2.4.
    """
    return len(hex_id) == digits and hex_id.strip("0") != "" and hex_id.strip("0123456789abcdef") == ""


def id_problem(name: str, trace_id: str, span_id: str, parent_span_id: str) -> str:
    """Return what is wrong with a span's ids, or an empty string. The parent may be empty: a root span."""
    if not is_valid_id(trace_id, 32):
        return f"span {name[:80]!r}: trace id {trace_id[:64]!r} is not 16 bytes that are not all zero"
    if not is_valid_id(span_id, 16):
        return f"span {name[:80]!r}: span id {span_id[:64]!r} is not 8 bytes that are not all zero"
    if parent_span_id and not is_valid_id(parent_span_id, 16):
        return f"span {name[:80]!r}: parent span id {parent_span_id[:64]!r} is not 8 bytes"
    return ""


def root_if_zero(parent_span_id: str) -> str:
    """Return the parent id, or empty if it is eight zero bytes, which some senders write for *none*."""
    return "" if parent_span_id == _ZERO_SPAN_ID else parent_span_id


def context_of(trace_id: str, span_id: str, notes: Notes) -> tuple[str, str]:
    """Return the trace and span that a log record belongs to; an invalid id counts as none.

    Source: ``logs.proto``, ``LogRecord.trace_id`` and ``span_id``: receivers assume no association.
    """
    valid_trace = trace_id if is_valid_id(trace_id, 32) else ""
    valid_span = span_id if valid_trace and is_valid_id(span_id, 16) else ""
    if (trace_id.strip("0") and not valid_trace) or (span_id.strip("0") and not valid_span):
        notes.warn(f"log record: the ids {trace_id[:64]!r}, {span_id[:64]!r} are invalid and were read as none")
    return valid_trace, valid_span
