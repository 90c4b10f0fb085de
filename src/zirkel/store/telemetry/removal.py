"""Removing telemetry for good: people and sessions that are erased, and what is older than it may become.

Rows are removed by rewriting the parts they are in, or by dropping a day's partition where nothing else is in it. Each
method returns when the old parts are off the disk.
"""

import threading
import time
from collections.abc import Mapping, Sequence

import msgspec

from zirkel.core import Overloaded
from zirkel.store.telemetry import removal_sql as sql
from zirkel.store.telemetry.answers import RowCounts
from zirkel.store.telemetry.engine import Engine, Parameter

_LOOK_EVERY_S = 0.1
_LOOKS = 600


class _Count(msgspec.Struct, frozen=True):
    value: int


class _Name(msgspec.Struct, frozen=True):
    value: str


class _Day(msgspec.Struct, frozen=True):
    day: str
    is_whole: bool


class Removal:
    """Removes telemetry from ClickHouse. One removal at a time; each may take minutes, during which others go on.

    Each method raises ``Overloaded`` if the engine cannot do it now, or if somebody still reads the old parts after a
    minute: what it removed stays removed, and doing it again is harmless.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()

    def delete_where_user(self, project_id: str, user_id: str) -> RowCounts:
        """Erase the traces in which ``user_id`` appears, his logs and scores, and the scores on his sessions."""
        conditions = {
            "spans": sql.OF_TRACES,
            "logs": f"{sql.OF_TRACES} OR {sql.OF_USERS}",
            "scores": f"{sql.OF_TRACES} OR {sql.OF_USERS} OR {sql.OF_SESSIONS}",
        }
        return self._erase(project_id, user_id, sql.SELECT_USER, conditions)

    def delete_where_session(self, project_id: str, session_id: str) -> RowCounts:
        """Erase the traces of which a span is in ``session_id``, and their and the session's logs and scores."""
        of_session = f"{sql.OF_TRACES} OR {sql.OF_SESSIONS}"
        conditions = {"spans": sql.OF_TRACES, "logs": of_session, "scores": of_session}
        return self._erase(project_id, session_id, sql.SELECT_SESSION, conditions)

    def delete_traces(self, project_id: str, trace_ids: Sequence[str]) -> RowCounts:
        """Erase traces with their logs and scores."""
        conditions = dict.fromkeys(("spans", "logs", "scores"), sql.OF_TRACES)
        return self._erase(project_id, [name for name in trace_ids if name], sql.SELECT_TRACES, conditions)

    def drop_content_before(self, project_id: str, environment: str | None, before_ns: int) -> RowCounts:
        """Empty the texts of spans and logs that started, and scores that were given, before ``before_ns``.

        Input, output, tools, status message, events, attribute values, bodies, comments and text scores go; everything
        that is measured stays. With an ``environment``, its spans only, and the logs and scores of their traces.
        """
        scope = _scope(project_id, environment, before_ns)
        counts: dict[str, int] = {}
        with self._lock:
            for table, changes in sql.CHANGES.items():
                condition = f"{sql.older(table, environment)} AND NOT is_content_dropped"
                counts[table] = self._count(table, condition, scope)
                if counts[table]:
                    self._rewrite(table, sql.EMPTY.format(table=table, changes=changes, condition=condition), scope)
            self._wait_until_gone(counts)
        return RowCounts(**counts)

    def drop_spans_before(self, project_id: str, environment: str | None, before_ns: int) -> RowCounts:
        """Drop spans and logs that started, and scores on them that were given, before ``before_ns``.

        Scores of experiments stay. At the turn of a UTC day, and where other rows share no day with them, this only
        removes files. With an ``environment``, its spans only, and the logs and scores of their traces.
        """
        scope = _scope(project_id, environment, before_ns)
        with self._lock:
            counts = {
                "logs": self._delete_days("logs", sql.older("logs", environment), scope),
                "scores": self._delete("scores", f"{sql.older('scores', environment)} AND experiment_id = ''", scope),
                "spans": self._delete_days("spans", sql.older("spans", environment), scope),
            }
            self._wait_until_gone(counts)
        return RowCounts(**counts)

    def drop_points_before(self, project_id: str, before_ns: int) -> RowCounts:
        """Drop metric points from before ``before_ns``; at the turn of a UTC day this only removes files."""
        with self._lock:
            scope = _scope(project_id, None, before_ns)
            counts = {"points": self._delete_days("points", sql.older("points", None), scope)}
            self._wait_until_gone(counts)
        return RowCounts(**counts)

    def _erase(
        self, project_id: str, whose: str | Sequence[str], selects: Sequence[str], conditions: Mapping[str, str]
    ) -> RowCounts:
        if not whose:
            return RowCounts()
        scope: dict[str, Parameter] = {"project_id": project_id}
        with self._lock:
            self._engine.execute(sql.CLEAR)
            for select in selects:
                self._engine.execute(select, {**scope, "value" if isinstance(whose, str) else "values": whose})
            counts = {table: self._delete(table, condition, scope) for table, condition in conditions.items()}
            self._engine.execute(sql.CLEAR)
            self._wait_until_gone(counts)
        return RowCounts(**counts)

    def _delete(self, table: str, condition: str, scope: Mapping[str, Parameter]) -> int:
        count = self._count(table, condition, scope)
        if count:
            self._rewrite(table, sql.DELETE.format(table=table, condition=condition), scope)
        return count

    def _delete_days(self, table: str, condition: str, scope: Mapping[str, Parameter]) -> int:
        """Delete rows; a day of which nothing would be left goes as a whole."""
        # A row of somebody else that comes between the look and the drop must not go with the day.
        with self._engine.without_inserts():
            days = self._engine.rows(sql.DAYS.format(table=table, condition=condition), scope, _Day)
            count = self._count(table, condition, scope) if days else 0
            for day in days:
                if day.is_whole:
                    self._engine.execute(sql.DROP_DAY.format(table=table, day=day.day))
        if not all(day.is_whole for day in days):
            self._rewrite(table, sql.DELETE.format(table=table, condition=condition), scope)
        return count

    def _count(self, table: str, condition: str, scope: Mapping[str, Parameter]) -> int:
        query = sql.COUNT.format(ids=sql.IDS[table], table=table, condition=condition)
        return self._engine.rows(query, scope, _Count)[0].value

    def _rewrite(self, table: str, statement: str, scope: Mapping[str, Parameter]) -> None:
        """Rewrite the parts concerned, and return when that is done."""
        try:
            self._engine.execute(statement, scope)
        except BaseException:
            # Else ClickHouse would try on, when the selection is another one, and in the way of the next statement.
            self._engine.execute(sql.KILL, {"table": table})
            raise

    def _wait_until_gone(self, counts: Mapping[str, int]) -> None:
        """Return when the parts that were replaced until now are off the disk."""
        scope: dict[str, Parameter] = {"tables": [table for table, count in counts.items() if count]}
        old = {row.value for row in self._engine.rows(sql.OLD_PARTS, scope, _Name)}
        for _ in range(_LOOKS):
            if not old:
                return
            time.sleep(_LOOK_EVERY_S)
            old &= {row.value for row in self._engine.rows(sql.OLD_PARTS, scope, _Name)}
        raise Overloaded(f"what was removed is still on disk, because it is being read; try again ({sorted(old)[:3]})")


def _scope(project_id: str, environment: str | None, before_ns: int) -> dict[str, Parameter]:
    return {"project_id": project_id, "environment": environment or "", "before_ns": before_ns}
