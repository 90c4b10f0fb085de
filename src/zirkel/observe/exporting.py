"""Telemetry for other tools: JSON lines, OTLP, Parquet; and items for a dataset."""

from collections.abc import Collection, Iterator, Sequence
from typing import Literal, Protocol

import msgspec

from zirkel.core import Invalid, Principal, Role, Span
from zirkel.core.search import SearchScope
from zirkel.observe.dataset_items import DEFAULT_VARIABLE, CollectedItems, collect_items, input_digest
from zirkel.observe.otlp_export import trace_request_line
from zirkel.observe.search import EVERYTHING, Search, Sought

ExportForm = Literal["jsonl", "otlp", "parquet"]
PARQUET_SPANS = 50_000
"""Most spans of one Parquet file: it is made in memory."""
LINE_SPANS = 200
"""Most spans of one OTLP line: receivers bound what they take at once."""
MOST_ITEM_TRACES = 10_000
_TRACES_AT_ONCE = 100


class ExportReader(Protocol):
    """Whole spans in bulk."""

    def spans_of_traces(self, project_id: str, trace_ids: Collection[str]) -> Sequence[Span]: ...
    def count(self, scope: SearchScope) -> int: ...
    def parquet(self, scope: SearchScope, limit: int) -> bytes: ...


class Exports:
    """Exports of the actor's project."""

    def __init__(self, search: Search, reader: ExportReader) -> None:
        self._search = search
        self._reader = reader

    def lines(self, actor: Principal, form: ExportForm, sought: Sought = EVERYTHING) -> Iterator[bytes]:
        """Return the lines of the traces that have a span which satisfies the filter, the newest trace first.

        ``jsonl`` has a span a line, as the API gives them; ``otlp`` an ``ExportTraceServiceRequest`` a line, which
        OpenTelemetry's file receiver and any OTLP endpoint take. Traces are whole, read as they are asked for.

        Raises:
            Forbidden: If the actor may not read.
            Invalid: If the filter or a time cannot be understood.
        """
        actor.require(Role.READ)
        first = self._traces(actor, sought)
        return self._pages(actor, form, first, sought)

    def parquet(self, actor: Principal, sought: Sought = EVERYTHING) -> bytes:
        """Return the spans that satisfy the filter as one Parquet file.

        Raises:
            Forbidden: If the actor may not read.
            Invalid: If there are more than 50,000, or something cannot be understood.
        """
        scope = self._search.scope(actor, sought)
        found = self._reader.count(scope)
        if found > PARQUET_SPANS:
            raise Invalid(
                f"{found} spans are too many for one Parquet file of at most {PARQUET_SPANS}; take shorter times with "
                "since and until, or export as jsonl"
            )
        return self._reader.parquet(scope, PARQUET_SPANS)

    def items(
        self,
        actor: Principal,
        sought: Sought = EVERYTHING,
        *,
        limit: int = 100,
        known: Collection[str] = (),
        variable: str = DEFAULT_VARIABLE,
    ) -> CollectedItems:
        """Return items for a dataset, made of the newest ``limit`` traces that match; see ``collect_items``.

        Raises:
            Forbidden: If the actor may not read.
            Invalid: If something cannot be understood, or ``limit`` is not in 1 to 10,000.
        """
        if not 1 <= limit <= MOST_ITEM_TRACES:
            raise Invalid(f"limit is {limit}; it must lie in 1..{MOST_ITEM_TRACES}", path="limit")
        seen = set(known)
        parts: list[CollectedItems] = []
        # Page by page, so that no more than a page of whole traces is in memory.
        for spans in self._spans(actor, self._traces(actor, sought, limit=limit), sought, limit):
            part = collect_items(spans, seen, variable=variable)
            seen |= {input_digest(item.input) for item in part.items}
            parts.append(part)
        return CollectedItems(
            tuple(item for part in parts for item in part.items),
            sum(part.duplicates for part in parts),
            tuple(one for part in parts for one in part.unusable),
        )

    def _pages(self, actor: Principal, form: ExportForm, first: "_Traces", sought: Sought) -> Iterator[bytes]:
        for spans in self._spans(actor, first, sought):
            if form == "otlp":
                for start in range(0, len(spans), LINE_SPANS):
                    yield trace_request_line(spans[start : start + LINE_SPANS])
            else:
                yield b"".join(msgspec.json.encode(_whole(span)) + b"\n" for span in spans)

    def _spans(
        self, actor: Principal, first: "_Traces", sought: Sought, limit: int | None = None
    ) -> Iterator[list[Span]]:
        """Yield the spans of the newest ``limit`` traces, of all if it is ``None``, a page of traces at a time."""
        page, left = first, limit
        while page.trace_ids:
            found = self._reader.spans_of_traces(actor.project_id, page.trace_ids)
            order = {trace_id: place for place, trace_id in enumerate(page.trace_ids)}
            yield sorted(found, key=lambda span: order[span.trace_id])
            left = None if left is None else left - len(page.trace_ids)
            if not page.cursor or left == 0:
                return
            page = self._traces(actor, sought, page.cursor, _TRACES_AT_ONCE if left is None else left)

    def _traces(self, actor: Principal, sought: Sought, cursor: str = "", limit: int = _TRACES_AT_ONCE) -> "_Traces":
        page = self._search.traces(actor, sought, limit=min(limit, _TRACES_AT_ONCE), cursor=cursor)
        return _Traces([row.trace_id for row in page.items], page.cursor)


class _Traces(msgspec.Struct, frozen=True):
    trace_ids: Sequence[str]
    cursor: str


def _whole(span: Span) -> dict[str, object]:
    """Return every field of a span, also those that hold their default."""
    return {**msgspec.structs.asdict(span), "usage": msgspec.structs.asdict(span.usage)}
