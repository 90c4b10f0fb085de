"""The places where something of an end user may be, and how each is emptied: stores joined to the erasure's port."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zirkel.core import Clock, judging_trace_id
from zirkel.core.erasure import Findings, PlaceReport, Subject, TrialKey
from zirkel.gateway.cache.bounded import count_entries
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.store.shared import LmdbState
from zirkel.store.shared_erasure import empty_shared_state
from zirkel.store.spool_erasure import blank_consumed, erase_kept_aside
from zirkel.store.telemetry import RowCounts
from zirkel.store.telemetry.subject_queries import SubjectQueries
from zirkel.version.erasure import ErasedItems, erase_items

_MOST_COUNTED = 10_000_000


class ErasableTelemetry(Protocol):
    """What is used of ``TelemetryStore``."""

    def delete_where_user(self, project_id: str, user_id: str) -> RowCounts: ...
    def delete_where_session(self, project_id: str, session_id: str) -> RowCounts: ...
    def delete_traces(self, project_id: str, trace_ids: Sequence[str]) -> RowCounts: ...


@dataclass(frozen=True, slots=True)
class DrainedFinder:
    """Finds a subject's telemetry after everything that is on its way has arrived."""

    drain: Callable[[], None]
    queries: SubjectQueries

    def find(self, subject: Subject) -> Findings:
        """Return what belongs to a subject."""
        self.drain()
        return self.queries.find(subject)


@dataclass(frozen=True, slots=True)
class ErasedExperiments:
    """Data sets that hold items of the subject, what experiments answered to those, and in the subject's traces.

    What people commented on such answers goes; the labels themselves say nothing of anybody, and stay.

    A data set is a file under its digest, which releases name for good: the file is removed, and one without the items
    is read in its place. The calls that experiments and judges made for such items, and what judges were asked about
    the subject's own traces, go with them.
    """

    metadata: Metadata
    blobs: Blobs
    telemetry: ErasableTelemetry
    clock: Clock

    def erase(self, findings: Findings, /, *, dry_run: bool) -> PlaceReport:
        """Remove items and answers."""
        project_id = findings.subject.project_id
        with self.metadata.transaction() as tx:
            replaced = tx.erasures.replaced_files()
            present = {
                file.dataset_digest: replaced.get(file.file_digest, file.file_digest)
                for file in tx.erasures.dataset_files(project_id)
            }
        erased = {file: erase_items(self.blobs.get(file), findings.ids) for file in sorted(set(present.values()))}
        items = {dataset: erased[file].item_ids for dataset, file in present.items()}
        with self.metadata.transaction() as tx:
            trials = tx.erasures.find_trials(project_id, findings.trace_ids, items)
            comments = tx.labels.erase_comments(project_id, trials, dry_run=dry_run)
        spans, left = 0, []
        if not dry_run:
            # The files last: they say which answers and calls belong to the subject, should this be cut off.
            spans = self._erase_calls(project_id, findings.trace_ids, trials)
            left = [line for file, found in erased.items() for line in self._replace(project_id, file, found)]
            self._delete_replaced()
        removed = {
            "data_sets": sum(1 for taken in items.values() if taken),
            "items": len({item for taken in items.values() for item in taken}),
            "answers": len(trials),
            "label_comments": comments,
            "spans": spans,
        }
        return PlaceReport("experiments", removed, tuple(left))

    def _erase_calls(self, project_id: str, trace_ids: Collection[str], trials: Sequence[TrialKey]) -> int:
        """Remove the texts of answers; return how many spans of their calls and their judges' were removed."""
        answers = {trial.trace_id for trial in trials}
        judged = {judging_trace_id(trace_id) for trace_id in answers.union(trace_ids)}
        if not judged:
            return 0
        calls = self.telemetry.delete_traces(project_id, sorted(answers | judged))
        with self.metadata.transaction() as tx:
            tx.erasures.empty_trials(project_id, trials)
        return calls.spans

    def _replace(self, project_id: str, file: str, erased: ErasedItems) -> Iterator[str]:
        """Have another file read in the place of one; yield what could not be done."""
        if not erased.item_ids:
            return
        replacement = self.blobs.put(erased.data)
        with self.metadata.transaction() as tx:
            if tx.erasures.is_file_of_others(project_id, file):
                yield f"{len(erased.item_ids)} items in the file {file[:12]}, which another project uses, too"
                return
            tx.erasures.replace_file(project_id, file, replacement, self.clock.now_ns())

    def _delete_replaced(self) -> None:
        """Remove the files that are no longer read, also those of an erasure that was cut off before this."""
        with self.metadata.transaction() as tx:
            files = list(tx.erasures.replaced_files())
        for file in files:
            self.blobs.delete(file)


@dataclass(frozen=True, slots=True)
class ErasedTelemetry:
    """Spans, log records and scores."""

    telemetry: ErasableTelemetry
    queries: SubjectQueries

    def erase(self, findings: Findings, /, *, dry_run: bool) -> PlaceReport:
        """Remove rows."""
        subject = findings.subject
        if dry_run:
            counts = self.queries.count(findings)
        elif subject.kind == "user":
            counts = self.telemetry.delete_where_user(subject.project_id, subject.subject_id)
        else:
            counts = self.telemetry.delete_where_session(subject.project_id, subject.subject_id)
        return PlaceReport("telemetry", {"spans": counts.spans, "logs": counts.logs, "scores": counts.scores})


@dataclass(frozen=True, slots=True)
class ErasedSpool:
    """What was taken over and the spool's files still hold, and what could not be stored."""

    spool: Path
    set_aside: Path

    def erase(self, findings: Findings, /, *, dry_run: bool) -> PlaceReport:
        """Overwrite and remove files."""
        kept = erase_kept_aside(self.spool, self.set_aside, findings.ids, dry_run=dry_run)
        blanked = 0 if dry_run else blank_consumed(self.spool)
        removed = {"files_deleted": kept.deleted, "files_rewritten": kept.rewritten, "bytes_overwritten": blanked}
        return PlaceReport("spool", removed)


@dataclass(frozen=True, slots=True)
class ErasedAnswers:
    """The gateway's kept answers, everybody's: nothing in them says whose they are."""

    folder: Path

    def erase(self, _findings: Findings, /, *, dry_run: bool) -> PlaceReport:
        """Empty the map."""
        if not self.folder.exists():
            return PlaceReport("kept_answers", {"entries": 0})
        with closing(LmdbState(self.folder)) as state:
            with state.transaction() as transaction:
                entries = count_entries(transaction, _MOST_COUNTED)
            if not dry_run:
                empty_shared_state(state)
        if not dry_run:
            for damaged in self.folder.glob("*.damaged-*"):
                damaged.unlink()
        return PlaceReport("kept_answers", {"entries": entries})


@dataclass(frozen=True, slots=True)
class RewrittenMetadata:
    """The metadata database's files, after rows in them were overwritten."""

    metadata: Metadata

    def erase(self, _findings: Findings, /, *, dry_run: bool) -> PlaceReport:
        """Write the database anew."""
        if not dry_run:
            self.metadata.compact()
        return PlaceReport("metadata", {})
