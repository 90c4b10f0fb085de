"""The gateway's document over a real database: whole or not at all, every version kept."""

from collections.abc import Callable

import msgspec
import pytest

from zirkel.core import Conflict, Forbidden, Invalid, ManualClock, NotFound, Principal, Refused, Role, UpstreamRecord
from zirkel.core.gateway_check import config_digest, parse_gateway_config
from zirkel.govern import Vault
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.store.metadata import Metadata

OPENAI = """
[[upstream]]
name = "openai"
base_url = "https://api.openai.com/v1"
credential_variable = "OPENAI_API_KEY"
"""
FAST = """
[[model]]
name = "fast"
[[model.target]]
name = "openai/gpt-4o-mini"
"""
KEY = {"openai": "sk-1"}


class CountingPublisher:
    """Counts how often the gateway was told."""

    def __init__(self) -> None:
        self.published = 0

    def publish(self) -> None:
        self.published += 1


@pytest.fixture
def publisher() -> CountingPublisher:
    return CountingPublisher()


@pytest.fixture
def gateway(metadata: Metadata, publisher: CountingPublisher, vault: Vault, clock: ManualClock) -> GatewayConfiguration:
    return GatewayConfiguration(metadata, publisher, vault, clock)


def upstreams(metadata: Metadata, project_id: str = "default") -> dict[str, UpstreamRecord]:
    with metadata.transaction() as tx:
        return {record.name: record for record in tx.upstreams.list(project_id)}


def set_by_hand(metadata: Metadata, name: str, sealed: str = "") -> None:
    record = UpstreamRecord("default", name, f"https://{name}.example/v1", "openai", "", sealed, 1)
    with metadata.transaction() as tx:
        tx.upstreams.put(record)


def decisions(metadata: Metadata) -> list[dict[str, object]]:
    with metadata.transaction() as tx:
        entries = tx.ledger.entries("default")
    return [msgspec.json.decode(entry.payload) for entry in entries if entry.action == "gateway.configured"]


def test_a_document_is_in_force_once_it_is_applied(
    gateway: GatewayConfiguration, metadata: Metadata, vault: Vault, admin: Principal, publisher: CountingPublisher
) -> None:
    text = OPENAI + FAST
    done = gateway.apply(admin, text, credentials=KEY)
    assert (done.record.version, done.is_new, publisher.published) == (1, True, 1)
    assert done.changes == ("upstream openai added", "model fast added")
    assert gateway.current(admin) == done.record
    assert (done.record.text, done.record.applied_by) == (text, "ann")
    assert done.record.digest == config_digest(parse_gateway_config(text))
    record = upstreams(metadata)["openai"]
    assert (record.base_url, record.dialect) == ("https://api.openai.com/v1", "openai")
    assert vault.unseal(record.sealed_credential) == "sk-1"


def test_every_application_is_in_the_ledger_without_a_secret(
    gateway: GatewayConfiguration, metadata: Metadata, admin: Principal
) -> None:
    done = gateway.apply(admin, OPENAI + FAST, credentials=KEY)
    (entry,) = decisions(metadata)
    assert entry == {
        "version": 1,
        "digest": done.record.digest,
        "changes": ["upstream openai added", "model fast added"],
        "changes_in_all": 2,
        "upstreams_set": ["openai"],
    }


def test_a_document_replaces_the_one_before_as_a_whole(
    gateway: GatewayConfiguration, metadata: Metadata, admin: Principal
) -> None:
    other = '[[upstream]]\nname = "other"\nbase_url = "https://other.example/v1"\n'
    gateway.apply(admin, OPENAI + FAST, credentials=KEY)
    done = gateway.apply(admin, other)
    assert set(upstreams(metadata)) == {"other"}
    assert done.changes == ("upstream openai removed", "upstream other added", "model fast removed")
    assert [found.version for found in gateway.history(admin)] == [2, 1]
    assert gateway.version(admin, 1).text == OPENAI + FAST
    with pytest.raises(NotFound):
        gateway.version(admin, 3)


