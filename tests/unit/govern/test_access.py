"""Keys, people and upstreams over a real database."""

from collections.abc import Callable

import pytest

from zirkel.core import (
    Conflict,
    Forbidden,
    Invalid,
    KeyPolicy,
    ManualClock,
    NotFound,
    Principal,
    Role,
    Unauthenticated,
    ZirkelError,
    sha256_hex,
)
from zirkel.govern import DEFAULT_PROJECT, Access, Publisher, Vault
from zirkel.store.metadata import Metadata


def sha256_hex_of(text: str) -> str:
    return sha256_hex(text.encode())


def ledger_text(metadata: Metadata) -> str:
    with metadata.transaction() as tx:
        return "\n".join(f"{entry.actor} {entry.action} {entry.payload}" for entry in tx.ledger.entries("default"))


def database_text(metadata: Metadata) -> bytes:
    """Return every byte that the database keeps on disk."""
    assert metadata._engine.url.database is not None
    with metadata._engine.connect() as connection:
        return "\n".join(connection.connection.driver_connection.iterdump()).encode()  # type: ignore[union-attr]


def test_the_first_start_makes_a_project_and_an_admin_key(access: Access, metadata: Metadata) -> None:
    first = access.bootstrap()
    assert first is not None
    principal = access.authenticate(first.text)
    assert (principal.project_id, principal.label, principal.roles) == (
        DEFAULT_PROJECT,
        "first admin key",
        frozenset({Role.ADMIN}),
    )
    assert access.bootstrap() is None
    assert ledger_text(metadata).count("system key.created") == 1


def test_a_first_start_that_was_cut_off_is_made_good_by_the_next(access: Access, metadata: Metadata) -> None:
    class Stopped(Exception):
        pass

    def stop(_text: str) -> str:
        raise Stopped

    hash_key, access._keys._hash_key = access._keys._hash_key, stop
    with pytest.raises(Stopped):
        access.bootstrap()
    access._keys._hash_key = hash_key
    first = access.bootstrap()
    assert first is not None
    assert access.authenticate(first.text).roles == {Role.ADMIN}


def test_a_key_opens_its_project_with_its_roles(access: Access, admin: Principal) -> None:
    created = access.create_key(admin, "  app  ", frozenset({Role.CALL, Role.READ}))
    assert created.text.startswith("zk_")
    assert created.record.hint == f"…{created.text[-4:]}"
    assert access.authenticate(created.text) == Principal(
        "default", created.record.key_id, "app", frozenset({Role.CALL, Role.READ})
    )
    assert access.list_keys(admin) == [created.record]


@pytest.mark.parametrize("text", ["", "zk_", "zk_unknown", "ü"])
def test_an_unknown_key_is_refused(access: Access, text: str) -> None:
    with pytest.raises(Unauthenticated, match="not known"):
        access.authenticate(text)


def test_a_revoked_key_is_refused_from_then_on(access: Access, admin: Principal) -> None:
    created = access.create_key(admin, "app", frozenset({Role.CALL}))
    access.revoke_key(admin, created.record.key_id)
    with pytest.raises(Unauthenticated, match="not known"):
        access.authenticate(created.text)
    with pytest.raises(NotFound, match=created.record.key_id):
        access.revoke_key(admin, created.record.key_id)


def test_a_key_expires_at_its_moment(access: Access, clock: ManualClock, admin: Principal) -> None:
    created = access.create_key(admin, "app", frozenset({Role.CALL}), expires_ns=clock.now_ns() + 1_000_000_000)
    clock.advance(0.5)
    assert access.authenticate(created.text).label == "app"
    clock.advance(0.5)
    with pytest.raises(Unauthenticated, match="expired"):
        access.authenticate(created.text)


def test_a_session_is_recalled_as_long_as_its_key_is_valid(
    access: Access, clock: ManualClock, admin: Principal
) -> None:
    created = access.create_key(admin, "app", frozenset({Role.READ}), expires_ns=clock.now_ns() + 1_000_000_000)
    principal = access.authenticate(created.text)
    assert access.recall("default", principal.principal_id, principal.label) == principal
    with pytest.raises(Unauthenticated):
        access.recall("another", principal.principal_id, principal.label)
    clock.advance(1)
    with pytest.raises(Unauthenticated, match="session has ended"):
        access.recall("default", principal.principal_id, principal.label)


