"""The spans of a trace as a tree, laid out on the trace's time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.console.text import Passage, passages
from zirkel.core import Span

LIMIT = 2_000
"""Spans shown of one trace."""
DEEPEST = 12
"""Deeper spans are indented as if they were this deep."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the tree."""

    span: Span
    depth: int
    start: str
    """Where its bar begins, as an SVG percentage of the trace's duration."""
    width: str
    duration_ms: float
    input: tuple[Passage, ...]
    output: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A trace."""

    branches: tuple[Branch, ...]
    spans: int
    """Spans in all; more than there are branches if some are left out."""
    start_ns: int
    duration_ms: float


def grow_tree(spans: Sequence[Span]) -> Tree:
    """Return the tree of a trace's spans, at least one.

    A span whose parent is not there is a root; so is the earliest span of a ring of parents. Children keep the order
    of ``spans``.
    """
    start_ns = min(span.start_ns for span in spans)
    total_ns = max(max(span.end_ns for span in spans) - start_ns, 1)
    placed = _depth_first(spans)[:LIMIT]
    branches = tuple(_branch(span, depth, start_ns, total_ns) for span, depth in placed)
    return Tree(branches, len(spans), start_ns, total_ns / 1e6)


def _depth_first(spans: Sequence[Span]) -> list[tuple[Span, int]]:
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in spans:
        children.setdefault(span.parent_span_id, []).append(span)
    roots = [span for span in spans if span.parent_span_id not in known]
    placed: list[tuple[Span, int]] = []
    seen: set[str] = set()
    for root in (*roots, *spans):
        pending = [(root, 0)]
        while pending:
            span, depth = pending.pop()
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            placed.append((span, depth))
            pending.extend((child, depth + 1) for child in reversed(children.get(span.span_id, [])))
    return placed


def _branch(span: Span, depth: int, start_ns: int, total_ns: int) -> Branch:
    duration_ns = max(span.end_ns - span.start_ns, 0)
    return Branch(
        span=span,
        depth=min(depth, DEEPEST),
        start=f"{(span.start_ns - start_ns) / total_ns:.2%}",
        width=f"{duration_ns / total_ns:.2%}",
        duration_ms=duration_ns / 1e6,
        input=passages(span.input),
        output=passages(span.output),
    )
