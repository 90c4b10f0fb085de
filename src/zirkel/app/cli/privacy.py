"""``privacy``, ``erase`` and ``erasures``: what is masked, how long things are kept, and what is erased."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

import typer

from zirkel.app.cli.documents import (
    Object,
    read_text,
    show_applied,
    show_changes,
    show_document,
    show_history,
    version_in_force,
)
from zirkel.app.cli.output import AsJson, connect, print_json, say, short
from zirkel.app.config import load_client_config
from zirkel.client import Client
from zirkel.core import Invalid, Json, iso_utc
from zirkel.core.privacy import PrivacyConfig, invalid_at, parse_privacy, privacy_digest
from zirkel.lib.recognisers import RuleFault, compile_masker

privacy_app = typer.Typer(help="What is masked, and how long things are kept.", no_args_is_help=True)

ERASURE_TIMEOUT_S = 3600.0
"""Rewriting a large telemetry store takes as long as reading it."""
PATH = "/api/v1/privacy"
PrivacyFile = Annotated[Path, typer.Argument(help="A privacy.toml.")]


@privacy_app.command("show")
def show(
    version: Annotated[int, typer.Option(help="This version; 0 is the one in force.")] = 0, as_json: AsJson = False
) -> None:
    """Print the privacy document as TOML."""
    empty = "# there is no document yet: nothing is masked, everything is kept; apply one with: zirkel privacy apply"
    with connect() as client:
        show_document(client, PATH, version, empty, as_json=as_json)


@privacy_app.command("check")
def check(
    file: PrivacyFile,
    server: Annotated[bool, typer.Option(help="Also ask the server what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a document, without a server; exit 2 with the path of the fault."""
    text = read_text(file)
    config = _parse(text)
    found: Object = {"digest": privacy_digest(config)}
    if server:
        with connect() as client:
            found |= client.post("/api/v1/privacy/check", {"toml": text})
    if as_json:
        print_json(found)
        return
    say(f"{file} is good: {len(config.mask)} masking rules")
    show_changes(cast("list[str]", found.get("changes", [])))


@privacy_app.command("apply")
def apply(
    file: PrivacyFile,
    based_on: Annotated[
        int, typer.Option(help="Version the file was made from, 0 for none; -1 is the one in force now.")
    ] = -1,
    as_json: AsJson = False,
) -> None:
    """Replace the privacy document as a whole. It holds for all that comes in from then on, at once."""
    text = read_text(file)
    _parse(text)
    with connect() as client:
        version = version_in_force(client, PATH, based_on)
        done = client.put("/api/v1/privacy", {"toml": text, "version": version})
    if as_json:
        print_json(done)
        return
    show_applied(done)


@privacy_app.command("history")
def history(limit: Annotated[int, typer.Option(help="At most so many.")] = 20, as_json: AsJson = False) -> None:
    """List the versions of the privacy document, newest first."""
    with connect() as client:
        show_history(client, PATH, limit, as_json=as_json)


@privacy_app.command("retain")
def retain(
    now: Annotated[bool, typer.Option("--now", help="Remove it, instead of waiting for the next hour.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say from before when telemetry is removed for its age, and with --now remove it."""
    with _patient() as client:
        rows = (
            client.post_list("/api/v1/privacy/retention", {}) if now else client.get_list("/api/v1/privacy/retention")
        )
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("everything is kept; a privacy document says otherwise, see: zirkel privacy apply")
    for row in rows:
        where = f"environment {row['environment']}" if row["environment"] else "all environments"
        day = iso_utc(cast(int, row["before_ns"]))[:10]
        say(f"{row['what']:<8} before {day}  {where}{_counts(row) if now else ''}")


def erase(
    user: Annotated[str, typer.Option(help="An end user's id, as spans carry it.")] = "",
    session: Annotated[str, typer.Option(help="A session's id, as spans carry it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase what belongs to an end user or a session, everywhere and for good."""
    if bool(user) == bool(session):
        raise Invalid("name either --user or --session", path="--user")
    if not (dry_run or yes):
        typer.confirm(f"Erase everything of {'user' if user else 'session'} {user or session!r} for good?", abort=True)
    with _patient() as client:
        done = client.post("/api/v1/erasures", {"user": user, "session": session, "dry_run": dry_run})
    if as_json:
        print_json(done)
        return
    say(f"{'would erase' if dry_run else 'erased'} {done['traces']} traces; the ledger's name: {done['subject_hash']}")
    for place in cast("list[Object]", done["places"]):
        removed = cast("Object", place["removed"])
        say(f"   {place['place']:<13} " + (", ".join(f"{count} {what}" for what, count in removed.items()) or "-"))
        for line in cast("list[str]", place["left"]):
            say(f"      left: {line}")


def erasures(limit: Annotated[int, typer.Option(help="At most so many.")] = 20, as_json: AsJson = False) -> None:
    """List what was erased, newest first."""
    with connect() as client:
        rows = client.get_list("/api/v1/erasures", {"limit": limit})
    if as_json:
        print_json(rows)
        return
    for row in rows:
        at = iso_utc(cast(int, row["erased_ns"]))
        say(f"{at}  {row['kind']:<7}  {short(row['subject_hash'])}  {row['erased_by']}")


def _patient() -> Client:
    """Return a client that waits for as long as removing may take."""
    with connect():
        # Says what is missing if there is no key.
        config = load_client_config()
    return Client(config.url, config.api_key, timeout_s=ERASURE_TIMEOUT_S)


def _parse(text: str) -> PrivacyConfig:
    config = parse_privacy(text)
    try:
        compile_masker(config.mask)
    except RuleFault as fault:
        raise invalid_at(f"mask[{fault.index}].{fault.field}", str(fault)) from fault
    return config


def _counts(row: Mapping[str, Json]) -> str:
    counts = ", ".join(f"{row[name]} {name}" for name in ("spans", "logs", "points", "scores") if row[name])
    return f"  {counts or 'nothing'}"
