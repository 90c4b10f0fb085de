"""Erasing what belongs to one end user or one session: who it is about, and what was removed where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SubjectKind = Literal["user", "session"]
ERASED_TEXT = "[erased]"
"""Stands where a text was erased out of a record that stays."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data are erased, within one project."""

    project_id: str
    kind: SubjectKind
    subject_id: str
    """The ``user_id`` or ``session_id`` that spans, logs and scores carry."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What belongs to a subject, as far as it is known before anything is removed."""

    subject: Subject
    trace_ids: frozenset[str] = frozenset()
    """Traces of which a span carries the subject's id."""
    session_ids: frozenset[str] = frozenset()
    """Of a user, the sessions of these traces."""

    @property
    def ids(self) -> frozenset[str]:
        """The subject's own id, and those of its sessions and traces."""
        return self.trace_ids | self.session_ids | {self.subject.subject_id}


@dataclass(frozen=True, slots=True)
class PlaceReport:
    """What was removed from one place."""

    place: str
    removed: Mapping[str, int]
    """How many of what, e.g. ``{"spans": 12}``."""
    left: tuple[str, ...] = field(default=())
    """What could not be removed, for people to read."""


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """An erasure that was done. Who it was about can be told by those who know the id, and by nobody else."""

    project_id: str
    erasure_id: str
    kind: str
    subject_hash: str
    """Keyed hash of the id, 64 hex digits."""
    report: str
    """Canonical JSON: by place, what was removed."""
    erased_ns: int
    erased_by: str


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """One file of one version of a data set."""

    dataset_digest: str
    path: str
    file_digest: str


@dataclass(frozen=True, slots=True)
class TrialKey:
    """One answer of an experiment."""

    experiment_id: str
    item_id: str
    trial: int
    trace_id: str