def test_upstreams_that_no_document_named_stay(
    gateway: GatewayConfiguration, metadata: Metadata, admin: Principal
) -> None:
    set_by_hand(metadata, "local")
    gateway.apply(admin, OPENAI, credentials=KEY)
    gateway.apply(admin, FAST.replace("openai/", "local/"))
    assert set(upstreams(metadata)) == {"local"}


def test_a_model_may_name_an_upstream_that_was_set_by_hand_but_not_one_that_goes(
    gateway: GatewayConfiguration, metadata: Metadata, admin: Principal
) -> None:
    set_by_hand(metadata, "local")
    gateway.apply(admin, OPENAI + FAST.replace("openai/", "local/"), credentials=KEY)
    with pytest.raises(Invalid) as raised:
        gateway.apply(admin, FAST)
    assert raised.value.path == "model[0].target[0].name"
    assert set(upstreams(metadata)) == {"local", "openai"}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("x ==", None),
        (OPENAI + 'capture = "on"', "upstream[0].capture"),
        (FAST, "model[0].target[0].name"),
        (OPENAI, "upstream[0].credential_variable"),
    ],
)
def test_a_bad_document_changes_nothing(
    gateway: GatewayConfiguration,
    metadata: Metadata,
    admin: Principal,
    publisher: CountingPublisher,
    text: str,
    path: str | None,
) -> None:
    with pytest.raises(Invalid) as raised:
        gateway.apply(admin, text)
    assert raised.value.path == path
    assert gateway.current(admin) is None
    assert (upstreams(metadata), decisions(metadata), publisher.published) == ({}, [], 0)


def test_a_fault_of_the_last_upstream_leaves_the_first_as_it_was(
    gateway: GatewayConfiguration, metadata: Metadata, admin: Principal
) -> None:
    second = '[[upstream]]\nname = "second"\nbase_url = "https://x/v1"\ncredential_variable = "UNSET"\n'
    with pytest.raises(Invalid) as raised:
        gateway.apply(admin, OPENAI + second, credentials=KEY)
    assert raised.value.path == "upstream[1].credential_variable"
    assert upstreams(metadata) == {}


def test_the_same_again_is_no_new_version(
    gateway: GatewayConfiguration, metadata: Metadata, admin: Principal, publisher: CountingPublisher
) -> None:
    first = gateway.apply(admin, OPENAI, credentials=KEY)
    again = gateway.apply(admin, OPENAI, credentials=KEY)
    without = gateway.apply(admin, OPENAI)
    assert (again.is_new, without.is_new, again.record) == (False, False, first.record)
    assert (len(decisions(metadata)), publisher.published) == (1, 1)


def test_a_comment_is_a_version_and_a_new_credential_is_one(
    gateway: GatewayConfiguration, metadata: Metadata, vault: Vault, admin: Principal
) -> None:
    first = gateway.apply(admin, OPENAI, credentials=KEY)
    commented = gateway.apply(admin, "# why\n" + OPENAI)
    assert (commented.record.version, commented.record.digest, commented.changes) == (2, first.record.digest, ())
    renewed = gateway.apply(admin, "# why\n" + OPENAI, credentials={"openai": "sk-2"})
    assert renewed.record.version == 3
    assert vault.unseal(upstreams(metadata)["openai"].sealed_credential) == "sk-2"
    assert [entry["upstreams_set"] for entry in decisions(metadata)] == [["openai"], [], ["openai"]]


def test_a_credential_that_is_not_given_stays(
    gateway: GatewayConfiguration, metadata: Metadata, vault: Vault, admin: Principal
) -> None:
    gateway.apply(admin, OPENAI, credentials=KEY)
    gateway.apply(admin, OPENAI.replace("/v1", "/v2"))
    record = upstreams(metadata)["openai"]
    assert (record.base_url, vault.unseal(record.sealed_credential)) == ("https://api.openai.com/v2", "sk-1")


