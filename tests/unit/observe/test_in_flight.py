"""Bytes that are worked on at the same time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Overloaded
from zirkel.observe.in_flight import InFlight


@given(st.lists(st.lists(st.integers(0, 60), max_size=5), max_size=4))
def test_shares_never_hold_more_than_the_bound_and_give_back_all_they_hold(requests: list[list[int]]) -> None:
    whole = InFlight(100)

    def work(rest: list[list[int]]) -> None:
        if not rest:
            return
        with whole.share() as share:
            for size_bytes in rest[0]:
                before = whole.used_bytes
                if before + size_bytes > 100:
                    with pytest.raises(Overloaded):
                        share.grow(size_bytes)
                    assert whole.used_bytes == before
                else:
                    share.grow(size_bytes)
                    assert whole.used_bytes == before + size_bytes
            work(rest[1:])

    work(requests)
    assert whole.used_bytes == 0


def test_a_share_is_given_back_after_an_error() -> None:
    whole = InFlight(10)

    def fail() -> None:
        with whole.share() as share:
            share.grow(10)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert whole.used_bytes == 0
