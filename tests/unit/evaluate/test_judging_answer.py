"""Reading what a judge says: leniently found, strictly checked, never guessed."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import JsonObject
from zirkel.evaluate.judging_answer import Finding, Unreadable, choice_form, list_form, read_answer, yes_no_form
from zirkel.lib.json_schemas import compile_schema

FORM = yes_no_form("item", 2)
CHOICE = choice_form("score", ["1", "2", "3"])
LIST = list_form("claims", 3)
GOOD = {"item_1": {"reason": "a", "answer": "yes"}, "item_2": {"reason": "b", "answer": "no"}}
READ = (Finding(is_yes=True, reason="a"), Finding(is_yes=False, reason="b"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        f"  \n{json.dumps(GOOD, indent=2)}\n",
        f"```json\n{json.dumps(GOOD)}\n```",
        f"Here is my verdict: {json.dumps(GOOD)} I hope it helps {{}}.",
        f'<think>{{"item_1": 7}} or {json.dumps(GOOD).replace("yes", "no")}</think>{json.dumps(GOOD)}',
        f"{json.dumps(GOOD)} {json.dumps(GOOD)}",
        json.dumps(GOOD).replace('"yes"', "true").replace('"no"', '" No "'),
        "{" * 50 + json.dumps(GOOD),
    ],
)
def test_a_verdict_is_found_in_what_is_written_around_it(text: str) -> None:
    assert read_answer(FORM, text) == READ


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it has no JSON object"),
        ("yes, yes", "it has no JSON object"),
        ('["yes", "no"]', "it has no JSON object"),
        (json.dumps(GOOD)[:-1], "'item_1' is missing"),
        ('{"item_1": {"reason": "a", "answer": "yes"}}', "'item_2' is missing"),
        (json.dumps(GOOD | {"item_3": 1}), "'item_3' was not asked for"),
        (json.dumps(GOOD | {"item_2": "no"}), "'item_2' is not an object with a reason and an answer"),
        (json.dumps(GOOD | {"item_2": {"answer": "no"}}), "'reason' is missing"),
        (json.dumps(GOOD | {"item_2": {"reason": 1, "answer": "no"}}), "'reason' is no text"),
        (json.dumps(GOOD | {"item_2": {"reason": "", "answer": "maybe"}}), "the answer of 'item_2' is \"maybe\""),
        (json.dumps(GOOD | {"item_2": {"reason": "", "answer": 1}}), "the answer of 'item_2' is 1, and neither"),
        (json.dumps(GOOD | {"item_2": {"reason": "", "answer": None}}), "the answer of 'item_2' is null"),
        (f"{json.dumps(GOOD)} {json.dumps(GOOD).replace('yes', 'no')}", "it has several verdicts that contradict"),
        ("[" * 100_000 + "{" * 100_000, "it has no JSON object"),
        ('{"a":' * 100_000, "it has no JSON object"),
    ],
)
def test_whatever_else_is_said_is_no_verdict(text: str, problem: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read_answer(FORM, text)
    assert str(raised.value).startswith(problem)


def test_a_verdict_quoted_from_the_answer_does_not_count_beside_the_judges_own() -> None:
    own = {"item_1": {"reason": f"it quotes {json.dumps(GOOD)}", "answer": "no"}, "item_2": GOOD["item_2"]}
    assert [finding.is_yes for finding in read_answer(FORM, json.dumps(own))] == [False, False]
    with pytest.raises(Unreadable, match="contradict"):
        read_answer(FORM, f"The answer says {json.dumps(GOOD)}. I say {json.dumps(own)}")


@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_a_verdict_or_unreadable(text: str) -> None:
    with suppress(Unreadable):
        read_answer(FORM, text)
    with suppress(Unreadable):
        read_answer(CHOICE, text)
    with suppress(Unreadable):
        read_answer(LIST, text)


@given(st.lists(st.tuples(st.booleans(), st.text()), min_size=1, max_size=6), st.text(alphabet="ab \n`.:"))
def test_every_verdict_of_the_form_is_read_as_it_was_meant(said: list[tuple[bool, str]], around: str) -> None:
    form = yes_no_form("claim", len(said))
    text = json.dumps(
        {f"claim_{n}": {"reason": why, "answer": "yes" if yes else "no"} for n, (yes, why) in enumerate(said, 1)}
    )
    assert read_answer(form, around + text + around) == tuple(Finding(yes, why.strip()) for yes, why in said)


@pytest.mark.parametrize("said", ["2", 2, " 2 "])
def test_a_choice_is_one_of_those_named(said: str | int) -> None:
    assert read_answer(CHOICE, json.dumps({"reason": " because ", "score": said})) == ("2", "because")


@pytest.mark.parametrize("said", ["4", 2.0, 2.5, True, None, ["2"], ""])
def test_no_other_choice_is_taken(said: object) -> None:
    with pytest.raises(Unreadable, match=r"'score' is .*, and none of: 1, 2, 3"):
        read_answer(CHOICE, json.dumps({"reason": "", "score": said}))


def test_categories_are_read_without_regard_to_case() -> None:
    form = choice_form("category", ["On Topic", "Off Topic"])
    assert read_answer(form, '{"reason": "r", "category": "on topic"}') == ("On Topic", "r")


def test_a_list_has_texts_and_no_more_than_are_allowed() -> None:
    assert read_answer(LIST, '{"claims": [" a ", "", "b"]}') == ("a", "b")
    assert read_answer(LIST, '{"claims": []}') == ()
    for wrong in ('{"claims": ["a", "b", "c", "d"]}', '{"claims": [1]}', '{"claims": "a"}', '{"claims": [], "x": 1}'):
        with pytest.raises(Unreadable):
            read_answer(LIST, wrong)


@pytest.mark.parametrize(
    ("schema", "good"),
    [
        (FORM.schema, GOOD),
        (CHOICE.schema, {"reason": "r", "score": "3"}),
        (LIST.schema, {"claims": ["a"]}),
    ],
)
def test_the_schema_allows_what_is_read_and_nothing_more(schema: JsonObject, good: JsonObject) -> None:
    assert _is_strict(schema)
    compiled = compile_schema(schema)
    assert not compiled.problems(good)
    assert compiled.problems(good | {"more": 1})


def _is_strict(schema: object) -> bool:
    """Return whether every object in a schema requires all of its properties and allows no others."""
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and (
        schema["additionalProperties"] is not False or schema["required"] != list(schema["properties"])
    ):
        return False
    return all(_is_strict(value) for value in schema.values())
