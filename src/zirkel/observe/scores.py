"""Scores on what was observed: taken in, corrected, withdrawn, and read back."""

import base64
import binascii
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from zirkel.core import (
    Batch,
    Clock,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Overloaded,
    Principal,
    Role,
    ScoreOrigin,
    ScoreRecord,
    TooLarge,
    ZirkelError,
    encode_batch,
    new_id,
)
from zirkel.lib.named_locks import NamedLocks
from zirkel.observe.masking import mask_batch
from zirkel.observe.ports import DurableSink, MaskerSource
from zirkel.observe.score_drafts import read_feedback, read_score
from zirkel.observe.score_ports import ScoreHistories, ScoreReader
from zirkel.observe.score_versions import Outcome, RecentScores, newest_versions, next_version, withdrawal

MOST_SCORES = 1000
"""Scores in one request."""
LARGEST_PAGE = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a score that was taken: it is on disk."""

    score_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ScoreFilter:
    """Which scores are wanted; what is empty does not matter. Times are UTC nanoseconds."""

    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    experiment_id: str = ""
    name: str = ""
    origin: ScoreOrigin | None = None
    since_ns: int = 0
    """First given at or after."""
    until_ns: int | None = None
    """First given before."""


@dataclass(frozen=True, slots=True)
class ScorePage:
    """Some of the scores that a filter finds, those first given newest first."""

    scores: Sequence[ScoreRecord]
    next_cursor: str
    """Asks for what follows; empty on the last page."""


class Scores:
    """The scores of all projects. The one writer of scores that are given by hand, by code and by end users."""

    def __init__(
        self,
        sink: DurableSink,
        reader: ScoreReader,
        histories: ScoreHistories,
        clock: Clock,
        maskers: MaskerSource | None = None,
    ) -> None:
        self._sink = sink
        self._reader = reader
        self._histories = histories
        self._clock = clock
        self._maskers = maskers
        self._recent = RecentScores()
        self._locks = NamedLocks()

    def add(self, actor: Principal, items: Sequence[bytes]) -> list[Taken | ZirkelError]:
        """Take scores, each a JSON object (``ScoreDraft``), and say for each what became of it, in their order.

        What was taken is on disk. A score that is refused (``Invalid``, ``Conflict``) never costs the others.

        Raises:
            Forbidden: If the actor may not write telemetry.
            Overloaded: If the spool is full, or the store does not answer; nothing was taken.
            TooLarge: If there are too many.
        """
        actor.require(Role.INGEST)
        if len(items) > MOST_SCORES:
            raise TooLarge(f"{len(items)} scores are too many for one request; send at most {MOST_SCORES}")
        return self._take(actor.project_id, [self._read(actor, item) for item in items])

    def give_feedback(self, actor: Principal, item: bytes) -> Taken:
        """Take an end user's feedback, a JSON object (``FeedbackDraft``); on return it is on disk.

        Raises:
            Conflict: If the score's id belongs to a score that is not this key's and this user's, or on something else.
            Forbidden: If the actor is no feedback key.
            Invalid: If the feedback makes no sense.
            Overloaded: If the spool is full, or the store does not answer; nothing was taken.
        """
        if actor.roles != {Role.FEEDBACK}:
            raise Forbidden("feedback needs a feedback key")
        (answer,) = self._take(actor.project_id, [self._masked(read_feedback(item, actor))], only_own=True)
        if isinstance(answer, ZirkelError):
            raise answer
        return answer

    def withdraw(self, actor: Principal, score_id: str) -> Taken:
        """Take a score back: it is listed no more, and all its versions stay in its history.

        Raises:
            NotFound: If there is no such score.
            Overloaded: If the spool is full, or the store does not answer; nothing was changed.
        """
        actor.require(Role.INGEST)
        with self._locks.hold([score_id]):
            current = self._current(actor.project_id, [score_id]).get(score_id)
            if current is None:
                raise _unknown(score_id)
            version = withdrawal(current, actor.label, self._clock.now_ns())
            if version is None:
                return Taken(score_id, "unchanged")
            self._write([version])
        return Taken(score_id, "withdrawn")

    def page(self, actor: Principal, wanted: ScoreFilter, cursor: str = "", limit: int = 100) -> ScorePage:
        """Return scores as they are now, those first given newest first; withdrawn ones are left out.

        Args:
            actor: Who wants to see them.
            wanted: Which ones.
            cursor: Where the page before ended; empty for the first one.
            limit: At most so many.

        Raises:
            Invalid: If the cursor is none.
        """
        actor.require(Role.READ)
        limit = max(1, min(limit, LARGEST_PAGE))
        found = self._reader.list_scores(
            actor.project_id,
            trace_id=wanted.trace_id.lower(),
            span_id=wanted.span_id.lower(),
            session_id=wanted.session_id,
            experiment_id=wanted.experiment_id,
            name=wanted.name,
            origin=wanted.origin or "",
            since_ns=wanted.since_ns,
            until_ns=wanted.until_ns,
            before=_read_cursor(cursor) if cursor else None,
            limit=limit + 1,
        )
        shown = found[:limit]
        more = _write_cursor(shown[-1][0], shown[-1][1].score_id) if len(found) > limit else ""
        return ScorePage([record for _, record in shown], more)

    def history(self, actor: Principal, score_id: str) -> list[ScoreRecord]:
        """Return all versions of a score, the first received first: ``time_ns`` says when, ``author`` who.

        Raises:
            NotFound: If there is no such score (one of the last second may still be on its way).
        """
        actor.require(Role.READ)
        versions = self._histories.score_history(actor.project_id, score_id)
        if not versions:
            raise _unknown(score_id)
        return list(versions)

    def _read(self, actor: Principal, item: bytes) -> ScoreRecord | ZirkelError:
        try:
            return self._masked(read_score(item, actor, self._clock.now_ns()))
        except Invalid as error:
            return error

    def _masked(self, record: ScoreRecord) -> ScoreRecord:
        """Return a record without what must not reach a disk; the same record is always masked alike."""
        masker = self._maskers.masker(record.project_id) if self._maskers else None
        return mask_batch(Batch(scores=[record]), masker).scores[0] if masker else record

    def _take(
        self, project_id: str, wanted: Sequence[ScoreRecord | ZirkelError], *, only_own: bool = False
    ) -> list[Taken | ZirkelError]:
        """Write what is new and say what became of each; ``only_own`` refuses to correct what others gave."""
        named = {record.score_id for record in wanted if isinstance(record, ScoreRecord)} - {""}
        answers: list[Taken | ZirkelError] = []
        versions: list[ScoreRecord] = []
        # Nobody else decides on these ids between reading their newest versions and writing the next ones.
        with self._locks.hold(named):
            known = self._current(project_id, named) if named else {}
            for record in wanted:
                answer, version = self._decide(record, known, only_own=only_own)
                answers.append(answer)
                if version is not None:
                    versions.append(version)
                    known[version.score_id] = version
            self._write(versions)
        return answers

    def _decide(
        self, wanted: ScoreRecord | ZirkelError, known: Mapping[str, ScoreRecord], *, only_own: bool
    ) -> tuple[Taken | ZirkelError, ScoreRecord | None]:
        """Return what becomes of one score, and what is to be written of it."""
        if isinstance(wanted, ZirkelError):
            return wanted, None
        if not wanted.score_id:
            wanted = msgspec.structs.replace(wanted, score_id=new_id(self._clock))
        current = known.get(wanted.score_id)
        try:
            if only_own and current is not None:
                _check_own(wanted, current)
            version, outcome = next_version(wanted, current, self._clock.now_ns())
        except Conflict as error:
            return error, None
        return Taken(wanted.score_id, outcome), version

    def _current(self, project_id: str, score_ids: Collection[str]) -> dict[str, ScoreRecord]:
        stored = self._reader.current_scores(project_id, score_ids)
        return newest_versions([*stored, *self._recent.find(project_id, score_ids)])

    def _write(self, versions: Sequence[ScoreRecord]) -> None:
        if not versions:
            return
        try:
            self._sink.append_durable(encode_batch(Batch(scores=list(versions))))
        except OSError as error:
            log.exception("the spool cannot be written")
            raise Overloaded(f"the scores cannot be written to disk: {error}; try again in a moment") from error
        self._recent.note(versions)


def _check_own(wanted: ScoreRecord, current: ScoreRecord) -> None:
    """Return if an end user's score corrects one of the same user, through the same key.

    Raises:
        Conflict: If not.
    """
    if (current.origin, current.author, current.user_id) != (wanted.origin, wanted.author, wanted.user_id):
        raise Conflict(f"score_id: {wanted.score_id!r} is taken; take another id, such as a UUID", path="score_id")


def _unknown(score_id: str) -> NotFound:
    return NotFound(f"there is no score {score_id!r}; one of the last second may be on its way")


def _write_cursor(first_ns: int, score_id: str) -> str:
    return base64.urlsafe_b64encode(f"{first_ns}/{score_id}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[int, str]:
    try:
        first, slash, score_id = (
            base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode().partition("/")
        )
        if slash and first.isdecimal() and int(first) < 2**63:
            return int(first), score_id
    except (binascii.Error, ValueError):
        pass
    raise Invalid("cursor: it is none of this list; take next_cursor of the page before", path="cursor")
