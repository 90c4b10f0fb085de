"""Gathers spans while a request is read, and the reasons for those that cannot be taken."""

from zirkel.lib.otlp.model import DecodedSpan, DecodedTraces

_MAX_NOTES = 10
_ZERO_SPAN_ID = "0" * 16


class Collector:
    """Filled by one of the readers, then turned into ``DecodedTraces``."""

    def __init__(self) -> None:
        self._spans: list[DecodedSpan] = []
        self._rejected = 0
        self._reasons: list[str] = []
        self._warnings: list[str] = []

    def take(self, span: DecodedSpan) -> None:
        """Add a span whose ids are valid."""
        self._spans.append(span)

    def reject(self, reason: str) -> None:
        """Count a span that is left out."""
        self._rejected += 1
        if len(self._reasons) < _MAX_NOTES:
            self._reasons.append(reason)

    def warn(self, warning: str) -> None:
        """Note something that was read as the default."""
        if len(self._warnings) < _MAX_NOTES and warning not in self._warnings:
            self._warnings.append(warning)

    def traces(self) -> DecodedTraces:
        """Return what was gathered."""
        return DecodedTraces(self._spans, self._rejected, self._reasons, self._warnings)


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
