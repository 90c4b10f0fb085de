"""Keys that stand in web pages: recognisable, bound to origins, and good for one thing."""

import pytest

from zirkel.core import Forbidden, Invalid, KeyPolicy, Limits, ManualClock, Principal, Role, Unauthenticated
from zirkel.govern import Access, NewKey

FEEDBACK = frozenset({Role.FEEDBACK})
SHOP = KeyPolicy(origins=["https://shop.example", "http://localhost:3000"])


def make(access: Access, admin: Principal, policy: KeyPolicy = SHOP) -> NewKey:
    return access.create_key(admin, "web page", FEEDBACK, policy=policy)


def test_a_feedback_key_is_recognised_by_its_text_also_after_a_rotation(access: Access, admin: Principal) -> None:
    made = make(access, admin)
    rotated = access.rotate_key(admin, made.record.key_id, 60)
    assert [key.text[:7] for key in (made, rotated)] == ["zk_pub_", "zk_pub_"]
    other = access.create_key(admin, "app", frozenset({Role.READ}))
    assert not other.text.startswith("zk_pub_")
    for key in (made, rotated):
        assert access.open_feedback(key.text).principal.principal_id == made.record.key_id


def test_it_tells_whose_it_is_from_where_it_may_be_used_and_how_often(access: Access, admin: Principal) -> None:
    policy = KeyPolicy(origins=SHOP.origins, limits=Limits(requests_per_minute=7))
    made = make(access, admin, policy)
    opened = access.open_feedback(made.text)
    assert opened.principal == Principal("default", made.record.key_id, "web page", FEEDBACK)
    assert opened.requests_per_minute == 7
    assert access.get_key(admin, made.record.key_id).policy == policy
    allowed = ["https://shop.example", "http://localhost:3000"]
    refused = ["", "null", "https://shop.example:444", "https://shop.example.evil.example", "http://shop.example", "*"]
    assert [opened.allows(origin) for origin in allowed + refused] == [True] * 2 + [False] * 6
    anywhere = access.open_feedback(make(access, admin, KeyPolicy(origins=["*"])).text)
    assert all(anywhere.allows(origin) for origin in ["", "null", "https://any.example"])


def test_it_is_nobody_where_principals_are_asked_for(access: Access, admin: Principal) -> None:
    made = make(access, admin)
    with pytest.raises(Forbidden, match="/api/v1/feedback"):
        access.authenticate(made.text)


def test_no_other_key_opens_feedback_not_even_an_admins(access: Access, admin: Principal) -> None:
    for role in Role:
        if role is not Role.FEEDBACK:
            made = access.create_key(admin, "app", frozenset({role}))
            with pytest.raises(Forbidden, match="no feedback key"):
                access.open_feedback(made.text)


@pytest.mark.parametrize("state", ["unknown", "revoked", "expired", "rotated"])
def test_a_key_that_is_not_valid_any_more_opens_nothing(
    access: Access, admin: Principal, clock: ManualClock, state: str
) -> None:
    end_ns = clock.now_ns() + 10**9 if state == "expired" else None
    made = access.create_key(admin, "web page", FEEDBACK, end_ns, SHOP)
    text = made.text
    if state == "unknown":
        text += "x"
    elif state == "revoked":
        access.revoke_key(admin, made.record.key_id)
    elif state == "rotated":
        access.rotate_key(admin, made.record.key_id, 0)
    clock.advance(2)
    with pytest.raises(Unauthenticated):
        access.open_feedback(text)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.FEEDBACK])
def test_it_has_no_other_role(access: Access, admin: Principal, role: Role) -> None:
    with pytest.raises(Invalid) as refused:
        access.create_key(admin, "web page", FEEDBACK | {role}, policy=SHOP)
    assert refused.value.path == "roles"


def test_it_names_its_origins_and_other_keys_name_none(access: Access, admin: Principal) -> None:
    with pytest.raises(Invalid) as refused:
        make(access, admin, KeyPolicy())
    assert refused.value.path == "policy.origins"
    with pytest.raises(Invalid) as refused:
        access.create_key(admin, "app", frozenset({Role.READ}), policy=SHOP)
    assert refused.value.path == "policy.origins"
    made = make(access, admin)
    with pytest.raises(Invalid) as refused:
        access.change_key_policy(admin, made.record.key_id, KeyPolicy())
    assert refused.value.path == "origins"
    access.change_key_policy(admin, made.record.key_id, KeyPolicy(origins=["https://other.example"]))
    assert access.open_feedback(made.text).allows("https://other.example")


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "shop.example",
        "https://shop.example/",
        "https://shop.example/page",
        "https://Shop.example",
        "https://*.shop.example",
        "https://user@shop.example",
        "ftp://shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://shop.example\n",
        "**",
    ],
)
def test_an_origin_that_no_browser_would_send_is_refused(access: Access, admin: Principal, origin: str) -> None:
    with pytest.raises(Invalid) as refused:
        make(access, admin, KeyPolicy(origins=["https://shop.example", origin]))
    assert refused.value.path == "policy.origins[1]"


def test_origins_with_ports_and_addresses_are_taken_but_not_without_number(access: Access, admin: Principal) -> None:
    origins = [
        "http://127.0.0.1:8080",
        "http://[::1]:3000",
        "https://xn--bcher-kva.example",
        "https://shop.example:8443",
    ]
    assert access.open_feedback(make(access, admin, KeyPolicy(origins=origins)).text).origins == frozenset(origins)
    with pytest.raises(Invalid) as refused:
        make(access, admin, KeyPolicy(origins=[f"https://s{number}.example" for number in range(101)]))
    assert refused.value.path == "policy.origins"
