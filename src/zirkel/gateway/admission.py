"""Who calls, and what the caller's headers ask for. Nothing is read of the body before this."""

from dataclasses import dataclass

from zirkel.core import Clock, Forbidden, Invalid, Principal, Role, Unauthenticated
from zirkel.gateway.http import Headers
from zirkel.gateway.snapshot import Snapshot, SnapshotKey, hash_key

_ADMIN_HEADERS = ("x-zirkel-release", "x-zirkel-experiment", "x-zirkel-item", "x-zirkel-trial")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a caller asks for by headers; empty means not asked."""

    unit: str = ""
    session_id: str = ""
    pinned_release: str = ""
    experiment_id: str = ""
    item_id: str = ""
    trial: int | None = None


def authenticate(snapshot: Snapshot, pepper: bytes, headers: Headers, clock: Clock) -> SnapshotKey:
    """Return the key that a request bears.

    The key is looked up by its keyed hash, so the time the lookup takes says nothing about the keys that exist.

    Raises:
        Unauthenticated: If there is none, or it is unknown or expired.
        Forbidden: If it may not call models.
    """
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("no API key; send it as: Authorization: Bearer KEY")
    key = snapshot.keys.get(hash_key(pepper, secret.strip()))
    if key is None:
        raise Unauthenticated("this API key is not known here")
    if key.expires_ns is not None and key.expires_ns <= clock.now_ns():
        raise Unauthenticated(f"the API key {key.label!r} has expired")
    Principal(key.project_id, key.key_id, key.label, key.roles).require(Role.CALL)
    return key


def read_wishes(key: SnapshotKey, headers: Headers) -> Wishes:
    """Return what the headers ask for.

    Raises:
        Forbidden: If they ask for what only an admin may.
        Invalid: If the trial is not a whole number of at least 0.
    """
    asked = [name for name in _ADMIN_HEADERS if name in headers]
    if asked and Role.ADMIN not in key.roles:
        raise Forbidden(f"the header {asked[0]} needs the role 'admin', which the key {key.label!r} has not")
    return Wishes(
        unit=headers.get("x-zirkel-unit", ""),
        session_id=headers.get("x-zirkel-session", ""),
        pinned_release=headers.get("x-zirkel-release", ""),
        experiment_id=headers.get("x-zirkel-experiment", ""),
        item_id=headers.get("x-zirkel-item", ""),
        trial=_trial(headers.get("x-zirkel-trial", "")),
    )


def _trial(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise Invalid(f"a trial is a whole number of at least 0, not {text[:40]!r}", path="x-zirkel-trial")
    return int(text)
