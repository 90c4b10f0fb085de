"""Prompts for programs that render them themselves."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Principal
from zirkel.version.prompts import prompt_view

Environment = Annotated[str, Query(max_length=64, description="Whose stable release.")]
Reference = Annotated[
    str,
    Query(
        max_length=64,
        description="In place of an environment: candidate, baseline, a release's number, or the start of a digest.",
    ),
]


def prompts_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the route for prompts."""
    router = APIRouter(prefix="/api/v1", tags=["services"])
    actor = Depends(principal)

    @router.get("/prompts/{service}", summary="A release's prompt, for keys that may call or read; knows ETag")
    def prompt(
        service: str,
        environment: Environment = "production",
        release: Reference = "",
        if_none_match: Annotated[str, Header()] = "",
        who: Principal = actor,
    ) -> Response:
        digest = services.registry.prompt_release(who, service, environment, release)
        # A release never changes, so its digest says it all.
        etag = f'"{digest}"'
        headers = {"etag": etag, "cache-control": "private, no-cache"}
        if etag in if_none_match:
            return Response(status_code=304, headers=headers)
        answer = json_response(prompt_view(services.registry.open(who.project_id, digest)))
        answer.headers.update(headers)
        return answer

    return router
