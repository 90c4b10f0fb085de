"""People who sign in with a password."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from zirkel.core import Clock, Invalid, Json, PersonRecord, Principal, Role, Unauthenticated, new_id
from zirkel.govern.ports import GovernMetadata

MINIMUM_PASSWORD = 12


class People:
    """The people of all projects."""

    def __init__(self, metadata: GovernMetadata, clock: Clock) -> None:
        self._metadata = metadata
        self._clock = clock
        self._passwords = PasswordHasher()

    def put(self, actor: Principal, email: str, password: str, roles: frozenset[Role]) -> PersonRecord:
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
        return _principal(person)

    def recall(self, project_id: str, person_id: str, email: str) -> Principal | None:
        """Return the person as a principal, None if the sign-in was replaced since."""
        with self._metadata.transaction() as tx:
            person = tx.people.by_email(email)
        if person is None or (person.project_id, person.person_id) != (project_id, person_id):
            return None
        return _principal(person)


def _principal(person: PersonRecord) -> Principal:
    return Principal(person.project_id, person.person_id, person.email, person.roles)
