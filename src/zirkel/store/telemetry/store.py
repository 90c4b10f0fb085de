"""The telemetry store: spans in, spans and sums out, each within one project."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Literal

import msgspec

from zirkel.core import Incompatible, Invalid, Span, Usage
from zirkel.store.telemetry import ddl, queries
from zirkel.store.telemetry.answers import ArmUsage, ExperimentAnswer, SpentRow, TraceSummary
from zirkel.store.telemetry.engine import Engine, Parameter

Measure = Literal["input_length", "output_length", "latency_ms"]
"""Characters of the input, characters of the output, milliseconds of the whole call."""

_COLUMNS = Span.__struct_fields__
_BUCKETS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))
# A provisional span counts as received before any other, whenever it comes.
_PROVISIONAL_NS = 0
# The last day that ClickHouse's Date can hold, 2149-06-05, in nanoseconds.
_LAST_NS = 5_662_224_000 * 1_000_000_000
_LAST_INT = (1 << 63) - 1
_COST_STEP = Decimal("1e-12")
_COST_LIMIT = Decimal(1_000_000)
# How much later than a call its last attempt may start and still be counted with it.
_LONGEST_CALL_NS = 3600 * 1_000_000_000

_encode_span = msgspec.json.Encoder().encode


class _Count(msgspec.Struct, frozen=True):
    value: int


class _Name(msgspec.Struct, frozen=True):
    value: str


class _Number(msgspec.Struct, frozen=True):
    value: float


class TelemetryStore:
    """Spans in ClickHouse. Thread safe; calls block, so an event loop makes them from a thread.

    Each method raises ``Overloaded`` where trying again later may help, and ``RuntimeError`` after a fork.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, path: Path | None = None, url: str | None = None) -> "TelemetryStore":
        """Open the store and bring its schema up to date.

        Args:
            path: Folder of the embedded engine, which belongs to one process at a time.
            url: A ClickHouse server instead, e.g. ``http://user:password@host:8123/zirkel``.

        Raises:
            Held: If another process has ``path`` open.
            Incompatible: If a newer program wrote it; it is left as it is.
            Overloaded: If the server does not answer.
            ValueError: If not exactly one of the two is given.
        """
        if (path is None) == (url is None):
            raise ValueError("a telemetry store needs either a path or a URL")
        engine = Engine.embedded(path) if path is not None else Engine.server(url or "")
        try:
            _migrate(engine)
        except BaseException:
            engine.close()
            raise
        return cls(engine)

    def insert(self, spans: Sequence[Span], *, token: str, received_ns: int) -> None:
        """Keep ``spans``: all of them are on disk on return, or none is kept.

        The same ``token`` with the same spans again does nothing. A span that was there replaces the older version with
        the same project, trace, span id and day of start, by ``received_ns``, which is at least 1. A provisional span
        never replaces one that is not, whichever comes first. Costs are rounded to 12 decimals, reservations up;
        a reservation of a million USD or more bounds nothing and is kept as unknown.

        Raises:
            Invalid: If a value has no place in the store, such as a time before 1970; nothing was kept.
        """
        if not spans:
            return
        lines = [_row(span, max(received_ns, _PROVISIONAL_NS + 1)) for span in spans]
        self._engine.insert("spans", (*_COLUMNS, "received_ns"), lines, token)

    def trace(self, project_id: str, trace_id: str) -> list[Span]:
        """Return the spans of a trace in order of start, each as it was received last; empty if there are none."""
        query = queries.TRACE.format(columns=", ".join(_COLUMNS))
        spans = self._engine.rows(query, {"project_id": project_id, "trace_id": trace_id}, Span)
        return sorted(spans, key=lambda span: (span.start_ns, span.span_id))

    def list_traces(
        self, project_id: str, *, service: str = "", since_ns: int = 0, limit: int = 50
    ) -> list[TraceSummary]:
        """Return the newest traces first, by their start.

        Args:
            project_id: Whose traces.
            service: Only traces that have a span of this service; all if empty.
            since_ns: Only traces that have a span which started then or later.
            limit: Most traces to return.
        """
        newest = self._engine.rows(
            queries.NEWEST_TRACES,
            {"project_id": project_id, "service": service, "since_ns": _clip(since_ns), "limit": limit},
            _Name,
        )
        if not newest:
            return []
        trace_ids = [row.value for row in newest]
        return self._engine.rows(
            queries.TRACE_SUMMARIES, {"project_id": project_id, "trace_ids": trace_ids}, TraceSummary
        )

    def service_usage(
        self, project_id: str, service: str, environment: str, since_ns: int, until_ns: int
    ) -> list[ArmUsage]:
        """Return what each release and arm did in calls that started in ``[since_ns, until_ns)``, first used first.

        Calls of experiments are left out. Cost and tokens are those of the calls' attempts.
        """
        parameters: dict[str, Parameter] = {
            "project_id": project_id,
            "service": service,
            "environment": environment,
            "since_ns": _clip(since_ns),
            "until_ns": _clip(until_ns),
            "scan_until_ns": _clip(until_ns + _LONGEST_CALL_NS),
        }
        return self._engine.rows(queries.SERVICE_USAGE, parameters, ArmUsage)

    def spent_since(self, project_id: str, since_ns: int, users: Collection[str] | None) -> list[SpentRow]:
        """Return what the gateway's attempts that began at ``since_ns`` or later took from budgets.

        Calls of experiments count too. Only ``users`` are told apart; ``None`` tells all apart.
        """
        parameters: dict[str, Parameter] = {
            "project_id": project_id,
            "since_ns": _clip(since_ns),
            "users": sorted(users or ()),
            "all_users": int(users is None),
        }
        return self._engine.rows(queries.SPENT_SINCE, parameters, SpentRow)

    def experiment_answers(self, project_id: str, experiment_id: str) -> list[ExperimentAnswer]:
        """Return the answers of an experiment by item and trial, one per trial.

        Where a trial was called more than once, the newest answer that is not an error stands.
        """
        if not experiment_id:
            return []
        parameters = {"project_id": project_id, "experiment_id": experiment_id}
        return self._engine.rows(queries.EXPERIMENT_ANSWERS, parameters, ExperimentAnswer)

    def measure_values(
        self,
        project_id: str,
        service: str,
        measure: Measure,
        since_ns: int,
        until_ns: int,
        limit: int,
        *,
        environment: str = "",
    ) -> list[float]:
        """Return ``measure`` of the newest ``limit`` calls that started in ``[since_ns, until_ns)``, oldest first.

        Calls of experiments are left out, and calls in error for ``output_length``. An empty ``environment`` means all.
        """
        parameters: dict[str, Parameter] = {
            "project_id": project_id,
            "service": service,
            "environment": environment,
            "measure": measure,
            "since_ns": _clip(since_ns),
            "until_ns": _clip(until_ns),
            "limit": limit,
        }
        query = queries.MEASURE_VALUES.format(measure=queries.MEASURES[measure])
        return [row.value for row in reversed(self._engine.rows(query, parameters, _Number))]

    def count_spans(self, project_id: str) -> int:
        """Return how many spans there are, each counted once."""
        return self._count(queries.COUNT_SPANS, {"project_id": project_id})

    def count_traces(self, project_id: str, since_ns: int = 0) -> int:
        """Return how many traces have a span that started at ``since_ns`` or later."""
        return self._count(queries.COUNT_TRACES, {"project_id": project_id, "since_ns": _clip(since_ns)})

    def optimize(self) -> None:
        """Merge everything now, older versions of spans away. Rewrites the table: for quiet hours and for tests."""
        self._engine.execute("OPTIMIZE TABLE spans FINAL")

    def close(self) -> None:
        """Let go of the store. May be called twice."""
        self._engine.close()

    def _count(self, query: str, parameters: Mapping[str, Parameter]) -> int:
        return self._engine.rows(query, parameters, _Count)[0].value


