"""The core's own state: plain facts, and alarms, each logged once when it begins and once when it is over."""

import logging
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from zirkel import __version__
from zirkel.app.alarm_file import AlarmFile
from zirkel.app.alarms import Facts, Leap, Probe, find_alarms
from zirkel.core import Alarm, Clock, Json, iso_utc
from zirkel.gateway.exposition import decode_state
from zirkel.jobs import IngestFault

LOOK_S = 2.0
LEAP_S = 60.0
"""What a clock may be corrected by between two looks without being called set."""
LEAP_STANDS_S = 24 * 3600.0
UNRECORDED_STANDS_S = 3600.0

log = logging.getLogger("zirkel.health")


class Spool(Protocol):
    """See ``store.spool.SpoolReader``."""

    def pending_bytes(self) -> int: ...


class SpoolEnd(Protocol):
    """See ``store.spool.SpoolWriter``."""

    @property
    def failed_flushes(self) -> int: ...


class Storing(Protocol):
    """See ``jobs.ingest.Ingest``."""

    @property
    def records_set_aside(self) -> int: ...
    @property
    def fault(self) -> IngestFault | None: ...


class ProbeResult(Protocol):
    """See ``app.disk_probe.DiskProbe``."""

    def result(self) -> Probe: ...


@dataclass(frozen=True, slots=True)
class Folders:
    """Where to look."""

    data: Path
    spool: Path
    set_aside: Path
    metrics: Path
    """Where gateway workers leave their figures."""
    alarm_file: Path


class CoreHealth:
    """The core's own state. Thread safe; owns a thread that looks every ``LOOK_S`` seconds, and so logs alarms."""

    def __init__(
        self,
        folders: Folders,
        spool: Spool,
        spool_end: SpoolEnd,
        storing: Storing,
        probe: ProbeResult,
        clock: Clock,
        steady: Callable[[], float],
    ) -> None:
        """Look at what is named; ``steady`` gives seconds that pass evenly, whatever ``clock`` is set to."""
        self._folders = folders
        self._spool = spool
        self._spool_end = spool_end
        self._storing = storing
        self._probe = probe
        self._clock = clock
        self._steady = steady
        self._clock_watch = ClockWatch(clock, steady)
        self._unrecorded = UnrecordedCalls(count_unrecorded(folders.metrics))
        self._file = AlarmFile(folders.alarm_file)
        self._lock = threading.Lock()
        self._standing: dict[str, Alarm] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def report(self) -> dict[str, Json]:
        """Return plain facts, and the alarms that stand, the worst first."""
        facts, alarms = self._look()
        return {
            "version": __version__,
            "spool_pending_bytes": facts.pending_bytes,
            "records_set_aside": self._storing.records_set_aside,
            "files_set_aside": len(facts.aside),
            "disk_free_bytes": facts.free_bytes,
            "alarms": [_view(alarm) for alarm in alarms],
        }

    def alarms(self) -> Sequence[Alarm]:
        """Return the alarms that stand, the worst first, each with its ``since_ns``."""
        return self._look()[1]

    def step(self) -> None:
        """Look, and leave the alarms for the doctor."""
        _, alarms = self._look()
        try:
            self._file.write(alarms, self._clock.now_ns())
        except OSError as error:
            log.debug("the alarms cannot be left in the data directory: %s", error)

    def _run(self) -> None:
        while True:
            try:
                self.step()
            except Exception:
                log.exception("looking after the core's own state failed; trying again in %.0f s", LOOK_S)
            if self._stopping.wait(LOOK_S):
                return

    def _look(self) -> tuple[Facts, list[Alarm]]:
        with self._lock:
            facts = self._facts()
            return facts, self._compare(find_alarms(facts))

    def _facts(self) -> Facts:
        folders, fault = self._folders, self._storing.fault
        aside = files_aside(folders.spool, folders.set_aside)
        unrecorded = count_unrecorded(folders.metrics)
        return Facts(
            folder=str(folders.data),
            free_bytes=shutil.disk_usage(folders.data).free,
            probe=self._probe.result(),
            failed_flushes=self._spool_end.failed_flushes,
            pending_bytes=self._spool.pending_bytes(),
            storing_error=fault.last_error if fault else "",
            storing_since_ns=fault.since_ns if fault else 0,
            aside=[str(path.relative_to(folders.data)) for path in aside],
            aside_since_ns=min(aside.values(), default=0),
            calls_unrecorded=self._unrecorded.in_last_hour(unrecorded, self._steady()),
            leap=self._clock_watch.leap(),
        )

    def _compare(self, found: Sequence[Alarm]) -> list[Alarm]:
        """Log what begins and what is over; return the alarms with the time at which each began."""
        now_ns = self._clock.now_ns()
        before, self._standing = self._standing, {}
        for alarm in found:
            known = before.get(alarm.name)
            since_ns = alarm.since_ns or (known.since_ns if known is not None else now_ns)
            self._standing[alarm.name] = replace(alarm, since_ns=since_ns)
            if known is None:
                log.error("alarm %s: %s. What to do: %s", alarm.name, alarm.text, alarm.what_to_do)
        for name in before.keys() - self._standing.keys():
            log.warning("alarm %s is over", name)
        return list(self._standing.values())


