"""The command line."""

from zirkel.app.cli.main import app, main

__all__ = ["app", "main"]
