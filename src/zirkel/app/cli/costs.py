"""``costs``."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, cast

import typer

from zirkel.app.cli.output import AsJson, connect, print_json, say
from zirkel.app.cli.search import with_service
from zirkel.core import Json

Object = Mapping[str, Json]


def costs(
    by: Annotated[
        str, typer.Option(help="service, environment, release, model, user, key, session, prompt, tags, …")
    ] = "service",
    since: Annotated[str, typer.Option(help="From when on: a time, or e.g. -7d.")] = "-7d",
    until: Annotated[str, typer.Option(help="Until when; now if empty.")] = "",
    why: Annotated[bool, typer.Option("--why", help="Say why it changed against the time before.")] = False,
    before_since: Annotated[str, typer.Option(help="With --why: where the time before begins.")] = "",
    service: Annotated[str, typer.Option(help="Only this service's.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many lines.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what was spent, by whatever you like; or, with --why, what made the difference to the time before."""
    window = {"since": since, "until": until}
    with connect() as client:
        if why:
            asked = {**window, "by": by, "before_since": before_since, "service": service}
            answer = client.get("/api/v1/costs/change", asked)
        else:
            answer = client.get("/api/v1/costs", {**window, "by": by, "filter": with_service(service), "limit": limit})
    if as_json:
        print_json(answer)
    elif why:
        _print_change(answer)
    else:
        _print_costs(answer)


def _print_costs(answer: Object) -> None:
    lines = cast("list[Object]", answer["costs"])
    for line in lines:
        unknown = f", {line['unknown']} of unknown price" if line["unknown"] else ""
        say(f"{line['cost_usd'] or 'unknown':>16} USD  {line['count']:>8} calls  {line['name'] or '-'}{unknown}")
    if not lines:
        say("nothing was spent in this time; see: zirkel traces")


def _print_change(answer: Object) -> None:
    say(f"{answer['before_since']} to {answer['since']}: {answer['before_usd']} USD in {answer['calls_before']} calls")
    say(f"{answer['since']} to {answer['until']}: {answer['after_usd']} USD in {answer['calls_after']} calls")
    say(f"change: {_signed(answer['change_usd'])} USD, because of")
    meanings = cast("dict[str, Json]", answer["meanings"])
    for name, usd in cast("dict[str, Json]", answer["parts"]).items():
        say(f"  {_signed(usd):>18}  {name:<8} {meanings[name]}")
    say(f"by {answer['by']}:")
    for name, usd in cast("dict[str, Json]", answer["segments"]).items():
        say(f"  {_signed(usd):>18}  {name or '-'}")
    unpriced = int(str(answer["unpriced_before"])), int(str(answer["unpriced_after"]))
    if any(unpriced):
        say(f"without attempts of unknown price: {unpriced[0]} before, {unpriced[1]} after")


def _signed(usd: Json) -> str:
    return f"{Decimal(str(usd)).normalize():+f}"
