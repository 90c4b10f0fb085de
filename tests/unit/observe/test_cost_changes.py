"""Why a cost changed: each cause alone is found alone, and the parts always sum to the difference."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.observe.cost_changes import CostChange, Period, explain_change

USD_IN, USD_OUT = Decimal("0.000002"), Decimal("0.00001")


@dataclass(frozen=True)
class Calls:
    segment: str
    calls: int
    cache_hits: int = 0


@dataclass(frozen=True)
class Attempts:
    segment: str = "triage"
    model: str = "openai/gpt"
    price_digest: str = "p1"
    attempts: int = 100
    unpriced: int = 0
    cost_usd: Decimal = Decimal(0)
    tokens: Mapping[str, int] = field(default_factory=dict)


class Table:
    """Two tables: the second is twice as dear."""

    def rates(self, model: str, price_digest: str, time_ns: int) -> Mapping[str, Decimal] | None:
        factor = {"p1": 1, "p2": 2}.get(price_digest)
        return None if factor is None else {"input_tokens": USD_IN * factor, "output_tokens": USD_OUT * factor}


def used(attempts: int, tokens_in: int, tokens_out: int, **changes: object) -> Attempts:
    row = replace(Attempts(attempts=attempts), **changes)  # type: ignore[arg-type]
    rates = Table().rates(row.model, row.price_digest, 0) or {"input_tokens": USD_IN, "output_tokens": USD_OUT}
    tokens = {"input_tokens": attempts * tokens_in, "output_tokens": attempts * tokens_out}
    cost = sum((count * rates[bucket] for bucket, count in tokens.items()), Decimal(0))
    return replace(row, tokens=tokens, cost_usd=cost)


def period(calls: list[Calls], attempts: list[Attempts]) -> Period:
    return Period(0, 1000, calls, attempts)


def explain(before: Period, after: Period) -> CostChange:
    change = explain_change(before, after, Table())
    assert sum(change.parts.values()) == change.after_usd - change.before_usd
    assert sum(change.segments.values()) == change.after_usd - change.before_usd
    return change


def causes(change: CostChange) -> set[str]:
    return {name for name, usd in change.parts.items() if abs(usd) > Decimal("1e-11")}


BEFORE = period([Calls("triage", 100)], [used(100, 500, 100)])


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        (period([Calls("triage", 200)], [used(200, 500, 100)]), "calls"),
        (period([Calls("triage", 100)], [used(100, 900, 100)]), "tokens"),
        (period([Calls("triage", 100)], [used(100, 500, 100, price_digest="p2")]), "price"),
        (period([Calls("triage", 100)], [used(130, 500, 100)]), "retries"),
        (period([Calls("triage", 100, cache_hits=40)], [used(60, 500, 100)]), "cache"),
    ],
)
def test_a_single_cause_gets_the_whole_difference(after: Period, cause: str) -> None:
    change = explain(BEFORE, after)
    assert causes(change) == {cause}


def test_another_model_is_a_change_of_models_and_not_of_tokens_or_price() -> None:
    after = period([Calls("triage", 100)], [used(100, 50, 10, model="mistral/small", price_digest="p2")])
    assert causes(explain(BEFORE, after)) == {"models"}


def test_traffic_that_moves_to_a_dearer_segment_is_mix() -> None:
    cheap, dear = used(50, 100, 10, segment="cheap"), used(50, 2000, 500, segment="dear")
    before = period([Calls("cheap", 50), Calls("dear", 50)], [cheap, dear])
    moved = [used(10, 100, 10, segment="cheap"), used(90, 2000, 500, segment="dear")]
    change = explain(before, period([Calls("cheap", 10), Calls("dear", 90)], moved))
    assert causes(change) == {"mix"}
    assert change.parts["mix"] > 0
    assert list(change.segments) == ["dear", "cheap"]


def test_a_first_day_of_traffic_is_all_due_to_the_calls() -> None:
    change = explain(period([], []), BEFORE)
    assert causes(change) == {"calls"}


def test_two_causes_share_the_difference_and_each_has_its_sign() -> None:
    after = period([Calls("triage", 50)], [used(50, 500, 100, price_digest="p2")])
    change = explain(BEFORE, after)
    assert change.parts["calls"] < 0 < change.parts["price"]
    assert change.after_usd == change.before_usd


def test_without_a_price_table_the_tokens_share_one_price() -> None:
    before = period([Calls("triage", 100)], [used(100, 500, 100, price_digest="gone")])
    after = period([Calls("triage", 100)], [used(100, 1000, 200, price_digest="gone")])
    assert causes(explain(before, after)) == {"tokens"}


def test_attempts_of_unknown_cost_are_told_apart() -> None:
    after = period([Calls("triage", 100)], [replace(used(100, 500, 100), unpriced=7)])
    change = explain(BEFORE, after)
    assert (change.unpriced_before, change.unpriced_after) == (0, 7)


rows = st.builds(
    used,
    st.integers(0, 1000),
    st.integers(0, 5000),
    st.integers(0, 2000),
    segment=st.sampled_from(["a", "b", "c"]),
    model=st.sampled_from(["openai/gpt", "mistral/small"]),
    price_digest=st.sampled_from(["p1", "p2", "gone"]),
)
periods = st.builds(
    period,
    st.lists(
        st.builds(Calls, st.sampled_from(["a", "b", "c"]), st.integers(1, 999)), unique_by=lambda row: row.segment
    ),
    st.lists(rows, max_size=6, unique_by=lambda row: (row.segment, row.model, row.price_digest)),
)


@settings(max_examples=60, deadline=None)
@given(periods, periods)
def test_the_parts_sum_to_the_difference_whatever_happened(before: Period, after: Period) -> None:
    explain(before, after)


@settings(max_examples=30, deadline=None)
@given(periods)
def test_the_same_period_twice_has_no_causes(same: Period) -> None:
    assert not any(explain(same, same).parts.values())
