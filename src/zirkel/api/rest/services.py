"""Services: push, releases, status."""

import base64
import binascii
from collections.abc import Callable

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Invalid, Principal


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PushBody(_Body):
    """The files of a service: path to base64 of the bytes."""

    files: dict[str, str]


def services_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes under ``/api/v1/services``."""
    router = APIRouter(prefix="/api/v1", tags=["services"])
    actor = Depends(principal)

    @router.get("/services", summary="List services")
    def list_services(who: Principal = actor) -> Response:
        return json_response(services.registry.services(who))

    @router.post("/services/push", summary="Register a service's files")
    def push(body: PushBody, who: Principal = actor) -> Response:
        return json_response(services.registry.push(who, _decode_files(body.files)))

    @router.get("/services/{service}/releases", summary="List a service's releases, newest first")
    def list_releases(service: str, who: Principal = actor) -> Response:
        return json_response(services.registry.releases(who, service))

    @router.get("/services/{service}/status", summary="The four answers")
    def status(service: str, who: Principal = actor) -> Response:
        return json_response(services.status.status(who, service))

    return router


def _decode_files(files: dict[str, str]) -> dict[str, bytes]:
    try:
        return {path: base64.b64decode(text, validate=True) for path, text in files.items()}
    except (binascii.Error, ValueError) as error:
        raise Invalid(f"files: the contents must be base64: {error}", path="files") from error
