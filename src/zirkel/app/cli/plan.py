"""``plan``."""

from typing import Annotated, cast

import typer

from zirkel.app.cli.evaluate import ReleaseOption, Service
from zirkel.app.cli.output import AsJson, connect, print_json, say
from zirkel.core import Json

Object = dict[str, Json]


def plan(
    service: Service,
    release: ReleaseOption = "candidate",
    trials: Annotated[int, typer.Option(help="Answers per item.")] = 2,
    items: Annotated[int | None, typer.Option(help="Plan for so many items like those of the data set.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say before money is spent what the gate could say: chances, smallest difference, items needed, price."""
    with connect() as client:
        query: dict[str, str | int] = {"release": release, "trials": trials}
        if items is not None:
            query["items"] = items
        found = client.get(f"/api/v1/services/{service}/plan", query)
    if as_json:
        print_json(found)
        return
    clusters = f" in {found['sources']} clusters" if found["sources"] != found["items"] else ""
    releases = "2 releases" if found["releases"] == 2 else "1 release"
    say(f"{found['items']} items{clusters} x {found['trials']} trials x {releases}: {_price(found['price_usd'])}")
    for metric in cast("list[Object]", found["metrics"]):
        say(f"  {metric['name']}: {metric['says']}")
        if metric["outlook"] != "unknown":
            say(f"    {metric['basis']}")
    say(f"{found['says']}")
    if found["items_needed"] is not None and found["outlook"] != "enough":
        say(f"{found['items_needed']} items would cost {_price(found['price_needed_usd'])}")
    for basis in cast("list[Json]", found["price_basis"]):
        say(f"price: {basis}")


def _price(value: Json) -> str:
    if value is None:
        return "at an unknown price"
    price = cast("dict[str, float]", value)
    return f"about {price['likely']:.2g} USD ({price['low']:.2g} to {price['high']:.2g})"
