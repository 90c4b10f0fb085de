"""Feedback keys: public on purpose, so they do one thing only, from the web origins that they name."""

from collections.abc import Collection
from dataclasses import dataclass

from zirkel.core import Invalid, KeyPolicy, KeyRecord, Principal, Role

PUBLIC_PREFIX = "zk_pub_"
"""Begins the text of each feedback key, for people and for scanners of secrets."""
ANY_ORIGIN = "*"


@dataclass(frozen=True, slots=True)
class FeedbackKey:
    """A valid feedback key that somebody showed."""

    principal: Principal
    origins: frozenset[str]
    requests_per_minute: int | None
    """The key's own limit; ``None`` if it has none."""

    def allows(self, origin: str) -> bool:
        """Return whether a page of ``origin`` may use the key; an empty one is a caller that is no browser."""
        return ANY_ORIGIN in self.origins or origin in self.origins


def is_feedback_key(record: KeyRecord) -> bool:
    """Return whether a key may write feedback and nothing else."""
    return record.roles == {Role.FEEDBACK}


def check_feedback_key(roles: Collection[Role], policy: KeyPolicy, path: str = "") -> None:
    """Return if roles and origins go together: origins are a feedback key's, which has no other role.

    Raises:
        Invalid: With the path of the faulty field; ``path`` (e.g. ``policy``) is where the policy stands.
    """
    place = f"{path}.origins" if path else "origins"
    if Role.FEEDBACK not in roles:
        if policy.origins:
            raise Invalid(f"{place}: only a feedback key is bound to web origins", path=place)
        return
    if len(roles) > 1:
        raise Invalid("a feedback key stands in web pages for everybody; it can have no other role", path="roles")
    if not policy.origins:
        raise Invalid(
            f"{place}: name the web origins that may use the feedback key, e.g. https://shop.example, or * for any",
            path=place,
        )
