"""Policies and resilience settings that make sense, and faults told with their path."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Budget, Hedge, Invalid, KeyPolicy, Limits, Resilience
from zirkel.core.policy_check import LARGEST_LIMIT, check_limits, check_resilience, parse_key_policy

WHOLE = {
    "user": "ann",
    "limits": {
        "requests_per_minute": 1,
        "tokens_per_minute": LARGEST_LIMIT,
        "concurrency": 3,
        "budget": [
            {"window": "hour", "soft_usd": "0"},
            {"window": "day", "hard_usd": "0.000001"},
            {"window": "month", "soft_usd": "20", "hard_usd": "20.00"},
        ],
        "models": ["service:*", "openai/gpt-4o"],
    },
    "capture": "off",
}


def test_a_policy_comes_back_as_it_was_written() -> None:
    assert msgspec.to_builtins(parse_key_policy(WHOLE)) == WHOLE
    assert parse_key_policy({}) == KeyPolicy()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([], ""),
        ({"colour": "red"}, "colour"),
        ({"user": "*"}, "user"),
        ({"user": " ann"}, "user"),
        ({"user": "x" * 257}, "user"),
        ({"capture": "some"}, "capture"),
        ({"limits": {"colour": 1}}, "limits.colour"),
        ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
        ({"limits": {"requests_per_minute": True}}, "limits.requests_per_minute"),
        ({"limits": {"tokens_per_minute": -1}}, "limits.tokens_per_minute"),
        ({"limits": {"tokens_per_minute": LARGEST_LIMIT + 1}}, "limits.tokens_per_minute"),
        ({"limits": {"concurrency": 10**30}}, "limits.concurrency"),
        ({"limits": {"concurrency": "3"}}, "limits.concurrency"),
        ({"limits": {"models": ["a", " "]}}, "limits.models[1]"),
        ({"limits": {"models": ["a", 1]}}, "limits.models[1]"),
        ({"limits": {"budget": [{}]}}, "limits.budget[0]"),
        ({"limits": {"budget": [{"window": "day"}]}}, "limits.budget[0].hard_usd"),
        ({"limits": {"budget": [{"window": "year", "hard_usd": "1"}]}}, "limits.budget[0].window"),
        ({"limits": {"budget": [{"window": "day", "hard_usd": 1}]}}, "limits.budget[0].hard_usd"),
        ({"limits": {"budget": [{"window": "day", "hard_usd": "-1"}]}}, "limits.budget[0].hard_usd"),
        ({"limits": {"budget": [{"window": "day", "soft_usd": "NaN"}]}}, "limits.budget[0].soft_usd"),
        ({"limits": {"budget": [{"window": "day", "soft_usd": "1e3"}]}}, "limits.budget[0].soft_usd"),
        ({"limits": {"budget": [{"window": "day", "soft_usd": "١"}]}}, "limits.budget[0].soft_usd"),
        ({"limits": {"budget": [{"window": "day", "soft_usd": "3", "hard_usd": "2.9"}]}}, "limits.budget[0].soft_usd"),
        (
            {"limits": {"budget": [{"window": "day", "hard_usd": "1"}, {"window": "day", "hard_usd": "2"}]}},
            "limits.budget[1].window",
        ),
    ],
)
def test_a_fault_is_told_with_its_path(value: object, path: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse_key_policy(value)
    assert raised.value.path == (path or None)
    with pytest.raises(Invalid) as raised:
        parse_key_policy(value, "policy")
    assert raised.value.path == (f"policy.{path}" if path else "policy")
    assert str(raised.value).startswith(f"{raised.value.path}: ")


@given(st.decimals(0, 10**6, places=6), st.decimals(0, 10**6, places=6))
def test_a_soft_budget_is_at_most_the_hard_one(soft: Decimal, hard: Decimal) -> None:
    limits = Limits(budget=[Budget(window="day", soft_usd=f"{soft:f}", hard_usd=f"{hard:f}")])
    if soft <= hard:
        check_limits(limits, "limits")
        return
    with pytest.raises(Invalid) as raised:
        check_limits(limits, "limits")
    assert raised.value.path == "limits.budget[0].soft_usd"


def test_the_default_resilience_and_the_bounds_make_sense() -> None:
    check_resilience(Resilience(), "resilience")
    check_resilience(Resilience(hedge=Hedge()), "resilience")
    check_resilience(
        Resilience(retries=0, retry_share=0, backoff_s=0, longest_backoff_s=0, failures=0, total_s=86_400), "resilience"
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"retries": -1}, "retries"),
        ({"retry_share": 1.1}, "retry_share"),
        ({"retry_share": float("nan")}, "retry_share"),
        ({"backoff_s": -0.1}, "backoff_s"),
        ({"backoff_s": 9.0}, "longest_backoff_s"),
        ({"longest_backoff_s": float("inf")}, "longest_backoff_s"),
        ({"connect_s": 0.0}, "connect_s"),
        ({"first_token_s": -1.0}, "first_token_s"),
        ({"between_tokens_s": float("nan")}, "between_tokens_s"),
        ({"total_s": float("inf")}, "total_s"),
        ({"failures": -1}, "failures"),
        ({"rest_s": 0.0}, "rest_s"),
        ({"hedge": Hedge(percentile=1.0)}, "hedge.percentile"),
        ({"hedge": Hedge(percentile=float("nan"))}, "hedge.percentile"),
        ({"hedge": Hedge(at_most=0.0)}, "hedge.at_most"),
        ({"hedge": Hedge(at_most=1.5)}, "hedge.at_most"),
        ({"hedge": Hedge(minimum_s=-1.0)}, "hedge.minimum_s"),
    ],
)
def test_a_fault_of_resilience_is_told_with_its_path(
    changes: dict[str, Any],
    field: str,
) -> None:
    with pytest.raises(Invalid) as raised:
        check_resilience(msgspec.structs.replace(Resilience(), **changes), "model[2].resilience")
    assert raised.value.path == f"model[2].resilience.{field}"
