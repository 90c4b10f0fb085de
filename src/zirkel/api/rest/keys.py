"""Keys, people and upstreams."""

from collections.abc import Callable

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import KeyRecord, Principal, Role, UpstreamRecord


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KeyBody(_Body):
    """A key to make."""

    label: str
    roles: list[Role]
    expires_ns: int | None = Field(None, ge=0, lt=2**63)


class PersonBody(_Body):
    """A person who signs in."""

    email: str
    password: str
    roles: list[Role]


class UpstreamBody(_Body):
    """Where a model is called."""

    base_url: str
    credential: str = ""
    model_override: str = ""


def keys_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes for keys, people and upstreams."""
    router = APIRouter(prefix="/api/v1", tags=["access"])
    actor = Depends(principal)

    @router.get("/keys", summary="List keys")
    def list_keys(who: Principal = actor) -> Response:
        return json_response([_key_view(record) for record in services.access.list_keys(who)])

    @router.post("/keys", summary="Make a key; its text is shown only in this answer")
    def create_key(body: KeyBody, who: Principal = actor) -> Response:
        made = services.access.create_key(who, body.label, frozenset(body.roles), body.expires_ns)
        return json_response({"key": made.text, **_key_view(made.record)}, 201)

    @router.delete("/keys/{key_id}", summary="Revoke a key, at once and everywhere")
    def revoke_key(key_id: str, who: Principal = actor) -> Response:
        services.access.revoke_key(who, key_id)
        return Response(status_code=204)

    @router.post("/people", summary="Add a person, or set a new password")
    def put_person(body: PersonBody, who: Principal = actor) -> Response:
        person = services.access.put_person(who, body.email, body.password, frozenset(body.roles))
        return json_response({"person_id": person.person_id, "email": person.email, "roles": sorted(person.roles)}, 201)

    @router.get("/upstreams", summary="List upstreams")
    def list_upstreams(who: Principal = actor) -> Response:
        return json_response([_upstream_view(record) for record in services.access.list_upstreams(who)])

    @router.put("/upstreams/{name}", summary="Set where an upstream's models are called")
    def put_upstream(name: str, body: UpstreamBody, who: Principal = actor) -> Response:
        record = services.access.put_upstream(
            who, name, body.base_url, credential=body.credential, model_override=body.model_override
        )
        return json_response(_upstream_view(record))

    return router


def _key_view(record: KeyRecord) -> dict[str, object]:
    return {
        "key_id": record.key_id,
        "label": record.label,
        "roles": sorted(record.roles),
        "hint": record.hint,
        "created_ns": record.created_ns,
        "expires_ns": record.expires_ns,
        "revoked_ns": record.revoked_ns,
    }


def _upstream_view(record: UpstreamRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "base_url": record.base_url,
        "dialect": record.dialect,
        "model_override": record.model_override,
        "has_credential": bool(record.sealed_credential),
    }