@pytest.mark.parametrize("expires_ns", [None, 0])
def test_a_session_ends_with_a_revoked_or_long_expired_key(
    access: Access, admin: Principal, expires_ns: int | None
) -> None:
    key_id = access.create_key(admin, "app", frozenset({Role.READ}), expires_ns).record.key_id
    if expires_ns is None:
        access.revoke_key(admin, key_id)
    with pytest.raises(Unauthenticated, match="session has ended"):
        access.recall("default", key_id, "app")


def test_a_persons_session_ends_when_the_sign_in_is_replaced(access: Access, admin: Principal) -> None:
    access.put_person(admin, "ann@example.org", "correct horse battery", frozenset({Role.READ}))
    principal = access.sign_in("ann@example.org", "correct horse battery")
    assert access.recall("default", principal.principal_id, principal.label) == principal
    access.put_person(admin, "ann@example.org", "another long password", frozenset({Role.READ}))
    with pytest.raises(Unauthenticated, match="session has ended"):
        access.recall("default", principal.principal_id, principal.label)
    with pytest.raises(Unauthenticated, match="session has ended"):
        access.recall("default", "unknown", "nobody@example.org")


@pytest.mark.parametrize(("label", "roles", "path"), [(" ", {Role.READ}, "label"), ("app", set(), "roles")])
def test_a_key_needs_a_label_and_a_role(
    access: Access, admin: Principal, label: str, roles: set[Role], path: str
) -> None:
    with pytest.raises(Invalid) as raised:
        access.create_key(admin, label, frozenset(roles))
    assert raised.value.path == path


def test_an_admin_of_another_project_cannot_revoke_a_key(access: Access, admin: Principal) -> None:
    created = access.create_key(admin, "app", frozenset({Role.CALL}))
    stranger = Principal("other", "k9", "eve", frozenset({Role.ADMIN}))
    with pytest.raises(NotFound):
        access.revoke_key(stranger, created.record.key_id)
    assert access.list_keys(stranger) == []
    assert access.authenticate(created.text).label == "app"


def test_a_person_signs_in_with_the_password_given_last(access: Access, admin: Principal) -> None:
    access.put_person(admin, "Ann@Example.org", "correct horse battery", frozenset({Role.READ}))
    principal = access.sign_in("ann@example.ORG", "correct horse battery")
    assert (principal.project_id, principal.label, principal.roles) == (
        "default",
        "ann@example.org",
        frozenset({Role.READ}),
    )
    access.put_person(admin, "ann@example.org", "another long password", frozenset({Role.ADMIN}))
    with pytest.raises(Unauthenticated):
        access.sign_in("ann@example.org", "correct horse battery")
    assert access.sign_in("ann@example.org", "another long password").roles == {Role.ADMIN}


def test_a_wrong_address_and_a_wrong_password_are_told_alike(access: Access, admin: Principal) -> None:
    access.put_person(admin, "ann@example.org", "correct horse battery", frozenset({Role.READ}))
    said = set()
    for email, password in [("ann@example.org", "wrong"), ("bob@example.org", "wrong"), ("", "no such person")]:
        with pytest.raises(Unauthenticated) as raised:
            access.sign_in(email, password)
        said.add(str(raised.value))
    assert len(said) == 1


def test_passwords_are_kept_as_argon2id(access: Access, admin: Principal) -> None:
    person = access.put_person(admin, "ann@example.org", "correct horse battery", frozenset({Role.READ}))
    assert person.password_hash.startswith("$argon2id$")


def test_a_person_cannot_be_taken_over_by_another_projects_admin(access: Access, admin: Principal) -> None:
    access.put_person(admin, "ann@example.org", "correct horse battery", frozenset({Role.READ}))
    stranger = Principal("other", "k9", "eve", frozenset({Role.ADMIN}))
    with pytest.raises(Conflict):
        access.put_person(stranger, "ann@example.org", "eve's own password", frozenset({Role.READ}))
    assert access.sign_in("ann@example.org", "correct horse battery").project_id == "default"


@pytest.mark.parametrize(("email", "password", "path"), [("ann", "x" * 12, "email"), ("a@b", "x" * 11, "password")])
def test_an_address_or_password_that_will_not_do_is_told(
    access: Access, admin: Principal, email: str, password: str, path: str
) -> None:
    with pytest.raises(Invalid) as raised:
        access.put_person(admin, email, password, frozenset({Role.READ}))
    assert raised.value.path == path


