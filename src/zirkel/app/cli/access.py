"""``people``, ``upstreams``; ``keys`` and ``projects`` have modules of their own."""

import getpass
import sys
from typing import Annotated

import typer

from zirkel.app.cli.keys import Roles, keys_app
from zirkel.app.cli.output import AsJson, connect, print_json, say
from zirkel.app.cli.projects import projects_app
from zirkel.app.config import read_variable
from zirkel.core import Invalid, Json

__all__ = ["keys_app", "people_app", "projects_app", "upstreams_app"]

people_app = typer.Typer(help="People who sign in to the console.", no_args_is_help=True)
upstreams_app = typer.Typer(help="Where models are called.", no_args_is_help=True)


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
    base_url: Annotated[str, typer.Option(help="Address, up to and including the version, e.g. /v1.")],
    dialect: Annotated[str, typer.Option(help="openai, azure, anthropic, gemini or bedrock.")] = "openai",
    key_variable: Annotated[str, typer.Option(help="Environment variable that holds the upstream's key.")] = "",
    model: Annotated[str, typer.Option(help="Send this model name instead of the one asked for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Set where an upstream's models are called. The key is sealed before it is stored."""
    credential = read_variable(key_variable) if key_variable else ""
    if key_variable and not credential:
        raise Invalid(f"the environment variable {key_variable} is empty or not set", path="key-variable")
    body: Json = {"base_url": base_url, "dialect": dialect, "credential": credential, "model_override": model}
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
