"""Projects, their first keys and their ledgers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Conflict, Forbidden, Invalid, NotFound, Principal, Role
from zirkel.govern import SYSTEM, Access, Evidence
from zirkel.govern.projects import project_id_of


def test_a_new_projects_first_key_rules_that_project_only(access: Access, admin: Principal) -> None:
    made = access.create_project(admin, " Online Shop ")
    assert (made.record.project_id, made.record.name) == ("online-shop", "Online Shop")
    chief = access.authenticate(made.key.text)
    assert (chief.project_id, chief.roles) == ("online-shop", frozenset({Role.ADMIN}))
    inside = access.create_key(chief, "app", frozenset({Role.CALL}))
    assert access.authenticate(inside.text).project_id == "online-shop"
    assert list(access.list_keys(admin)) == []
    with pytest.raises(NotFound):
        access.revoke_key(admin, inside.record.key_id)


def test_both_ledgers_record_a_new_project_and_its_own_begins_with_it(
    access: Access, evidence: Evidence, admin: Principal
) -> None:
    made = access.create_project(admin, "Shop")
    entries = evidence.entries(access.authenticate(made.key.text))
    assert [(entry.sequence, entry.actor, entry.action) for entry in entries] == [
        (1, "ann", "project.created"),
        (2, "ann", "key.created"),
    ]
    assert [entry.action for entry in evidence.entries(admin)] == ["project.created"]
    assert {entries[0].payload, evidence.entries(admin)[0].payload} == {'{"name":"Shop","project_id":"shop"}'}


def test_a_taken_id_is_a_conflict_and_leaves_nothing_behind(
    access: Access, evidence: Evidence, admin: Principal
) -> None:
    access.bootstrap()
    first = access.create_project(admin, "Shop")
    for name in ("shop", "SHOP!", "default"):
        with pytest.raises(Conflict, match="already"):
            access.create_project(admin, name)
    assert [record.project_id for record in access.list_projects(admin)] == ["default", "shop"]
    chief = access.authenticate(first.key.text)
    assert len(access.list_keys(chief)) == 1
    assert len(evidence.entries(chief)) == 2


def test_an_admin_of_another_project_neither_makes_nor_lists_projects(access: Access, admin: Principal) -> None:
    access.bootstrap()
    chief = access.authenticate(access.create_project(admin, "Shop").key.text)
    with pytest.raises(Forbidden, match="default"):
        access.create_project(chief, "Another")
    with pytest.raises(Forbidden, match="default"):
        access.list_projects(chief)
    assert [record.project_id for record in access.list_projects(admin)] == ["default", "shop"]


def test_a_rescue_key_is_the_systems_and_for_a_project_that_exists(
    access: Access, evidence: Evidence, admin: Principal
) -> None:
    access.bootstrap()
    access.create_project(admin, "Shop")
    chief = access.authenticate(access.rescue("shop").text)
    assert (chief.project_id, chief.label, chief.roles) == ("shop", "rescue key", frozenset({Role.ADMIN}))
    assert evidence.entries(chief)[-1].actor == SYSTEM.label
    with pytest.raises(NotFound, match="default, shop"):
        access.rescue("shoe")


@pytest.mark.parametrize(
    ("name", "project_id"),
    [
        ("Shop", "shop"),
        ("Ännchen's  Café #2", "annchen-s-cafe-2"),
        ("--a--b--", "a-b"),
        ("Kauf/Verkauf", "kauf-verkauf"),
        ("x" * 64, "x" * 64),
    ],
)
def test_a_name_gives_an_id_that_reads_like_it(name: str, project_id: str) -> None:
    assert project_id_of(name) == project_id


@pytest.mark.parametrize("name", ["", " ", "!?", "商店", "x" * 65])
def test_a_name_without_a_fitting_id_is_told(access: Access, admin: Principal, name: str) -> None:
    with pytest.raises(Invalid) as raised:
        access.create_project(admin, name)
    assert raised.value.path == "name"


@given(st.text(max_size=100))
def test_an_id_is_a_slug_and_its_own_id(name: str) -> None:
    try:
        project_id = project_id_of(name)
    except Invalid:
        return
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", project_id)
    assert len(project_id) <= 64
    assert project_id_of(project_id) == project_id
