"""From an ``Authorization`` header to a principal."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Header

from zirkel.core import Principal, Unauthenticated

Authenticate = Callable[[str], Principal]


def require_principal(authenticate: Authenticate) -> Callable[[str | None], Principal]:
    """Return a dependency that gives the caller's principal.

    The dependency raises ``Unauthenticated`` if there is no bearer key, or none that is known.
    """

    def dependency(authorization: Annotated[str | None, Header()] = None) -> Principal:
        return authenticate(read_bearer(authorization))

    return dependency


def read_bearer(authorization: str | None) -> str:
    """Return the key of an ``Authorization: Bearer KEY`` header.

    Raises:
        Unauthenticated: If there is none.
    """
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("send the API key as: Authorization: Bearer zk_…")
    return key.strip()
