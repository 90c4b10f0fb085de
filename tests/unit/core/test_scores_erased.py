"""A score without what a judge wrote is the same measure, and says nothing of what was judged."""

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Errored, Scored, Unscored, score_from_json, score_to_json, without_texts

SECRET = "whisper-4711"
costs = st.none() | st.decimals(0, 100, places=6)
texts = st.text(max_size=5).map(lambda text: f"{text}{SECRET}")
scores = (
    st.builds(
        Scored, st.floats(0, 1), st.sampled_from(["", "good"]), texts, st.dictionaries(texts, texts, max_size=2), costs
    )
    | st.builds(Unscored, texts, costs)
    | st.builds(Errored, texts, costs)
)


@given(scores)
def test_what_is_measured_stays_and_every_text_goes(score: Scored | Unscored | Errored) -> None:
    emptied = without_texts(score_to_json(score), "[erased]")
    assert SECRET not in json.dumps(emptied)
    read = score_from_json(emptied)
    assert type(read) is type(score)
    assert read.cost_usd == score.cost_usd
    if isinstance(read, Scored) and isinstance(score, Scored):
        assert (read.value, read.label, read.reason, read.details) == (score.value, score.label, "", {})
    assert without_texts(emptied, "[erased]") == emptied


def test_a_cost_keeps_its_digits() -> None:
    assert without_texts(score_to_json(Errored("x", Decimal("0.10"))), "-") == {
        "state": "errored",
        "error": "-",
        "cost_usd": "0.10",
    }
