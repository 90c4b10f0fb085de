"""Time as a port."""

from zirkel.core import ManualClock, SystemClock, iso_utc


def test_a_manual_clock_stands_until_it_is_moved() -> None:
    clock = ManualClock(5)
    assert (clock.now_ns(), clock.now_ns()) == (5, 5)
    clock.advance(1.5)
    assert clock.now_ns() == 1_500_000_005


def test_the_system_clock_does_not_run_backwards_to_another_century() -> None:
    assert SystemClock().now_ns() > 1_700_000_000_000_000_000


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert iso_utc(1_772_366_400_123_000_000) == "2026-03-01T12:00:00.123Z"
