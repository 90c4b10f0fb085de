"""The stored form of scores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Errored, Json, Score, Scored, Unscored, score_from_json, score_to_json

SCORES: st.SearchStrategy[Score] = (
    st.builds(Scored, st.floats(allow_nan=False, allow_infinity=False))
    | st.builds(Unscored, st.text())
    | st.builds(Errored, st.text())
)


@given(SCORES)
def test_a_score_comes_back_from_its_stored_form(score: Score) -> None:
    assert score_from_json(score_to_json(score)) == score


def test_a_whole_number_is_read_as_a_value() -> None:
    assert score_from_json({"state": "scored", "value": 1}) == Scored(1.0)


@pytest.mark.parametrize(
    "fields", [{}, {"state": "scored"}, {"state": "scored", "value": "1"}, {"state": "other"}, {"value": 1.0}]
)
def test_anything_else_is_no_score(fields: dict[str, Json]) -> None:
    with pytest.raises(ValueError, match="not a stored score"):
        score_from_json(fields)
