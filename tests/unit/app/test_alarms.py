"""Which facts raise which alarm."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from zirkel.app.alarms import (
    BACKLOG_BYTES,
    FULL_BYTES,
    LEAST_FREE_BYTES,
    LONGEST_TEXT,
    SLOW_S,
    Facts,
    Leap,
    Probe,
    find_alarms,
)

WELL = Facts(folder="/data", free_bytes=LEAST_FREE_BYTES)

RAISED: Mapping[str, Facts] = {
    "disk_full": replace(WELL, free_bytes=FULL_BYTES - 1),
    "disk_low": replace(WELL, free_bytes=LEAST_FREE_BYTES - 1),
    "disk_failing": replace(WELL, probe=Probe("Read-only file system")),
    "disk_slow": replace(WELL, probe=Probe(wait_s=SLOW_S)),
    "flush_failed": replace(WELL, failed_flushes=1),
    "storing_failed": replace(WELL, storing_error="OSError: gone", storing_since_ns=7),
    "spool_backlog": replace(WELL, pending_bytes=BACKLOG_BYTES),
    "calls_unrecorded": replace(WELL, calls_unrecorded=1),
    "records_set_aside": replace(WELL, aside=("spool/core/1.damaged",), aside_since_ns=9),
    "clock_leapt": replace(WELL, leap=Leap(-86_400.0, 5)),
}


def names(facts: Facts) -> list[str]:
    return [alarm.name for alarm in find_alarms(facts)]


def test_a_core_that_is_well_has_no_alarm() -> None:
    assert names(WELL) == []
    assert names(replace(WELL, pending_bytes=BACKLOG_BYTES - 1, probe=Probe(wait_s=SLOW_S / 2))) == []


@pytest.mark.parametrize("name", RAISED)
def test_each_fault_raises_its_own_alarm_which_says_what_to_do(name: str) -> None:
    (alarm,) = find_alarms(RAISED[name])
    assert alarm.name == name
    assert alarm.text
    assert alarm.what_to_do


def test_problems_come_before_warnings() -> None:
    both = replace(WELL, leap=Leap(3600.0, 5), aside=("a",), storing_error="gone", free_bytes=0)
    assert names(both) == ["disk_full", "storing_failed", "records_set_aside", "clock_leapt"]


def test_a_quota_is_a_full_disk_though_space_is_left() -> None:
    assert names(replace(WELL, probe=Probe("Disk quota exceeded", is_full=True))) == ["disk_full"]


def test_a_long_error_is_cut_and_stands_on_one_line() -> None:
    (alarm,) = find_alarms(replace(WELL, storing_error="first\nsecond " + "x" * 10_000))
    assert "first second" in alarm.text
    assert len(alarm.text) < LONGEST_TEXT + 300


def test_three_of_many_files_are_named() -> None:
    (alarm,) = find_alarms(replace(WELL, aside=[f"set-aside/{number}.record" for number in range(9)]))
    assert "9 files" in alarm.text
    assert "set-aside/2.record, …" in alarm.text
    assert "set-aside/3.record" not in alarm.text


def test_what_knows_since_when_says_so() -> None:
    told = {name: find_alarms(RAISED[name])[0].since_ns for name in RAISED}
    assert {name: since_ns for name, since_ns in told.items() if since_ns} == {
        "storing_failed": 7,
        "records_set_aside": 9,
        "clock_leapt": 5,
    }


def test_the_direction_of_a_leap_is_told() -> None:
    (back,) = find_alarms(replace(WELL, leap=Leap(-86_400.0, 5)))
    assert "back by 86,400 s" in back.text
    (ahead,) = find_alarms(replace(WELL, leap=Leap(86_400.0, 5)))
    assert "ahead by 86,400 s" in ahead.text
