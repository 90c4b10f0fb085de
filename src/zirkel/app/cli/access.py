"""``keys``, ``people``, ``upstreams``."""

import getpass
import sys
import time
from pathlib import Path
from typing import Annotated, cast

import typer

from zirkel.app.cli.output import AsJson, connect, print_json, require_server, say
from zirkel.app.config import load_config, read_variable
from zirkel.core import Invalid, Json, Role

keys_app = typer.Typer(help="API keys.", no_args_is_help=True)
people_app = typer.Typer(help="People who sign in to the console.", no_args_is_help=True)
upstreams_app = typer.Typer(help="Where models are called.", no_args_is_help=True)

Roles = Annotated[list[Role], typer.Option("--role", help="What it may do; can be given several times.")]


@keys_app.command("create")
def create_key(
    label: str,
    roles: Roles,
    days: Annotated[int, typer.Option(help="Days until it expires; 0 is never.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its text is printed once and kept nowhere."""
    expires_ns = int((time.time() + days * 86_400) * 1e9) if days else None  # noqa: TID251 (the caller's clock)
    with connect() as client:
        made = client.post(
            "/api/v1/keys", {"label": label, "roles": [r.value for r in roles], "expires_ns": expires_ns}
        )
    print_json(made) if as_json else say(str(made["key"]))


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List keys, oldest first."""
    with connect() as client:
        rows = client.get_list("/api/v1/keys")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = "revoked" if row["revoked_ns"] else "valid"
        say(
            f"{row['key_id']}  {row['hint']}  {state:<8} {' '.join(cast('list[str]', row['roles'])):<12} {row['label']}"
        )


@keys_app.command("revoke")
def revoke_key(key_id: str) -> None:
    """Revoke a key, at once and everywhere."""
    with connect() as client:
        client.delete(f"/api/v1/keys/{key_id}")
    say(f"revoked {key_id}")


@keys_app.command("rescue")
def rescue_key(
    data_dir: Annotated[Path | None, typer.Option(help="Data directory of the installation, on this machine.")] = None,
) -> None:
    """Make an admin key when all are lost: it takes nothing but access to the data directory, and is recorded."""
    require_server()
    from zirkel.app.rescue import make_admin_key  # noqa: PLC0415 (the client's install lacks the server's libraries)

    say(make_admin_key(load_config(overrides={"data_dir": data_dir})))


@people_app.command("set")
def set_person(email: str, roles: Roles) -> None:
    """Add a person or set a new password, which is asked for (or read from standard input)."""
    password = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    with connect() as client:
        client.post("/api/v1/people", {"email": email, "password": password, "roles": [r.value for r in roles]})
    say(f"{email} can sign in")


@upstreams_app.command("set")
def set_upstream(
    name: str,
    base_url: Annotated[str, typer.Option(help="OpenAI-shaped address, up to and including /v1.")],
    key_variable: Annotated[str, typer.Option(help="Environment variable that holds the upstream's key.")] = "",
    model: Annotated[str, typer.Option(help="Send this model name instead of the one asked for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Set where an upstream's models are called. The key is sealed before it is stored."""
    credential = read_variable(key_variable) if key_variable else ""
    if key_variable and not credential:
        raise Invalid(f"the environment variable {key_variable} is empty or not set", path="key-variable")
    body: Json = {"base_url": base_url, "credential": credential, "model_override": model}
    with connect() as client:
        record = client.put(f"/api/v1/upstreams/{name}", body)
    print_json(record) if as_json else say(f"upstream {name} is {record['base_url']}")


@upstreams_app.command("list")
def list_upstreams(as_json: AsJson = False) -> None:
    """List upstreams by name."""
    with connect() as client:
        rows = client.get_list("/api/v1/upstreams")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['name']:<16} {row['base_url']}  {'with a key' if row['has_credential'] else 'without a key'}")
