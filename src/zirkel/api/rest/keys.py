"""Projects, keys, people and upstreams."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import KeyRecord, Principal, Role, UpstreamRecord
from zirkel.core.policy_check import parse_key_policy

LARGEST_PAGE = 1000

Limit = Annotated[int, Query(ge=0, description="At most so many; 1000 are the most.")]
After = Annotated[str, Query(max_length=64, description="Keys behind this key id: the last one of the page before.")]
PolicyBody = Annotated[dict[str, object], Body()]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProjectBody(_Body):
    """A project to make."""

    name: str


class KeyBody(_Body):
    """A key to make."""

    label: str
    roles: list[Role]
    expires_ns: int | None = Field(None, ge=0, lt=2**63)
    policy: dict[str, object] = {}


class RotationBody(_Body):
    """How a key is rotated."""

    overlap_s: int = Field(strict=True)


class PersonBody(_Body):
    """A person who signs in."""

    email: str
    password: str
    roles: list[Role]


class UpstreamBody(_Body):
    """Where a model is called."""

    base_url: str
    dialect: str = "openai"
    credential: str = ""
    model_override: str = ""


def keys_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes for projects, keys, people and upstreams."""
    router = APIRouter(prefix="/api/v1", tags=["access"])
    actor = Depends(principal)
    _add_project_routes(router, services, actor)
    _add_key_routes(router, services, actor)
    _add_key_change_routes(router, services, actor)
    _add_people_and_upstream_routes(router, services, actor)
    return router


def _add_project_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.get("/projects", summary="List projects (admins of the default project)")
    def list_projects(who: Principal = actor) -> Response:
        return json_response(services.access.list_projects(who))

    @router.post("/projects", summary="Make a project; its first admin key is shown only in this answer")
    def create_project(body: ProjectBody, who: Principal = actor) -> Response:
        made = services.access.create_project(who, body.name)
        fields = {"project_id": made.record.project_id, "name": made.record.name, "created_ns": made.record.created_ns}
        return json_response({**fields, "key": made.key.text, "key_id": made.key.record.key_id}, 201)


def _add_key_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.get("/keys", summary="List keys, oldest first, also those that are expired or revoked")
    def list_keys(after: After = "", limit: Limit = 100, who: Principal = actor) -> Response:
        records = services.access.list_keys(who, after, min(limit, LARGEST_PAGE))
        return json_response([_key_view(record) for record in records])

    @router.post("/keys", summary="Make a key; its text is shown only in this answer")
    def create_key(body: KeyBody, who: Principal = actor) -> Response:
        policy = parse_key_policy(body.policy, "policy")
        made = services.access.create_key(who, body.label, frozenset(body.roles), body.expires_ns, policy)
        return json_response({"key": made.text, **_key_view(made.record)}, 201)

    @router.get("/keys/{key_id}", summary="One key")
    def get_key(key_id: str, who: Principal = actor) -> Response:
        return json_response(_key_view(services.access.get_key(who, key_id)))


def _add_key_change_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.put("/keys/{key_id}/policy", summary="Replace a key's policy as a whole")
    def change_key_policy(key_id: str, body: PolicyBody, who: Principal = actor) -> Response:
        return json_response(_key_view(services.access.change_key_policy(who, key_id, parse_key_policy(body))))

    @router.post(
        "/keys/{key_id}/rotate", summary="Give a key a new secret, shown only in this answer; the old one ends later"
    )
    def rotate_key(key_id: str, body: RotationBody, who: Principal = actor) -> Response:
        made = services.access.rotate_key(who, key_id, body.overlap_s)
        return json_response({"key": made.text, **_key_view(made.record)})

    @router.delete("/keys/{key_id}", summary="Revoke a key, at once and everywhere")
    def revoke_key(key_id: str, who: Principal = actor) -> Response:
        services.access.revoke_key(who, key_id)
        return Response(status_code=204)


def _add_people_and_upstream_routes(router: APIRouter, services: Services, actor: Principal) -> None:
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
            who,
            name,
            body.base_url,
            dialect=body.dialect,
            credential=body.credential,
            model_override=body.model_override,
        )
        return json_response(_upstream_view(record))


def _key_view(record: KeyRecord) -> dict[str, object]:
    return {
        "key_id": record.key_id,
        "label": record.label,
        "roles": sorted(record.roles),
        "hint": record.hint,
        "created_ns": record.created_ns,
        "expires_ns": record.expires_ns,
        "revoked_ns": record.revoked_ns,
        "previous_expires_ns": record.previous_expires_ns,
        "policy": msgspec.to_builtins(record.policy),
    }


def _upstream_view(record: UpstreamRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "base_url": record.base_url,
        "dialect": record.dialect,
        "model_override": record.model_override,
        "has_credential": bool(record.sealed_credential),
    }
