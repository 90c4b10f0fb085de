"""Schemas: what is inferred fits, and what does not fit is told by item and variable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import DatasetItem, Invalid, JsonObject
from zirkel.version.dataset_schema import (
    DatasetSchema,
    DatasetVariable,
    check_items,
    decode_schema,
    encode_schema,
    infer_schema,
)

VALUES: st.SearchStrategy[object] = st.sampled_from([None, True, False, 0, 1, 2.5, "", "x", [1], {}])
INPUTS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), min_size=1, max_size=5)


def items_of(inputs: list[JsonObject]) -> list[DatasetItem]:
    return [DatasetItem(id=str(number), input=found) for number, found in enumerate(inputs)]


def places(items: list[DatasetItem]) -> list[str]:
    return [f"line {number}" for number, _ in enumerate(items, start=1)]


@given(INPUTS)
def test_items_fit_the_schema_that_they_give(inputs: list[JsonObject]) -> None:
    items = items_of(inputs)
    schema = infer_schema(items)
    check_items(items, places(items), schema)
    assert decode_schema(encode_schema(schema)) == schema


@given(INPUTS)
def test_a_schema_that_items_give_is_the_narrowest(inputs: list[JsonObject]) -> None:
    items = items_of(inputs)
    for name, variable in infer_schema(items).variables.items():
        present = [item.input.get(name) for item in items]
        assert variable.required == all(value is not None for value in present)
        if variable.type != "json":
            assert any(value is not None for value in present)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"review": "x", "stars": 1}, ""),
        ({"review": "x"}, ""),
        ({"review": "x", "stars": None}, ""),
        ({"stars": 1}, "line 1: input.review is missing"),
        ({"review": None}, "line 1: input.review is missing"),
        ({"review": 3}, "line 1: input.review is a number, and the schema says string"),
        ({"review": "x", "stars": "1"}, "line 1: input.stars is a string, and the schema says number"),
        ({"review": "x", "stars": True}, "line 1: input.stars is a boolean"),
        ({"review": "x", "tone": "y"}, "line 1: input.tone is not in the schema, which knows review, stars"),
    ],
)
def test_what_does_not_fit_is_told_by_place_and_variable(found: JsonObject, said: str) -> None:
    schema = DatasetSchema({"review": DatasetVariable("string"), "stars": DatasetVariable("number", required=False)})
    items = items_of([found])
    if not said:
        check_items(items, places(items), schema)
        return
    with pytest.raises(Invalid, match=said) as error:
        check_items(items, places(items), schema)
    assert error.value.path in ("input.review", "input.stars", "input.tone")


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"variables": {"a": {"type": "text"}}}', '{"variables": {}, "x": 1}']
)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="schema of the form"):
        decode_schema(text)
