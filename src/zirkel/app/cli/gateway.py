"""``gateway``, ``prices`` and ``import``: what the gateway does beside its releases."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import urlencode

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
from zirkel.app.cli.output import EXIT_CHECK_FAILED, AsJson, connect, leave, print_json, require_server, say, short
from zirkel.app.config import read_variable
from zirkel.core import GatewayConfig, Invalid, Json, SystemClock, iso_utc
from zirkel.core.gateway_check import config_digest, missing_upstreams, parse_gateway_config
from zirkel.core.gateway_text import write_gateway_config

gateway_app = typer.Typer(help="The gateway's document: upstreams, models, limits, prices.", no_args_is_help=True)
prices_app = typer.Typer(help="What models cost.", no_args_is_help=True)
import_app = typer.Typer(help="Take over what another tool has.", no_args_is_help=True)

PATH = "/api/v1/gateway"
ConfigFile = Annotated[Path, typer.Argument(help="A gateway.toml.")]


@gateway_app.command("show")
def show(
    version: Annotated[int, typer.Option(help="This version; 0 is the one in force.")] = 0, as_json: AsJson = False
) -> None:
    """Print the gateway's document as TOML."""
    empty = "# there is no document yet; write a gateway.toml and apply it with: zirkel gateway apply FILE"
    with connect() as client:
        show_document(client, PATH, version, empty, as_json=as_json)


