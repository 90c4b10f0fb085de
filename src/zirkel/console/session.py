"""Sessions as signed cookies, and the tokens that forms carry."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

import msgspec

from zirkel.core import Clock, Json, Principal, canonical_json

SESSION_COOKIE = "zirkel_session"
FORM_COOKIE = "zirkel_form"
"""Ties the sign-in form to the browser it was sent to, before there is a session."""
SESSION_S = 12 * 3600
MINIMUM_KEY_BYTES = 16

_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signed in. What they may do is looked up on each request, so that a revoked key ends its sessions."""

    project_id: str
    principal_id: str
    label: str
    expires_ns: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """Writes and checks what browsers keep."""

    key: bytes
    clock: Clock

    def __post_init__(self) -> None:
        if len(self.key) < MINIMUM_KEY_BYTES:
            raise ValueError(f"a session key has at least {MINIMUM_KEY_BYTES} bytes, this one {len(self.key)}")

    def issue(self, principal: Principal) -> str:
        """Return a cookie value: base64url of canonical JSON, a dot, HMAC-SHA256 of it in hex."""
        session: Json = {
            "project_id": principal.project_id,
            "principal_id": principal.principal_id,
            "label": principal.label,
            "expires_ns": self.clock.now_ns() + SESSION_S * 10**9,
        }
        body = base64.urlsafe_b64encode(canonical_json(session)).decode()
        return f"{body}.{self._sign('session', body)}"

    def read(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None if it is not ours, was changed or has ended."""
        body, _, signature = cookie.partition(".")
        if not _is_same(signature, self._sign("session", body)):
            return None
        try:
            session = msgspec.json.decode(base64.urlsafe_b64decode(body), type=Session)
        except (binascii.Error, msgspec.DecodeError):
            return None
        return session if session.expires_ns > self.clock.now_ns() else None

    def form_token(self, cookie: str) -> str:
        """Return the token that a form must carry when it comes back with ``cookie``."""
        return self._sign("form", cookie)

    def accepts_form(self, cookie: str, token: str) -> bool:
        """Return whether a form was made for the browser that holds ``cookie``."""
        return bool(cookie) and _is_same(token, self.form_token(cookie))

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self.key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


def new_form_cookie() -> str:
    """Return a random value for a browser without a session, 43 characters."""
    return secrets.token_urlsafe(32)


def local_path(wanted: str) -> str:
    """Return ``wanted`` if it is a path of this server, else ``/``.

    ``//host``, ``/\\host`` and anything with a scheme lead elsewhere in a browser.

    Source: WHATWG URL Standard, section 4.4 (a backslash counts as a slash).
    """
    return wanted if _LOCAL_PATH.fullmatch(wanted) else "/"


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())
