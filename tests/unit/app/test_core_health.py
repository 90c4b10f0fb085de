"""The core's own state: facts as they are, alarms from when they begin until they are over."""

import errno
import logging
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from zirkel.app.alarm_file import FILE_BYTES, STALE_NS, AlarmFile, read_alarms
from zirkel.app.alarms import Probe
from zirkel.app.disk_probe import DiskProbe
from zirkel.app.health import (
    LEAP_STANDS_S,
    UNRECORDED_STANDS_S,
    ClockWatch,
    CoreHealth,
    Folders,
    UnrecordedCalls,
    count_unrecorded,
)
from zirkel.core import Alarm, ManualClock, iso_utc
from zirkel.gateway.exposition import Sample, WorkerState
from zirkel.jobs import IngestFault

DAY_S = 86_400.0


@dataclass
class World:
    """Everything that the core looks at, set by hand."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    steady_s: float = 100.0
    pending: int = 0
    failed_flushes: int = 0
    records_set_aside: int = 0
    fault: IngestFault | None = None
    probed: Probe = field(default_factory=Probe)

    @property
    def folders(self) -> Folders:
        folder = self.folder
        return Folders(folder, folder / "spool", folder / "set-aside", folder / "metrics", folder / "alarms.json")

    def pending_bytes(self) -> int:
        return self.pending

    def result(self) -> Probe:
        return self.probed

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.steady_s += seconds

    def lose(self, calls: int) -> None:
        """Have a gateway worker count calls without a record."""
        state = WorkerState("gateway-0", 1, {"records_lost_total": [Sample([], calls)]})
        (self.folder / "metrics").mkdir(exist_ok=True)
        (self.folder / "metrics" / "gateway-0.json").write_bytes(msgspec.json.encode(state))

    def set_aside(self, path: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"?")
        return file


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def health(world: World) -> CoreHealth:
    return CoreHealth(world.folders, world, world, world, world, world.clock, lambda: world.steady_s)


def names(health: CoreHealth) -> set[str]:
    """Return the alarms but that of the disk which the tests themselves run on."""
    return {alarm.name for alarm in health.alarms()} - {"disk_low"}


def test_the_report_has_the_facts(world: World, health: CoreHealth) -> None:
    world.pending, world.records_set_aside = 17, 2
    world.set_aside("set-aside/a.record")
    report = health.report()
    assert (report["spool_pending_bytes"], report["records_set_aside"], report["files_set_aside"]) == (17, 2, 1)
    assert isinstance(report["disk_free_bytes"], int)
    assert report["version"]


def test_an_alarm_keeps_the_time_of_its_beginning_until_it_is_over(world: World, health: CoreHealth) -> None:
    assert names(health) == set()
    world.probed = Probe("Read-only file system")
    began_ns = world.clock.now_ns()
    for _ in range(3):
        (alarm,) = [alarm for alarm in health.alarms() if alarm.name == "disk_failing"]
        assert alarm.since_ns == began_ns
        world.pass_time(5)
    world.probed = Probe()
    assert names(health) == set()
    world.probed = Probe("Read-only file system")
    (again,) = [alarm for alarm in health.alarms() if alarm.name == "disk_failing"]
    assert again.since_ns == began_ns + 15 * 10**9


def test_an_alarm_is_logged_once_when_it_begins_and_once_when_it_is_over(
    world: World, health: CoreHealth, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "zirkel.health")
    world.fault = IngestFault("OSError: gone", 5, 1)
    for failures in range(2, 6):
        health.report()
        health.step()
        world.fault = IngestFault("OSError: gone", 5, failures)
    world.fault = None
    for _ in range(3):
        health.report()
    logged = [record.getMessage() for record in caplog.records if "storing_failed" in record.getMessage()]
    assert len(logged) == 2
    assert "OSError: gone" in logged[0]
    assert logged[1] == "alarm storing_failed is over"


def test_the_report_tells_alarms_in_words(world: World, health: CoreHealth) -> None:
    world.fault = IngestFault("OSError: gone", 5 * 10**9, 1)
    alarms = health.report()["alarms"]
    assert isinstance(alarms, list)
    (told,) = [alarm for alarm in alarms if isinstance(alarm, dict) and alarm["name"] == "storing_failed"]
    assert told["since"] == iso_utc(5 * 10**9)
    assert set(told) == {"name", "level", "since", "text", "what_to_do"}


def test_files_that_were_kept_aside_are_named_until_they_are_moved_away(world: World, health: CoreHealth) -> None:
    files = [world.set_aside(path) for path in ("set-aside/a.record", "spool/core/1.damaged")]
    (alarm,) = [alarm for alarm in health.alarms() if alarm.name == "records_set_aside"]
    assert "set-aside/a.record, spool/core/1.damaged" in alarm.text
    for file in files:
        file.unlink()
    assert names(health) == set()


@pytest.mark.parametrize("leap_s", [DAY_S, -DAY_S])
def test_a_clock_that_is_set_is_an_alarm_until_it_is_set_back(world: World, health: CoreHealth, leap_s: float) -> None:
    world.pass_time(10)
    assert names(health) == set()
    world.clock.advance(leap_s)
    for _ in range(3):
        assert names(health) == {"clock_leapt"}
        world.pass_time(10)
    world.clock.advance(-leap_s)
    assert names(health) == set()


def test_a_leap_stands_for_a_day(world: World) -> None:
    watch = ClockWatch(world.clock, lambda: world.steady_s)
    world.clock.advance(DAY_S)
    assert watch.leap() is not None
    world.pass_time(LEAP_STANDS_S - 1)
    assert watch.leap() is not None
    world.pass_time(2)
    assert watch.leap() is None


def test_a_clock_that_is_corrected_little_by_little_is_none_that_was_set(world: World) -> None:
    watch = ClockWatch(world.clock, lambda: world.steady_s)
    for _ in range(100):
        world.pass_time(10)
        world.clock.advance(1)
        assert watch.leap() is None


def test_calls_without_a_record_are_told_from_when_they_happen_and_for_an_hour(world: World, tmp_path: Path) -> None:
    world.lose(5)
    health = CoreHealth(world.folders, world, world, world, world, world.clock, lambda: world.steady_s)
    assert names(health) == set(), "what was lost before this core began is no news"
    world.lose(8)
    (alarm,) = [alarm for alarm in health.alarms() if alarm.name == "calls_unrecorded"]
    assert alarm.text.startswith("3 calls")
    world.pass_time(UNRECORDED_STANDS_S + 1)
    assert names(health) == set()
    world.lose(9)
    (alarm,) = [alarm for alarm in health.alarms() if alarm.name == "calls_unrecorded"]
    assert alarm.text.startswith("1 calls")


def test_a_count_that_begins_anew_is_no_alarm() -> None:
    calls = UnrecordedCalls(10)
    assert calls.in_last_hour(12, 0.0) == 2
    assert calls.in_last_hour(0, 1.0) == 0
    assert calls.in_last_hour(1, 2.0) == 1


def test_figures_that_cannot_be_read_count_as_none(world: World) -> None:
    world.lose(3)
    (world.folder / "metrics" / "gateway-1.json").write_bytes(b"{")
    assert count_unrecorded(world.folders.metrics) == 3


def test_the_thread_leaves_the_alarms_for_the_doctor(world: World, health: CoreHealth) -> None:
    world.fault = IngestFault("OSError: gone", 5, 1)
    health.step()
    left = read_alarms(world.folders.alarm_file, world.clock.now_ns())
    assert left is not None
    assert [alarm for alarm in left if alarm.name == "storing_failed"]
    health.start()
    health.stop()


def test_a_folder_that_cannot_be_written_stops_nothing(world: World, health: CoreHealth) -> None:
    world.folders.alarm_file.mkdir()
    health.step()


def test_the_file_has_one_length_whatever_is_wrong_and_old_ones_are_not_believed(tmp_path: Path) -> None:
    file = AlarmFile(tmp_path / "alarms.json")
    many = [Alarm(f"name-{number}", "problem", "x" * 900, "y", 1) for number in range(40)]
    file.write(many, 10**18)
    assert (tmp_path / "alarms.json").stat().st_size == FILE_BYTES
    left = read_alarms(tmp_path / "alarms.json", 10**18)
    assert left is not None
    assert 0 < len(left) < 40
    assert left == many[: len(left)]
    file.write([], 10**18)
    assert (tmp_path / "alarms.json").stat().st_size == FILE_BYTES
    assert read_alarms(tmp_path / "alarms.json", 10**18 + STALE_NS) == []
    assert read_alarms(tmp_path / "alarms.json", 10**18 + STALE_NS + 1) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"written_ns": 1}', b"[]"])
def test_a_file_that_is_none_tells_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "alarms.json").write_bytes(content)
    assert read_alarms(tmp_path / "alarms.json", 1) is None
    assert read_alarms(tmp_path / "none.json", 1) is None


def test_a_probe_of_a_sound_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    probe = DiskProbe(tmp_path)
    probe.step()
    assert (probe.result().error, probe.result().is_full) == ("", False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "is_full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False), (errno.EROFS, False)]
)
def test_a_probe_tells_a_full_disk_from_a_broken_one(tmp_path: Path, code: int, is_full: bool) -> None:
    failing = True

    def flush(_descriptor: int) -> None:
        if failing:
            raise OSError(code, "as the kernel says")

    probe = DiskProbe(tmp_path, flush=flush)
    probe.step()
    assert (probe.result().error, probe.result().is_full) == (f"[Errno {code}] as the kernel says", is_full)
    failing = False
    probe.step()
    assert probe.result().error == ""


def test_a_disk_that_hangs_shows_while_it_does(tmp_path: Path) -> None:
    now_s = 10.0
    seen: list[float] = []

    def flush(_descriptor: int) -> None:
        nonlocal now_s
        now_s += 30
        seen.append(probe.result().wait_s)

    probe = DiskProbe(tmp_path, flush=flush, now_s=lambda: now_s)
    probe.step()
    assert seen == [30]
    assert probe.result().wait_s == 30
    now_s += 1000
    assert probe.result().wait_s == 30, "between two tries nothing is waited for"


def test_the_probe_of_a_folder_that_is_gone_says_so_and_its_thread_ends_when_told(tmp_path: Path) -> None:
    probe = DiskProbe(tmp_path / "none")
    probe.step()
    assert "No such file" in probe.result().error
    probe.start()
    probe.stop()
