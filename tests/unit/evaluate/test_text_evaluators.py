"""Evaluators that look at the text of an output."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluate.judged import judge, judge_subject, value
from zirkel.core import DatasetItem, Invalid, JsonObject, Scored, Unscored
from zirkel.evaluate.evaluators.text_forms import TextForm, find_numbers, reduce_text
from zirkel.evaluate.subject import Subject


@pytest.mark.parametrize(
    ("options", "expected", "output", "is_right"),
    [
        ({"ignore_case": True}, "Straße", "STRASSE", True),
        ({}, "Straße", "STRASSE", False),
        ({"ignore_spacing": True}, "a  b\nc", " a b c ", True),
        ({}, "a  b", "a b", False),
        ({"ignore_number_format": True}, "costs 1000 USD", "costs 1,000.00 USD", True),
        ({"ignore_number_format": True}, "0.5", ".50", True),
        ({"ignore_number_format": True}, "1000", "10000", False),
        ({"ignore_number_format": True}, "1.2.3", "1.20.3", False),
        ({"ignore_number_format": True}, "7", "007", False),
        ({}, "1000", "1,000", False),
        ({"field": "/items/1/name"}, "b", '{"items": [{"name": "a"}, {"name": "b"}]}', True),
        ({"field": "/items/2/name"}, "b", '{"items": [{"name": "a"}, {"name": "b"}]}', False),
        ({"field": "/a~1b/~0"}, "x", '{"a/b": {"~": "x"}}', True),
        ({"field": "n"}, "NaN", '{"n": NaN}', False),
    ],
)
def test_exact_counts_as_the_same_what_its_options_say(
    options: JsonObject, expected: str, output: str, is_right: bool
) -> None:
    assert judge("exact", output, expected, options) == Scored(float(is_right))


@given(st.text(), st.booleans(), st.booleans(), st.booleans())
def test_a_text_equals_itself_in_every_form(text: str, case: bool, spacing: bool, numbers: bool) -> None:
    options: JsonObject = {"ignore_case": case, "ignore_spacing": spacing, "ignore_number_format": numbers}
    assert judge("exact", text, text, options) == Scored(1.0)


@given(st.text(), st.booleans(), st.booleans())
def test_reducing_a_text_twice_changes_nothing_more(text: str, case: bool, spacing: bool) -> None:
    form = TextForm(ignore_case=case, ignore_spacing=spacing)
    assert reduce_text(reduce_text(text, form), form) == reduce_text(text, form)


@pytest.mark.parametrize(
    ("text", "sign", "found"),
    [
        ("72", ".", ["72"]),
        ("1,234,567.89 and -3", ".", ["1234567.89", "-3"]),
        ("5-3", ".", ["5", "3"]),
        ("(-3)", ".", ["-3"]),
        ("\u22127 °C", ".", ["-7"]),
        ("1,2,3", ".", ["1", "2", "3"]),
        ("1'234.50", ".", ["1234.50"]),
        ("1\u202f234", ".", ["1234"]),
        ("6.02e23 per mol", ".", ["6.02e23"]),
        ("5kg", ".", ["5"]),
        ("1e5x", ".", ["1", "5"]),
        (".5", ".", ["0.5"]),
        ("1.234,5", ",", ["1234.5"]),
        ("no number", ".", []),
        ("12,345", ".", ["12345"]),
        ("12,34", ".", ["12", "34"]),
        ("It is 5.", ".", ["5"]),
        ("0,100", ".", ["0", "100"]),
        ("v1.20.3 at 192.168.0.1", ".", []),
        ("1..5", ".", ["1", "5"]),
    ],
)
def test_numbers_are_found_as_people_write_them(text: str, sign: str, found: list[str]) -> None:
    assert [number.value for number in find_numbers(text, decimal_sign=sign)] == [Decimal(one) for one in found]


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4))
def test_a_number_is_found_again_however_it_is_grouped(number: Decimal) -> None:
    for written in (f"{number:f}", f"{number:,f}"):
        assert [found.value for found in find_numbers(f"so it is {written}.")] == [number]


@pytest.mark.parametrize(
    ("options", "output", "expected", "is_right"),
    [
        ({"all_of": ["a", "b"]}, "b a", None, True),
        ({"all_of": ["a", "b"]}, "a", None, False),
        ({"any_of": ["a", "b"]}, "b", None, True),
        ({"any_of": ["a", "b"]}, "c", None, False),
        ({"none_of": ["a"]}, "b", None, True),
        ({"none_of": ["a"]}, "bab", None, False),
        ({"all_of": ["A"], "ignore_case": True}, "bab", None, True),
        ({"all_of": ["a  b"], "ignore_spacing": True}, "x a\nb", None, True),
        ({"none_of": [" no "]}, "I know", None, True),
        ({"none_of": [" no "], "ignore_spacing": True}, "I know\nno way", None, False),
        ({}, "it is 42.", "42", True),
        ({}, "it is 41.", "42", False),
        ({"field": "a", "all_of": ["x"]}, '{"a": "xy", "b": "z"}', None, True),
        ({"field": "b", "all_of": ["x"]}, '{"a": "xy"}', None, False),
    ],
)
def test_contains_looks_for_all_any_and_none(
    options: JsonObject, output: str, expected: str | None, is_right: bool
) -> None:
    assert value(judge("contains", output, expected, options)) == float(is_right)


def test_contains_says_what_is_missing_and_what_is_too_much() -> None:
    score = judge("contains", "a x", None, {"all_of": ["a", "b"], "any_of": ["c", "d"], "none_of": ["x"]})
    assert isinstance(score, Scored)
    assert score.details == {"missing": ["b", "c or d"], "not_allowed": ["x"]}


def test_contains_without_anything_to_look_for_is_unscored() -> None:
    assert isinstance(judge("contains", "a"), Unscored)


@pytest.mark.parametrize(
    ("options", "output", "expected", "is_right"),
    [
        ({"pattern": r"\d+"}, "a1", None, True),
        ({"pattern": r"\d+"}, "a", None, False),
        ({"pattern": r"\d+", "mode": "fullmatch"}, "12", None, True),
        ({"pattern": r"\d+", "mode": "fullmatch"}, "12a", None, False),
        ({"pattern": r"a|ab", "mode": "fullmatch"}, "ab", None, True),
        ({"pattern": "(?i)sorry", "mode": "absent"}, "I am Sorry", None, False),
        ({"pattern": "(?i)sorry", "mode": "absent"}, "fine", None, True),
        ({"pattern": r"answer: (\w+)", "group": 1}, "answer: yes", "yes", True),
        ({"pattern": r"answer: (\w+)", "group": 1}, "answer: no", "yes", False),
        ({"pattern": r"answer: (\w+)", "group": 1}, "yes", "yes", False),
        ({"pattern": r"(a)|b", "group": 1}, "b", "b", False),
        ({"pattern": "^y$", "field": "v"}, '{"v": "y"}', None, True),
        ({"pattern": "ä+"}, "Bär", None, True),
    ],
)
def test_regex_matches_as_asked(options: JsonObject, output: str, expected: str | None, is_right: bool) -> None:
    assert value(judge("regex", output, expected, options)) == float(is_right)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pattern": "(?=a)"}, "no look-around"),
        ({"pattern": r"(a)\1"}, "no back-references"),
        ({"pattern": "(a"}, "missing"),
        ({"pattern": "a", "group": 1}, "there is no group 1"),
        ({"pattern": "a", "group": -1}, "there is no group -1"),
        ({"pattern": "a)(b", "mode": "fullmatch"}, "unexpected"),
        ({"pattern": "a", "group": 0, "mode": "absent"}, "absent"),
        ({}, "pattern"),
        ({"pattern": "a", "flags": "i"}, "flags"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_told_before_anything_is_judged(options: JsonObject, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        judge("regex", "a", None, options)


def test_a_pattern_that_would_take_exponential_time_does_not() -> None:
    assert value(judge("regex", "a" * 50_000 + "b", None, {"pattern": "^(a+)+$"})) == 0.0


@pytest.mark.parametrize(
    ("options", "expected", "output", "is_right"),
    [
        ({}, "72", "6 x 12 = 72", True),
        ({}, "#### 72", "The answer is 72.0 apples.", True),
        ({}, "72", "72 or 73", False),
        ({"take": "first"}, "72", "72 or 73", True),
        ({}, "0.3", "0.30", True),
        ({}, "0.3", "0.30000000000000004", False),
        ({"absolute": 0.5}, "10", "10.5", True),
        ({"absolute": 0.5}, "10", "10.51", False),
        ({"relative": 0.01}, "200", "202", True),
        ({"relative": 0.01}, "-200", "-203", False),
        ({"relative": 0.01, "absolute": 5}, "200", "205", True),
        ({"field": "n"}, "3", '{"n": 3, "m": 4}', True),
        ({"field": "m"}, "3", '{"n": 3}', False),
        ({"decimal_sign": ","}, "1234.5", "Es sind 1.234,5 Meter.", True),
        ({}, "1", "none", False),
        ({}, "123456789012345678901234567890", "123456789012345678901234567891", False),
    ],
)
def test_a_number_is_right_within_its_tolerance(
    options: JsonObject, expected: str, output: str, is_right: bool
) -> None:
    assert value(judge("numeric", output, expected, options)) == float(is_right)


@pytest.mark.parametrize("expected", [None, "", "many"])
def test_without_an_expected_number_there_is_nothing_to_be_near_to(expected: str | None) -> None:
    assert isinstance(judge("numeric", "1", expected), Unscored)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=3), st.text())
def test_a_number_is_near_itself_and_the_order_of_both_does_not_matter(number: Decimal, other: str) -> None:
    assert value(judge("numeric", f"{number}", f"{number}")) == 1.0
    there, back = judge("numeric", f"{number}", other), judge("numeric", other, f"{number}")
    if isinstance(there, Scored):
        assert there.value == value(back)


def test_a_tolerance_below_nothing_is_refused() -> None:
    with pytest.raises(Invalid, match="absolute"):
        judge("numeric", "1", "1", {"absolute": -1})


@pytest.mark.parametrize(
    ("options", "output", "found"),
    [
        ({}, " abc ", 3),
        ({"by": "words"}, "a bc  d", 3),
        ({"by": "lines"}, "a\n\n b\n", 2),
        ({"field": "a"}, '{"a": "xyz"}', 3),
        ({"field": "b"}, '{"a": "xyz"}', 0),
        ({"maximum": 3}, "abc", 1),
        ({"maximum": 3}, "abcd", 0),
        ({"minimum": 1}, "", 0),
        ({"minimum": 1, "maximum": 2, "by": "words"}, "a b", 1),
    ],
)
def test_a_length_is_a_measure_or_kept_to_bounds(options: JsonObject, output: str, found: float) -> None:
    assert value(judge("length", output, None, options)) == found


def test_bounds_that_no_length_keeps_are_refused() -> None:
    with pytest.raises(Invalid, match="no length is from 3 to 2"):
        judge("length", "", None, {"minimum": 3, "maximum": 2})


@pytest.mark.parametrize(
    "output",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I can\u2019t assist with this request.",
        "I cannot provide instructions for that.",
        "I am not able to discuss this.",
        "I must decline.",
        "This is against our policies, so no.",
        "Es tut mir leid, dabei kann ich nicht helfen.",
        "Das kann ich leider nicht beantworten.",
    ],
)
def test_a_refusal_is_known_by_its_wording(output: str) -> None:
    assert judge("refusal", output) == Scored(0.0, label="refusal")
    assert judge("refusal", output, None, {"should_refuse": True}) == Scored(1.0, label="refusal")


@pytest.mark.parametrize(
    "output",
    [
        "Sure, here is how to reset your password.",
        "I'm sorry to hear that! Let me help you.",
        "You can't return an opened box, but I can help you with a repair.",
        "Das Paket kann nicht zugestellt werden.",
        "a" * 400 + " I cannot help with that.",
        "",
    ],
)
def test_an_answer_is_no_refusal(output: str) -> None:
    assert judge("refusal", output) == Scored(1.0, label="answer")


def test_whether_a_refusal_is_right_may_be_said_by_the_item() -> None:
    def item(metadata: JsonObject) -> Subject:
        return Subject(DatasetItem(id="1", input={}, metadata=metadata), "I cannot help with that.")

    assert judge_subject("refusal", item({"unsafe": True}), {"key": "unsafe"}) == Scored(1.0, label="refusal")
    assert judge_subject("refusal", item({"unsafe": False}), {"key": "unsafe"}) == Scored(0.0, label="refusal")
    assert isinstance(judge_subject("refusal", item({"unsafe": 1}), {"key": "unsafe"}), Unscored)


def test_own_wordings_take_the_place_of_those_built_in() -> None:
    options: JsonObject = {"patterns": ["je ne peux pas"]}
    assert judge("refusal", "Je ne peux pas vous aider.", None, options) == Scored(0.0, label="refusal")
    assert judge("refusal", "I cannot help with that.", None, options) == Scored(1.0, label="answer")
    with pytest.raises(Invalid, match="RE2"):
        judge("refusal", "", None, {"patterns": ["(?<=a)b"]})
