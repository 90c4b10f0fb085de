"""What a key may use, and lists of many keys."""

import json

import pytest

from zirkel.core import Budget, Invalid, KeyPolicy, Limits, ManualClock, NotFound, Principal, Role
from zirkel.govern import Access
from zirkel.store.metadata import Metadata

CALL = frozenset({Role.CALL})
POLICY = KeyPolicy(
    user="ann",
    limits=Limits(requests_per_minute=60, budget=[Budget(window="month", hard_usd="20")], models=["openai/*"]),
    capture="masked",
)


def payloads(metadata: Metadata, action: str) -> list[dict[str, object]]:
    with metadata.transaction() as tx:
        return [json.loads(entry.payload) for entry in tx.ledger.entries("default") if entry.action == action]


def test_a_key_keeps_the_policy_it_was_made_with_and_the_ledger_names_it(
    access: Access, metadata: Metadata, admin: Principal
) -> None:
    made = access.create_key(admin, "app", CALL, policy=POLICY)
    assert access.get_key(admin, made.record.key_id).policy == POLICY
    (payload,) = payloads(metadata, "key.created")
    assert (payload["key_id"], payload["label"]) == (made.record.key_id, "app")
    assert payload["policy"] == {
        "user": "ann",
        "limits": {
            "requests_per_minute": 60,
            "budget": [{"window": "month", "hard_usd": "20"}],
            "models": ["openai/*"],
        },
        "capture": "masked",
    }


def test_a_policy_is_replaced_as_a_whole_and_survives_a_rotation(
    access: Access, metadata: Metadata, admin: Principal
) -> None:
    made = access.create_key(admin, "app", CALL, policy=POLICY)
    replaced = KeyPolicy(limits=Limits(concurrency=2))
    changed = access.change_key_policy(admin, made.record.key_id, replaced)
    assert changed.policy == replaced
    assert access.rotate_key(admin, made.record.key_id, 0).record.policy == replaced
    assert payloads(metadata, "key.policy_changed") == [
        {"key_id": made.record.key_id, "label": "app", "policy": {"limits": {"concurrency": 2}}}
    ]
    assert access.get_key(admin, made.record.key_id).policy == replaced


def test_a_policy_that_makes_no_sense_is_refused_with_its_path_and_changes_nothing(
    access: Access, metadata: Metadata, admin: Principal
) -> None:
    faulty = KeyPolicy(limits=Limits(budget=[Budget(window="day")]))
    with pytest.raises(Invalid) as raised:
        access.create_key(admin, "app", CALL, policy=faulty)
    assert raised.value.path == "policy.limits.budget[0].hard_usd"
    made = access.create_key(admin, "app", CALL, policy=POLICY)
    with pytest.raises(Invalid) as raised:
        access.change_key_policy(admin, made.record.key_id, faulty)
    assert raised.value.path == "limits.budget[0].hard_usd"
    assert list(access.list_keys(admin)) == [made.record]
    assert payloads(metadata, "key.policy_changed") == []


@pytest.mark.parametrize("state", ["unknown", "revoked", "expired", "another project's"])
def test_only_a_valid_key_of_the_project_gets_another_policy(access: Access, admin: Principal, state: str) -> None:
    made = access.create_key(admin, "app", CALL, 1 if state == "expired" else None)
    key_id = "unknown" if state == "unknown" else made.record.key_id
    if state == "revoked":
        access.revoke_key(admin, key_id)
    who = Principal("other", "k9", "eve", admin.roles) if state == "another project's" else admin
    with pytest.raises(NotFound, match="no valid key"):
        access.change_key_policy(who, key_id, POLICY)
    assert access.get_key(admin, made.record.key_id).policy == KeyPolicy()


def test_a_key_of_another_project_is_not_shown(access: Access, admin: Principal) -> None:
    made = access.create_key(admin, "app", CALL)
    with pytest.raises(NotFound, match=made.record.key_id):
        access.get_key(Principal("other", "k9", "eve", admin.roles), made.record.key_id)


def test_keys_are_read_in_pages_and_stay_listed_when_expired_or_revoked(
    access: Access, clock: ManualClock, admin: Principal
) -> None:
    made = []
    for number in range(5):
        clock.advance(0.001)
        made.append(access.create_key(admin, f"app {number}", CALL, 1 if number == 1 else None).record)
    access.revoke_key(admin, made[2].key_id)
    found = []
    after = ""
    while page := access.list_keys(admin, after, 2):
        assert len(page) <= 2
        found += [record.key_id for record in page]
        after = found[-1]
    assert found == [record.key_id for record in made]
