"""Shipping over a real database: no move without the evidence for it, and each move in the ledger."""

import json
from collections.abc import Sequence
from typing import Protocol

import pytest

from zirkel.core import (
    Conflict,
    EvidencePack,
    Forbidden,
    Invalid,
    Json,
    ManualClock,
    NotFound,
    Principal,
    Refused,
    Role,
    VerdictRecord,
    new_id,
    verify_pack,
)
from zirkel.ship import ShipOrder, Shipping
from zirkel.store.metadata import Metadata

ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64


class Published(Protocol):
    versions: Sequence[int]


def judge(
    metadata: Metadata,
    release: str,
    verdict: str = "PASS",
    baseline: str | None = None,
    environment: str = "production",
) -> VerdictRecord:
    clock = ManualClock()
    with metadata.transaction() as tx:
        created_ns = clock.now_ns() + len(tx.verdicts.list("p", "triage"))
        record = VerdictRecord("p", new_id(clock), "triage", release, baseline, environment, verdict, "{}", created_ns)
        tx.verdicts.add(record)
    return record


def payloads(metadata: Metadata) -> list[tuple[str, dict[str, Json]]]:
    with metadata.transaction() as tx:
        entries = tuple(tx.ledger.entries("p"))
    assert verify_pack(EvidencePack("p", entries, ())).problem == ""
    return [(entry.action, json.loads(entry.payload)) for entry in entries]


def order(reference: str, **changes: object) -> ShipOrder:
    return ShipOrder("triage", reference, **changes)  # type: ignore[arg-type]


def test_without_a_verdict_nothing_is_shipped(
    shipping: Shipping, metadata: Metadata, published: Published, admin: Principal
) -> None:
    with pytest.raises(Refused, match=r"release 111111111111 has no gate verdict; run: zirkel eval triage"):
        shipping.ship(admin, order("one"))
    assert shipping.environments(admin, "triage") == []
    assert payloads(metadata) == []
    assert published.versions == []


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE"])
def test_a_verdict_that_does_not_pass_ships_nothing(
    shipping: Shipping, metadata: Metadata, admin: Principal, verdict: str
) -> None:
    judge(metadata, ONE)
    judge(metadata, ONE, verdict)
    with pytest.raises(Refused, match=f"the gate said {verdict} on release 111111111111"):
        shipping.ship(admin, order("one"))


@pytest.mark.parametrize("verdict", ["PASS", "SUPERIOR"])
def test_the_first_release_gets_everything(
    shipping: Shipping, metadata: Metadata, published: Published, admin: Principal, verdict: str
) -> None:
    record = judge(metadata, ONE, verdict)
    move = shipping.ship(admin, order("one"))
    assert (move.action, move.before, move.verdict) == ("ship.first", None, record)
    assert (move.after.stable_release, move.after.rollout, move.after.version) == (ONE, None, 1)
    assert shipping.environments(admin, "triage") == [move.after]
    ((action, payload),) = payloads(metadata)
    assert action == "ship.first"
    assert payload["break_glass"] is None
    assert payload["verdict"] == {"verdict_id": record.verdict_id, "verdict": verdict, "baseline": None}
    assert published.versions == [1]


def ship_first(shipping: Shipping, metadata: Metadata, admin: Principal) -> None:
    judge(metadata, ONE)
    shipping.ship(admin, order("one"))


def test_the_second_release_gets_its_share_on_a_verdict_against_what_is_live(
    shipping: Shipping, metadata: Metadata, admin: Principal
) -> None:
    ship_first(shipping, metadata, admin)
    judge(metadata, TWO, baseline=ONE)
    move = shipping.ship(admin, order("two", weight=0.25))
    assert move.action == "ship.rollout"
    assert (move.after.stable_release, move.after.version) == (ONE, 2)
    assert move.after.rollout is not None
    assert (move.after.rollout.release, move.after.rollout.weight) == (TWO, 0.25)
    _, payload = payloads(metadata)[-1]
    assert payload["before"] == {"stable": ONE, "candidate": None, "salt": move.before.salt if move.before else ""}
    assert payload["after"] == {
        "stable": ONE,
        "candidate": {"release": TWO, "weight": 0.25},
        "salt": move.after.salt,
    }


@pytest.mark.parametrize(("baseline", "compared"), [(THREE, "333333333333"), (None, "nothing")])
def test_a_verdict_against_something_else_than_what_is_live_ships_nothing(
    shipping: Shipping, metadata: Metadata, admin: Principal, baseline: str | None, compared: str
) -> None:
    ship_first(shipping, metadata, admin)
    judge(metadata, TWO, baseline=baseline)
    with pytest.raises(Refused, match=f"compared release 222222222222 with {compared}, but 111111111111 is live"):
        shipping.ship(admin, order("two"))


def test_a_verdict_for_another_environment_ships_nothing(
    shipping: Shipping, metadata: Metadata, admin: Principal
) -> None:
    judge(metadata, ONE, environment="staging")
    with pytest.raises(Refused, match="no gate verdict"):
        shipping.ship(admin, order("one"))
    assert shipping.ship(admin, order("one", environment="staging")).after.environment == "staging"


