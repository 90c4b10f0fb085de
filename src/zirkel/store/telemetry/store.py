"""The telemetry store: telemetry in, telemetry and sums out, each within one project."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from zirkel.core import LogRecord, MetricPoint, ScoreRecord, Span
from zirkel.store.telemetry import queries
from zirkel.store.telemetry.answers import ArmUsage, ExperimentAnswer, RowCounts, SpentRow
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.migrate import migrate
from zirkel.store.telemetry.removal import Removal
from zirkel.store.telemetry.rows import LAST_NS, log_row, point_row, score_row, span_row

Measure = Literal["input_length", "output_length", "latency_ms"]
"""Characters of the input, characters of the output, milliseconds of the whole call."""

TABLES = ("spans", "logs", "points", "scores")

Item = TypeVar("Item", bound=msgspec.Struct)

# How much later than a call its last attempt may start and still be counted with it.
_LONGEST_CALL_NS = 3600 * 1_000_000_000


class _Count(msgspec.Struct, frozen=True):
    value: int


class _Measured(msgspec.Struct, frozen=True):
    input_length: float
    output_length: float | None
    latency_ms: float


class _TableDay(msgspec.Struct, frozen=True):
    table: str
    day: str


class TelemetryStore:
    """Telemetry in ClickHouse. Thread safe; calls block, so an event loop makes them from a thread.

    Each method raises ``Overloaded`` where trying again later may help, and ``RuntimeError`` after a fork.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._removal = Removal(engine)

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
            migrate(engine)
        except BaseException:
            engine.close()
            raise
        return cls(engine)

    @property
    def engine(self) -> Engine:
        """The way to the rows, for the queries of other modules of this room."""
        return self._engine

    def insert(self, spans: Sequence[Span], *, received_ns: int) -> None:
        """Keep ``spans``: all of them are on disk on return, or none is kept.

        A span that was there replaces the older version with the same project, trace, span id and day of start, by
        ``received_ns``, which is at least 1; so the same spans may be kept again. A provisional span never replaces one
        that is not, whichever comes first. Costs are rounded to 12 decimals, reservations up; a reservation of a
        million USD or more bounds nothing and is kept as unknown.

        Raises:
            Invalid: If a value has no place in the store, such as a time before 1970; nothing was kept.
        """
        self._insert("spans", Span, spans, [span_row(span, received_ns) for span in spans])

    def insert_logs(self, logs: Sequence[LogRecord], *, received_ns: int) -> None:
        """Keep log records, as ``insert`` does; a record that was there replaces the one with its id and day.

        Raises:
            Invalid: As ``insert`` does.
        """
        self._insert("logs", LogRecord, logs, [log_row(record, received_ns) for record in logs])

    def insert_points(self, points: Sequence[MetricPoint], *, received_ns: int) -> None:
        """Keep metric points, as ``insert`` does; a point that was there replaces the one with its id and day.

        A value, sum, minimum or maximum that is no finite number is kept as unknown.

        Raises:
            Invalid: As ``insert`` does, and if a bucket or a bound is no finite number.
        """
        self._insert("points", MetricPoint, points, [point_row(point, received_ns) for point in points])

    def insert_scores(self, scores: Sequence[ScoreRecord], *, received_ns: int) -> None:
        """Keep scores, as ``insert`` does; of a score that was there, this is a version more.

        The versions of one insert follow each other by a nanosecond; what is inserted later must be received later.

        Raises:
            Invalid: As ``insert`` does, and if a value is no finite number.
        """
        rows = [score_row(score, received_ns + index) for index, score in enumerate(scores)]
        self._insert("scores", ScoreRecord, scores, rows)

    def trace(self, project_id: str, trace_id: str) -> list[Span]:
        """Return the spans of a trace in order of start, each as it was received last; empty if there are none."""
        query = queries.TRACE.format(columns=_columns(Span))
        spans = self._engine.rows(query, {"project_id": project_id, "trace_id": trace_id}, Span)
        return sorted(spans, key=lambda span: (span.start_ns, span.span_id))

    def logs_of_trace(self, project_id: str, trace_id: str) -> list[LogRecord]:
        """Return the log records of a trace in order of time, each as it was received last."""
        query = queries.LOGS_OF_TRACE.format(columns=_columns(LogRecord))
        records = self._engine.rows(query, {"project_id": project_id, "trace_id": trace_id}, LogRecord)
        return sorted(records, key=lambda record: (record.time_ns, record.log_id))

    def scores_of(
        self,
        project_id: str,
        *,
        trace_ids: Collection[str] = (),
        session_ids: Collection[str] = (),
        experiment_ids: Collection[str] = (),
    ) -> list[ScoreRecord]:
        """Return the current scores on any of these, in order of time; scores that were withdrawn are left out."""
        targets = [(set(ids) - {""}) for ids in (trace_ids, session_ids, experiment_ids)]
        if not any(targets):
            return []
        query = queries.SCORES_OF.format(columns=_columns(ScoreRecord))
        names = ("trace_ids", "session_ids", "experiment_ids")
        parameters: dict[str, Parameter] = {name: sorted(ids) for name, ids in zip(names, targets, strict=True)}
        newest = self._engine.rows(query, {"project_id": project_id, **parameters}, ScoreRecord)
        traces, sessions, experiments = targets
        current = [
            score
            for score in newest
            if not score.is_withdrawn
            and (score.trace_id in traces or score.session_id in sessions or score.experiment_id in experiments)
        ]
        return sorted(current, key=lambda score: (score.time_ns, score.score_id))

    def score_history(self, project_id: str, score_id: str) -> list[ScoreRecord]:
        """Return every version of a score, the first received first; the last one is current.

        What was sent again with the same content, but perhaps another time, is one version, with the last time. If a
        crash made the core store a batch again in which a score has several versions, they stand here twice.
        """
        query = queries.SCORE_HISTORY.format(columns=_columns(ScoreRecord))
        versions: list[ScoreRecord] = []
        for version in self._engine.rows(query, {"project_id": project_id, "score_id": score_id}, ScoreRecord):
            if versions and msgspec.structs.replace(versions[-1], time_ns=version.time_ns) == version:
                versions.pop()
            versions.append(version)
        return versions

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
        self, project_id: str, service: str, since_ns: int, until_ns: int, limit: int, *, environment: str = ""
    ) -> dict[Measure, list[float]]:
        """Return the measures of the newest ``limit`` calls that started in ``[since_ns, until_ns)``, oldest first.

        Calls of experiments are left out, and calls in error for ``output_length``. An empty ``environment`` means all.
        """
        parameters: dict[str, Parameter] = {
            "project_id": project_id,
            "service": service,
            "environment": environment,
            "since_ns": _clip(since_ns),
            "until_ns": _clip(until_ns),
            "limit": limit,
        }
        rows = self._engine.rows(queries.MEASURE_VALUES, parameters, _Measured)[::-1]
        return {
            "input_length": [row.input_length for row in rows],
            "output_length": [row.output_length for row in rows if row.output_length is not None],
            "latency_ms": [row.latency_ms for row in rows],
        }

    def count_spans(self, project_id: str) -> int:
        """Return how many spans there are, each counted once."""
        return self._count(queries.COUNT_SPANS, {"project_id": project_id})

    def count_traces(self, project_id: str, since_ns: int = 0) -> int:
        """Return how many traces have a span that started at ``since_ns`` or later."""
        return self._count(queries.COUNT_TRACES, {"project_id": project_id, "since_ns": _clip(since_ns)})

    def newest_received_ns(self) -> int:
        """Return the newest ``received_ns`` of any row, 0 if there is none."""
        return self._count(queries.NEWEST_RECEIVED, {})

    def delete_where_user(self, project_id: str, user_id: str) -> RowCounts:
        """Erase a user: see ``Removal.delete_where_user``."""
        return self._removal.delete_where_user(project_id, user_id)

    def delete_where_session(self, project_id: str, session_id: str) -> RowCounts:
        """Erase a session: see ``Removal.delete_where_session``."""
        return self._removal.delete_where_session(project_id, session_id)

    def delete_traces(self, project_id: str, trace_ids: Sequence[str]) -> RowCounts:
        """Erase traces: see ``Removal.delete_traces``."""
        return self._removal.delete_traces(project_id, trace_ids)

    def drop_content_before(self, project_id: str, environment: str | None, before_ns: int) -> RowCounts:
        """Empty the content of what is older: see ``Removal.drop_content_before``."""
        return self._removal.drop_content_before(project_id, environment, _clip(before_ns))

    def drop_spans_before(self, project_id: str, environment: str | None, before_ns: int) -> RowCounts:
        """Drop older spans with their logs and scores: see ``Removal.drop_spans_before``."""
        return self._removal.drop_spans_before(project_id, environment, _clip(before_ns))

    def drop_points_before(self, project_id: str, before_ns: int) -> RowCounts:
        """Drop older metric points: see ``Removal.drop_points_before``."""
        return self._removal.drop_points_before(project_id, _clip(before_ns))

    def seal_days(self, quiet_s: int = 60) -> int:
        """Merge each day but today into one part, unless something came for it in the last ``quiet_s`` seconds.

        Reading a sealed day costs a third of what it costs before. Returns how many days were merged, of all tables;
        a million spans take a minute or two. What comes later opens its day again.
        """
        days = self._engine.rows(queries.UNSEALED_DAYS, {"quiet_s": quiet_s}, _TableDay)
        for day in days:
            self._engine.execute(queries.SEAL.format(table=day.table, day=day.day))
        return len(days)

    def optimize(self) -> None:
        """Merge everything now, older versions of spans away. Rewrites the tables: for quiet hours and for tests."""
        for table in TABLES:
            self._engine.execute(f"OPTIMIZE TABLE {table} FINAL")

    def close(self) -> None:
        """Let go of the store. May be called twice."""
        self._engine.close()

    def _insert(self, table: str, kind: type[Item], items: Sequence[Item], rows: list[bytes]) -> None:
        if items:
            self._engine.insert(table, (*kind.__struct_fields__, "received_ns"), rows)

    def _count(self, query: str, parameters: Mapping[str, Parameter]) -> int:
        return self._engine.rows(query, parameters, _Count)[0].value


def _columns(kind: type[msgspec.Struct]) -> str:
    return ", ".join(kind.__struct_fields__)


def _clip(time_ns: int) -> int:
    return max(0, min(time_ns, LAST_NS))
