"""Tool calls that an answer asks for, and the steps that a system took."""

from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluate.judged import judge_subject, value
from zirkel.core import DatasetItem, Errored, Invalid, JsonObject, Score, Scored, SpanKind, Unscored
from zirkel.evaluate.evaluators.alignment import Fits, match_any_order, match_in_order
from zirkel.evaluate.subject import Step, Subject, ToolCall

Call = tuple[str, str]
FIND: Call = ("find", '{"city": "Graz", "limit": 5}')
BOOK: Call = ("book", '{"id": 7}')
EXPECTED: list[JsonObject] = [
    {"name": "find", "arguments": {"city": "Graz"}},
    {"name": "book", "arguments": {"id": 7}},
]


def judge_calls(calls: list[Call], options: JsonObject | None = None, expected: object = EXPECTED) -> Score:
    item = DatasetItem(id="1", input={}, metadata={"tool_calls": expected})
    subject = Subject(item, "", tool_calls=tuple(ToolCall(name, arguments) for name, arguments in calls))
    return judge_subject("tool_calls", subject, options)


@pytest.mark.parametrize(
    ("calls", "options", "worth"),
    [
        ([FIND, BOOK], {}, 1.0),
        ([BOOK, FIND], {}, 1.0),
        ([BOOK, FIND], {"order": "strict"}, 0.0),
        ([FIND, BOOK], {"order": "strict"}, 1.0),
        ([FIND], {}, 0.0),
        ([], {}, 0.0),
        ([FIND, BOOK, BOOK], {}, 0.0),
        ([FIND, BOOK, ("log", "{}")], {}, 0.0),
        ([FIND, BOOK, ("log", "{}")], {"allow_extra": True}, 1.0),
        ([FIND, ("log", ""), BOOK], {"allow_extra": True, "order": "strict"}, 1.0),
        ([FIND, BOOK], {"arguments": "equal"}, 0.0),
        ([("find", '{"city": "Graz"}'), BOOK], {"arguments": "equal"}, 1.0),
        ([("find", '{"city": "Linz"}'), BOOK], {}, 0.0),
        ([("find", '{"city": "Linz"}'), BOOK], {"arguments": "ignore"}, 1.0),
        ([("find", '{"city": '), BOOK], {}, 0.0),
        ([("find", '{"city": '), BOOK], {"arguments": "ignore"}, 1.0),
        ([FIND, ("book", '{"id": "7"}')], {}, 0.0),
        ([FIND], {"partial": True}, 2 / 3),
        ([FIND, ("log", "{}")], {"partial": True}, 1 / 2),
        ([FIND, ("log", "{}"), ("log", "{}")], {"partial": True, "allow_extra": True}, 1 / 2),
        ([BOOK, FIND], {"partial": True, "order": "strict"}, 1 / 2),
    ],
)
def test_tool_calls_are_compared_as_asked(calls: list[Call], options: JsonObject, worth: float) -> None:
    assert value(judge_calls(calls, options)) == pytest.approx(worth)


def test_details_have_precision_recall_and_the_names_of_what_is_wrong() -> None:
    score = judge_calls([FIND, ("log", "{}"), ("log", "{}")])
    assert isinstance(score, Scored)
    assert score.details == {"precision": 1 / 3, "recall": 1 / 2, "missing": ["book"], "extra": ["log", "log"]}


def test_calls_are_paired_so_that_as_many_as_possible_match() -> None:
    # Taken one after the other, the wide one would get the call that the narrow one needs.
    expected = [{"name": "f", "arguments": {"a": 1}}, {"name": "f", "arguments": {"a": 1, "b": 2}}]
    assert value(judge_calls([("f", '{"a": 1, "b": 2}'), ("f", '{"a": 1}')], {}, expected)) == 1.0


def test_an_expected_call_without_arguments_matches_by_name_alone() -> None:
    assert value(judge_calls([("f", "broken {")], {}, [{"name": "f"}])) == 1.0


def test_no_call_expected_and_none_made_is_right() -> None:
    assert value(judge_calls([], {}, [])) == 1.0
    assert value(judge_calls([FIND], {}, [])) == 0.0


def test_expected_calls_may_stand_in_the_expected_output() -> None:
    def asked(expected: str | None) -> Score:
        subject = Subject(DatasetItem(id="1", input={}, expected=expected), "", tool_calls=(ToolCall("f", "{}"),))
        return judge_subject("tool_calls", subject, {"source": "expected"})

    assert value(asked('[{"name": "f"}]')) == 1.0
    assert isinstance(asked(None), Unscored)
    assert isinstance(asked("no JSON"), Errored)
    assert isinstance(asked('[{"nam": "f"}]'), Errored)


def test_an_item_that_says_nothing_about_calls_is_unscored() -> None:
    assert isinstance(judge_calls([], {"key": "other"}), Unscored)


def steps(*names: str) -> tuple[Step, ...]:
    return tuple(Step(SpanKind.TOOL, name, "", "") for name in names)


