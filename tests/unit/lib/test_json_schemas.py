"""Schemas: what they find, and that they never leave themselves."""

import pytest

from zirkel.lib.json_schemas import SchemaFault, compile_any_draft, compile_schema

Schema = dict[str, object]
LABEL: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["label"],
    "properties": {"label": {"enum": ["good", "bad"]}, "code": {"$ref": "#/$defs/code"}},
    "additionalProperties": False,
    "$defs": {"code": {"type": "string", "pattern": "^[A-Z]+$"}},
}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"label": "good", "code": "AB"}, []),
        ({}, [("$", "required")]),
        ({"label": "fine"}, [("$.label", "enum")]),
        ({"label": "bad", "code": "ab"}, [("$.code", "pattern")]),
        ({"label": "bad", "more": 1}, [("$", "additionalProperties")]),
        ([], [("$", "type")]),
    ],
)
def test_problems_are_told_with_their_place_and_keyword(value: object, found: list[tuple[str, str]]) -> None:
    assert [(where, keyword) for where, keyword, _ in compile_schema(LABEL).problems(value)] == found


@pytest.mark.parametrize(
    ("schema", "said", "at"),
    [
        ({"type": "objekt"}, "'objekt' is not valid", ".type"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "names nothing in this schema", ".properties.a.$ref"),
        ({"$ref": "https://example.com/schema.json"}, "others are not fetched", ".$ref"),
        ({"items": [{"type": "string"}]}, "is not of type", ".items"),
        ({"anyOf": [{"pattern": "(?=a)"}]}, "invalid perl operator", ".anyOf[0].pattern"),
        ({"patternProperties": {"a": {}}}, "is not supported", ".patternProperties"),
        ({"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "is not supported", ".items.$schema"),
        ({"properties": {"a": {"$id": "b"}}}, "is not supported", ".properties.a.$id"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_its_place(schema: Schema, said: str, at: str) -> None:
    with pytest.raises(SchemaFault, match=said) as raised:
        compile_schema(schema)
    assert raised.value.at == at


@pytest.mark.parametrize(
    ("draft", "value", "found"),
    [
        ("http://json-schema.org/draft-03/schema#", {}, ["required"]),
        ("http://json-schema.org/draft-04/schema#", {}, []),
        ("http://json-schema.org/draft-07/schema", {"code": "ab"}, ["pattern"]),
        ("https://json-schema.org/draft/2019-09/schema", {"code": "ab"}, ["pattern"]),
        ("https://json-schema.org/draft/2020-12/schema", {"code": "AB"}, []),
    ],
)
def test_a_schema_may_be_of_any_known_draft(draft: str, value: object, found: list[str]) -> None:
    code: Schema = {"$ref": "#/definitions/code"}
    name: Schema = {"required": True} if "draft-03" in draft else {}
    definitions: Schema = {"code": {"type": "string", "pattern": "^[A-Z]+$"}}
    schema = compile_any_draft(
        {"$schema": draft, "properties": {"code": code, "name": name}, "definitions": definitions}
    )
    assert [keyword for _, keyword, _ in schema.problems(value)] == found


@pytest.mark.parametrize("draft", ["https://example.com/draft", "[", "", 7])
def test_a_draft_that_is_unknown_is_refused(draft: object) -> None:
    with pytest.raises(SchemaFault, match="is unknown") as raised:
        compile_any_draft({"$schema": draft})
    assert raised.value.at == ".$schema"


def test_only_the_newest_draft_is_taken_where_no_other_is_wanted() -> None:
    with pytest.raises(SchemaFault, match=r"only https://json-schema\.org/draft/2020-12/schema is"):
        compile_schema({"$schema": "http://json-schema.org/draft-07/schema#"})


def test_properties_may_be_named_like_keywords() -> None:
    schema = compile_schema({"properties": {"pattern": {"type": "string"}, "$ref": True, "patternProperties": False}})
    assert schema.problems({"pattern": "(", "$ref": "x"}) == []
    assert [keyword for _, keyword, _ in schema.problems({"patternProperties": 1})] == ["None"]


def test_a_pattern_that_would_take_exponential_time_does_not() -> None:
    schema = compile_schema({"pattern": "^(a+)+$"})
    assert [keyword for _, keyword, _ in schema.problems("a" * 50_000 + "b")] == ["pattern"]


def test_a_value_nested_without_end_is_a_problem_and_no_crash() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    schema = compile_schema({"$ref": "#/$defs/list", "$defs": {"list": {"items": {"$ref": "#/$defs/list"}}}})
    assert schema.problems(value) == [("$", "depth", "the value is nested too deep")]
