import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.gateway import SnapshotArm, SnapshotRoute, choose_arm, unit_point

weights = st.floats(0, 1)


def route(candidate: float, *, salt: str = "s", is_turned: bool = False) -> SnapshotRoute:
    arms = [SnapshotArm("stable", "a", 1 - candidate), SnapshotArm("candidate", "b", candidate)]
    return SnapshotRoute("p", "triage", "production", "user", salt, arms[::-1] if is_turned else arms)


@given(st.text(), st.text(), weights, st.booleans())
def test_a_unit_stays_on_its_arm_whatever_the_order_of_the_arms(
    salt: str, unit: str, w: float, is_turned: bool
) -> None:
    first = choose_arm(route(w, salt=salt), unit)

    assert choose_arm(route(w, salt=salt, is_turned=is_turned), unit) == first


@given(st.text(), weights, weights)
def test_raising_the_candidates_weight_never_takes_a_unit_from_it(unit: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    if choose_arm(route(low), unit)[0].name == "candidate":
        assert choose_arm(route(high), unit)[0].name == "candidate"


@given(st.text())
def test_an_arm_without_weight_gets_nobody(unit: str) -> None:
    assert choose_arm(route(0.0), unit)[0].name == "stable"
    assert choose_arm(route(1.0), unit)[0].name == "candidate"


@given(st.text(), weights)
def test_the_probability_is_the_arms_weight(unit: str, w: float) -> None:
    arm, probability = choose_arm(route(w), unit)

    assert probability == arm.weight


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_shares_are_the_weights(share: float) -> None:
    n = 20_000
    taken = sum(choose_arm(route(share), f"user-{i}")[0].name == "candidate" for i in range(n))

    assert abs(taken / n - share) < 5 * (share * (1 - share) / n) ** 0.5


def test_another_salt_splits_independently() -> None:
    n = 4_000
    both = sum(unit_point("a", str(i)) < 0.5 and unit_point("b", str(i)) < 0.5 for i in range(n))

    assert abs(both / n - 0.25) < 5 * (0.25 * 0.75 / n) ** 0.5


@given(st.text(), st.text())
def test_the_point_is_the_hash_as_a_fraction(salt: str, unit: str) -> None:
    exact = int(hashlib.sha256((salt + unit).encode()).hexdigest(), 16) / 2**256

    assert unit_point(salt, unit) == pytest.approx(exact, abs=2**-52)
    assert 0 <= unit_point(salt, unit) < 1


def test_a_route_without_weights_is_an_error() -> None:
    with pytest.raises(ValueError, match="triage"):
        choose_arm(SnapshotRoute("p", "triage", "production", "user", "s", []), "u")
