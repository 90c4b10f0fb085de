"""Who may do what."""

import pytest

from zirkel.core import Forbidden, Principal, Role


def principal(*roles: Role) -> Principal:
    return Principal("p", "k1", "ann", frozenset(roles))


@pytest.mark.parametrize("role", list(Role))
def test_an_admin_may_do_everything(role: Role) -> None:
    principal(Role.ADMIN).require(role)


@pytest.mark.parametrize("held", [role for role in Role if role is not Role.ADMIN])
@pytest.mark.parametrize("needed", list(Role))
def test_any_other_role_allows_itself_only(held: Role, needed: Role) -> None:
    if held is needed:
        principal(held).require(needed)
    else:
        with pytest.raises(Forbidden, match=f"'ann' has the roles {held.value}; this needs '{needed.value}'"):
            principal(held).require(needed)


def test_no_role_allows_nothing() -> None:
    with pytest.raises(Forbidden, match="none"):
        principal().require(Role.READ)