def _migrate(engine: Engine) -> None:
    """Apply the steps that the store lacks.

    Raises:
        Incompatible: If it has more steps than this program knows.
    """
    has_version = engine.rows(queries.TABLE_EXISTS, {"name": "schema_version"}, _Count)[0].value > 0
    version = engine.rows(queries.SCHEMA_VERSION, {}, _Count)[0].value if has_version else 0
    if version > len(ddl.MIGRATIONS):
        raise Incompatible(
            f"the telemetry store has schema version {version}, this program knows {len(ddl.MIGRATIONS)}; "
            "use the newer program that wrote it"
        )
    engine.execute(ddl.SCHEMA_VERSION_TABLE)
    for number, step in enumerate(ddl.MIGRATIONS[version:], start=version + 1):
        engine.execute(step)
        engine.execute(queries.RECORD_SCHEMA_VERSION.format(version=number))


def _row(span: Span, received_ns: int) -> bytes:
    """Return a span with the moment of its version, as ``_encode`` does."""
    return b'{"received_ns":%d,' % (_PROVISIONAL_NS if span.is_provisional else received_ns) + _encode(span)[1:]


def _encode(span: Span) -> bytes:
    """Return a span as a row: one JSON object.

    Raises:
        Invalid: If a value has no place in the store.
    """
    for path, value, limit in _bounded(span):
        if not 0 <= value <= limit:
            raise Invalid(f"span {span.span_id}: {path} is {value}; it must lie in 0..{limit}", path=path)
    if span.cost_usd is not None:
        span = msgspec.structs.replace(span, cost_usd=_rounded_cost(span, span.cost_usd))
    if span.reserved_usd is not None:
        span = msgspec.structs.replace(span, reserved_usd=_rounded_bound(span.reserved_usd))
    try:
        return _encode_span(span)
    except UnicodeEncodeError as error:
        raise Invalid(f"span {span.span_id} has text that is not Unicode: {error}") from error


def _rounded_cost(span: Span, cost: Decimal) -> Decimal:
    rounded = cost.quantize(_COST_STEP) if cost.is_finite() and abs(cost) < _COST_LIMIT else _COST_LIMIT
    if abs(rounded) >= _COST_LIMIT:
        raise Invalid(f"span {span.span_id}: cost_usd is {cost}; it must be below {_COST_LIMIT}", path="cost_usd")
    return rounded


def _rounded_bound(bound: Decimal) -> Decimal | None:
    """Return an upper bound rounded up; ``None`` where it is too large for the store."""
    if not bound.is_finite() or not 0 <= bound < _COST_LIMIT:
        return None
    rounded = bound.quantize(_COST_STEP, rounding=ROUND_UP)
    return rounded if rounded < _COST_LIMIT else None


def _bounded(span: Span) -> Iterator[tuple[str, int, int]]:
    """Yield the path, value and upper bound of each number that must fit a column."""
    yield "start_ns", span.start_ns, _LAST_NS
    yield "end_ns", span.end_ns, _LAST_INT
    yield "attempt", span.attempt, (1 << 32) - 1
    yield "trial", span.trial or 0, _LAST_INT
    yield "time_to_first_token_ns", span.time_to_first_token_ns or 0, _LAST_INT
    for name in _BUCKETS:
        yield f"usage.{name}", getattr(span.usage, name) or 0, _LAST_INT
    for event in span.events:
        yield "events.time_ns", event.time_ns, _LAST_INT


def _clip(time_ns: int) -> int:
    return max(0, min(time_ns, _LAST_NS))
