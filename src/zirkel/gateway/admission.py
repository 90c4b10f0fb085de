"""Who calls, and what the caller's headers ask for. Nothing is read of the body before this."""

import msgspec

from zirkel.core import Clock, Forbidden, Invalid, Role, Unauthenticated
from zirkel.gateway.http import Headers
from zirkel.gateway.snapshot import Snapshot, SnapshotKey, hash_key

_ADMIN_HEADERS = (
    "x-zirkel-release", "x-zirkel-experiment", "x-zirkel-item", "x-zirkel-trial", "x-zirkel-evaluator",
)  # fmt: skip
_LONGEST_NAME = 200


class Wishes(msgspec.Struct, frozen=True):
    """What a caller asks for by headers; empty means not asked."""

    unit: str = ""
    session_id: str = ""
    pinned_release: str = ""
    experiment_id: str = ""
    item_id: str = ""
    trial: int | None = None
    evaluator: str = ""
    """The call is a judge's, and no traffic: the name of who judges."""
    bypasses_cache: bool = False
    forwarded: Headers = msgspec.field(default_factory=dict)
    """Headers for an upstream of the caller's own format."""


_FORWARDED = ("anthropic-beta", "anthropic-version", "openai-beta")
_WISHES = frozenset(
    {"x-zirkel-unit", "x-zirkel-session", "x-zirkel-cache", "cache-control", *_ADMIN_HEADERS, *_FORWARDED}
)
NO_WISHES = Wishes()


def authenticate(snapshot: Snapshot, pepper: bytes, headers: Headers, clock: Clock) -> SnapshotKey:
    """Return the key that a request bears.

    The key is looked up by its keyed hash, so the time the lookup takes says nothing about the keys that exist.

    Raises:
        Unauthenticated: If there is none, or it is unknown or expired.
    """
    key = snapshot.keys.get(hash_key(pepper, _secret(headers)))
    if key is None:
        raise Unauthenticated("this API key is not known here")
    if key.expires_ns is not None and key.expires_ns <= clock.now_ns():
        raise Unauthenticated(f"the API key {key.label!r} has expired")
    return key


def _secret(headers: Headers) -> str:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        # As the clients of Anthropic, Azure and Gemini send it.
        secret = headers.get("x-api-key") or headers.get("api-key") or headers.get("x-goog-api-key") or ""
    if not secret.strip():
        raise Unauthenticated("no API key; send it as: Authorization: Bearer KEY")
    return secret.strip()


def read_wishes(key: SnapshotKey, headers: Headers) -> Wishes:
    """Return what the headers ask for.

    Raises:
        Forbidden: If they ask for what only an admin may.
        Invalid: If the trial is not a whole number of at least 0.
    """
    if _WISHES.isdisjoint(headers):
        return NO_WISHES
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
        evaluator=headers.get("x-zirkel-evaluator", "")[:_LONGEST_NAME],
        bypasses_cache=_bypasses_cache(headers),
        forwarded={name: headers[name] for name in _FORWARDED if name in headers},
    )


def _trial(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise Invalid(f"a trial is a whole number of at least 0, not {text[:40]!r}", path="x-zirkel-trial")
    return int(text)


def _bypasses_cache(headers: Headers) -> bool:
    """Return whether a fresh answer is wanted. Source: RFC 9111, sections 5.2.1.4 and 5.2.1.5."""
    asked = headers.get("cache-control", "").lower()
    return headers.get("x-zirkel-cache", "").lower() == "bypass" or "no-cache" in asked or "no-store" in asked
