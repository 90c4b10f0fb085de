"""The same value gives the same bytes, and other values other bytes."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Json, canonical_json, digest, sha256_hex

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES: st.SearchStrategy[Json] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def reordered(value: Json) -> Json:
    """Return an equal value whose objects were filled in the opposite order."""
    if isinstance(value, Mapping):
        return {name: reordered(value[name]) for name in reversed(list(value))}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [reordered(part) for part in value]
    return value


@given(VALUES)
def test_the_text_reads_back_as_the_value_and_is_written_the_same_again(value: Json) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(VALUES)
def test_the_order_in_which_an_object_was_filled_does_not_show(value: Json) -> None:
    assert canonical_json(reordered(value)) == canonical_json(value)


@given(VALUES, VALUES)
def test_different_texts_have_different_digests(first: Json, second: Json) -> None:
    assert (canonical_json(first) == canonical_json(second)) == (digest(first) == digest(second))


def test_the_form_is_sorted_compact_utf8() -> None:
    assert canonical_json({"b": [1, 2.5, None, True], "a": "ü\n"}) == '{"a":"ü\\n","b":[1,2.5,null,true]}'.encode()


def test_the_digest_is_the_sha256_of_the_text() -> None:
    assert digest({"a": 1}) == sha256_hex(b'{"a":1}') == hashlib.sha256(b'{"a":1}').hexdigest()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"score": number})