class ClockWatch:
    """Notices that the clock of the day was set."""

    def __init__(self, clock: Clock, steady: Callable[[], float]) -> None:
        self._clock = clock
        self._steady = steady
        self._first_s = self._last_s = self._offset_s()
        self._leap: Leap | None = None
        self._leapt_s = 0.0

    def leap(self) -> Leap | None:
        """Return the last leap if it is less than a day ago and was not undone."""
        offset_s, now_s = self._offset_s(), self._steady()
        moved_s = offset_s - self._last_s
        self._last_s = offset_s
        if abs(moved_s) > LEAP_S:
            self._leap, self._leapt_s = Leap(moved_s, self._clock.now_ns()), now_s
        if abs(offset_s - self._first_s) <= LEAP_S or now_s - self._leapt_s > LEAP_STANDS_S:
            self._leap = None
        return self._leap

    def _offset_s(self) -> float:
        return self._clock.now_ns() / 1e9 - self._steady()


class UnrecordedCalls:
    """How many calls went unrecorded lately, from a count that only grows."""

    def __init__(self, count: int) -> None:
        """Begin with what was counted before, which is no news."""
        self._told = self._count = count
        self._grew_s = 0.0

    def in_last_hour(self, count: int, now_s: float) -> int:
        """Return the calls since the count last stood still for an hour; ``now_s`` only counts."""
        if count > self._count:
            self._grew_s = now_s
        elif count < self._count or now_s - self._grew_s > UNRECORDED_STANDS_S:
            self._told = count
        self._count = count
        return count - self._told


def count_unrecorded(metrics: Path) -> int:
    """Return how many calls gateway workers have answered without a record, ever; damaged files count as none."""
    count = 0.0
    for file in metrics.glob("*.json"):
        try:
            values = decode_state(file.read_bytes()).values
        except (OSError, msgspec.DecodeError):
            continue
        count += sum(sample.value for sample in values.get("records_lost_total", []))
    return int(count)


def files_aside(spool: Path, set_aside: Path) -> Mapping[Path, int]:
    """Return the files of records that could not be read or stored, each with the time of its last change in ns."""
    found = {}
    for path in (*sorted(set_aside.glob("*.record")), *sorted(spool.glob("*/*.damaged"))):
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


def _view(alarm: Alarm) -> dict[str, Json]:
    return {
        "name": alarm.name,
        "level": alarm.level,
        "since": iso_utc(alarm.since_ns),
        "text": alarm.text,
        "what_to_do": alarm.what_to_do,
    }
