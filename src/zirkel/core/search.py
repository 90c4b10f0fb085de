"""What searching stored telemetry is asked for and answers with: lists, aggregates, conversations, tables."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from zirkel.core.filters import Filter

Item = TypeVar("Item")


class Order(StrEnum):
    """By what a list of traces or spans is ordered, the largest first."""

    START = "start"
    """Newest first."""
    COST = "cost"
    """Those whose cost is unknown come last."""
    LATENCY = "latency"


class SearchScope(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at: the spans of one project that start in ``[since_ns, until_ns)`` and satisfy a filter."""

    project_id: str
    filter: Filter
    since_ns: int
    until_ns: int
    now_ns: int
    """What relative times in the filter are relative to."""


class Position(msgspec.Struct, frozen=True):
    """Where a page ended."""

    value: int
    """What the list is ordered by: nanoseconds, or 10⁻¹² USD; -1 for unknown."""
    key: str
    """Decides between equal values."""
    seen_ns: int
    """What was received later was not there yet when the first page was read."""


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a list."""

    items: Sequence[Item]
    next: Position | None
    """``None`` on the last page."""


class Listing(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a list, for whoever asked."""

    items: Sequence[Item]
    cursor: str
    """What to ask the next page with; empty on the last page."""


class ScoreSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The current scores of one name on something."""

    name: str
    count: int
    mean: float | None
    """Of the numbers among them, booleans as 0 and 1; ``None`` if there is none."""
    label: str
    """The newest category or text."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over traces. Cost and tokens are those of leaf model spans: each counts once."""

    spans: int
    errors: int
    """Spans in error."""
    cost_usd: Decimal | None
    """Sum of the known costs; ``None`` if none is known."""
    unknown_costs: int
    """Leaf model spans whose cost is unknown, and which ``cost_usd`` therefore lacks."""
    input_tokens: int | None
    """Known input tokens, those read from and written to caches included; ``None`` if none is known."""
    output_tokens: int | None


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One trace of a list. Names, status and texts are the root's, or the earliest span's that has some."""

    trace_id: str
    name: str
    service: str
    environment: str
    release: str
    arm: str
    session_id: str
    user_id: str
    start_ns: int
    duration_ns: int
    """From the earliest start to the latest end."""
    status: str
    """The root's: ``unset``, ``ok`` or ``error``."""
    models: list[str]
    """The models of its leaf model spans by name, each once."""
    tags: list[str]
    totals: Totals
    input: str
    """The last message of a user, shortened; what else went in if there are no messages."""
    output: str
    """What came out, shortened."""
    scores: list[ScoreSummary] = []
    """Of the trace and of its spans."""


class SpanRow(msgspec.Struct, frozen=True, kw_only=True):
    """One span of a list."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    service: str
    environment: str
    release: str
    arm: str
    provider: str
    model: str
    session_id: str
    user_id: str
    key_id: str
    tags: list[str]
    start_ns: int
    duration_ns: int
    time_to_first_token_ns: int | None
    status: str
    error_type: str
    finish_reason: str
    cost_usd: Decimal | None
    """``None`` is *unknown*."""
    input_tokens: int | None
    output_tokens: int | None
    input: str
    """As of ``TraceRow``."""
    output: str


class GroupRow(msgspec.Struct, frozen=True, kw_only=True):
    """One session or user of a list: all traces of the time looked at that have a span with this id."""

    id: str
    first_ns: int
    """Start of the first span of these traces."""
    last_ns: int
    """Start of the last one."""
    traces: int
    totals: Totals
    users: list[str]
    """Of a session, at most 10; empty for users."""
    sessions: int
    """How many sessions a user had; 1 for sessions."""
    models: list[str]


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A session: what was said, in order."""

    session_id: str
    turns: list[TraceRow]
    """Its traces by start; texts are not shortened below 20,000 characters."""
    is_cut: bool
    """Whether there are more turns than these, the first ones."""
    start_ns: int
    end_ns: int
    users: list[str]
    models: list[str]
    totals: Totals
    scores: list[ScoreSummary]
    """Of the session as a whole."""


class Facet(msgspec.Struct, frozen=True):
    """A value of a field, and how many spans have it."""

    value: str
    count: int


class Point(msgspec.Struct, frozen=True):
    """One value of a measure."""

    value: Decimal | float | None
    """``None`` where nothing is known."""
    unknown: int
    """Spans which the measure is about and which do not tell it; the value is without them."""


class AggregateRow(msgspec.Struct, frozen=True, kw_only=True):
    """One series in one stretch of time in which it has spans."""

    values: list[str]
    """Of the dimensions, in their order; empty for what is in no series of its own."""
    is_other: bool
    start_ns: int
    """Of the stretch; 0 if time is not cut."""
    count: int
    """Spans."""
    points: list[Point]


class Bucket(msgspec.Struct, frozen=True):
    """What a series was in one stretch of time."""

    start_ns: int
    count: int
    """Spans."""
    points: list[Point]
    """In the order of the measures."""


class Series(msgspec.Struct, frozen=True):
    """An aggregate of the spans with the same values of the dimensions."""

    values: list[str]
    """In the order of the dimensions."""
    is_other: bool
    """All that is in no series of its own, taken together."""
    buckets: list[Bucket]
    """In order of time, none left out; one for the whole time if it is not cut."""


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question for sums."""

    measures: list[str]
    """As ``p95(latency)``."""
    units: list[str]
    """Of the measures: ``ms``, ``USD``, ``tokens``, …; empty for plain numbers."""
    by: list[str]
    since_ns: int
    until_ns: int
    over_ns: int | None
    series: list[Series]
    """The one with the most spans first; what is in none of them last."""


class SqlLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a query in SQL may take."""

    seconds: int = 10
    memory_bytes: int = 256 << 20
    rows: int = 10_000
    """Rows beyond it are cut off, and it is said so."""
    result_bytes: int = 32 << 20


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a query in SQL."""

    columns: list[str]
    types: list[str]
    """In ClickHouse's words."""
    rows: list[list[msgspec.Raw]]
    """Values as JSON."""
    is_cut: bool
    """Whether there were more rows than the limit."""
