import pytest

from zirkel.gateway.trace import join_trace

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_traceparent_is_joined() -> None:
    joined = join_trace(f" 00-{TRACE}-{SPAN}-00 ")

    assert (joined.trace_id, joined.parent_span_id) == (TRACE, SPAN)
    assert joined.for_span("1" * 16) == f"00-{TRACE}-{'1' * 16}-00"


def test_a_later_version_may_say_more() -> None:
    assert join_trace(f"01-{TRACE}-{SPAN}-01-more").trace_id == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE[1:]}-{SPAN}-01",
    ],
)
def test_a_malformed_one_begins_a_new_trace(header: str) -> None:
    new = join_trace(header)

    assert len(new.trace_id) == 32
    assert new.trace_id != TRACE
    assert new.parent_span_id == ""
