"""Upstreams: where models are called, and with which credential."""

import msgspec

from zirkel.core import Clock, Conflict, GatewayConfig, Invalid, Json, Principal, Role, UpstreamRecord
from zirkel.core.gateway_config import DIALECT_FORMATS
from zirkel.govern.ports import GovernMetadata, GovernTransaction, Publisher
from zirkel.govern.vault import Vault


class Upstreams:
    """The upstreams of all projects."""

    def __init__(self, metadata: GovernMetadata, publisher: Publisher, vault: Vault, clock: Clock) -> None:
        self._metadata = metadata
        self._publisher = publisher
        self._vault = vault
        self._clock = clock

    def put(
        self,
        actor: Principal,
        name: str,
        base_url: str,
        *,
        dialect: str = "openai",
        credential: str = "",
        model_override: str = "",
    ) -> UpstreamRecord:
        """Set where an upstream's models are called; the credential is sealed before it is stored.

        Raises:
            Invalid: If the name, address or dialect will not do.
            Conflict: If the gateway's document has the upstream.
        """
        actor.require(Role.ADMIN)
        if not name or "/" in name:
            raise Invalid(f"upstream name {name!r} must be non-empty and without '/'", path="name")
        if not base_url.startswith(("http://", "https://")):
            raise Invalid(f"base_url {base_url!r} must start with http:// or https://", path="base_url")
        if dialect not in DIALECT_FORMATS:
            raise Invalid(f"dialect {dialect!r} is none of {', '.join(DIALECT_FORMATS)}", path="dialect")
        record = UpstreamRecord(
            project_id=actor.project_id,
            name=name,
            base_url=base_url.rstrip("/"),
            dialect=dialect,
            model_override=model_override,
            sealed_credential=self._vault.seal(credential) if credential else "",
            updated_ns=self._clock.now_ns(),
        )
        with self._metadata.transaction() as tx:
            _check_owner(tx, record)
            tx.upstreams.put(record)
            said: dict[str, Json] = {"name": name, "base_url": record.base_url, "dialect": dialect}
            payload: Json = {**said, "has_credential": bool(credential)}
            tx.ledger.append(actor.project_id, actor.label, "upstream.set", payload)
        self._publisher.publish()
        return record

    def all(self, actor: Principal) -> list[UpstreamRecord]:
        """Return the project's upstreams by name."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return list(tx.upstreams.list(actor.project_id))


def _check_owner(tx: GovernTransaction, record: UpstreamRecord) -> None:
    document = tx.gateway_configs.current(record.project_id)
    config = msgspec.json.decode(document.config, type=GatewayConfig) if document is not None else GatewayConfig()
    if any(upstream.name == record.name for upstream in config.upstream):
        raise Conflict(f"upstream {record.name!r} is in the gateway's document; change it there: zirkel gateway apply")
