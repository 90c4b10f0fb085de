"""Keys, people and upstreams: who may do what, and where calls go."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from zirkel.core import (
    Clock,
    Invalid,
    Json,
    KeyRecord,
    NotFound,
    PersonRecord,
    Principal,
    ProjectRecord,
    Role,
    Unauthenticated,
    UpstreamRecord,
    new_id,
)
from zirkel.govern.ports import GovernMetadata, GovernTransaction, Publisher
from zirkel.govern.vault import Vault

DEFAULT_PROJECT = "default"
KEY_PREFIX = "zk_"
MINIMUM_PASSWORD = 12
SYSTEM = Principal(DEFAULT_PROJECT, "system", "system", frozenset({Role.ADMIN}))
"""Zirkel itself, as the ledger names it."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: its text exists only here."""

    text: str
    record: KeyRecord


class Access:
    """Issues, checks and revokes credentials."""

    def __init__(
        self,
        metadata: GovernMetadata,
        publisher: Publisher,
        vault: Vault,
        hash_key: Callable[[str], str],
        clock: Clock,
    ) -> None:
        self._metadata = metadata
        self._publisher = publisher
        self._vault = vault
        self._hash_key = hash_key
        self._clock = clock
        self._passwords = PasswordHasher()

    def bootstrap(self) -> NewKey | None:
        """Create the default project and its first admin key; None if the installation has them already."""
        with self._metadata.transaction() as tx:
            if tx.projects.list():
                return None
            tx.projects.add(ProjectRecord(DEFAULT_PROJECT, DEFAULT_PROJECT, self._clock.now_ns()))
            # In one transaction: a project without a key would lock everybody out.
            first = self._add_key(tx, SYSTEM, "first admin key", frozenset({Role.ADMIN}), None)
        self._publisher.publish()
        return first

    def create_key(self, actor: Principal, label: str, roles: frozenset[Role], expires_ns: int | None = None) -> NewKey:
        """Make a key; its text is returned once and never stored.

        Raises:
            Forbidden: If the actor is no admin.
            Invalid: If label or roles are empty.
        """
        actor.require(Role.ADMIN)
        if not label.strip() or not roles:
            raise Invalid("a key needs a label and at least one role", path="label" if roles else "roles")
        with self._metadata.transaction() as tx:
            created = self._add_key(tx, actor, label.strip(), roles, expires_ns)
        self._publisher.publish()
        return created

    def _add_key(
        self, tx: GovernTransaction, actor: Principal, label: str, roles: frozenset[Role], expires_ns: int | None
    ) -> NewKey:
        text = KEY_PREFIX + secrets.token_urlsafe(32)
        record = KeyRecord(
            key_id=new_id(self._clock),
            project_id=actor.project_id,
            label=label,
            roles=roles,
            key_hash=self._hash_key(text),
            hint=f"…{text[-4:]}",
            created_ns=self._clock.now_ns(),
            expires_ns=expires_ns,
        )
        tx.keys.add(record)
        payload = {"key_id": record.key_id, "label": record.label, "roles": sorted(roles)}
        tx.ledger.append(actor.project_id, actor.label, "key.created", payload)
        return NewKey(text, record)

    def list_keys(self, actor: Principal) -> list[KeyRecord]:
        """Return the project's keys, oldest first."""
        actor.require(Role.ADMIN)
        with self._metadata.transaction() as tx:
            return list(tx.keys.list(actor.project_id))

    def revoke_key(self, actor: Principal, key_id: str) -> None:
        """Revoke a key, everywhere at once.

        Raises:
            NotFound: If there is no valid key of that id.
        """
        actor.require(Role.ADMIN)
        with self._metadata.transaction() as tx:
            if not tx.keys.revoke(actor.project_id, key_id, self._clock.now_ns()):
                raise NotFound(f"there is no valid key {key_id!r}; see: zirkel keys list")
            tx.ledger.append(actor.project_id, actor.label, "key.revoked", {"key_id": key_id})
        self._publisher.publish()

    def authenticate(self, key_text: str) -> Principal:
        """Return whose key this is.

        Raises:
            Unauthenticated: If the key is unknown, revoked or expired.
        """
        with self._metadata.transaction() as tx:
            record = tx.keys.by_hash(self._hash_key(key_text))
        if record is None or record.revoked_ns is not None:
            raise Unauthenticated("the API key is not known here; make one with: zirkel keys create")
        if self._has_expired(record):
            raise Unauthenticated("the API key has expired; make a new one with: zirkel keys create")
        return Principal(record.project_id, record.key_id, record.label, record.roles)

    def recall(self, project_id: str, principal_id: str, label: str) -> Principal:
        """Return a principal as it is now, for a session that began earlier.

        Raises:
            Unauthenticated: If the key was revoked or has expired, or the person's sign-in was replaced.
        """
        with self._metadata.transaction() as tx:
            key = next((key for key in tx.keys.list(project_id) if key.key_id == principal_id), None)
            person = tx.people.by_email(label) if key is None else None
        if key is not None and key.revoked_ns is None and not self._has_expired(key):
            return Principal(key.project_id, key.key_id, key.label, key.roles)
        if person is not None and (person.project_id, person.person_id) == (project_id, principal_id):
            return Principal(person.project_id, person.person_id, person.email, person.roles)
        raise Unauthenticated("the session has ended; sign in again")

    def _has_expired(self, key: KeyRecord) -> bool:
        return key.expires_ns is not None and key.expires_ns <= self._clock.now_ns()

    def put_person(self, actor: Principal, email: str, password: str, roles: frozenset[Role]) -> PersonRecord:
        """Add a person who signs in with a password, or give one a new password.

        Raises:
            Invalid: If the address or the password will not do.
            Conflict: If the address belongs to another project.
        """
        actor.require(Role.ADMIN)
        if "@" not in email:
            raise Invalid(f"{email!r} is not an e-mail address", path="email")
        if len(password) < MINIMUM_PASSWORD:
            raise Invalid(f"a password has at least {MINIMUM_PASSWORD} characters", path="password")
        hashed = self._passwords.hash(password)
        now_ns = self._clock.now_ns()
        person = PersonRecord(new_id(self._clock), actor.project_id, email.lower(), hashed, roles, now_ns)
        with self._metadata.transaction() as tx:
            tx.people.put(person)
            payload: Json = {"email": person.email, "roles": sorted(roles)}
            tx.ledger.append(actor.project_id, actor.label, "person.set", payload)
        return person

    def sign_in(self, email: str, password: str) -> Principal:
        """Return who signs in.

        Raises:
            Unauthenticated: If address or password are wrong; the message does not say which.
        """
        with self._metadata.transaction() as tx:
            person = tx.people.by_email(email.lower())
        # An unknown address costs as much time as a wrong password, so that time does not tell them apart.
        stored = person.password_hash if person else self._passwords.hash("no such person")
        try:
            self._passwords.verify(stored, password)
        except (VerificationError, InvalidHashError) as error:
            raise Unauthenticated("e-mail address or password are wrong") from error
        if person is None:
            raise Unauthenticated("e-mail address or password are wrong")
        return Principal(person.project_id, person.person_id, person.email, person.roles)

    def put_upstream(
        self, actor: Principal, name: str, base_url: str, *, credential: str = "", model_override: str = ""
    ) -> UpstreamRecord:
        """Set where an upstream's models are called; the credential is sealed before it is stored.

        Raises:
            Invalid: If the name or address will not do.
        """
        actor.require(Role.ADMIN)
        if not name or "/" in name:
            raise Invalid(f"upstream name {name!r} must be non-empty and without '/'", path="name")
        if not base_url.startswith(("http://", "https://")):
            raise Invalid(f"base_url {base_url!r} must start with http:// or https://", path="base_url")
        record = UpstreamRecord(
            project_id=actor.project_id,
            name=name,
            base_url=base_url.rstrip("/"),
            dialect="openai",
            model_override=model_override,
            sealed_credential=self._vault.seal(credential) if credential else "",
            updated_ns=self._clock.now_ns(),
        )
        with self._metadata.transaction() as tx:
            tx.upstreams.put(record)
            payload: Json = {"name": name, "base_url": record.base_url, "has_credential": bool(credential)}
            tx.ledger.append(actor.project_id, actor.label, "upstream.set", payload)
        self._publisher.publish()
        return record

    def list_upstreams(self, actor: Principal) -> list[UpstreamRecord]:
        """Return the project's upstreams by name."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return list(tx.upstreams.list(actor.project_id))
