"""What was spent, put back into the gateway's counters from the telemetry."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from zirkel.core import BudgetWindow, Clock
from zirkel.govern.limit_ports import Counters, LimitsMetadata, SpentRecords
from zirkel.govern.limit_subjects import EACH_USER, ProjectSubjects, Subject, read_subjects, recorded_spending


class Restoration:
    """Raises counters to what the telemetry knows, never lowers them.

    The counters know more than the telemetry: what ended a moment ago, and calls whose record was lost. They know less
    where they were lost themselves, and of what was spent before somebody had limits. An attempt whose record is
    stored already may not be settled yet, so what is reserved is taken off first: nothing is ever counted twice, and
    what is missing for that reason is put back the next time.
    """

    def __init__(self, metadata: LimitsMetadata, records: SpentRecords, counters: Counters, clock: Clock) -> None:
        self._metadata = metadata
        self._records = records
        self._counters = counters
        self._clock = clock
        self._counted: frozenset[str] = frozenset()
        self._looked_ns = 0

    def is_due(self) -> bool:
        """Return whether somebody has limits now who could spend uncounted before; asked before each publication."""
        now_ns = self._clock.now_ns()
        present = [subject for project in self._projects(now_ns) for subject in _everybody(project)]
        # Who came into being after the last look has had these limits from the first call on.
        begun = {subject.subject_id for subject in present if subject.since_ns > self._looked_ns}
        names = {subject.subject_id for subject in present}
        self._counted = self._counted & names | begun
        self._looked_ns = now_ns
        return not names <= self._counted

    def run(self) -> int:
        """Raise the counters of all subjects with limits; return how many had less than the telemetry knows.

        Raises:
            Overloaded: If the telemetry cannot be asked now, or the counters' state is full.
            Corrupt: If a counter is damaged.
        """
        now_ns = self._clock.now_ns()
        projects = self._projects(now_ns)
        raised = 0
        for project in projects:
            for spending in recorded_spending(self._records, project, now_ns):
                raised += self._raise(spending.subject.subject_id, spending.usd)
        self._counted = frozenset(subject.subject_id for project in projects for subject in _everybody(project))
        self._looked_ns = now_ns
        return raised

    def _raise(self, subject_id: str, recorded: Mapping[BudgetWindow, Decimal]) -> bool:
        counted = self._counters.usage(subject_id).windows
        missing = {
            window: usd - counted[window].held_usd
            for window, usd in recorded.items()
            if usd - counted[window].held_usd > counted[window].spent_usd
        }
        if missing:
            self._counters.restore(subject_id, missing)
        return bool(missing)

    def _projects(self, now_ns: int) -> Sequence[ProjectSubjects]:
        with self._metadata.transaction() as tx:
            return [read_subjects(tx, project.project_id, now_ns) for project in tx.projects.list()]


def _everybody(project: ProjectSubjects) -> Sequence[Subject]:
    return project.subjects if project.each_user is None else [*project.subjects, project.user(EACH_USER)]
