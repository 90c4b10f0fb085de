"""What commands for a project's versioned documents have in common: the gateway's and the one of privacy."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from zirkel.app.cli.output import print_json, say, short
from zirkel.client import Client
from zirkel.core import Invalid, Json, iso_utc

Object = dict[str, Json]


def read_text(file: Path) -> str:
    """Return a file's text.

    Raises:
        Invalid: If it cannot be read, or is not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}", path=str(file)) from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not UTF-8 at byte {error.start}", path=str(file)) from error


def show_document(client: Client, path: str, version: int, empty: str, *, as_json: bool) -> None:
    """Print a version of the document at an API path, the one in force if 0; or ``empty`` if there is none."""
    found = client.get(f"{path}/history/{version}" if version else path)
    if as_json:
        print_json(found)
    elif found["version"]:
        # Not through the console, which would read more into it than text.
        sys.stdout.write(f"{str(found['toml']).rstrip()}\n")
    else:
        say(empty)


def show_history(client: Client, path: str, limit: int, *, as_json: bool) -> None:
    """List the versions of the document at an API path, newest first."""
    rows = client.get_list(f"{path}/history", {"limit": limit})
    if as_json:
        print_json(rows)
        return
    for row in rows:
        at = iso_utc(cast(int, row["applied_ns"]))
        say(f"{row['version']:>5}  {short(row['digest'])}  {at}  {row['applied_by']}")


def version_in_force(client: Client, path: str, based_on: int) -> int:
    """Return the version that a document is made from: as given, or the one in force if that is negative."""
    return based_on if based_on >= 0 else cast(int, client.get(path)["version"])


def show_applied(done: Mapping[str, Json]) -> None:
    """Say what applying a document did."""
    say(f"version {done['version']} is in force" if done["is_new"] else f"version {done['version']} says so already")
    show_changes(cast("list[str]", done["changes"]))


def show_changes(changes: Sequence[str]) -> None:
    """List changes."""
    for change in changes:
        say(f"   {change}")
