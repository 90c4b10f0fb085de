"""Erasing what belongs to one end user or one session, everywhere, with a record of what was removed."""

import hashlib
import hmac
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from zirkel.core import Clock, Invalid, Json, Principal, Role, canonical_json, new_id
from zirkel.core.erasure import ErasureRecord, Findings, PlaceReport, Subject, SubjectKind
from zirkel.govern.privacy_ports import ErasurePlace, PrivacyMetadata, SubjectFinder

LONGEST_SUBJECT = 1024
MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What an erasure did, or would do."""

    erasure_id: str
    """Empty if nothing was done."""
    subject_hash: str
    """Keyed hash of kind and id, 64 hex digits: whoever knows the id can have it computed again, and nobody else."""
    traces: int
    places: tuple[PlaceReport, ...]


class Erasure:
    """Erases subjects, one at a time. Each step can be repeated: an erasure that was cut off is simply asked again."""

    def __init__(
        self,
        metadata: PrivacyMetadata,
        finder: SubjectFinder,
        places: Sequence[ErasurePlace],
        pepper: bytes,
        clock: Clock,
    ) -> None:
        """Erase from ``places`` in their order; ``pepper`` keys the hash that stands for an id in the ledger."""
        self._metadata = metadata
        self._finder = finder
        self._places = places
        self._pepper = pepper
        self._clock = clock
        self._lock = threading.Lock()

    def erase(self, actor: Principal, kind: SubjectKind, subject_id: str, *, dry_run: bool = False) -> ErasureReport:
        """Remove what belongs to a subject for good; on return it is in none of the installation's files.

        Backups, and what left the installation before, are not reached.

        Args:
            actor: Who does it.
            kind: Whether the id is an end user's or a session's.
            subject_id: As spans, logs and scores carry it.
            dry_run: Only say what would be removed.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: If the id cannot be one.
            Overloaded: If a store cannot do it now; ask again, what was removed stays removed.
        """
        actor.require(Role.ADMIN)
        if not subject_id or len(subject_id) > LONGEST_SUBJECT:
            raise Invalid(f"the id of a {kind} has 1 to {LONGEST_SUBJECT} characters", path=kind)
        subject = Subject(actor.project_id, kind, subject_id)
        with self._lock:
            findings = self._finder.find(subject)
            reports = tuple(place.erase(findings, dry_run=dry_run) for place in self._places)
            erasure_id = "" if dry_run else self._record(actor, findings, reports)
        return ErasureReport(erasure_id, self._hash(subject), len(findings.trace_ids), reports)

    def list(self, actor: Principal, limit: int = 100) -> Sequence[ErasureRecord]:
        """Return the project's erasures, newest first, at most ``MAX_LISTED``."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return tx.erasures.list(actor.project_id, min(limit, MAX_LISTED))

    def _record(self, actor: Principal, findings: Findings, reports: Sequence[PlaceReport]) -> str:
        subject = findings.subject
        places: Json = {report.place: msgspec.to_builtins(report) for report in reports}
        record = ErasureRecord(
            project_id=subject.project_id,
            erasure_id=new_id(self._clock),
            kind=subject.kind,
            subject_hash=self._hash(subject),
            report=canonical_json(places).decode(),
            erased_ns=self._clock.now_ns(),
            erased_by=actor.label,
        )
        payload: Json = {
            "erasure_id": record.erasure_id,
            "kind": subject.kind,
            "subject_hash": record.subject_hash,
            "removed": {report.place: dict(report.removed) for report in reports},
            "left": [line for report in reports for line in report.left],
        }
        with self._metadata.transaction() as tx:
            tx.erasures.add(record)
            tx.ledger.append(subject.project_id, actor.label, "privacy.erased", payload)
        return record.erasure_id

    def _hash(self, subject: Subject) -> str:
        """Return what stands for a subject where it must not be named.

        Source: HMAC-SHA256, RFC 2104.
        """
        named = canonical_json([subject.project_id, subject.kind, subject.subject_id])
        return hmac.new(self._pepper, named, hashlib.sha256).hexdigest()
