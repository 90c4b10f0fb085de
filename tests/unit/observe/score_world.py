"""Scores in memory: a spool and a store that has what was spooled, at once or when it is told to."""

from collections.abc import Collection, Sequence

from zirkel.core import Overloaded, ScoreRecord, decode_batch


class MemoryScores:
    """Keeps versions as a spool and a store do; the obvious slow way to read them."""

    def __init__(self, *, is_slow: bool = False) -> None:
        self.spooled: list[ScoreRecord] = []
        self.stored: list[ScoreRecord] = []
        self.is_slow = is_slow
        """Whether what was spooled waits for ``store``."""
        self.is_full = False
        self.is_broken = False

    def append_durable(self, payload: bytes) -> None:
        if self.is_full:
            raise Overloaded("the spool is full")
        if self.is_broken:
            raise OSError("no space left")
        self.spooled += decode_batch(payload).scores
        if not self.is_slow:
            self.store()

    def store(self) -> None:
        """Make everything readable."""
        self.stored = list(self.spooled)

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
    ) -> Sequence[tuple[int, ScoreRecord]]:
        def fits(score: ScoreRecord) -> bool:
            pairs = (
                (trace_id, score.trace_id),
                (span_id, score.span_id),
                (session_id, score.session_id),
                (experiment_id, score.experiment_id),
                (name, score.name),
                (origin, score.origin),
            )
            return all(wanted in ("", found) for wanted, found in pairs) and not score.is_withdrawn

        first: dict[str, int] = {}
        for version in self.stored:
            if version.project_id == project_id:
                first.setdefault(version.score_id, version.time_ns)
        found = [
            (first[score.score_id], score)
            for score in self.current_scores(project_id, first)
            if fits(score) and since_ns <= first[score.score_id] < (2**63 if until_ns is None else until_ns)
        ]
        ordered = sorted(found, key=lambda row: (row[0], row[1].score_id), reverse=True)
        return [row for row in ordered if before is None or (row[0], row[1].score_id) < before][:limit]

    def current_scores(self, project_id: str, score_ids: Collection[str]) -> Sequence[ScoreRecord]:
        newest = {
            version.score_id: version
            for version in self.stored
            if version.project_id == project_id and version.score_id in score_ids
        }
        return list(newest.values())

    def score_history(self, project_id: str, score_id: str) -> Sequence[ScoreRecord]:
        return [v for v in self.stored if (v.project_id, v.score_id) == (project_id, score_id)]
