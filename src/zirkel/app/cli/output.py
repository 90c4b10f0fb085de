"""What commands print: plain words, or JSON with ``--json``."""

import importlib.util
import json
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from zirkel.app.config import load_client_config
from zirkel.client import Client
from zirkel.core import Invalid, Json

EXIT_CHECK_FAILED = 1
EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 3
EXIT_UNREACHABLE = 4

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def connect() -> Client:
    """Return a client for the server of ``ZIRKEL_URL`` with the key of ``ZIRKEL_API_KEY``.

    Raises:
        Invalid: If there is no key.
    """
    config = load_client_config()
    if not config.api_key:
        raise Invalid("set ZIRKEL_API_KEY to a key; `zirkel up` prints the first one when it makes the data directory")
    return Client(config.url, config.api_key)


def print_json(value: Json) -> None:
    """Print a value as indented JSON."""
    out.print_json(json.dumps(value))


def say(text: str) -> None:
    """Print a line, literally."""
    out.print(text, markup=False, emoji=False)


def leave(code: int) -> NoReturn:
    """End the command with an exit code."""
    raise typer.Exit(code)


def short(digest: Json) -> str:
    """Return the first 12 digits of a digest, for people."""
    return str(digest)[:12] if digest else "-"


def number(value: Json, digits: int = 3) -> str:
    """Return a number with sensible digits, ``-`` for none."""
    return "-" if value is None else f"{value:.{digits}f}" if isinstance(value, int | float) else str(value)


def require_server() -> None:
    """Return if the server's libraries are installed.

    Raises:
        Invalid: If not, with the command that installs them.
    """
    missing = _missing()
    if missing:
        raise Invalid(f"this installation is the client only ({missing[0]} is missing): pip install 'zirkel[server]'")


def has_server() -> bool:
    """Return whether the server's libraries are installed."""
    return not _missing()


def _missing() -> list[str]:
    return [name for name in ("sqlalchemy", "chdb", "fastapi", "dbos") if importlib.util.find_spec(name) is None]
