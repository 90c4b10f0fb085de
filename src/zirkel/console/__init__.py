"""The console: server-rendered pages over the same services as the API."""

from fastapi import FastAPI

from zirkel.console.assets import Assets
from zirkel.console.pages import console_router
from zirkel.console.rendering import Pages
from zirkel.console.services import ConsoleServices
from zirkel.console.session import Sessions
from zirkel.core import Clock

__all__ = ["ConsoleServices", "mount_console"]


def mount_console(app: FastAPI, services: ConsoleServices, session_key: bytes, clock: Clock) -> None:
    """Add the console's pages to ``app``.

    Args:
        app: The core's application; paths under ``/api``, ``/v1`` and ``/healthz`` are not touched.
        services: What the pages show.
        session_key: Signs session cookies and form tokens; at least 16 bytes. A new key ends all sessions.
        clock: Ends sessions after ``session.SESSION_S``.
    """
    app.include_router(console_router(services, Sessions(session_key, clock), Pages(Assets(), services.health.alarms)))
