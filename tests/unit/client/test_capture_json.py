"""Any value becomes JSON text of bounded length."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.client.capture import CUT, DEEPEST, MOST_ITEMS, capture_json

scalars = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    scalars | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=4), inner, max_size=4),
    max_leaves=15,
)
anything = st.recursive(
    scalars
    | st.text(max_size=50)
    | st.binary(max_size=20)
    | st.floats()
    | st.integers()
    | st.complex_numbers()
    | st.datetimes()
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers(), max_size=5)
        | st.dictionaries(st.integers() | st.text(max_size=5) | st.none(), inner, max_size=5)
    ),
    max_leaves=30,
)


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


@dataclass
class Point:
    x: int
    y: list[int]


class Article(msgspec.Struct):
    name: str


class Order(pydantic.BaseModel):
    count: int


@given(plain)
def test_plain_json_values_are_written_as_they_are(value: object) -> None:
    assert json.loads(capture_json(value)) == value


@given(anything, st.integers(0, 300))
def test_whatever_is_given_the_text_is_json_in_utf_8_and_bounded(value: object, limit: int) -> None:
    text = capture_json(value, limit)
    json.loads(text)
    assert len(text.encode()) <= 40 * limit + 400


def test_objects_that_say_what_is_in_them_are_opened() -> None:
    value = {
        "colour": Colour.RED,
        "size": Size.LARGE,
        "point": Point(1, [2]),
        "article": Article("kettle"),
        "order": Order(count=2),
        "price": Decimal("1.50"),
        "path": Path("a/b"),
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "bytes": b"1234",
    }
    assert json.loads(capture_json(value)) == {
        "colour": "red",
        "size": 3,
        "point": {"x": 1, "y": [2]},
        "article": {"name": "kettle"},
        "order": {"count": 2},
        "price": "1.50",
        "path": "a/b",
        "at": "2026-01-02 00:00:00+00:00",
        "bytes": "<4 bytes>",
    }


def test_of_other_objects_only_the_type_is_told() -> None:
    class Vault:
        def __repr__(self) -> str:
            return "the secret"

    text = capture_json([Vault(), Vault])
    assert "secret" not in text
    assert "Vault" in text


def test_what_is_too_long_too_many_or_too_deep_is_cut_visibly() -> None:
    assert json.loads(capture_json("x" * 100, 20)) == "x" * 16 + CUT
    assert json.loads(capture_json(list(range(MOST_ITEMS + 5))))[-1] == CUT
    endless: list[object] = []
    endless.append(endless)
    text = capture_json(endless)
    assert text.count("[") == DEEPEST
    assert CUT in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**30])
def test_numbers_that_json_readers_cannot_take_become_text(value: float) -> None:
    assert json.loads(capture_json(value)) == str(value)