def test_breaking_the_glass_ships_and_is_recorded_with_reason_and_objection(
    shipping: Shipping, metadata: Metadata, admin: Principal
) -> None:
    judge(metadata, ONE, "FAIL")
    move = shipping.ship(admin, order("one", break_glass="  the old model is being switched off "))
    assert move.after.stable_release == ONE
    ((_, payload),) = payloads(metadata)
    assert payload["break_glass"] == {
        "reason": "the old model is being switched off",
        "objection": "the gate said FAIL on release 111111111111",
    }


def test_breaking_the_glass_without_any_verdict_is_recorded_as_that(
    shipping: Shipping, metadata: Metadata, admin: Principal
) -> None:
    shipping.ship(admin, order("one", break_glass="the shop is down"))
    ((_, payload),) = payloads(metadata)
    assert payload["verdict"] is None
    assert payload["break_glass"] == {
        "reason": "the shop is down",
        "objection": "release 111111111111 has no gate verdict",
    }


def test_a_blank_reason_does_not_break_the_glass(shipping: Shipping, admin: Principal) -> None:
    with pytest.raises(Refused):
        shipping.ship(admin, order("one", break_glass="  "))


def test_a_reason_that_was_not_needed_is_no_exception(shipping: Shipping, metadata: Metadata, admin: Principal) -> None:
    judge(metadata, ONE)
    shipping.ship(admin, order("one", break_glass="just in case"))
    ((_, payload),) = payloads(metadata)
    assert payload["break_glass"] is None


def test_a_rollout_is_promoted_and_rolled_back_once(
    shipping: Shipping, metadata: Metadata, published: Published, admin: Principal
) -> None:
    ship_first(shipping, metadata, admin)
    judge(metadata, TWO, baseline=ONE)
    shipping.ship(admin, order("two"))
    assert shipping.promote(admin, "triage", "production").after.stable_release == TWO
    assert shipping.roll_back(admin, "triage", "production").after.stable_release == ONE
    with pytest.raises(Refused, match="no release before"):
        shipping.roll_back(admin, "triage", "production")
    actions = [action for action, _ in payloads(metadata)]
    assert actions == ["ship.first", "ship.rollout", "ship.promote", "ship.rollback"]
    assert published.versions == [1, 2, 3, 4]


def test_a_running_rollout_is_ended_before_a_promotion_is_undone(
    shipping: Shipping, metadata: Metadata, admin: Principal
) -> None:
    ship_first(shipping, metadata, admin)
    judge(metadata, TWO, baseline=ONE)
    shipping.ship(admin, order("two"))
    shipping.promote(admin, "triage", "production")
    judge(metadata, THREE, baseline=TWO)
    shipping.ship(admin, order("three"))
    after = [shipping.roll_back(admin, "triage", "production").after for _ in range(2)]
    assert [(state.stable_release, state.rollout) for state in after] == [(TWO, None), (ONE, None)]


def test_what_was_rolled_back_ships_again_on_new_evidence_only(
    shipping: Shipping, metadata: Metadata, admin: Principal
) -> None:
    ship_first(shipping, metadata, admin)
    judge(metadata, TWO, baseline=ONE)
    shipping.ship(admin, order("two"))
    shipping.promote(admin, "triage", "production")
    judge(metadata, ONE, baseline=TWO)
    shipping.ship(admin, order("one"))
    shipping.promote(admin, "triage", "production")
    with pytest.raises(Conflict, match="runs already"):
        shipping.ship(admin, order("one", break_glass="again"))
    assert shipping.ship(admin, order("two")).after.rollout is not None


def test_a_second_rollout_beside_a_running_one_is_a_conflict(
    shipping: Shipping, metadata: Metadata, published: Published, admin: Principal
) -> None:
    ship_first(shipping, metadata, admin)
    for release in (TWO, THREE):
        judge(metadata, release, baseline=ONE)
    shipping.ship(admin, order("two"))
    with pytest.raises(Conflict, match="a rollout of 222222222222 is running"):
        shipping.ship(admin, order("three"))
    assert len(payloads(metadata)) == 2
    assert published.versions == [1, 2]


@pytest.mark.parametrize("environment", ["", "-", "a b", "a/b", "x" * 65, "prod\n", "ü"])
def test_an_environment_needs_a_plain_name(shipping: Shipping, admin: Principal, environment: str) -> None:
    with pytest.raises(Invalid) as raised:
        shipping.ship(admin, order("one", environment=environment))
    assert raised.value.path == "environment"


def test_what_was_never_shipped_cannot_move(shipping: Shipping, admin: Principal) -> None:
    for move in (shipping.promote, shipping.roll_back):
        with pytest.raises(NotFound, match="nothing of 'triage' was shipped to 'production'"):
            move(admin, "triage", "production")


def test_only_an_admin_moves_anything(shipping: Shipping) -> None:
    reader = Principal("p", "k2", "bob", frozenset({Role.READ, Role.CALL, Role.INGEST}))
    with pytest.raises(Forbidden):
        shipping.ship(reader, order("one", break_glass="please"))
    for move in (shipping.promote, shipping.roll_back):
        with pytest.raises(Forbidden):
            move(reader, "triage", "production")
    assert shipping.environments(reader, "triage") == []
