"""One face for projects, keys, people and upstreams; what each method raises stands where it is done."""

from collections.abc import Callable, Sequence

from zirkel.core import (
    Clock,
    KeyPolicy,
    KeyRecord,
    PersonRecord,
    Principal,
    ProjectRecord,
    Role,
    Unauthenticated,
    UpstreamRecord,
)
from zirkel.govern.feedback_keys import FeedbackKey
from zirkel.govern.keys import Keys, NewKey
from zirkel.govern.people import People
from zirkel.govern.ports import GovernMetadata, Publisher
from zirkel.govern.projects import DEFAULT_PROJECT, SYSTEM, NewProject, Projects
from zirkel.govern.upstreams import Upstreams
from zirkel.govern.vault import Vault

__all__ = ["DEFAULT_PROJECT", "SYSTEM", "Access", "NewKey", "NewProject"]

_NO_LIMITS = KeyPolicy()


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
        self._keys = Keys(metadata, publisher, hash_key, clock)
        self._projects = Projects(metadata, publisher, self._keys, clock)
        self._people = People(metadata, clock)
        self._upstreams = Upstreams(metadata, publisher, vault, clock)

    def authenticate(self, key_text: str) -> Principal:
        """Return whose key this is; raises ``Unauthenticated``, and ``Forbidden`` for a feedback key."""
        return self._keys.authenticate(key_text)

    def open_feedback(self, key_text: str) -> FeedbackKey:
        """Return the feedback key of a text; raises ``Unauthenticated``, and ``Forbidden`` for any other key."""
        return self._keys.open_feedback(key_text)

    def sign_in(self, email: str, password: str) -> Principal:
        """Return who signs in; raises ``Unauthenticated``."""
        return self._people.sign_in(email, password)

    def recall(self, project_id: str, principal_id: str, label: str) -> Principal:
        """Return a principal as it is now, for a session that began earlier.

        Raises:
            Unauthenticated: If the key was revoked or has expired, or the person's sign-in was replaced.
        """
        found = self._keys.recall(project_id, principal_id) or self._people.recall(project_id, principal_id, label)
        if found is None:
            raise Unauthenticated("the session has ended; sign in again")
        return found

    def bootstrap(self) -> NewKey | None:
        """Create the default project and its first admin key; see ``Projects``."""
        return self._projects.bootstrap()

    def create_project(self, actor: Principal, name: str) -> NewProject:
        """Make a project and its first admin key; see ``Projects``."""
        return self._projects.create(actor, name)

    def list_projects(self, actor: Principal) -> list[ProjectRecord]:
        """Return all projects by id; see ``Projects``."""
        return self._projects.all(actor)

    def rescue(self, project_id: str) -> NewKey:
        """Make an admin key in the system's name; see ``Projects``."""
        return self._projects.rescue(project_id)

    def create_key(
        self,
        actor: Principal,
        label: str,
        roles: frozenset[Role],
        expires_ns: int | None = None,
        policy: KeyPolicy = _NO_LIMITS,
    ) -> NewKey:
        """Make a key; see ``Keys``."""
        return self._keys.create(actor, label, roles, expires_ns, policy)

    def list_keys(self, actor: Principal, after: str = "", limit: int | None = None) -> Sequence[KeyRecord]:
        """Return the project's keys, oldest first, those behind the key id ``after``; see ``Keys``."""
        return self._keys.page(actor, after, limit)

    def get_key(self, actor: Principal, key_id: str) -> KeyRecord:
        """Return a key; see ``Keys``."""
        return self._keys.get(actor, key_id)

    def rotate_key(self, actor: Principal, key_id: str, overlap_s: int) -> NewKey:
        """Give a key a new secret; the present one ends after the overlap, in seconds; see ``Keys``."""
        return self._keys.rotate(actor, key_id, overlap_s)

    def change_key_policy(self, actor: Principal, key_id: str, policy: KeyPolicy) -> KeyRecord:
        """Replace a key's policy as a whole; see ``Keys``."""
        return self._keys.change_policy(actor, key_id, policy)

    def revoke_key(self, actor: Principal, key_id: str) -> None:
        """Revoke a key, everywhere at once; see ``Keys``."""
        self._keys.revoke(actor, key_id)

    def put_person(self, actor: Principal, email: str, password: str, roles: frozenset[Role]) -> PersonRecord:
        """Add a person, or give one a new password; see ``People``."""
        return self._people.put(actor, email, password, roles)

    def put_upstream(
        self,
        actor: Principal,
        name: str,
        base_url: str,
        *,
        dialect: str = "openai",
        credential: str = "",
        model_override: str = "",
    ) -> UpstreamRecord:
        """Set where an upstream's models are called; see ``Upstreams``."""
        return self._upstreams.put(
            actor, name, base_url, dialect=dialect, credential=credential, model_override=model_override
        )

    def list_upstreams(self, actor: Principal) -> list[UpstreamRecord]:
        """Return the project's upstreams by name; see ``Upstreams``."""
        return self._upstreams.all(actor)