@gateway_app.command("check")
def check(
    file: ConfigFile,
    server: Annotated[bool, typer.Option(help="Also ask the server what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a document, without a server; exit 2 with the path of the fault."""
    text = read_text(file)
    config = parse_gateway_config(text)
    missing = sorted(set(missing_upstreams(config, ()).values()))
    found: Object = {"digest": config_digest(config), "upstreams_elsewhere": missing}
    if server:
        with connect() as client:
            found |= client.post("/api/v1/gateway/check", {"toml": text})
    if as_json:
        print_json(found)
        return
    say(f"{file} is good: {_counted(config)}")
    for name in missing:
        say(f"   upstream {name!r} is not in it, so it must be set on the server")
    show_changes(cast("list[str]", found.get("changes", [])))


@gateway_app.command("apply")
def apply(
    file: ConfigFile,
    based_on: Annotated[
        int, typer.Option(help="Version the file was made from, 0 for none; -1 is the one in force now.")
    ] = -1,
    as_json: AsJson = False,
) -> None:
    """Replace the gateway's document as a whole. Credentials are read from the variables that the file names."""
    _apply(read_text(file), based_on, as_json)


@gateway_app.command("history")
def history(limit: Annotated[int, typer.Option(help="At most so many.")] = 20, as_json: AsJson = False) -> None:
    """List the versions of the gateway's document, newest first."""
    with connect() as client:
        show_history(client, PATH, limit, as_json=as_json)


@prices_app.command("load")
def load_prices(
    file: Annotated[Path, typer.Argument(help="A price table in LiteLLM's format (JSON).")],
    name: Annotated[str, typer.Option(help="What to call it; the file's name if empty.")] = "",
    effective: Annotated[str, typer.Option(help="First day it holds, YYYY-MM-DD, UTC; today if empty.")] = "",
    as_json: AsJson = False,
) -> None:
    """Load a price table; it counts from its first day on, before older ones and the common table."""
    try:
        table: Json = json.loads(read_text(file))
    except ValueError as error:
        raise Invalid(f"{file} is no JSON: {error}", path=str(file)) from error
    with connect() as client:
        made = client.post("/api/v1/prices", {"name": name or file.stem, "effective": effective, "table": table})
    if as_json:
        print_json(made)
        return
    say(f"table {made['number']}, {made['name']}: {made['models']} models from {made['effective']} on")
    _say_not_taken_prices(cast("list[Object]", made["not_taken"]))


@prices_app.command("list")
def list_prices(as_json: AsJson = False) -> None:
    """List loaded price tables, those that count first first."""
    with connect() as client:
        rows = client.get_list("/api/v1/prices")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        facts = f"{row['models']:>6} models  {short(row['digest'])}  {row['loaded_by']}"
        say(f"{row['number']:>4}  {row['effective']}  {row['name']:<24} {facts}")


@prices_app.command("show")
def show_prices(
    models: Annotated[list[str], typer.Argument(help="Models as UPSTREAM/MODEL.")], as_json: AsJson = False
) -> None:
    """Say what models cost now and later, from when on, and by which table."""
    with connect() as client:
        rows = client.get_list(f"/api/v1/prices/models?{_query(models)}")
    if as_json:
        print_json(rows)
        return
    for model in models:
        found = [row for row in rows if row["model"] == model]
        say(f"{model}" if found else f"{model}: unknown; add a [[price]] to the gateway's document")
        for row in found:
            day = iso_utc(cast(int, row["effective_ns"]))[:16] if row["effective_ns"] else "always"
            state = "in force" if row["is_in_force"] else "later"
            say(f"   {state:<8} since {day:<16}  {row['source']} ({short(row['digest'])})")
            for bucket, tiers in cast("dict[str, list[Object]]", row["usd_per_million"]).items():
                say(f"      {bucket:<15} {_tiers(tiers)} USD per million tokens")


@import_app.command("litellm")
def import_litellm(
    file: Annotated[Path, typer.Argument(help="LiteLLM's config.yaml.")],
    output: Annotated[Path | None, typer.Option(help="Write the gateway.toml here instead of printing it.")] = None,
    apply_now: Annotated[bool, typer.Option("--apply", help="Apply it at once, if it changes nobody else's.")] = False,
    strict: Annotated[bool, typer.Option(help="Exit 1 if something could not be taken over.")] = False,
    as_json: AsJson = False,
) -> None:
    """Translate a LiteLLM configuration into a gateway.toml, and list every key that could not be taken over."""
    require_server()
    from zirkel.app.litellm_import import translate_litellm  # noqa: PLC0415 (a client's install lacks what it needs)

    today = iso_utc(SystemClock().now_ns())[:10]
    found = translate_litellm(read_text(file), variable=read_variable, today=today)
    text = write_gateway_config(found.config)
    # What comes out is what a person would apply: it has to pass the same check.
    parse_gateway_config(text)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"toml": text, "not_taken": [{"path": lost.path, "why": lost.why} for lost in found.not_taken]})
    elif output is None and not apply_now:
        sys.stdout.write(text)
    for lost in found.not_taken:
        sys.stderr.write(f"not taken: {lost.path}: {lost.why}\n")
    sys.stderr.write(f"{file}: {_counted(found.config)}; {len(found.not_taken)} keys were not taken\n")
    if apply_now:
        # Never over what is there: the file knows nothing of it.
        _apply(text, 0, as_json=False)
    if strict and found.not_taken:
        leave(EXIT_CHECK_FAILED)


def _apply(text: str, based_on: int, as_json: bool) -> None:
    credentials = _credentials(parse_gateway_config(text))
    with connect() as client:
        version = version_in_force(client, PATH, based_on)
        body: Json = {"toml": text, "credentials": credentials, "version": version}
        done = client.put("/api/v1/gateway", body)
    if as_json:
        print_json(done)
        return
    show_applied(done)


def _credentials(config: GatewayConfig) -> dict[str, str]:
    named = {upstream.name: upstream.credential_variable for upstream in config.upstream}
    return {name: value for name, variable in named.items() if variable and (value := read_variable(variable))}


def _counted(config: GatewayConfig) -> str:
    counts = {
        "upstreams": len(config.upstream),
        "models": len(config.model),
        "limits": len(config.limit),
        "prices": len(config.price),
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _query(models: Sequence[str]) -> str:
    # The client's parameters hold one value for each name.
    return urlencode([("model", model) for model in models])


def _tiers(tiers: Sequence[Mapping[str, Json]]) -> str:
    first, *others = tiers
    return ", ".join(
        [str(first["usd"]), *(f"{tier['usd']} from {tier['from_input_tokens']} input tokens on" for tier in others)]
    )


def _say_not_taken_prices(lost: Sequence[Mapping[str, Json]]) -> None:
    counts = Counter((str(entry["path"]).rpartition(".")[2], str(entry["why"])) for entry in lost)
    for (field, why), count in counts.most_common():
        say(f"   not taken, {count} times: {field} ({why})")
