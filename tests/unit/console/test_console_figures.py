"""Numbers as the console writes and draws them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.console.figures import (
    Interval,
    Scale,
    format_ms,
    format_p,
    format_share,
    format_significant,
    format_usd,
    scale_of,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00"),
        ("0.0000030831", "0.00000308"),
        ("0.00099999", "0.00100"),
        ("0.5", "0.500"),
        ("1", "1.00"),
        ("12345.678", "12,345.68"),
        ("1E-7", "0.000000100"),
        ("-0.02", "-0.0200"),
    ],
)
def test_usd_has_cents_from_one_on_and_three_digits_below(amount: str, shown: str) -> None:
    assert format_usd(Decimal(amount)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.84, "0.840"), (123.4, "123"), (1234.5, "1,234"), (0.0012345, "0.00123"), (0.0, "0"), (-2.5, "-2.50")],
)
def test_three_digits_count(value: float, shown: str) -> None:
    assert format_significant(value) == shown


@given(NUMBERS)
def test_a_rounded_number_is_near_the_number(value: float) -> None:
    shown = float(format_significant(value).replace(",", ""))
    assert abs(shown - value) <= abs(value) * 0.0051


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0.0, "0 ms"), (7.25, "7.25 ms"), (999.4, "999 ms"), (999.5, "1.00 s"), (75e3, "75.0 s")],
)
def test_durations_are_seconds_from_one_second_on(milliseconds: float, shown: str) -> None:
    assert format_ms(milliseconds).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_shares_and_p_values() -> None:
    assert [format_share(share).replace("\N{NO-BREAK SPACE}", " ") for share in (1.0, 0.9, 0.005, 1 / 3)] == [
        "100 %",
        "90 %",
        "0.5 %",
        "33.3 %",
    ]
    assert [format_p(value) for value in (0.0, 0.00009, 0.0123, 1.0)] == [
        "p < 0.0001",
        "p < 0.0001",
        "p = 0.012",
        "p = 1",
    ]


def test_scores_between_0_and_1_are_drawn_from_0_to_1_even_if_a_bound_overshoots() -> None:
    scale = scale_of([Interval(0.98, 0.95, 1.01, 100), Interval(0.2, -0.1, 0.5, 3)])
    assert scale == Scale(0, 1)
    assert [scale.place(value) for value in (-0.1, 0.25, 1.01)] == ["0.00%", "25.00%", "100.00%"]


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1))
def test_every_estimate_lies_on_its_axis(triples: list[tuple[float, float, float]]) -> None:
    intervals = [Interval(mid, low, high, 2) for low, mid, high in map(sorted, triples)]
    scale = scale_of(intervals)
    assert scale.low < scale.high
    for interval in intervals:
        assert scale.low <= interval.estimate <= scale.high
        low, mid, high = (float(scale.place(v)[:-1]) for v in (interval.low, interval.estimate, interval.high))
        assert 0 <= low <= mid <= high <= 100
