"""The loop over one service: shipping."""

from collections.abc import Callable

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Principal
from zirkel.ship import DEFAULT_WEIGHT, ShipOrder


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ShipBody(_Body):
    """What to ship where."""

    release: str = "candidate"
    environment: str = "production"
    weight: float = DEFAULT_WEIGHT
    break_glass: str = ""


class MoveBody(_Body):
    """Which environment to move."""

    environment: str = "production"


def loop_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes that move a service round the loop."""
    router = APIRouter(prefix="/api/v1", tags=["loop"])
    actor = Depends(principal)

    @router.post("/services/{service}/ship", summary="Start a rollout")
    def ship(service: str, body: ShipBody, who: Principal = actor) -> Response:
        order = ShipOrder(service, body.release, body.environment, body.weight, body.break_glass)
        return json_response(services.shipping.ship(who, order))

    @router.post("/services/{service}/promote", summary="Make the rollout's candidate stable")
    def promote(service: str, body: MoveBody, who: Principal = actor) -> Response:
        return json_response(services.shipping.promote(who, service, body.environment))

    @router.post("/services/{service}/rollback", summary="Return to the previous release")
    def roll_back(service: str, body: MoveBody, who: Principal = actor) -> Response:
        return json_response(services.shipping.roll_back(who, service, body.environment))

    return router
