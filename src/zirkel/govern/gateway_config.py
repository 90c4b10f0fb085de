"""The gateway's document of a project: applied as a whole or not at all, every version kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import msgspec

from zirkel.core import (
    Clock,
    Conflict,
    Corrupt,
    GatewayConfig,
    Invalid,
    Json,
    NotFound,
    Principal,
    Refused,
    Role,
    UpstreamRecord,
    UpstreamSpec,
)
from zirkel.core.gateway_check import check_upstreams, config_digest, config_json, parse_gateway_config
from zirkel.core.gateway_config import GatewayConfigRecord
from zirkel.govern.config_changes import list_changes
from zirkel.govern.config_ports import ConfigMetadata, ConfigTransaction
from zirkel.govern.ports import Publisher
from zirkel.govern.vault import Vault

MAX_HISTORY = 1000
_CHANGES_IN_LEDGER = 50


@dataclass(frozen=True, slots=True)
class ConfigCheck:
    """What applying a document would do."""

    digest: str
    version: int
    """The version in force now, 0 if there is none: what the document is to replace."""
    changes: tuple[str, ...]
    """For people to read, e.g. ``model fast changed``; empty if nothing would change."""


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """What applying a document did."""

    record: GatewayConfigRecord
    is_new: bool
    """False if everything was so already; nothing was recorded then."""
    changes: tuple[str, ...]


class GatewayConfiguration:
    """Shows, checks and applies projects' documents.

    The upstreams that a document names are the document's: applying it sets them, and removes those that only the
    document before it named. Upstreams that no document named stay as they were set.
    """

    def __init__(
        self, metadata: ConfigMetadata, publisher: Publisher, vault: Vault, clock: Clock, owner_file: str = ""
    ) -> None:
        self._metadata = metadata
        self._publisher = publisher
        self._vault = vault
        self._clock = clock
        self.owner_file = owner_file
        """The file that alone configures this installation's gateway; empty if everybody who may does."""

    def current(self, actor: Principal) -> GatewayConfigRecord | None:
        """Return the version in force, None if the project has no document yet."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return tx.gateway_configs.current(actor.project_id)

    def history(self, actor: Principal, limit: int = 50) -> list[GatewayConfigRecord]:
        """Return the newest versions, at most ``MAX_HISTORY``, newest first."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return list(tx.gateway_configs.history(actor.project_id, min(limit, MAX_HISTORY)))

    def version(self, actor: Principal, version: int) -> GatewayConfigRecord:
        """Return one version.

        Raises:
            NotFound: If there is none of this number.
        """
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            found = tx.gateway_configs.get(actor.project_id, version)
        if found is None:
            raise NotFound(f"the gateway's document has no version {version}; see: zirkel gateway history")
        return found

    def check(self, actor: Principal, text: str) -> ConfigCheck:
        """Return what applying a TOML document would change; whether credentials are there is not looked at.

        Raises:
            Invalid: With the path of the fault.
        """
        actor.require(Role.READ)
        config = parse_gateway_config(text)
        with self._metadata.transaction() as tx:
            before = tx.gateway_configs.current(actor.project_id)
            check_upstreams(config, _foreign(tx, actor.project_id, before))
        return ConfigCheck(
            config_digest(config), before.version if before else 0, list_changes(_decode(before), config)
        )

    def apply(
        self,
        actor: Principal,
        text: str,
        *,
        credentials: Mapping[str, str] | None = None,
        based_on: int | None = None,
        from_file: str = "",
    ) -> AppliedConfig:
        """Replace the project's document; return when the gateway has it.

        Args:
            actor: Who does it.
            text: The whole document, TOML.
            credentials: By upstream's name; one that is left out keeps what is stored.
            based_on: The version that the document was made from, 0 for none; ``None`` replaces whichever there is.
            from_file: The watched file that it comes from, if it does.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: With the path of the fault; nothing was changed.
            Conflict: If another version came first.
            Refused: If this gateway is configured by a file, and the document does not come from there.
        """
        actor.require(Role.ADMIN)
        if self.owner_file and from_file != self.owner_file:
            raise Refused(f"this gateway is configured by the file {self.owner_file}; change it there")
        config = parse_gateway_config(text)
        given = dict(credentials or {})
        _check_credentials(config, given)
        with self._metadata.transaction() as tx:
            applied = self._apply(tx, actor, text, config, given, based_on)
        if applied.is_new:
            self._publisher.publish()
        return applied

    def _apply(
        self,
        tx: ConfigTransaction,
        actor: Principal,
        text: str,
        config: GatewayConfig,
        given: Mapping[str, str],
        based_on: int | None,
    ) -> AppliedConfig:
        tx.gateway_configs.lock(actor.project_id)
        before = tx.gateway_configs.current(actor.project_id)
        version = before.version if before else 0
        if based_on is not None and based_on != version:
            raise Conflict(
                f"the gateway's document is at version {version}, this one was made from version {based_on}; "
                "look at what changed with: zirkel gateway show"
            )
        check_upstreams(config, _foreign(tx, actor.project_id, before))
        changed = self._set_upstreams(tx, actor.project_id, before, config, given)
        changes = list_changes(_decode(before), config)
        if before is not None and before.text == text and not changed:
            return AppliedConfig(before, False, ())
        record = GatewayConfigRecord(
            project_id=actor.project_id,
            version=version + 1,
            digest=config_digest(config),
            text=text,
            config=config_json(config),
            applied_ns=self._clock.now_ns(),
            applied_by=actor.label,
        )
        tx.gateway_configs.add(record)
        payload: Json = {
            "version": record.version,
            "digest": record.digest,
            "changes": list(changes[:_CHANGES_IN_LEDGER]),
            "changes_in_all": len(changes),
            "upstreams_set": changed,
        }
        tx.ledger.append(actor.project_id, actor.label, "gateway.configured", payload)
        return AppliedConfig(record, True, changes)

    def _set_upstreams(
        self,
        tx: ConfigTransaction,
        project_id: str,
        before: GatewayConfigRecord | None,
        config: GatewayConfig,
        given: Mapping[str, str],
    ) -> list[str]:
        """Make the upstreams' records what the document says; return the names of those that changed."""
        stored = {record.name: record for record in tx.upstreams.list(project_id)}
        changed = sorted(_named(before) - {spec.name for spec in config.upstream})
        for name in changed:
            tx.gateway_configs.remove_upstream(project_id, name)
        for index, spec in enumerate(config.upstream):
            known = stored.get(spec.name)
            record = UpstreamRecord(
                project_id=project_id,
                name=spec.name,
                base_url=spec.base_url.rstrip("/"),
                dialect=spec.dialect,
                model_override=spec.model,
                sealed_credential=self._seal(spec, known, given.get(spec.name, ""), f"upstream[{index}]"),
                updated_ns=self._clock.now_ns(),
            )
            if known is None or replace(known, updated_ns=record.updated_ns) != record:
                tx.upstreams.put(record)
                changed.append(spec.name)
        return changed

    def _seal(self, spec: UpstreamSpec, known: UpstreamRecord | None, given: str, path: str) -> str:
        """Return the sealed credential that an upstream is to have."""
        sealed = known.sealed_credential if known else ""
        if given:
            return sealed if sealed and self._opens_to(sealed, given) else self._vault.seal(given)
        variable = spec.credential_variable
        if sealed and known is not None and _origin(known.base_url) != _origin(spec.base_url):
            # Whoever may change an address must not be able to have the credential sent to it.
            raise Invalid(
                f"{path}.base_url: {spec.name!r} moves to another host, and the stored credential was given for "
                f"{_origin(known.base_url)}; give it anew, by setting {variable or 'a credential_variable'}",
                path=f"{path}.base_url",
            )
        if not sealed and variable:
            raise Invalid(
                f"{path}.credential_variable: {variable} was empty or not set where the document was applied, and no "
                f"credential of {spec.name!r} is stored",
                path=f"{path}.credential_variable",
            )
        return sealed

    def _opens_to(self, sealed: str, given: str) -> bool:
        try:
            return self._vault.unseal(sealed) == given
        except Corrupt:
            return False


def _check_credentials(config: GatewayConfig, given: Mapping[str, str]) -> None:
    for name in given:
        if name not in {spec.name for spec in config.upstream}:
            raise Invalid(f"credentials.{name}: the document has no such upstream", path=f"credentials.{name}")


def _foreign(tx: ConfigTransaction, project_id: str, before: GatewayConfigRecord | None) -> Collection[str]:
    """Return the upstreams that were not set by a document."""
    return {record.name for record in tx.upstreams.list(project_id)} - _named(before)


def _named(record: GatewayConfigRecord | None) -> set[str]:
    return {spec.name for spec in _decode(record).upstream}


def _decode(record: GatewayConfigRecord | None) -> GatewayConfig:
    return msgspec.json.decode(record.config, type=GatewayConfig) if record else GatewayConfig()


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}".lower()
