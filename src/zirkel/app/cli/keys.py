"""``keys``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from zirkel.app.cli.key_options import (
    CaptureChoice,
    KeyRow,
    PolicyOptions,
    describe_budgets,
    describe_policy,
    describe_state,
    merge_policy,
    read_key,
    read_lifetime,
)
from zirkel.app.cli.output import AsJson, connect, err, print_json, require_server, say
from zirkel.app.config import load_config
from zirkel.client import Client
from zirkel.core import Invalid, Json, KeyPolicy, Role, SystemClock, iso_utc

PAGE = 1000

keys_app = typer.Typer(help="API keys.", no_args_is_help=True)

Roles = Annotated[list[Role], typer.Option("--role", help="What it may do; can be given several times.")]
User = Annotated[str | None, typer.Option(help="Whose key it is; its calls count as this user's.")]
Rpm = Annotated[int | None, typer.Option(min=0, help="Most requests per minute; 0 is no limit.")]
Tpm = Annotated[int | None, typer.Option(min=0, help="Most tokens per minute; 0 is no limit.")]
Concurrency = Annotated[int | None, typer.Option(min=0, help="Most calls at the same time; 0 is no limit.")]
Budgets = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        help="USD per hour, day or month (UTC): month=20, with an alert at 15 month=15:20, alert only month=15:, "
        "no more month=none; can be given several times.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Allow only service:NAME, model names and UPSTREAM/MODEL like this, with * for any text; can be given "
        "several times; an empty text allows all again.",
    ),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--origin",
        help="Of a feedback key: a web origin that may use it, such as https://shop.example, or * for any; can be "
        "given several times.",
    ),
]
Capture = Annotated[CaptureChoice | None, typer.Option(help="What is kept of inputs and outputs.")]


@keys_app.command("create")
def create_key(
    label: str,
    roles: Roles,
    user: User = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    budgets: Budgets = None,
    models: Models = None,
    capture: Capture = None,
    origins: Origins = None,
    days: Annotated[int, typer.Option(min=0, help="Days until it expires; 0 is never.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its text is printed once and kept nowhere."""
    options = PolicyOptions(user, rpm, tpm, concurrency, budgets or (), models or (), capture, origins or ())
    body: Json = {
        "label": label,
        "roles": [role.value for role in roles],
        "expires_ns": SystemClock().now_ns() + days * 86_400 * 10**9 if days else None,
        "policy": msgspec.to_builtins(merge_policy(KeyPolicy(), options)),
    }
    with connect() as client:
        made = client.post("/api/v1/keys", body)
    print_json(made) if as_json else say(str(made["key"]))


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List keys, oldest first, with their state, roles, label and budgets."""
    with connect() as client:
        rows = list(_all_keys(client))
    if as_json:
        print_json(rows)
        return
    now_ns = SystemClock().now_ns()
    for key in map(read_key, rows):
        state, budgets = describe_state(key, now_ns), describe_budgets(key.policy.limits)
        say(f"{key.key_id}  {key.hint}  {state:<8} {' '.join(key.roles):<12} {key.label}  {budgets}")


@keys_app.command("show")
def show_key(key_id: str, as_json: AsJson = False) -> None:
    """Show a key and what it may use."""
    with connect() as client:
        row = client.get(f"/api/v1/keys/{key_id}")
    print_json(row) if as_json else _say_key(read_key(row))


@keys_app.command("change")
def change_key(
    key_id: str,
    user: User = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    budgets: Budgets = None,
    models: Models = None,
    capture: Capture = None,
    origins: Origins = None,
    as_json: AsJson = False,
) -> None:
    """Change what a key may use, from its next call on; what is not given stays."""
    options = PolicyOptions(user, rpm, tpm, concurrency, budgets or (), models or (), capture, origins or ())
    if options == PolicyOptions():
        raise Invalid("nothing to change is given; see: zirkel keys change --help")
    with connect() as client:
        current = read_key(client.get(f"/api/v1/keys/{key_id}")).policy
        changed: Json = msgspec.to_builtins(merge_policy(current, options))
        row = client.put(f"/api/v1/keys/{key_id}/policy", changed)
    print_json(row) if as_json else _say_key(read_key(row))


@keys_app.command("rotate")
def rotate_key(
    key_id: str,
    overlap: Annotated[
        str, typer.Option(help="How long the present secret stays valid: 30m, 24h, 7d; 0 ends it at once.")
    ] = "24h",
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret, which is printed once. The key's limits, budgets and history stay."""
    body: Json = {"overlap_s": read_lifetime(overlap, "overlap")}
    with connect() as client:
        made = client.post(f"/api/v1/keys/{key_id}/rotate", body)
    if as_json:
        print_json(made)
        return
    end_ns = read_key(made).previous_expires_ns
    err.print(
        f"the secret before {f'ends at {iso_utc(end_ns)}' if end_ns else 'has ended'}; the new one:", markup=False
    )
    say(str(made["key"]))


@keys_app.command("revoke")
def revoke_key(key_id: str) -> None:
    """Revoke a key with all its secrets, at once and everywhere."""
    with connect() as client:
        client.delete(f"/api/v1/keys/{key_id}")
    say(f"revoked {key_id}")


@keys_app.command("rescue")
def rescue_key(
    data_dir: Annotated[Path | None, typer.Option(help="Data directory of the installation, on this machine.")] = None,
    project: Annotated[str, typer.Option(help="The project that the key is for.")] = "default",
) -> None:
    """Make an admin key when all are lost: it takes nothing but access to the data directory, and is recorded."""
    require_server()
    from zirkel.app.rescue import make_admin_key  # noqa: PLC0415 (the client's install lacks the server's libraries)

    say(make_admin_key(load_config(overrides={"data_dir": data_dir}), project))


def _all_keys(client: Client) -> Iterator[dict[str, Json]]:
    after = ""
    while True:
        rows = client.get_list("/api/v1/keys", {"after": after, "limit": PAGE})
        yield from rows
        if len(rows) < PAGE:
            return
        after = str(rows[-1]["key_id"])


def _say_key(key: KeyRow) -> None:
    facts = {
        "key": f"{key.key_id} {key.hint}",
        "label": key.label,
        "roles": " ".join(key.roles),
        "state": describe_state(key, SystemClock().now_ns()),
        "created": iso_utc(key.created_ns),
        **describe_policy(key.policy),
    }
    for name, value in facts.items():
        say(f"{name:<20} {value}")