def test_an_upstream_keeps_its_credential_sealed(access: Access, vault: Vault, admin: Principal) -> None:
    record = access.put_upstream(admin, "openai", "https://api.example/v1/", credential="sk-secret")
    assert record.base_url == "https://api.example/v1"
    assert vault.unseal(record.sealed_credential) == "sk-secret"
    bare = access.put_upstream(admin, "local", "http://127.0.0.1:8080", model_override="tiny")
    assert (bare.sealed_credential, bare.model_override) == ("", "tiny")
    assert access.list_upstreams(admin) == [bare, record]


@pytest.mark.parametrize(
    ("name", "url", "path"), [("", "http://x", "name"), ("a/b", "http://x", "name"), ("a", "ftp://x", "base_url")]
)
def test_an_upstream_that_will_not_do_is_told(access: Access, admin: Principal, name: str, url: str, path: str) -> None:
    with pytest.raises(Invalid) as raised:
        access.put_upstream(admin, name, url)
    assert raised.value.path == path


def test_no_secret_is_in_the_ledger_or_anywhere_in_the_database(
    access: Access, metadata: Metadata, admin: Principal
) -> None:
    key = access.create_key(admin, "app", frozenset({Role.CALL}))
    rotated = access.rotate_key(admin, key.record.key_id, 60)
    project = access.create_project(admin, "Shop")
    access.put_person(admin, "ann@example.org", "correct horse battery", frozenset({Role.READ}))
    access.put_upstream(admin, "openai", "https://api.example", credential="sk-secret")
    kept = database_text(metadata)
    for secret in (key.text, key.text[3:], rotated.text, project.key.text, "correct horse battery", "sk-secret"):
        assert secret.encode() not in kept
    recorded = ledger_text(metadata)
    for hashed in (key.record.key_hash, rotated.record.key_hash, "argon2", "sealed"):
        assert hashed not in recorded
    assert "has_credential" in recorded


Call = Callable[[Access, Principal], object]

ADMIN_ONLY: dict[str, Call] = {
    "create_key": lambda access, who: access.create_key(who, "app", frozenset({Role.READ})),
    "list_keys": lambda access, who: access.list_keys(who),
    "get_key": lambda access, who: access.get_key(who, "k1"),
    "rotate_key": lambda access, who: access.rotate_key(who, "k1", 0),
    "change_key_policy": lambda access, who: access.change_key_policy(who, "k1", KeyPolicy()),
    "revoke_key": lambda access, who: access.revoke_key(who, "k1"),
    "create_project": lambda access, who: access.create_project(who, "Shop"),
    "list_projects": lambda access, who: access.list_projects(who),
    "put_person": lambda access, who: access.put_person(who, "a@b", "x" * 12, frozenset({Role.READ})),
    "put_upstream": lambda access, who: access.put_upstream(who, "openai", "http://x"),
}


@pytest.mark.parametrize("name", ADMIN_ONLY)
def test_who_only_reads_changes_nothing(access: Access, metadata: Metadata, reader: Principal, name: str) -> None:
    with pytest.raises(Forbidden):
        ADMIN_ONLY[name](access, reader)
    assert ledger_text(metadata) == ""


def test_the_gateway_is_told_of_what_concerns_it_after_it_is_stored(
    metadata: Metadata, vault: Vault, clock: ManualClock, admin: Principal
) -> None:
    stored: list[int] = []

    class Watching:
        def publish(self) -> None:
            # Opens a transaction of its own, as the real publisher does.
            stored.append(len(access.list_keys(admin)) + len(access.list_upstreams(admin)))

    publisher: Publisher = Watching()
    access = Access(metadata, publisher, vault, sha256_hex_of, clock)
    access.bootstrap()
    key = access.create_key(admin, "app", frozenset({Role.CALL}))
    access.put_upstream(admin, "openai", "http://x")
    access.rotate_key(admin, key.record.key_id, 60)
    access.change_key_policy(admin, key.record.key_id, KeyPolicy(user="ann"))
    access.revoke_key(admin, key.record.key_id)
    with pytest.raises(ZirkelError):
        access.revoke_key(admin, key.record.key_id)
    assert stored == [1, 2, 3, 3, 3, 3]
