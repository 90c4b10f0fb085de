"""Identifiers: their form, and the order they sort in."""

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import ManualClock, derived_trace_id, judging_trace_id, new_id, new_span_id, new_trace_id

TIMES_NS = st.integers(0, (1 << 48) * 1_000_000 - 1)


@given(TIMES_NS)
def test_an_id_is_a_uuid_of_version_7_that_holds_its_millisecond(now_ns: int) -> None:
    parsed = uuid.UUID(new_id(ManualClock(now_ns)))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == now_ns // 1_000_000


@given(TIMES_NS, TIMES_NS)
def test_ids_of_different_milliseconds_sort_by_time(first_ns: int, second_ns: int) -> None:
    earlier, later = sorted((first_ns, second_ns))
    if earlier // 1_000_000 < later // 1_000_000:
        assert new_id(ManualClock(earlier)) < new_id(ManualClock(later))


def test_ids_of_one_millisecond_differ() -> None:
    clock = ManualClock()
    assert len({new_id(clock) for _ in range(1000)}) == 1000


def test_trace_and_span_ids_are_lower_case_hex_of_their_lengths() -> None:
    assert re.fullmatch("[0-9a-f]{32}", new_trace_id())
    assert re.fullmatch("[0-9a-f]{16}", new_span_id())


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\x00", codec="utf-8")), min_size=1))
def test_a_derived_trace_id_depends_on_its_parts_and_where_they_end(parts: list[str]) -> None:
    assert derived_trace_id(*parts) == derived_trace_id(*parts)
    assert re.fullmatch("[0-9a-f]{32}", derived_trace_id(*parts))
    assert derived_trace_id(*parts) != derived_trace_id(*parts, "")
    assert derived_trace_id("ab", "c") != derived_trace_id("a", "bc")


@given(st.text(alphabet="0123456789abcdef", min_size=32, max_size=32))
def test_what_judges_say_of_an_answer_has_one_trace_that_is_not_the_answers(trace_id: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", judging_trace_id(trace_id))
    assert judging_trace_id(trace_id) == judging_trace_id(trace_id)
    assert judging_trace_id(trace_id) != trace_id
