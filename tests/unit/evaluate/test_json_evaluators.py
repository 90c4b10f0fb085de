"""Evaluators of JSON outputs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluate.judged import judge, value
from zirkel.core import Invalid, Json, JsonObject, Scored, Unscored
from zirkel.evaluate.evaluators.json_equality import equal_json, same_members

SCHEMA: JsonObject = {
    "type": "object",
    "required": ["label"],
    "properties": {"label": {"enum": ["good", "bad"]}, "score": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("output", "is_right"),
    [
        ('{"label": "good", "score": 3}', True),
        ('{"label": "ugly"}', False),
        ('{"score": 3}', False),
        ('{"label": "good", "score": -1}', False),
        ('{"label": "good", "more": 1}', False),
        ("[]", False),
        ("good", False),
        ('```json\n{"label": "good"}\n```', False),
        ("[" * 100_000, False),
    ],
)
def test_output_is_right_if_the_schema_allows_it(output: str, is_right: bool) -> None:
    assert value(judge("json_schema", output, None, {"schema": SCHEMA})) == float(is_right)


def test_details_say_where_the_output_breaks_the_schema() -> None:
    score = judge("json_schema", '{"label": "ugly", "score": -1}', None, {"schema": SCHEMA})
    assert isinstance(score, Scored)
    problems = score.details["problems"]
    assert isinstance(problems, list)
    assert any("$.label" in problem for problem in problems)
    assert any("$.score" in problem for problem in problems)


def test_the_draft_is_what_the_schema_says() -> None:
    # In draft 4 the keyword is a flag beside the bound, in draft 2020-12 it is a bound itself.
    draft4: JsonObject = {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True}
    assert value(judge("json_schema", "3", None, {"schema": draft4})) == 0.0
    assert value(judge("json_schema", "2", None, {"schema": draft4})) == 1.0
    with pytest.raises(Invalid, match="exclusiveMaximum"):
        judge("json_schema", "3", None, {"schema": {"maximum": 3, "exclusiveMaximum": True}})


def test_references_within_the_schema_are_followed_in_every_draft() -> None:
    for draft in ("http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema"):
        schema: JsonObject = {
            "$schema": draft,
            "definitions": {"name": {"type": "string", "pattern": "^[a-z]+$"}},
            "items": {"$ref": "#/definitions/name"},
        }
        assert value(judge("json_schema", '["ab"]', None, {"schema": schema})) == 1.0
        assert value(judge("json_schema", '["AB"]', None, {"schema": schema})) == 0.0


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "objekt"),
        ({"$ref": "https://example.com/schema.json"}, "others are not fetched"),
        ({"$schema": "https://example.com/draft"}, "is unknown"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "schema.properties.a.pattern"),
        ({"patternProperties": {"a": {}}}, "is not supported"),
    ],
)
def test_a_schema_that_cannot_be_used_is_told_before_anything_is_judged(schema: JsonObject, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        judge("json_schema", "1", None, {"schema": schema})


EXPECTED = json.dumps(
    {"name": "Ann Lee", "age": 30, "tags": ["a", "b"], "address": {"city": "Graz", "zip": "8010"}, "vip": True}
)


def changed(**fields: Json) -> str:
    return json.dumps({**json.loads(EXPECTED), **fields})


@pytest.mark.parametrize(
    ("options", "output", "share"),
    [
        ({}, EXPECTED, 1.0),
        ({}, changed(age=31), 5 / 6),
        ({}, changed(age=30.0), 1.0),
        ({}, changed(vip=1), 5 / 6),
        ({}, changed(address={"city": "Graz"}), 5 / 6),
        ({}, changed(address="Graz"), 4 / 6),
        ({}, changed(tags=["b", "a"]), 5 / 6),
        ({"compare": {"tags": "set"}}, changed(tags=["b", "a", "b"]), 1.0),
        ({"compare": {"tags": "set"}}, changed(tags=["b"]), 5 / 6),
        ({"compare": {"name": "text"}}, changed(name="ann  LEE"), 1.0),
        ({}, changed(name="ann lee"), 5 / 6),
        ({"compare": {"age": "number"}, "tolerance": 1}, changed(age="31"), 1.0),
        ({"compare": {"age": "number"}, "tolerance": 1}, changed(age=32), 5 / 6),
        ({"compare": {"age": "number"}, "tolerance": 1}, changed(age="thirty"), 5 / 6),
        ({"ignore": ["address", "age"]}, changed(age=0, address={}), 1.0),
        ({"fields": ["address"]}, changed(age=0, address={"city": "Linz", "zip": "8010"}), 1 / 2),
        ({"fields": ["address.city"]}, changed(address={"city": "Graz"}), 1.0),
        ({"required": ["age"]}, changed(age=31), 0.0),
        ({"required": ["address"]}, changed(address={"city": "Graz", "zip": "8020"}), 0.0),
        ({"required": ["age"]}, changed(name="Bob"), 5 / 6),
        ({}, changed(more=1), 1.0),
        ({"allow_extra": False}, changed(more=1), 6 / 7),
        ({}, "[]", 0.0),
        ({}, "no JSON", 0.0),
    ],
)
def test_the_score_is_the_share_of_fields_that_are_right(options: JsonObject, output: str, share: float) -> None:
    assert value(judge("json_fields", output, EXPECTED, options)) == pytest.approx(share)


def test_details_name_the_fields_that_differ_with_both_values() -> None:
    score = judge("json_fields", changed(age=31, address={"city": "Graz"}, more=[1]), EXPECTED, {"allow_extra": False})
    assert isinstance(score, Scored)
    assert score.details == {
        "compared": 7,
        "different": {
            "age": {"expected": 30, "found": 31},
            "address.zip": {"expected": "8010"},
            "more": {"found": "[1]"},
        },
    }


@pytest.mark.parametrize("expected", [None, "text", "[1]", "{}"])
def test_without_expected_fields_there_is_nothing_to_compare(expected: str | None) -> None:
    assert isinstance(judge("json_fields", "{}", expected), Unscored)


@pytest.mark.parametrize(
    "options",
    [
        {"required": ["a"], "ignore": ["a"]},
        {"compare": {"a": "set"}, "fields": ["b"]},
        {"compare": {"a": "fuzzy"}},
        {"tolerance": -1},
        {"requird": ["a"]},
    ],
)
def test_options_that_contradict_each_other_are_refused(options: JsonObject) -> None:
    with pytest.raises(Invalid):
        judge("json_fields", "{}", "{}", options)


@given(st.dictionaries(st.text(), values, min_size=1, max_size=5))
def test_an_object_has_all_of_its_own_fields(fields: dict[str, Json]) -> None:
    text = json.dumps(fields)
    assert value(judge("json_fields", text, text, {"allow_extra": False})) == 1.0


@given(st.dictionaries(st.text(), values, max_size=4), st.dictionaries(st.text(), values, min_size=1, max_size=4))
def test_every_output_gets_a_share(output: dict[str, Json], expected: dict[str, Json]) -> None:
    assert 0 <= value(judge("json_fields", json.dumps(output), json.dumps(expected), {"allow_extra": False})) <= 1


@given(values, values)
def test_equality_of_values_is_that_of_their_numbers_types_and_members(first: Json, second: Json) -> None:
    assert equal_json(first, first)
    assert equal_json(first, second) == equal_json(second, first)
    assert same_members([first, second], [second, first, first])


@pytest.mark.parametrize(("first", "second"), [(True, 1), (False, 0), (None, False), ("1", 1), ([1], {"0": 1})])
def test_values_of_different_types_are_different(first: Json, second: Json) -> None:
    assert not equal_json(first, second)
    assert not equal_json({"a": [first]}, {"a": [second]})
