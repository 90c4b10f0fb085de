"""The gateway's snapshot: compiled from what is stored, written as one file, seen by the gateway's next request."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from zirkel.app.secrets import internal_key, key_pepper
from zirkel.core import (
    Clock,
    EnvironmentRecord,
    ExperimentState,
    ReleaseBundle,
    Role,
)
from zirkel.gateway import (
    MessageTemplate,
    ModelPrice,
    PriceTier,
    Snapshot,
    SnapshotArm,
    SnapshotKey,
    SnapshotRelease,
    SnapshotRoute,
    SnapshotTarget,
    SnapshotUpstream,
    encode_snapshot,
    hash_key,
)
from zirkel.govern import Vault
from zirkel.observe import common_prices, own_prices
from zirkel.store.durable import write_file
from zirkel.store.metadata import Metadata, Transaction
from zirkel.version import Registry


class SnapshotPublisher:
    """Writes the snapshot whenever something that the gateway serves from has changed."""

    def __init__(self, path: Path, metadata: Metadata, registry: Registry, vault: Vault, clock: Clock) -> None:
        self._path = path
        self._metadata = metadata
        self._registry = registry
        self._vault = vault
        self._clock = clock
        self._lock = threading.Lock()

    def publish(self) -> None:
        """Return when a snapshot of the present state is in place."""
        # One at a time: the state is read inside the lock, so an older one can never replace a newer one.
        with self._lock:
            with self._metadata.transaction() as tx:
                version = tx.ledger.last_sequence()
                keys = self._keys(tx)
                upstreams = {f"{u.project_id}/{u.name}": u for u in tx.upstreams.list()}
                environments = tx.environments.list()
                wanted = _wanted_releases(tx, environments)
            bundles = {key: self._registry.open(*key) for key in sorted(wanted)}
            now = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC)
            snapshot = Snapshot(
                version=version,
                published_ns=self._clock.now_ns(),
                keys=keys,
                upstreams={
                    key: SnapshotUpstream(u.name, u.base_url, u.sealed_credential, u.dialect, u.model_override)
                    for key, u in upstreams.items()
                },
                routes={
                    f"{state.project_id}/{state.service}/{state.environment}": _route(state, bundles)
                    for state in environments
                },
                releases={f"{project}/{digest}": _release(b, now) for (project, digest), b in bundles.items()},
            )
            write_file(self._path, encode_snapshot(snapshot))

    def _keys(self, tx: Transaction) -> dict[str, SnapshotKey]:
        pepper = key_pepper(self._vault)
        keys = {
            record.key_hash: SnapshotKey(
                record.key_id, record.project_id, record.label, record.roles, record.expires_ns
            )
            for record in tx.keys.list()
            if record.revoked_ns is None
        }
        for project in tx.projects.list():
            text = internal_key(self._vault, project.project_id)
            keys[hash_key(pepper, text)] = SnapshotKey(
                "internal", project.project_id, "Zirkel's experiments", frozenset({Role.ADMIN})
            )
        return keys


def _wanted_releases(tx: Transaction, environments: Sequence[EnvironmentRecord]) -> set[tuple[str, str]]:
    """Return every release that may be called: live, in a rollout, or in an experiment that is running."""
    wanted = {(state.project_id, state.stable_release) for state in environments}
    wanted |= {(state.project_id, state.rollout.release) for state in environments if state.rollout}
    running = [e for e in tx.experiments.list(None) if e.state == ExperimentState.RUNNING]
    return wanted | {(experiment.project_id, experiment.release) for experiment in running}


def _route(state: EnvironmentRecord, bundles: dict[tuple[str, str], ReleaseBundle]) -> SnapshotRoute:
    rollout = state.rollout
    arms = [SnapshotArm("stable", state.stable_release, 1 - rollout.weight if rollout else 1.0)]
    if rollout:
        arms.append(SnapshotArm("candidate", rollout.release, rollout.weight))
    unit = bundles[state.project_id, state.stable_release].unit
    return SnapshotRoute(state.project_id, state.service, state.environment, unit, state.salt, arms)


def _release(bundle: ReleaseBundle, now: datetime) -> SnapshotRelease:
    targets = []
    for model in bundle.targets:
        upstream, _, name = model.name.partition("/")
        parameters = msgspec.Raw(msgspec.json.encode(model.parameters))
        targets.append(SnapshotTarget(upstream, name, parameters, _price(bundle, model.name, now)))
    return SnapshotRelease(
        digest=bundle.digest,
        service=bundle.service,
        prompt_name=bundle.service,
        prompt_version=str(bundle.prompt_version),
        messages=_messages(bundle),
        variables=dict(bundle.prompt.variables),
        targets=targets,
        documents=dict(bundle.documents),
    )


def _messages(bundle: ReleaseBundle) -> list[MessageTemplate]:
    """Return the prompt's messages with the examples between the system messages and the first other one."""
    templates = [MessageTemplate(message.role, message.content) for message in bundle.prompt.messages]
    if not bundle.prompt.examples or not bundle.examples:
        return templates
    turns = []
    for example in bundle.examples:
        turns.append(MessageTemplate("user", example.user, is_literal=True))
        turns.append(MessageTemplate("assistant", example.assistant, is_literal=True))
    fixed = next((i for i, m in enumerate(templates) if m.role not in ("system", "developer")), len(templates))
    return [*templates[:fixed], *turns, *templates[fixed:]]


def _price(bundle: ReleaseBundle, model: str, now: datetime) -> ModelPrice | None:
    found = own_prices(bundle.prices, model, now) if bundle.prices else None
    found = found or common_prices(model, now)
    if found is None:
        return None
    tiers = {
        bucket: [PriceTier(tier.from_input_tokens, str(tier.usd_per_million)) for tier in values]
        for bucket, values in found.buckets.items()
    }
    return msgspec.convert({**msgspec.to_builtins(tiers), "digest": found.table_digest}, ModelPrice)