def test_a_stored_credential_is_not_sent_to_another_host(
    gateway: GatewayConfiguration, metadata: Metadata, admin: Principal
) -> None:
    gateway.apply(admin, OPENAI, credentials=KEY)
    moved = OPENAI.replace("api.openai.com", "evil.example")
    with pytest.raises(Invalid) as raised:
        gateway.apply(admin, moved)
    assert raised.value.path == "upstream[0].base_url"
    assert upstreams(metadata)["openai"].base_url == "https://api.openai.com/v1"
    gateway.apply(admin, moved, credentials={"openai": "sk-new"})
    assert upstreams(metadata)["openai"].base_url == "https://evil.example/v1"


def test_a_credential_for_an_unknown_upstream_is_refused(gateway: GatewayConfiguration, admin: Principal) -> None:
    with pytest.raises(Invalid) as raised:
        gateway.apply(admin, OPENAI, credentials={"opnai": "sk"})
    assert raised.value.path == "credentials.opnai"


def test_no_secret_is_in_the_database(gateway: GatewayConfiguration, metadata: Metadata, admin: Principal) -> None:
    gateway.apply(admin, OPENAI, credentials={"openai": "sk-very-secret"})
    with metadata._engine.connect() as connection:
        kept = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert "sk-very-secret" not in kept


@pytest.mark.parametrize(("based_on", "is_taken"), [(None, True), (1, True), (0, False), (2, False)])
def test_a_document_made_from_another_version_is_a_conflict(
    gateway: GatewayConfiguration, admin: Principal, based_on: int | None, is_taken: bool
) -> None:
    assert gateway.apply(admin, "", based_on=0).record.version == 1
    if is_taken:
        assert gateway.apply(admin, "# more", based_on=based_on).record.version == 2
        return
    with pytest.raises(Conflict):
        gateway.apply(admin, "# more", based_on=based_on)


def test_a_check_says_what_would_change_and_changes_nothing(
    gateway: GatewayConfiguration, metadata: Metadata, admin: Principal, reader: Principal
) -> None:
    gateway.apply(admin, OPENAI + FAST, credentials=KEY)
    changed = OPENAI + FAST.replace("mini", "nano") + '[[limit]]\nuser = "*"\nlimits = { concurrency = 2 }\n'
    found = gateway.check(reader, 'capture = "off"\n' + changed)
    assert found.changes == ("capture changed", "model fast changed", "limits of user * added")
    assert found.version == 1
    assert gateway.check(reader, OPENAI + FAST).changes == ()
    with pytest.raises(Invalid):
        gateway.check(reader, FAST)
    assert len(decisions(metadata)) == 1


def test_a_watched_file_is_the_only_one_to_configure(
    metadata: Metadata, vault: Vault, clock: ManualClock, admin: Principal, publisher: CountingPublisher
) -> None:
    owned = GatewayConfiguration(metadata, publisher, vault, clock, owner_file="/etc/gateway.toml")
    with pytest.raises(Refused, match=r"/etc/gateway\.toml"):
        owned.apply(admin, "")
    assert owned.apply(admin, "", from_file="/etc/gateway.toml").is_new


def test_projects_have_documents_of_their_own(
    gateway: GatewayConfiguration, metadata: Metadata, admin: Principal
) -> None:
    stranger = Principal("other", "k9", "eve", frozenset({Role.ADMIN}))
    gateway.apply(admin, OPENAI, credentials=KEY)
    assert gateway.current(stranger) is None
    with pytest.raises(Invalid):
        gateway.apply(stranger, OPENAI)
    gateway.apply(stranger, "")
    assert set(upstreams(metadata)) == {"openai"}
    with metadata.transaction() as tx:
        assert [record.project_id for record in tx.gateway_configs.all_current()] == ["default", "other"]


Call = Callable[[GatewayConfiguration, Principal], object]


def test_who_only_reads_applies_nothing_and_who_only_calls_reads_nothing(
    gateway: GatewayConfiguration, reader: Principal
) -> None:
    with pytest.raises(Forbidden):
        gateway.apply(reader, "")
    caller = Principal("default", "k3", "app", frozenset({Role.CALL}))
    reads: list[Call] = [
        lambda g, who: g.current(who),
        lambda g, who: g.history(who),
        lambda g, who: g.version(who, 1),
        lambda g, who: g.check(who, ""),
    ]
    for read in reads:
        with pytest.raises(Forbidden):
            read(gateway, caller)
