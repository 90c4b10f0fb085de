"""``limits``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, cast

import typer

from zirkel.app.cli.output import AsJson, connect, print_json, say
from zirkel.client import Client
from zirkel.core import Json, iso_utc

PAGE = 1000
_WORST_FIRST = {"hard": 0, "soft": 1, "ok": 2}
_KINDS = {"project": 0, "service": 1, "key": 2, "user": 3}


def limits(
    over: Annotated[bool, typer.Option(help="Only those above a soft or at a hard level.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what each key, user, service and the project may use, has used, and holds for running calls."""
    with connect() as client:
        rows = [row for row in _all_rows(client) if not over or row["state"] != "ok"]
    if as_json:
        print_json(cast(Json, rows))
        return
    if not rows:
        say("nobody is over a level" if over else "nobody has limits; see: zirkel keys change, zirkel gateway apply")
    for row in sorted(rows, key=lambda row: (_WORST_FIRST[str(row["state"])], _KINDS[str(row["kind"])])):
        say(f"{row['state']:<5} {row['kind']:<8} {_name(row)}")
        for line in _lines(row):
            say(f"      {line}")


def _all_rows(client: Client) -> Iterator[dict[str, Json]]:
    after = ""
    while True:
        rows = client.get_list("/api/v1/limits", {"after": after, "limit": PAGE})
        yield from rows
        if len(rows) < PAGE:
            return
        after = str(rows[-1]["subject"])


def _name(row: Mapping[str, Json]) -> str:
    return f"{row['label']} ({row['name']})" if row["kind"] == "key" else str(row["name"])


def _lines(row: Mapping[str, Json]) -> Iterator[str]:
    windows = cast("Sequence[Mapping[str, Json]]", row["windows"])
    budgets = [window for window in windows if window["share"] is not None]
    for window in budgets or windows[-1:]:
        yield _money(window)
    counts = [
        _count(row["requests_last_minute"], row["requests_per_minute"], "requests in the last minute"),
        _count(row["tokens_last_minute"], row["tokens_per_minute"], "tokens in the last minute"),
        _count(row["running"], row["concurrency"], "calls running"),
    ]
    yield ", ".join(counts)


def _money(window: Mapping[str, Json]) -> str:
    level = f" of {window['hard_usd']}" if window["hard_usd"] else ""
    alert = f", alert at {window['soft_usd']}" if window["soft_usd"] else ""
    share = cast("float | None", window["share"])
    used = "" if share is None else f", {share:.0%} used"
    until = iso_utc(cast(int, window["ends_ns"]))[:16]
    return (
        f"{window['window']}: {window['spent_usd']}{level} USD spent, {window['held_usd']} reserved{used}{alert}; "
        f"until {until}"
    )


def _count(used: Json, limit: Json, what: str) -> str:
    return f"{used} of {limit} {what}" if limit is not None else f"{used} {what}"
