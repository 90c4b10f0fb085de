"""What experiments found, what gates said of it, and what an evaluation could show."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Principal
from zirkel.evaluate import ChangeQuery, comparison_report


class GateBody(BaseModel):
    """Which release to decide on."""

    model_config = ConfigDict(extra="forbid")

    release: str = "candidate"


def gates_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes of comparisons, gates and plans."""
    router = APIRouter(prefix="/api/v1", tags=["gates"])
    actor = Depends(principal)
    evaluation = services.evaluation

    @router.get("/services/{service}/comparison", summary="Scores and paired differences of the newest experiment")
    def comparison(
        service: str, release: str = "candidate", segments: bool = False, who: Principal = actor
    ) -> Response:
        return json_response(comparison_report(evaluation.compare(who, service, release, with_segments=segments)))

    @router.get(
        "/services/{service}/comparison/items", summary="Items that changed, with both answers, the worst first"
    )
    def items(
        service: str,
        metric: str,
        release: str = "candidate",
        change: Literal["worse", "better", "any"] = "any",
        limit: int = 20,
        who: Principal = actor,
    ) -> Response:
        return json_response(evaluation.changes(who, service, ChangeQuery(metric, change, limit), release))

    @router.get("/services/{service}/plan", summary="What the gate could say after an evaluation, and its price")
    def plan(
        service: str,
        release: str = "candidate",
        trials: int = 2,
        items: int | None = None,
        who: Principal = actor,
    ) -> Response:
        return json_response(services.planning.plan(who, service, release, trials=trials, items=items))

    @router.post("/services/{service}/gate", summary="Let the release's gate decide")
    def gate(service: str, body: GateBody, who: Principal = actor) -> Response:
        result = evaluation.gate(who, service, body.release)
        return json_response({"decision": result.decision, "record": result.record})

    return router
