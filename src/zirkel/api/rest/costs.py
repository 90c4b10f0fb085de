"""Why the cost changed."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Principal
from zirkel.core.filter_values import parse_moment
from zirkel.observe.cost_changes import FACTORS
from zirkel.observe.costs import ExplainedCost, Segmentation

By = Annotated[Segmentation, Query(description="What the traffic is told apart by.")]
Since = Annotated[str, Query(description="Where the second period begins and the first ends: a time, or -7d.")]
Until = Annotated[str, Query(description="Where the second period ends; now if empty.")]
BeforeSince = Annotated[str, Query(description="Where the first period begins; as long as the second if empty.")]


def costs_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the route for explained costs."""
    router = APIRouter(prefix="/api/v1", tags=["observe"])
    actor = Depends(principal)

    @router.get("/costs/change", summary="Why what was spent since a moment is not what was spent before it")
    def change(
        by: By = "service",
        since: Since = "-7d",
        until: Until = "",
        before_since: BeforeSince = "",
        service: str = "",
        who: Principal = actor,
    ) -> Response:
        now_ns = services.clock.now_ns()
        found = services.costs.explain(
            who,
            by=by,
            since_ns=parse_moment(since, now_ns),
            until_ns=parse_moment(until, now_ns) if until else None,
            before_since_ns=parse_moment(before_since, now_ns) if before_since else None,
            service=service,
        )
        return json_response(_view(found))

    return router


def _view(found: ExplainedCost) -> dict[str, object]:
    """Return the answer; amounts are decimals without an exponent."""
    return {
        "by": found.by,
        "before_since": found.before_since,
        "since": found.since,
        "until": found.until,
        "before_usd": f"{found.before_usd:f}",
        "after_usd": f"{found.after_usd:f}",
        "change_usd": f"{found.change_usd:f}",
        "parts": {name: f"{usd:f}" for name, usd in found.parts.items()},
        "meanings": FACTORS,
        "segments": {name: f"{usd:f}" for name, usd in found.segments.items()},
        "calls_before": found.calls_before,
        "calls_after": found.calls_after,
        "unpriced_before": found.unpriced_before,
        "unpriced_after": found.unpriced_after,
    }