def judge_steps(found: tuple[Step, ...], options: JsonObject, metadata: JsonObject | None = None) -> Score:
    subject = Subject(DatasetItem(id="1", input={}, metadata=metadata or {}), "", steps=found)
    return judge_subject("trajectory", subject, options)


@pytest.mark.parametrize(
    ("found", "options", "is_right"),
    [
        (steps("a", "b"), {"must_call": ["b", "a"]}, True),
        (steps("a", "b"), {"must_call": ["b", "a"], "order": "in_order"}, False),
        (steps("a", "x", "b"), {"must_call": ["a", "b"], "order": "in_order"}, True),
        (steps("a", "x", "b"), {"must_call": ["a", "b"], "order": "exact"}, False),
        (steps("a", "b"), {"must_call": ["a", "b"], "order": "exact"}, True),
        (steps("a"), {"must_call": ["a", "a"]}, False),
        (steps("a", "b"), {"must_not_call": ["c"]}, True),
        (steps("a", "b"), {"must_not_call": ["b"]}, False),
        (steps("a", "b"), {"max_steps": 2}, True),
        (steps("a", "b"), {"max_steps": 1}, False),
        (steps("a"), {"no_errors": True}, True),
        ((*steps("a"), Step(SpanKind.CHAT, "m", "", "", is_error=True)), {"no_errors": True}, False),
        ((*steps("a"), Step(SpanKind.CHAT, "m", "", "")), {"max_steps": 1}, True),
        ((*steps("a"), Step(SpanKind.CHAT, "m", "", "")), {"max_steps": 1, "kinds": []}, False),
        ((Step(SpanKind.CHAT, "a", "", ""),), {"must_call": ["a"]}, False),
        ((Step(SpanKind.RETRIEVER, "a", "", ""),), {"must_call": ["a"], "kinds": ["retriever"]}, True),
    ],
)
def test_a_way_is_right_if_it_keeps_every_rule(found: tuple[Step, ...], options: JsonObject, is_right: bool) -> None:
    assert value(judge_steps(found, options)) == float(is_right)


def test_the_reason_says_which_rules_are_broken_and_details_list_the_steps() -> None:
    score = judge_steps(
        (*steps("b", "a"), Step(SpanKind.TOOL, "c", "", "", is_error=True)),
        {
            "must_call": ["a", "b"],
            "order": "in_order",
            "must_not_call": ["c"],
            "max_steps": 2,
            "no_errors": True,
        },
    )
    assert isinstance(score, Scored)
    assert score.reason == "b is not called in its place; c is called; 3 steps are more than 2; c failed"
    assert score.details == {"steps": ["b", "a", "c"], "count": 3}


def test_an_item_may_say_which_steps_it_needs() -> None:
    options: JsonObject = {"must_call": ["a"], "expected_key": "tools", "order": "exact"}
    assert value(judge_steps(steps("a", "b"), options, {"tools": ["b"]})) == 1.0
    assert value(judge_steps(steps("a", "b"), options, {"tools": []})) == 0.0
    assert isinstance(judge_steps(steps("a"), options), Unscored)
    assert isinstance(judge_steps(steps("a"), options, {"tools": "b"}), Unscored)


def test_an_answer_whose_steps_are_unknown_is_unscored() -> None:
    assert isinstance(judge_steps((), {"max_steps": 3}), Unscored)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no rule"),
        ({"order": "exact"}, "order is about"),
        ({"must_call": ["a"], "must_not_call": ["a"]}, "both must and must not"),
        ({"max_steps": -1}, "below 0"),
        ({"kinds": ["tools"], "max_steps": 1}, "tools"),
    ],
)
def test_rules_that_make_no_sense_are_refused(options: JsonObject, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        judge_steps(steps("a"), options)


tables = st.integers(0, 4).flatmap(
    lambda columns: st.lists(st.lists(st.booleans(), min_size=columns, max_size=columns), max_size=4)
)


def slow_size(fits: Fits, *, in_order: bool) -> int:
    """Try every pairing."""
    rows, columns = len(fits), len(fits[0]) if fits else 0
    best = 0
    for size in range(1, min(rows, columns) + 1):
        for chosen in combinations(range(rows), size):
            orders = combinations(range(columns), size) if in_order else permutations(range(columns), size)
            if any(all(fits[i][j] for i, j in zip(chosen, order, strict=True)) for order in orders):
                best = size
    return best


@given(tables, st.booleans())
def test_a_pairing_is_a_largest_one_of_those_that_fit(fits: list[list[bool]], in_order: bool) -> None:
    pairs = match_in_order(fits) if in_order else match_any_order(fits)
    assert all(fits[i][j] for i, j in pairs.items())
    assert len(set(pairs.values())) == len(pairs) == slow_size(fits, in_order=in_order)
    if in_order:
        assert list(pairs.values()) == sorted(pairs.values())
