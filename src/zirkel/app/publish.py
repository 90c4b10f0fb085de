"""The gateway's snapshot: compiled from what is stored, written as one file, seen by the gateway's next request."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from zirkel.app.publish_prices import PricePress, press_prices
from zirkel.app.publish_release import ReleaseParts, chain_models, compile_alias, release_parts
from zirkel.app.secrets import internal_key, key_pepper
from zirkel.core import (
    Clock,
    EnvironmentRecord,
    ExperimentState,
    GatewayConfig,
    ProjectRecord,
    Role,
    UpstreamRecord,
)
from zirkel.gateway import (
    ModelPrice,
    Snapshot,
    SnapshotArm,
    SnapshotKey,
    SnapshotRelease,
    SnapshotRoute,
    SnapshotUpstream,
    encode_snapshot,
    hash_key,
)
from zirkel.gateway.snapshot import SnapshotProject
from zirkel.govern import Vault
from zirkel.observe import PriceBook, PriceShelf, open_book
from zirkel.store.durable import write_file
from zirkel.store.metadata import Metadata, Transaction
from zirkel.version import Registry

_NO_CONFIG = GatewayConfig()
_Key = tuple[str, str]
"""Project and digest of a release."""


@dataclass(frozen=True, slots=True)
class _State:
    """What is stored, as of one moment."""

    version: int
    keys: dict[str, SnapshotKey]
    upstreams: Sequence[UpstreamRecord]
    environments: Sequence[EnvironmentRecord]
    wanted: set[_Key]
    configs: Mapping[str, GatewayConfig]
    """By project, of those that have one."""
    masks: Mapping[str, bytes]
    """Masking rules as JSON by project, of those that have some."""
    books: Mapping[str, PriceBook]
    """By project, of all."""


class SnapshotPublisher:
    """Writes the snapshot whenever something that the gateway serves from has changed."""

    def __init__(
        self,
        path: Path,
        metadata: Metadata,
        registry: Registry,
        vault: Vault,
        clock: Clock,
        shelf: PriceShelf | None = None,
    ) -> None:
        self._path = path
        self._metadata = metadata
        self._registry = registry
        self._vault = vault
        self._clock = clock
        self._shelf = shelf or PriceShelf()
        self._press = PricePress()
        self._parts: dict[_Key, ReleaseParts] = {}
        self._lock = threading.Lock()

    def publish(self) -> None:
        """Return when a snapshot of the present state is in place."""
        # One at a time: the state is read inside the lock, so an older one can never replace a newer one.
        with self._lock:
            with self._metadata.transaction() as tx:
                state = self._read(tx)
            # Opened once: with hundreds of services live, reading them all anew would take seconds.
            self._parts = {key: self._parts.get(key) or self._open(key) for key in sorted(state.wanted)}
            write_file(self._path, encode_snapshot(self._compile(state)))

    def _read(self, tx: Transaction) -> _State:
        environments = tx.environments.list()
        configs = {
            record.project_id: msgspec.json.decode(record.config, type=GatewayConfig)
            for record in tx.gateway_configs.all_current()
        }
        projects = tx.projects.list()
        return _State(
            version=tx.ledger.last_sequence(),
            keys=self._keys(tx, projects),
            upstreams=tx.upstreams.list(),
            environments=environments,
            wanted=_wanted_releases(tx, environments),
            configs=configs,
            masks={record.project_id: msgspec.json.encode(record.decode().mask) for record in tx.privacy.all_current()},
            books=self._books(tx, projects, configs),
        )

    def _books(
        self, tx: Transaction, projects: Sequence[ProjectRecord], configs: Mapping[str, GatewayConfig]
    ) -> Mapping[str, PriceBook]:
        tables = tx.price_tables.list()
        return {
            project.project_id: open_book(
                self._shelf,
                configs.get(project.project_id, _NO_CONFIG),
                [record for record in tables if record.project_id == project.project_id],
                tx.price_tables.content,
            )
            for project in projects
        }

    def _open(self, key: _Key) -> ReleaseParts:
        return release_parts(self._registry.open(*key))

    def _compile(self, state: _State) -> Snapshot:
        now_ns = self._clock.now_ns()
        named = [(upstream.project_id, upstream.name) for upstream in state.upstreams]
        return Snapshot(
            version=state.version,
            published_ns=now_ns,
            keys=state.keys,
            upstreams={f"{u.project_id}/{u.name}": _upstream(u, state.configs) for u in state.upstreams},
            routes={
                f"{found.project_id}/{found.service}/{found.environment}": self._route(found)
                for found in state.environments
            },
            releases={
                f"{project_id}/{digest}": _release(parts, state.books[project_id], now_ns)
                for (project_id, digest), parts in self._parts.items()
            },
            prices=self._press.table(state.books, named, self._chain_models(state), now_ns),
            models={
                f"{project_id}/{alias.name}": compile_alias(alias)
                for project_id, config in state.configs.items()
                for alias in config.model
            },
            projects={
                project_id: _project(state.configs.get(project_id, _NO_CONFIG), state.masks.get(project_id, b"[]"))
                for project_id in sorted({*state.configs, *state.masks})
            },
        )

    def _chain_models(self, state: _State) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for (project_id, _), parts in self._parts.items():
            found.setdefault(project_id, set()).update(chain_models(parts.targets))
        for project_id, config in state.configs.items():
            for alias in config.model:
                found.setdefault(project_id, set()).update(chain_models(alias.target))
        return found

    def _route(self, state: EnvironmentRecord) -> SnapshotRoute:
        rollout = state.rollout
        arms = [SnapshotArm("stable", state.stable_release, 1 - rollout.weight if rollout else 1.0)]
        if rollout:
            arms.append(SnapshotArm("candidate", rollout.release, rollout.weight))
        unit = self._parts[state.project_id, state.stable_release].unit
        return SnapshotRoute(state.project_id, state.service, state.environment, unit, state.salt, arms)

    def _keys(self, tx: Transaction, projects: Sequence[ProjectRecord]) -> dict[str, SnapshotKey]:
        pepper = key_pepper(self._vault)
        keys = {
            key_hash: SnapshotKey(
                key_id=record.key_id,
                project_id=record.project_id,
                label=record.label,
                roles=record.roles,
                expires_ns=ends_ns,
                user=record.policy.user,
                limits=record.policy.limits,
                capture=record.policy.capture,
            )
            for record in tx.keys.list()
            for key_hash, ends_ns in record.secret_ends().items()
        }
        for project in projects:
            text = internal_key(self._vault, project.project_id)
            keys[hash_key(pepper, text)] = SnapshotKey(
                "internal", project.project_id, "Zirkel's experiments", frozenset({Role.ADMIN})
            )
        return keys


def _wanted_releases(tx: Transaction, environments: Sequence[EnvironmentRecord]) -> set[_Key]:
    """Return every release that may be called: live, in a rollout, or in an experiment that is running."""
    wanted = {(state.project_id, state.stable_release) for state in environments}
    wanted |= {(state.project_id, state.rollout.release) for state in environments if state.rollout}
    running = [e for e in tx.experiments.list(None) if e.state == ExperimentState.RUNNING and e.origin == "gateway"]
    return wanted | {(experiment.project_id, experiment.release) for experiment in running}


def _release(parts: ReleaseParts, book: PriceBook, now_ns: int) -> SnapshotRelease:
    mine = {line.model for line in parts.prices}

    def find(model: str) -> list[ModelPrice]:
        return press_prices(book.prices(model, now_ns, parts.prices)) if model in mine else []

    return parts.compiled(find)


def _upstream(record: UpstreamRecord, configs: Mapping[str, GatewayConfig]) -> SnapshotUpstream:
    specs = configs.get(record.project_id, _NO_CONFIG).upstream
    formats = next((spec.formats for spec in specs if spec.name == record.name), [])
    return SnapshotUpstream(
        name=record.name,
        base_url=record.base_url,
        credential=record.sealed_credential,
        dialect=record.dialect,
        formats=formats,
        model_override=record.model_override,
    )


def _project(config: GatewayConfig, mask: bytes) -> SnapshotProject:
    return SnapshotProject(
        mask=msgspec.Raw(mask),
        limits=config.limits,
        capture=config.capture,
        resilience=config.resilience,
        users={subject.user: subject.limits for subject in config.limit if subject.user},
        services={subject.service: subject.limits for subject in config.limit if subject.service},
    )
