"""``ship``, ``promote``, ``rollback``."""

from typing import Annotated, cast

import typer

from zirkel.app.cli.evaluate import ReleaseOption, Service
from zirkel.app.cli.output import AsJson, connect, print_json, say, short
from zirkel.core import Json
from zirkel.ship import DEFAULT_WEIGHT

Environment = Annotated[str, typer.Option("--to", "--environment", help="Environment, e.g. production.")]


def ship(
    service: Service,
    environment: Environment = "production",
    release: ReleaseOption = "candidate",
    weight: Annotated[float, typer.Option(help="Share of the units that get the release.")] = DEFAULT_WEIGHT,
    break_glass: Annotated[str, typer.Option(help="Reason to ship without a passing gate; recorded.")] = "",
    as_json: AsJson = False,
) -> None:
    """Start a rollout of a release; refused without a passing gate for that very digest."""
    body: Json = {"release": release, "environment": environment, "weight": weight, "break_glass": break_glass}
    _move(service, "ship", body, as_json=as_json)


def promote(service: Service, environment: Environment = "production", as_json: AsJson = False) -> None:
    """Make the running rollout's candidate the stable release."""
    _move(service, "promote", {"environment": environment}, as_json=as_json)


def rollback(service: Service, environment: Environment = "production", as_json: AsJson = False) -> None:
    """Return to the previous release; the gateway's next request sees it."""
    _move(service, "rollback", {"environment": environment}, as_json=as_json)


def _move(service: str, action: str, body: Json, *, as_json: bool) -> None:
    with connect() as client:
        move = client.post(f"/api/v1/services/{service}/{action}", body)
    if as_json:
        print_json(move)
        return
    after = cast("dict[str, Json]", move["after"])
    rollout = cast("dict[str, Json] | None", after["rollout"])
    stable = f"{after['environment']} of {service}: stable {short(after['stable_release'])}"
    if rollout is None:
        say(f"{stable} gets all units")
    else:
        say(f"{stable}, candidate {short(rollout['release'])} gets {cast(float, rollout['weight']):.0%} of the units")
    say(f"ledger entry {short(move['ledger_hash'])}")
