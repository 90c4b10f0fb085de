"""Lists of scores. Every version of a score is a row; the newest one says how the score is now."""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from zirkel.core import ScoreRecord
from zirkel.store.telemetry.engine import Engine, Parameter

LEAST_CANDIDATES = 100
"""Rows looked at for one page, at least: so few that are corrections or withdrawn cost no further look."""
_LAST_NS = (1 << 63) - 1

# A score stays on what it was given on and keeps its name, so these can be looked for in any version; the times of its
# versions grow. Looking for the newest rows first and then whether each is a first version reads far less than to group
# all versions.
_CANDIDATES = """
SELECT score_id, time_ns AS first_ns
FROM scores
WHERE project_id = {{project_id:String}}
    AND time_ns >= {{since_ns:Int64}}
    AND time_ns < {{until_ns:Int64}}
    AND (time_ns, score_id) < ({{before_ns:Int64}}, {{before_id:String}}){conditions}
ORDER BY first_ns DESC, score_id DESC
LIMIT {{limit:UInt32}}
"""

_HAD_ORIGIN = """
    AND score_id IN (SELECT score_id FROM scores WHERE project_id = {project_id:String} AND origin = {origin:String})"""

_CURRENT = """
SELECT {columns}, min(time_ns) OVER (PARTITION BY score_id) AS first_ns
FROM scores
WHERE project_id = {{project_id:String}} AND score_id IN {{score_ids:Array(String)}}
ORDER BY received_ns DESC, time_ns DESC
LIMIT 1 BY score_id
"""


class _Candidate(msgspec.Struct, frozen=True):
    score_id: str
    first_ns: int


class _Current(ScoreRecord, frozen=True, kw_only=True):
    first_ns: int

    def record(self) -> ScoreRecord:
        return ScoreRecord(**{name: getattr(self, name) for name in ScoreRecord.__struct_fields__})


class ScoreQueries:
    """Scores as they are now, each within one project. Thread safe; calls block.

    Each method raises ``Overloaded`` where trying again later may help.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_scores(
        self,
        project_id: str,
        *,
        trace_id: str = "",
        span_id: str = "",
        session_id: str = "",
        experiment_id: str = "",
        name: str = "",
        origin: str = "",
        since_ns: int = 0,
        until_ns: int | None = None,
        before: tuple[int, str] | None = None,
        limit: int = 100,
    ) -> list[tuple[int, ScoreRecord]]:
        """Return current versions, each behind when its score was first given; withdrawn scores are left out.

        The order is by that moment, then by id, newest first: neither ever changes. Texts that are empty do not matter,
        and ``before`` is the moment and the id of the score that the page before ended with.
        """
        subject = {"trace_id": trace_id, "span_id": span_id, "session_id": session_id, "experiment_id": experiment_id}
        wanted = {column: value for column, value in {**subject, "name": name}.items() if value}
        conditions = "".join(f"\n    AND {column} = {{{column}:String}}" for column in wanted)
        query = _CANDIDATES.format(conditions=conditions + (_HAD_ORIGIN if origin else ""))
        parameters: Mapping[str, Parameter] = {
            "project_id": project_id,
            "origin": origin,
            "since_ns": since_ns,
            "until_ns": _LAST_NS if until_ns is None else until_ns,
            "limit": max(limit, LEAST_CANDIDATES),
            **wanted,
        }
        found: dict[str, tuple[int, ScoreRecord]] = {}
        for candidates in self._candidates(query, parameters, before or (_LAST_NS, "")):
            current = self._current(project_id, {candidate.score_id for candidate in candidates})
            for candidate in candidates:
                score = current.get(candidate.score_id)
                if score is None or score.is_withdrawn or (origin and score.origin != origin):
                    continue
                if score.first_ns == candidate.first_ns:
                    found[score.score_id] = score.first_ns, score.record()
            if len(found) >= limit:
                break
        return list(found.values())[:limit]

    def current_scores(self, project_id: str, score_ids: Collection[str]) -> list[ScoreRecord]:
        """Return the newest version of each score that is known, withdrawn ones included."""
        return [score.record() for score in self._current(project_id, score_ids).values()] if score_ids else []

    def _candidates(
        self, query: str, parameters: Mapping[str, Parameter], before: tuple[int, str]
    ) -> Iterator[list[_Candidate]]:
        """Yield the newest rows in portions."""
        while True:
            place: Mapping[str, Parameter] = {"before_ns": before[0], "before_id": before[1]}
            rows = self._engine.rows(query, {**parameters, **place}, _Candidate)
            if not rows:
                return
            yield rows
            before = rows[-1].first_ns, rows[-1].score_id

    def _current(self, project_id: str, score_ids: Collection[str]) -> dict[str, _Current]:
        query = _CURRENT.format(columns=", ".join(ScoreRecord.__struct_fields__))
        rows = self._engine.rows(query, {"project_id": project_id, "score_ids": list(score_ids)}, _Current)
        return {row.score_id: row for row in rows}
