"""The gateway's snapshot, compiled from a real database, registry and vault."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from zirkel.app.publish import SnapshotPublisher
from zirkel.app.secrets import internal_key, key_pepper
from zirkel.core import ExperimentRecord, ExperimentState, ManualClock, Role, Usage
from zirkel.gateway import Snapshot, decode_snapshot, hash_key
from zirkel.gateway.pricing import price_usage
from zirkel.govern import DEFAULT_PROJECT, SYSTEM, Access, Vault
from zirkel.ship import ShipOrder, Shipping
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

FILES = {
    "service.toml": b"""name = "triage"
unit = "session"
[model]
name = "local/small"
[model.parameters]
temperature = 0.5
[[fallback]]
name = "openai/gpt-4o"
[baseline]
prompt = "baseline.toml"
""",
    "chat.toml": b"""[variables]
review = "string"
[[messages]]
role = "system"
content = "Sort."
[[messages]]
role = "developer"
content = "Briefly."
[[messages]]
role = "user"
content = "{{ review }}"
""",
    "baseline.toml": b"""examples = false
[variables]
review = "string"
[[messages]]
role = "user"
content = "Good or bad? {{ review }}"
""",
    "context/examples.jsonl": b'{"user": "{{ 1 }}", "assistant": "good"}\n{"user": "Broken", "assistant": "bad"}\n',
    "context/policy.md": b"Be kind.",
    "datasets/golden.jsonl": b'{"id": "1", "input": {"review": "Nice"}, "expected": "good"}\n',
    "evaluators.toml": b'[[evaluator]]\nname = "match"\nkind = "exact"\n',
    "gate.toml": b'[[metric]]\nevaluator = "match"\nmargin = 0.05\n',
}


@dataclass
class Installation:
    """What the publisher reads, and what changes it."""

    path: Path
    publisher: SnapshotPublisher
    metadata: Metadata
    registry: Registry
    access: Access
    shipping: Shipping
    vault: Vault
    clock: ManualClock

    def snapshot(self) -> Snapshot:
        """Return what a gateway reads now."""
        return decode_snapshot(self.path.read_bytes())

    def push(self, changes: dict[str, bytes] | None = None) -> tuple[str, str]:
        """Push the service; return the candidate's and the baseline's digest."""
        pushed = self.registry.push(SYSTEM, FILES | (changes or {}))
        assert pushed.baseline is not None
        return pushed.release, pushed.baseline

    def ship(self, release: str, weight: float = 0.25) -> None:
        self.shipping.ship(SYSTEM, ShipOrder("triage", release, weight=weight, break_glass="a test"))

    def find_key(self, text: str) -> str | None:
        """Return the id under which the gateway knows a key."""
        found = self.snapshot().keys.get(hash_key(key_pepper(self.vault), text))
        return found.key_id if found else None


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Installation]:
    clock, vault, path = ManualClock(), Vault(b"m" * 32), tmp_path / "snapshot.json"
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    registry = Registry(metadata, Blobs.open(f"memory://{tmp_path}"), clock)
    publisher = SnapshotPublisher(path, metadata, registry, vault, clock)
    access = Access(metadata, publisher, vault, partial(hash_key, key_pepper(vault)), clock)
    access.bootstrap()
    shipping = Shipping(metadata, registry, publisher, clock)
    yield Installation(path, publisher, metadata, registry, access, shipping, vault, clock)
    metadata.close()


def experiment(release: str, state: ExperimentState) -> ExperimentRecord:
    return ExperimentRecord(DEFAULT_PROJECT, "e1", "triage", release, "d" * 64, "e" * 64, 1, 1, state, 1)


def test_an_installation_without_services_publishes_its_keys_only(house: Installation) -> None:
    found = house.snapshot()
    assert sorted(key.label for key in found.keys.values()) == ["Zirkel's experiments", "first admin key"]
    assert (found.routes, found.releases, found.upstreams) == ({}, {}, {})
    assert found.published_ns == house.clock.now_ns()


def test_examples_are_between_the_system_messages_and_the_users_and_literal(house: Installation) -> None:
    candidate, _ = house.push()
    house.ship(candidate)
    messages = house.snapshot().releases[f"{DEFAULT_PROJECT}/{candidate}"].messages
    assert [(m.role, m.content, m.is_literal) for m in messages] == [
        ("system", "Sort.", False),
        ("developer", "Briefly.", False),
        ("user", "{{ 1 }}", True),
        ("assistant", "good", True),
        ("user", "Broken", True),
        ("assistant", "bad", True),
        ("user", "{{ review }}", False),
    ]


def test_a_prompt_that_wants_no_examples_gets_none(house: Installation) -> None:
    _, baseline = house.push()
    house.ship(baseline)
    messages = house.snapshot().releases[f"{DEFAULT_PROJECT}/{baseline}"].messages
    assert [(m.role, m.content) for m in messages] == [("user", "Good or bad? {{ review }}")]


def test_examples_of_a_prompt_that_has_only_system_messages_come_last(house: Installation) -> None:
    only = b'[variables]\nreview = "string"\n[[messages]]\nrole = "system"\ncontent = "{{ review }}"\n'
    candidate, _ = house.push({"chat.toml": only})
    house.ship(candidate)
    messages = house.snapshot().releases[f"{DEFAULT_PROJECT}/{candidate}"].messages
    assert [m.role for m in messages] == ["system", "user", "assistant", "user", "assistant"]


def test_a_release_brings_its_chain_variables_and_documents(house: Installation) -> None:
    candidate, _ = house.push()
    house.ship(candidate)
    release = house.snapshot().releases[f"{DEFAULT_PROJECT}/{candidate}"]
    places = [(target.upstream, target.model) for link in release.chain for target in link.pool]
    assert places == [("local", "small"), ("openai", "gpt-4o")]
    assert bytes(release.chain[0].pool[0].parameters) == b'{"temperature":0.5}'
    assert release.variables == {"review": "string"}
    assert release.documents == {"policy.md": "Be kind."}
    assert (release.digest, release.service, release.prompt_name) == (candidate, "triage", "triage")


def test_a_first_release_serves_everything(house: Installation) -> None:
    _, baseline = house.push()
    house.ship(baseline)
    route = house.snapshot().routes[f"{DEFAULT_PROJECT}/triage/production"]
    assert [(arm.name, arm.release, arm.weight) for arm in route.arms] == [("stable", baseline, 1.0)]
    assert route.unit == "session"


def test_a_rollout_splits_the_units_by_its_weight(house: Installation) -> None:
    candidate, baseline = house.push()
    house.ship(baseline)
    house.ship(candidate, 0.25)
    found = house.snapshot()
    arms = found.routes[f"{DEFAULT_PROJECT}/triage/production"].arms
    expected = [("stable", baseline, 0.75), ("candidate", candidate, 0.25)]
    assert [(arm.name, arm.release, arm.weight) for arm in arms] == expected
    assert set(found.releases) == {f"{DEFAULT_PROJECT}/{candidate}", f"{DEFAULT_PROJECT}/{baseline}"}


def test_each_rollout_splits_the_units_anew(house: Installation) -> None:
    candidate, baseline = house.push()
    house.ship(baseline)
    salts = set()
    for _ in range(2):
        house.ship(candidate)
        salts.add(house.snapshot().routes[f"{DEFAULT_PROJECT}/triage/production"].salt)
        house.shipping.roll_back(SYSTEM, "triage", "production")
    assert len(salts) == 2


def test_a_release_that_serves_nothing_is_not_there(house: Installation) -> None:
    candidate, baseline = house.push()
    house.ship(baseline)
    assert f"{DEFAULT_PROJECT}/{candidate}" not in house.snapshot().releases


@pytest.mark.parametrize(("state", "is_there"), [(ExperimentState.RUNNING, True), (ExperimentState.FINISHED, False)])
def test_a_release_is_there_while_its_experiment_runs(
    house: Installation, state: ExperimentState, is_there: bool
) -> None:
    candidate, _ = house.push()
    with house.metadata.transaction() as tx:
        tx.experiments.add(experiment(candidate, state))
    house.publisher.publish()
    assert (f"{DEFAULT_PROJECT}/{candidate}" in house.snapshot().releases) is is_there


def test_a_key_is_known_until_it_is_revoked(house: Installation) -> None:
    made = house.access.create_key(SYSTEM, "app", frozenset({Role.CALL}), 9)
    found = house.snapshot().keys[hash_key(key_pepper(house.vault), made.text)]
    assert (found.roles, found.expires_ns, found.project_id) == (frozenset({Role.CALL}), 9, DEFAULT_PROJECT)
    house.access.revoke_key(SYSTEM, made.record.key_id)
    assert house.find_key(made.text) is None


def test_experiments_call_with_a_key_that_is_never_stored(house: Installation) -> None:
    assert house.find_key(internal_key(house.vault, DEFAULT_PROJECT)) == "internal"
    with house.metadata.transaction() as tx:
        assert [record.label for record in tx.keys.list()] == ["first admin key"]


def test_no_secret_is_in_the_file(house: Installation) -> None:
    key = house.access.create_key(SYSTEM, "app", frozenset({Role.CALL}))
    house.access.put_upstream(SYSTEM, "openai", "https://api.example/v1/", credential="sk-very-secret")
    content = house.path.read_text()
    assert "sk-very-secret" not in content
    assert key.text not in content
    assert internal_key(house.vault, DEFAULT_PROJECT) not in content


def test_an_upstream_has_a_credential_that_the_vault_opens(house: Installation) -> None:
    house.access.put_upstream(SYSTEM, "openai", "https://api.example/v1/", credential="sk-1", model_override="small")
    found = house.snapshot().upstreams[f"{DEFAULT_PROJECT}/openai"]
    assert (found.base_url, found.model_override) == ("https://api.example/v1", "small")
    assert house.vault.unseal(found.credential) == "sk-1"


def test_what_a_chain_names_has_a_price_of_the_project_unless_it_is_unknown(house: Installation) -> None:
    candidate, _ = house.push()
    house.ship(candidate)
    found = house.snapshot()
    targets = [link.pool[0] for link in found.releases[f"{DEFAULT_PROJECT}/{candidate}"].chain]
    assert [target.prices for target in targets] == [[], []]
    assert found.prices[f"{DEFAULT_PROJECT}/openai/gpt-4o"][0].input
    assert f"{DEFAULT_PROJECT}/local/small" not in found.prices


def test_the_services_own_prices_go_with_its_targets(house: Installation) -> None:
    table = b'[[price]]\nmodel = "openai/gpt-4o"\neffective = "2020-01-01"\ninput = "1"\noutput = "2"\n'
    candidate, _ = house.push({"prices.toml": table})
    house.ship(candidate)
    links = house.snapshot().releases[f"{DEFAULT_PROJECT}/{candidate}"].chain
    assert links[0].pool[0].prices == []
    (price,) = links[1].pool[0].prices
    assert price_usage(price, Usage(input_tokens=10**6, output_tokens=10**6)) == Decimal(3)


def test_the_version_grows_with_every_change(house: Installation) -> None:
    versions = [house.snapshot().version]
    candidate, baseline = house.push()
    for change in (partial(house.ship, baseline), partial(house.ship, candidate)):
        change()
        versions.append(house.snapshot().version)
    house.access.create_key(SYSTEM, "app", frozenset({Role.CALL}))
    versions.append(house.snapshot().version)
    assert versions == sorted(set(versions))


def test_nothing_but_the_snapshot_is_left_in_its_folder(house: Installation) -> None:
    house.publisher.publish()
    assert [path.name for path in house.path.parent.glob("snapshot*")] == ["snapshot.json"]
