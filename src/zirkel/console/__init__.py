"""The console: server-rendered pages over the same services as the API."""

from fastapi import FastAPI

from zirkel.core import Clock


def mount_console(app: FastAPI, services: object, session_key: bytes, clock: Clock) -> None:
    """Placeholder until the pages exist."""
