"""Calendar windows against the calendar itself."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from zirkel.core.windows import WINDOWS, window_bounds
from zirkel.gateway.limits.counters import window_numbers

TIMES_NS = st.integers(0, 4_102_444_800 * 10**9)


def _as_date(time_ns: int) -> datetime:
    assert time_ns % 10**9 == 0
    return datetime.fromtimestamp(time_ns // 10**9, UTC)


@given(TIMES_NS)
def test_a_window_begins_and_ends_where_the_calendar_says(now_ns: int) -> None:
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now_ns // 1000)
    hour = now.replace(minute=0, second=0, microsecond=0)
    month = hour.replace(day=1, hour=0)
    starts = {"hour": hour, "day": hour.replace(hour=0), "month": month}
    ends = {
        "hour": hour + timedelta(hours=1),
        "day": hour.replace(hour=0) + timedelta(days=1),
        "month": (month + timedelta(days=32)).replace(day=1),
    }
    for window in WINDOWS:
        start_ns, end_ns = window_bounds(window, now_ns)
        assert start_ns <= now_ns < end_ns
        assert (_as_date(start_ns), _as_date(end_ns)) == (starts[window], ends[window])


@given(TIMES_NS)
def test_the_gateways_counters_end_their_windows_at_the_same_moments(now_ns: int) -> None:
    for number, window in enumerate(WINDOWS):
        end_ns = window_bounds(window, now_ns)[1]
        assert window_numbers(end_ns - 1)[number] == window_numbers(now_ns)[number]
        assert window_numbers(end_ns)[number] == window_numbers(now_ns)[number] + 1
