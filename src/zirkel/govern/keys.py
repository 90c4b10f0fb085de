"""API keys: made, rotated with an overlap, given a policy, revoked; and whose a secret is."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from zirkel.core import (
    Clock,
    Forbidden,
    Invalid,
    Json,
    KeyPolicy,
    KeyRecord,
    NotFound,
    Principal,
    Role,
    Unauthenticated,
    new_id,
)
from zirkel.core.policy_check import check_key_policy
from zirkel.govern.feedback_keys import PUBLIC_PREFIX, FeedbackKey, check_feedback_key, is_feedback_key
from zirkel.govern.ports import GovernMetadata, GovernTransaction, Publisher

KEY_PREFIX = "zk_"
LONGEST_OVERLAP_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with a secret just made: its text exists only here."""

    text: str
    record: KeyRecord


class Keys:
    """The keys of all projects."""

    def __init__(
        self, metadata: GovernMetadata, publisher: Publisher, hash_key: Callable[[str], str], clock: Clock
    ) -> None:
        self._metadata = metadata
        self._publisher = publisher
        self._hash_key = hash_key
        self._clock = clock

    def create(
        self, actor: Principal, label: str, roles: frozenset[Role], expires_ns: int | None, policy: KeyPolicy
    ) -> NewKey:
        """Make a key; its text is returned once and never stored.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: If label or roles are empty, or the policy makes no sense or does not fit the roles.
        """
        actor.require(Role.ADMIN)
        if not label.strip() or not roles:
            raise Invalid("a key needs a label and at least one role", path="label" if roles else "roles")
        check_key_policy(policy, "policy")
        check_feedback_key(roles, policy, "policy")
        with self._metadata.transaction() as tx:
            created = self.add(tx, actor, label.strip(), roles, expires_ns, policy)
        self._publisher.publish()
        return created

    def add(
        self,
        tx: GovernTransaction,
        actor: Principal,
        label: str,
        roles: frozenset[Role],
        expires_ns: int | None = None,
        policy: KeyPolicy = KeyPolicy(),  # noqa: B008 (immutable)
    ) -> NewKey:
        """Make a key of the actor's project in a transaction that does more; the caller publishes it."""
        text, key_hash, hint = self._new_secret(roles)
        record = KeyRecord(
            key_id=new_id(self._clock),
            project_id=actor.project_id,
            label=label,
            roles=roles,
            key_hash=key_hash,
            hint=hint,
            created_ns=self._clock.now_ns(),
            expires_ns=expires_ns,
            policy=policy,
        )
        tx.keys.add(record)
        payload = {
            **_named(record),
            "roles": sorted(roles),
            "expires_ns": expires_ns,
            "policy": msgspec.to_builtins(policy),
        }
        tx.ledger.append(actor.project_id, actor.label, "key.created", payload)
        return NewKey(text, record)

    def page(self, actor: Principal, after: str, limit: int | None) -> Sequence[KeyRecord]:
        """Return the project's keys, oldest first: at most ``limit`` of those behind the key id ``after``."""
        actor.require(Role.ADMIN)
        with self._metadata.transaction() as tx:
            return tx.keys.list(actor.project_id, after, limit)

    def get(self, actor: Principal, key_id: str) -> KeyRecord:
        """Return a key of the project, also one that is expired or revoked.

        Raises:
            NotFound: If there is none of that id.
        """
        actor.require(Role.ADMIN)
        with self._metadata.transaction() as tx:
            record = tx.keys.get(actor.project_id, key_id)
        if record is None:
            raise NotFound(f"there is no key {key_id!r}; see: zirkel keys list")
        return record

    def rotate(self, actor: Principal, key_id: str, overlap_s: int) -> NewKey:
        """Give a key a new secret; id, policy and end of the key stay, and so do its budgets and history.

        The present secret goes on being valid for ``overlap_s`` seconds. One that an earlier rotation left valid ends
        at once.

        Raises:
            Invalid: If the overlap is not from 0 to ``LONGEST_OVERLAP_S``.
            NotFound: If there is no valid key of that id.
        """
        actor.require(Role.ADMIN)
        if not 0 <= overlap_s <= LONGEST_OVERLAP_S:
            raise Invalid(f"an overlap of {overlap_s} s is not from 0 to {LONGEST_OVERLAP_S}", path="overlap_s")
        with self._metadata.transaction() as tx:
            held = self._hold_valid(tx, actor, key_id)
            text, key_hash, hint = self._new_secret(held.roles)
            rotated = replace(
                held,
                key_hash=key_hash,
                hint=hint,
                previous_hash=held.key_hash if overlap_s else None,
                previous_expires_ns=self._clock.now_ns() + overlap_s * 1_000_000_000 if overlap_s else None,
            )
            tx.keys.put(rotated)
            payload = {**_named(rotated), "previous_expires_ns": rotated.previous_expires_ns}
            tx.ledger.append(actor.project_id, actor.label, "key.rotated", payload)
        self._publisher.publish()
        return NewKey(text, rotated)

    def change_policy(self, actor: Principal, key_id: str, policy: KeyPolicy) -> KeyRecord:
        """Replace a key's policy as a whole.

        Raises:
            Invalid: If the policy makes no sense or does not fit the key's roles.
            NotFound: If there is no valid key of that id.
        """
        actor.require(Role.ADMIN)
        check_key_policy(policy)
        with self._metadata.transaction() as tx:
            changed = replace(self._hold_valid(tx, actor, key_id), policy=policy)
            check_feedback_key(changed.roles, policy)
            tx.keys.put(changed)
            payload = {**_named(changed), "policy": msgspec.to_builtins(policy)}
            tx.ledger.append(actor.project_id, actor.label, "key.policy_changed", payload)
        self._publisher.publish()
        return changed

    def revoke(self, actor: Principal, key_id: str) -> None:
        """Revoke a key with all its secrets, everywhere at once.

        Raises:
            NotFound: If there is no key of that id, or it is revoked already.
        """
        actor.require(Role.ADMIN)
        with self._metadata.transaction() as tx:
            held = tx.keys.hold(actor.project_id, key_id)
            if held is None or held.revoked_ns is not None:
                raise _no_valid_key(key_id)
            tx.keys.put(replace(held, revoked_ns=self._clock.now_ns()))
            tx.ledger.append(actor.project_id, actor.label, "key.revoked", _named(held))
        self._publisher.publish()

    def authenticate(self, key_text: str) -> Principal:
        """Return whose key this is.

        Raises:
            Forbidden: If it is a feedback key: whatever asks for a principal lets it do more than such a key may.
            Unauthenticated: If the key is unknown, revoked or expired, or its secret was replaced.
        """
        record = self._valid(key_text)
        if is_feedback_key(record):
            raise Forbidden(f"{record.label!r} is a feedback key: it can POST /api/v1/feedback, and nothing else")
        return _principal(record)

    def open_feedback(self, key_text: str) -> FeedbackKey:
        """Return the feedback key of a text.

        Raises:
            Forbidden: If it is a key of another kind, which must never stand in a web page.
            Unauthenticated: As ``authenticate``.
        """
        record = self._valid(key_text)
        if not is_feedback_key(record):
            raise Forbidden(
                f"{record.label!r} is no feedback key; make one with: zirkel keys create LABEL --role feedback "
                "--origin https://shop.example (other keys write scores: POST /api/v1/scores)"
            )
        policy = record.policy
        return FeedbackKey(_principal(record), frozenset(policy.origins), policy.limits.requests_per_minute)

    def _valid(self, key_text: str) -> KeyRecord:
        key_hash, now_ns = self._hash_key(key_text), self._clock.now_ns()
        with self._metadata.transaction() as tx:
            record = tx.keys.by_hash(key_hash)
        if record is None or record.revoked_ns is not None:
            raise Unauthenticated("the API key is not known here; make one with: zirkel keys create")
        if not record.is_valid(now_ns):
            raise Unauthenticated("the API key has expired; make a new one with: zirkel keys create")
        end_ns = record.secret_ends()[key_hash]
        if end_ns is not None and end_ns <= now_ns:
            raise Unauthenticated("the API key was rotated and this secret has ended; use the new one")
        return record

    def recall(self, project_id: str, key_id: str) -> Principal | None:
        """Return the principal of a key, None if there is no valid one of that id."""
        with self._metadata.transaction() as tx:
            record = tx.keys.get(project_id, key_id)
        return _principal(record) if record is not None and record.is_valid(self._clock.now_ns()) else None

    def _hold_valid(self, tx: GovernTransaction, actor: Principal, key_id: str) -> KeyRecord:
        held = tx.keys.hold(actor.project_id, key_id)
        if held is None or not held.is_valid(self._clock.now_ns()):
            raise _no_valid_key(key_id)
        return held

    def _new_secret(self, roles: frozenset[Role]) -> tuple[str, str, str]:
        """Return the text of a new secret, its hash, and its hint."""
        text = (PUBLIC_PREFIX if Role.FEEDBACK in roles else KEY_PREFIX) + secrets.token_urlsafe(32)
        return text, self._hash_key(text), f"…{text[-4:]}"


def _principal(record: KeyRecord) -> Principal:
    return Principal(record.project_id, record.key_id, record.label, record.roles)


def _named(record: KeyRecord) -> dict[str, Json]:
    return {"key_id": record.key_id, "label": record.label}


def _no_valid_key(key_id: str) -> NotFound:
    return NotFound(f"there is no valid key {key_id!r}; see: zirkel keys list")
