"""What is wrong with a running core, as alarms that say what to do. Pure; ``health`` finds the facts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from zirkel.core import Alarm

LEAST_FREE_BYTES = 2 * 1024**3
"""What the spool of one process may take while the telemetry store is away."""
FULL_BYTES = 32 * 1024**2
"""Less than this, and a batch or a database's log may fail at any moment."""
SLOW_S = 2.0
"""A flush that takes longer keeps exporters waiting for most of their patience of 10 s."""
BACKLOG_BYTES = 1024**3
"""Half of what the spool of one process may take."""
LONGEST_TEXT = 600


@dataclass(frozen=True, slots=True)
class Probe:
    """What writing to the disk was like last."""

    error: str = ""
    """Why it failed, empty if it did not."""
    is_full: bool = False
    """Whether it failed for want of space, or of quota."""
    wait_s: float = 0.0
    """How long the flush took, or takes already."""


@dataclass(frozen=True, slots=True)
class Leap:
    """The clock was set, while this process ran."""

    seconds: float
    """How far, negative if back."""
    at_ns: int
    """When, by the clock as it was set, UTC nanoseconds."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a core at one moment."""

    folder: str
    """The data directory."""
    free_bytes: int
    """On its disk."""
    probe: Probe = Probe()
    failed_flushes: int = 0
    """Of the core's spool since its start."""
    pending_bytes: int = 0
    """In the spool and not in the telemetry store."""
    storing_error: str = ""
    """Why the telemetry store takes nothing, empty if it does."""
    storing_since_ns: int = 0
    """When that began."""
    aside: Sequence[str] = ()
    """Files of records that could not be read or stored."""
    aside_since_ns: int = 0
    """When the oldest of them was kept."""
    calls_unrecorded: int = 0
    """Calls through the gateway that were answered in the last hour and not recorded."""
    leap: Leap | None = None


def find_alarms(facts: Facts) -> list[Alarm]:
    """Return what is wrong, the worst first."""
    checks: Sequence[Callable[[Facts], Iterator[Alarm]]] = (
        _disk,
        _flushes,
        _storing,
        _backlog,
        _unrecorded,
        _aside,
        _clock,
    )
    found = [alarm for check in checks for alarm in check(facts)]
    return sorted(found, key=lambda alarm: alarm.level != "problem")


def _disk(facts: Facts) -> Iterator[Alarm]:
    free = f"{facts.free_bytes / 1024**2:,.0f} MiB are free on the disk of {facts.folder}"
    if facts.probe.is_full or facts.free_bytes < FULL_BYTES:
        yield Alarm(
            "disk_full",
            "problem",
            f"{free}: telemetry is answered with 503, and calls are answered but not recorded",
            "free some space; recording goes on by itself, without a restart",
        )
    elif facts.free_bytes < LEAST_FREE_BYTES:
        yield Alarm("disk_low", "warning", free, "free some space, before recording stops")
    if facts.probe.error and not facts.probe.is_full:
        yield Alarm(
            "disk_failing",
            "problem",
            f"{facts.folder} cannot be written: {_short(facts.probe.error)}",
            "look at the disk and how it is mounted; recording goes on by itself once it can be written",
        )
    if facts.probe.wait_s >= SLOW_S:
        yield Alarm(
            "disk_slow",
            "problem",
            f"a flush to the disk of {facts.folder} takes {facts.probe.wait_s:.0f} s: whoever sends telemetry waits "
            "as long, or is answered with 503",
            "see what else writes to this disk, or use a faster one",
        )


def _flushes(facts: Facts) -> Iterator[Alarm]:
    if facts.failed_flushes:
        yield Alarm(
            "flush_failed",
            "problem",
            f"{facts.failed_flushes} flushes of the spool failed since the start: the telemetry in them was not "
            "acknowledged, and the disk may be dying",
            "look at the kernel's log (dmesg) and replace the disk if it reports errors; a restart ends this alarm",
        )


def _storing(facts: Facts) -> Iterator[Alarm]:
    if facts.storing_error:
        yield Alarm(
            "storing_failed",
            "problem",
            f"the telemetry store takes nothing: {_short(facts.storing_error)}. What was accepted waits in the spool "
            f"({facts.pending_bytes / 1024**2:,.1f} MiB) and is tried again until it works",
            "mend what the message names; nothing is lost meanwhile, and no restart is needed",
            facts.storing_since_ns,
        )


def _backlog(facts: Facts) -> Iterator[Alarm]:
    if facts.pending_bytes >= BACKLOG_BYTES:
        yield Alarm(
            "spool_backlog",
            "problem",
            f"{facts.pending_bytes / 1024**3:.1f} GiB of telemetry wait to be stored; at 2 GiB for one process nothing "
            "more is recorded",
            "see whether the telemetry store works and keeps up: more comes in than it can take",
        )


def _unrecorded(facts: Facts) -> Iterator[Alarm]:
    if facts.calls_unrecorded:
        yield Alarm(
            "calls_unrecorded",
            "problem",
            f"{facts.calls_unrecorded} calls through the gateway were answered in the last hour and not recorded; "
            "their cost is missing in what was spent",
            "see the other alarms and the gateway's log for why; this one ends an hour after the last such call",
        )


def _aside(facts: Facts) -> Iterator[Alarm]:
    if facts.aside:
        named = ", ".join(facts.aside[:3]) + (", …" if len(facts.aside) > 3 else "")
        yield Alarm(
            "records_set_aside",
            "warning",
            f"{len(facts.aside)} files hold records that could not be read or stored; everything else was stored: "
            f"{named}",
            "keep the files and report it, then move them out of the data directory, which ends this alarm",
            facts.aside_since_ns,
        )


def _clock(facts: Facts) -> Iterator[Alarm]:
    if facts.leap is not None:
        ahead = "ahead" if facts.leap.seconds > 0 else "back"
        yield Alarm(
            "clock_leapt",
            "warning",
            f"this machine's clock was set {ahead} by {abs(facts.leap.seconds):,.0f} s while Zirkel ran: times from "
            "before and after do not fit together",
            "see that the time service runs (timedatectl); this alarm ends after a day, or once the clock is set back",
            facts.leap.at_ns,
        )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]} …"
