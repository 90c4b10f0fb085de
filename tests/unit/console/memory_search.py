"""Stored telemetry that the pages can search, over lists."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from zirkel.core import ScoreRecord, Span, SpanKind
from zirkel.core.filters import EVERYTHING, Compare, FieldRef, Filter, Operator, Text
from zirkel.core.search import (
    Conversation,
    GroupRow,
    Order,
    Page,
    Position,
    ScoreSummary,
    SearchScope,
    Totals,
    TraceRow,
)
from zirkel.observe.costs import Segmentation


class Stored(Protocol):
    """What is searched."""

    @property
    def spans(self) -> Sequence[Span]: ...
    @property
    def scores(self) -> Sequence[ScoreRecord]: ...


@dataclass(frozen=True)
class OneCall:
    """A call as a segment's only one."""

    segment: str
    calls: int = 1
    cache_hits: int = 0


@dataclass(frozen=True)
class OneAttempt:
    """An attempt as a segment's only one."""

    segment: str
    model: str
    cost_usd: Decimal
    tokens: Mapping[str, int]
    price_digest: str = ""
    attempts: int = 1
    unpriced: int = 0


class MemorySearch:
    """Lists and sums, always the newest first; filters are ``service = "…"`` and the one that everything passes."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored

    def traces(self, scope: SearchScope, order: Order, limit: int, after: Position | None = None) -> Page[TraceRow]:
        """Return a page of traces."""
        found = sorted(map(self._row, self._found(scope)), key=lambda row: -row.start_ns)
        rows = [row for row in found if after is None or row.start_ns < after.value]
        position = Position(rows[limit - 1].start_ns, "", 0) if len(rows) > limit else None
        return Page(rows[:limit], position)

    def sessions(self, scope: SearchScope, limit: int, after: Position | None = None) -> Page[GroupRow]:
        """Return the sessions, on one page."""
        talks: dict[str, list[Span]] = {}
        for trace in self._found(scope):
            talks.setdefault(trace[0].session_id, []).extend(trace)
        return Page([_group(name, spans) for name, spans in talks.items() if name], None)

    def session(self, project_id: str, session_id: str) -> Conversation | None:
        """Return a session's turns, or ``None`` if no span names it."""
        spans = [span for span in self._stored.spans if (span.project_id, span.session_id) == (project_id, session_id)]
        if not spans:
            return None
        return Conversation(
            session_id=session_id,
            turns=[self._row(trace) for trace in _traces(spans)],
            is_cut=False,
            start_ns=min(span.start_ns for span in spans),
            end_ns=max(span.end_ns for span in spans),
            users=_users(spans),
            models=_models(spans),
            totals=_totals(spans),
            scores=[_summary(score) for score in self._stored.scores if score.session_id == session_id],
        )

    def calls(
        self, project_id: str, by: Segmentation, since_ns: int, until_ns: int, *, service: str = ""
    ) -> Sequence[OneCall]:
        """Return each call, told apart by its service."""
        return [OneCall(span.service) for span in self._between(SpanKind.CALL, since_ns, until_ns)]

    def attempts(
        self, project_id: str, by: Segmentation, since_ns: int, until_ns: int, *, service: str = ""
    ) -> Sequence[OneAttempt]:
        """Return each attempt, told apart by its service."""
        return [_attempt(span) for span in self._between(SpanKind.CHAT, since_ns, until_ns)]

    def _between(self, kind: SpanKind, since_ns: int, until_ns: int) -> list[Span]:
        return [span for span in self._stored.spans if span.kind is kind and since_ns <= span.start_ns < until_ns]

    def _found(self, scope: SearchScope) -> Iterator[list[Span]]:
        for trace in _traces([span for span in self._stored.spans if span.project_id == scope.project_id]):
            if any(scope.since_ns <= span.start_ns < scope.until_ns and _passes(span, scope.filter) for span in trace):
                yield trace

    def _row(self, trace: Sequence[Span]) -> TraceRow:
        root, last = trace[0], trace[-1]
        return TraceRow(
            trace_id=root.trace_id,
            name=root.name,
            service=root.service,
            environment=root.environment,
            release=root.release,
            arm=root.arm,
            session_id=root.session_id,
            user_id=root.user_id,
            start_ns=root.start_ns,
            duration_ns=root.end_ns - root.start_ns,
            status=root.status,
            models=_models(trace),
            tags=[],
            totals=_totals(trace),
            input=last.input,
            output=last.output,
            scores=[_summary(score) for score in self._stored.scores if score.trace_id == root.trace_id],
        )


def _attempt(span: Span) -> OneAttempt:
    tokens = {"input_tokens": span.usage.input_tokens or 0, "output_tokens": span.usage.output_tokens or 0}
    return OneAttempt(span.service, f"{span.provider}/{span.request_model}", span.cost_usd or Decimal(0), tokens)


def _passes(span: Span, part: Filter) -> bool:
    if part == EVERYTHING:
        return True
    assert isinstance(part, Compare), f"not searched for here: {part}"
    assert (part.field, part.operator) == (FieldRef("service"), Operator.EQUAL)
    return part.value == Text(span.service)


def _traces(spans: Sequence[Span]) -> list[list[Span]]:
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    return [sorted(trace, key=lambda span: span.span_id) for trace in traces.values()]


def _group(session_id: str, spans: Sequence[Span]) -> GroupRow:
    return GroupRow(
        id=session_id,
        first_ns=min(span.start_ns for span in spans),
        last_ns=max(span.start_ns for span in spans),
        traces=len(_traces(spans)),
        totals=_totals(spans),
        users=_users(spans),
        sessions=1,
        models=_models(spans),
    )


def _users(spans: Sequence[Span]) -> list[str]:
    return sorted({span.user_id for span in spans if span.user_id})


def _models(spans: Sequence[Span]) -> list[str]:
    return sorted({span.request_model for span in spans if span.request_model})


def _totals(spans: Sequence[Span]) -> Totals:
    leaves = [span for span in spans if span.kind is SpanKind.CHAT]
    costs = [leaf.cost_usd for leaf in leaves if leaf.cost_usd is not None]
    return Totals(
        spans=len(spans),
        errors=sum(span.status == "error" for span in spans),
        cost_usd=sum(costs, Decimal(0)) if costs else None,
        unknown_costs=len(leaves) - len(costs),
        input_tokens=sum(leaf.usage.input_tokens or 0 for leaf in leaves),
        output_tokens=sum(leaf.usage.output_tokens or 0 for leaf in leaves),
    )


def _summary(score: ScoreRecord) -> ScoreSummary:
    return ScoreSummary(name=score.name, count=1, mean=score.value, label=score.label)
