"""What scores need of other rooms."""

from collections.abc import Collection, Sequence
from typing import Protocol

from zirkel.core import Principal, ScoreRecord


class ScoreReader(Protocol):
    """Stored scores. What was spooled in the last second may not be among them yet."""

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
        """Return current versions, each behind when its score was first given; withdrawn scores are left out.

        Args:
            project_id: Whose scores.
            trace_id: Only those on this trace or a span of it; so do the other ids, ``name`` and ``origin``. Empty
                is any.
            span_id: See ``trace_id``.
            session_id: See ``trace_id``.
            experiment_id: See ``trace_id``.
            name: See ``trace_id``.
            origin: See ``trace_id``.
            since_ns: Only those first given at or after this moment.
            until_ns: Only those first given before it.
            before: First given and id of the score that the page before ended with. The order is by these two, newest
                first, and neither ever changes: a page is the same whatever is corrected meanwhile.
            limit: At most so many.
        """
        ...

    def current_scores(self, project_id: str, score_ids: Collection[str]) -> Sequence[ScoreRecord]:
        """Return the newest version of each score that is known, withdrawn ones included."""
        ...


class ScoreHistories(Protocol):
    """What became of scores."""

    def score_history(self, project_id: str, score_id: str) -> Sequence[ScoreRecord]:
        """Return all versions of a score."""
        ...


class OpenedKey(Protocol):
    """A feedback key that somebody showed."""

    @property
    def principal(self) -> Principal: ...
    @property
    def requests_per_minute(self) -> int | None: ...

    def allows(self, origin: str) -> bool:
        """Return whether a page of ``origin`` may use the key; an empty one is a caller that is no browser."""
        ...


class FeedbackKeys(Protocol):
    """The feedback keys of all projects."""

    def open_feedback(self, key_text: str) -> OpenedKey:
        """Return the feedback key of a text; raises ``Unauthenticated``, and ``Forbidden`` for any other key."""
        ...
