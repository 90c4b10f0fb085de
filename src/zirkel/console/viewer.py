"""From a session cookie to who looks at the page."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from zirkel.console.session import SESSION_COOKIE, Sessions
from zirkel.core import Principal, Unauthenticated
from zirkel.govern import Access


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page."""

    principal: Principal
    form_token: str
    """Goes into every form of the page."""


def require_viewer(access: Access, sessions: Sessions) -> Callable[[Request], Viewer]:
    """Return a dependency that gives the viewer, as the principal is now: a revoked key ends its sessions at once.

    The dependency raises ``Unauthenticated`` if there is no session that still holds.
    """

    def dependency(request: Request) -> Viewer:
        cookie = request.cookies.get(SESSION_COOKIE, "")
        session = sessions.read(cookie)
        if session is None:
            raise Unauthenticated("sign in first")
        principal = access.recall(session.project_id, session.principal_id, session.label)
        viewer = Viewer(principal, sessions.form_token(cookie))
        request.state.viewer = viewer
        return viewer

    return dependency
