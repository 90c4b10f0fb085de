"""The privacy document of a project: applied as a whole or not at all, every version kept."""

from dataclasses import dataclass

import msgspec

from zirkel.core import Clock, Conflict, Json, NotFound, Principal, Role
from zirkel.core.privacy import (
    PrivacyConfig,
    PrivacyRecord,
    invalid_at,
    parse_privacy,
    privacy_changes,
    privacy_digest,
    privacy_json,
)
from zirkel.govern.ports import Publisher
from zirkel.govern.privacy_ports import PrivacyMetadata, PrivacyTransaction, RuleCache
from zirkel.lib.recognisers import RuleFault, compile_masker

MAX_HISTORY = 1000


@dataclass(frozen=True, slots=True)
class PrivacyCheck:
    """What applying a document would do."""

    digest: str
    version: int
    """The version in force now, 0 if there is none: what the document is to replace."""
    changes: tuple[str, ...]
    """For people to read; empty if nothing would change."""


@dataclass(frozen=True, slots=True)
class AppliedPrivacy:
    """What applying a document did."""

    record: PrivacyRecord
    is_new: bool
    """False if everything was so already; nothing was recorded then."""
    changes: tuple[str, ...]


class PrivacyConfiguration:
    """Shows, checks and applies projects' documents. Without one a project masks nothing and keeps everything."""

    def __init__(self, metadata: PrivacyMetadata, rules: RuleCache, publisher: Publisher, clock: Clock) -> None:
        self._metadata = metadata
        self._rules = rules
        self._publisher = publisher
        self._clock = clock

    def current(self, actor: Principal) -> PrivacyRecord | None:
        """Return the version in force, None if the project has no document yet."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return tx.privacy.current(actor.project_id)

    def history(self, actor: Principal, limit: int = 50) -> list[PrivacyRecord]:
        """Return the newest versions, at most ``MAX_HISTORY``, newest first."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return list(tx.privacy.history(actor.project_id, min(limit, MAX_HISTORY)))

    def version(self, actor: Principal, version: int) -> PrivacyRecord:
        """Return one version.

        Raises:
            NotFound: If there is none of this number.
        """
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            found = tx.privacy.get(actor.project_id, version)
        if found is None:
            raise NotFound(f"the privacy document has no version {version}; see: zirkel privacy history")
        return found

    def check(self, actor: Principal, text: str) -> PrivacyCheck:
        """Return what applying a TOML document would change.

        Raises:
            Invalid: With the path of the fault.
        """
        actor.require(Role.READ)
        config = read_privacy(text)
        with self._metadata.transaction() as tx:
            before = tx.privacy.current(actor.project_id)
        changes = privacy_changes(before.decode() if before else PrivacyConfig(), config)
        return PrivacyCheck(privacy_digest(config), before.version if before else 0, changes)

    def apply(self, actor: Principal, text: str, *, based_on: int | None = None) -> AppliedPrivacy:
        """Replace the project's document; on return whatever comes in is masked by it.

        Args:
            actor: Who does it.
            text: The whole document, TOML.
            based_on: The version that the document was made from, 0 for none; ``None`` replaces whichever there is.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: With the path of the fault; nothing was changed.
            Conflict: If another version came first.
        """
        actor.require(Role.ADMIN)
        config = read_privacy(text)
        with self._metadata.transaction() as tx:
            applied = self._apply(tx, actor, text, config, based_on)
        if applied.is_new:
            self._rules.forget(actor.project_id)
            self._publisher.publish()
        return applied

    def _apply(
        self, tx: PrivacyTransaction, actor: Principal, text: str, config: PrivacyConfig, based_on: int | None
    ) -> AppliedPrivacy:
        tx.privacy.lock(actor.project_id)
        before = tx.privacy.current(actor.project_id)
        version = before.version if before else 0
        if based_on is not None and based_on != version:
            raise Conflict(
                f"the privacy document is at version {version}, this one was made from version {based_on}; "
                "look at what changed with: zirkel privacy show"
            )
        if before is not None and before.text == text:
            return AppliedPrivacy(before, False, ())
        changes = privacy_changes(before.decode() if before else PrivacyConfig(), config)
        record = PrivacyRecord(
            project_id=actor.project_id,
            version=version + 1,
            digest=privacy_digest(config),
            text=text,
            config=privacy_json(config),
            applied_ns=self._clock.now_ns(),
            applied_by=actor.label,
        )
        tx.privacy.add(record)
        payload: Json = {
            "version": record.version,
            "digest": record.digest,
            # Kinds of rules only: names and patterns may themselves be what must not be spread.
            "masks": [rule.recogniser or ("names" if rule.names else "pattern") for rule in config.mask],
            "retention": msgspec.to_builtins(config.retention),
            "changes_in_all": len(changes),
        }
        tx.ledger.append(actor.project_id, actor.label, "privacy.configured", payload)
        return AppliedPrivacy(record, True, changes)


def read_privacy(text: str) -> PrivacyConfig:
    """Return the document that a TOML text says, with rules that can be used.

    Raises:
        Invalid: With the path of the fault.
    """
    config = parse_privacy(text)
    try:
        compile_masker(config.mask)
    except RuleFault as fault:
        raise invalid_at(f"mask[{fault.index}].{fault.field}", str(fault)) from fault
    return config
