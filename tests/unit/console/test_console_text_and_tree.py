"""What spans recorded, as passages and as a tree."""

import json

from hypothesis import given
from hypothesis import strategies as st

from zirkel.console.text import LIMIT, Passage, passages
from zirkel.console.tree import DEEPEST, grow_tree
from zirkel.core import Span

IDS = st.sampled_from(["", "a", "b", "c", "d", "e"])


def span(span_id: str, parent: str = "", start_ns: int = 0, end_ns: int = 10) -> Span:
    return Span(
        project_id="default",
        trace_id="f" * 32,
        span_id=span_id,
        parent_span_id=parent,
        name="call",
        source="gateway",
        start_ns=start_ns,
        end_ns=end_ns,
    )


def test_messages_are_shown_one_by_one_with_their_roles() -> None:
    recorded = json.dumps([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi\n<b>you</b>"}])
    assert passages(recorded) == (Passage("system", "Be kind."), Passage("user", "Hi\n<b>you</b>"))


def test_a_message_keeps_what_is_beside_its_content() -> None:
    (passage,) = passages('{"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]}')
    assert passage.speaker == "assistant"
    assert json.loads(passage.text) == {"tool_calls": [{"id": "1"}]}


def test_json_is_indented_and_other_text_is_left_alone() -> None:
    assert passages('{"b": 1}') == (Passage("", '{\n  "b": 1\n}'),)
    assert passages('"a\\nb"') == (Passage("", "a\nb"),)
    assert passages("{not json") == (Passage("", "{not json"),)
    assert passages("") == ()


def test_json_nested_beyond_reason_is_text() -> None:
    recorded = "[" * 100_000
    assert passages(recorded) == (Passage("", recorded[:LIMIT], len(recorded) - LIMIT),)


def test_of_a_long_text_it_is_said_how_much_is_left_out() -> None:
    (passage,) = passages("x" * (LIMIT + 7))
    assert (len(passage.text), passage.left_out) == (LIMIT, 7)


@given(st.text())
def test_any_text_that_is_not_json_is_shown_whole(text: str) -> None:
    assert passages(f"- {text}") == (Passage("", f"- {text}"),)


def test_children_follow_their_parent_one_step_deeper() -> None:
    tree = grow_tree([span("a"), span("b", "a"), span("c", "a"), span("d", "b")])
    assert [(branch.span.span_id, branch.depth) for branch in tree.branches] == [("a", 0), ("b", 1), ("d", 2), ("c", 1)]


def test_a_span_without_its_parent_is_a_root() -> None:
    tree = grow_tree([span("b", "missing"), span("c", "b")])
    assert [(branch.span.span_id, branch.depth) for branch in tree.branches] == [("b", 0), ("c", 1)]


def test_bars_lie_on_the_time_of_the_trace() -> None:
    tree = grow_tree([span("a", "", 1_000, 2_000), span("b", "a", 1_500, 1_750)])
    assert [(branch.start, branch.width) for branch in tree.branches] == [("0.00%", "100.00%"), ("50.00%", "25.00%")]
    assert tree.duration_ms == 0.001


def test_a_very_deep_trace_is_laid_out_without_recursion() -> None:
    chain = [span(str(number), str(number - 1)) for number in range(1_500)]
    tree = grow_tree(chain)
    assert len(tree.branches) == 1_500
    assert max(branch.depth for branch in tree.branches) == DEEPEST


@given(st.dictionaries(IDS.filter(bool), IDS, min_size=1))
def test_every_span_appears_once_even_in_rings(parents: dict[str, str]) -> None:
    tree = grow_tree([span(span_id, parent) for span_id, parent in parents.items()])
    assert sorted(branch.span.span_id for branch in tree.branches) == sorted(parents)
