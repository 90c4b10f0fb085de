"""What limits allow and what has been used of them."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Principal
from zirkel.govern.limits_view import LimitsView, WindowView

After = Annotated[str, Query(max_length=512, description="Subjects behind this one: the last of the page before.")]
Limit = Annotated[int, Query(ge=0, description="At most so many; 1000 are the most.")]


def limits_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the route for limits."""
    router = APIRouter(prefix="/api/v1", tags=["gateway"])
    actor = Depends(principal)

    @router.get("/limits", summary="What each key, user, service and the project may use, has used, and holds")
    def limits(after: After = "", limit: Limit = 1000, who: Principal = actor) -> Response:
        return json_response([_limits_view(found) for found in services.limits.page(who, after, limit)])

    return router


def _limits_view(found: LimitsView) -> Mapping[str, object]:
    return {
        "subject": found.subject,
        "kind": found.kind,
        "name": found.name,
        "label": found.label,
        "state": found.state,
        "running": found.running,
        "concurrency": found.concurrency,
        "requests_last_minute": found.requests_last_minute,
        "requests_per_minute": found.requests_per_minute,
        "tokens_last_minute": found.tokens_last_minute,
        "tokens_per_minute": found.tokens_per_minute,
        "windows": [_window_view(window) for window in found.windows],
    }


def _window_view(window: WindowView) -> Mapping[str, object]:
    return {
        "window": window.window,
        "spent_usd": _plain(window.spent_usd),
        "held_usd": _plain(window.held_usd),
        "soft_usd": window.soft_usd,
        "hard_usd": window.hard_usd,
        "share": window.share,
        "ends_ns": window.ends_ns,
        "state": window.state,
    }


def _plain(usd: Decimal) -> str:
    """Return an amount as a plain decimal without trailing zeros."""
    text = f"{usd:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
