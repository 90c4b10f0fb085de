"""The privacy document, retention and erasure."""

from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Invalid, Principal
from zirkel.core.erasure import ErasureRecord, SubjectKind
from zirkel.core.privacy import PrivacyRecord
from zirkel.govern.erasure import LONGEST_SUBJECT
from zirkel.govern.retention import Cut, RetentionStep

LARGEST_PAGE = 1000

Limit = Annotated[int, Query(ge=1, description="At most so many; 1000 are the most.")]
Version = Annotated[int, Path(ge=1, lt=2**31)]
SubjectId = Annotated[str, Field(max_length=LONGEST_SUBJECT)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PrivacyBody(_Body):
    """A document as TOML."""

    toml: str


class ApplyPrivacyBody(PrivacyBody):
    """A document to apply."""

    version: int | None = Field(None, ge=0, lt=2**31)


class ErasureBody(_Body):
    """Whose data are erased: an end user's, or a session's."""

    user: SubjectId = ""
    session: SubjectId = ""
    dry_run: bool = False


def privacy_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes for the privacy document, retention and erasure."""
    router = APIRouter(prefix="/api/v1", tags=["privacy"])
    actor = Depends(principal)
    _add_document_routes(router, services, actor)
    _add_removal_routes(router, services, actor)
    return router


def _add_document_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.get("/privacy", summary="The privacy document in force, and its version; version 0 if there is none")
    def current(who: Principal = actor) -> Response:
        record = services.privacy.current(who)
        return json_response(_document_view(record) if record else {"version": 0, "toml": "", "config": {}})

    @router.put("/privacy", summary="Replace the privacy document as a whole")
    def apply(body: ApplyPrivacyBody, who: Principal = actor) -> Response:
        done = services.privacy.apply(who, body.toml, based_on=body.version)
        return json_response({**_version_view(done.record), "is_new": done.is_new, "changes": done.changes})

    @router.post("/privacy/check", summary="Say what a document would change, or what is wrong with it")
    def check(body: PrivacyBody, who: Principal = actor) -> Response:
        return json_response(services.privacy.check(who, body.toml))

    @router.get("/privacy/history", summary="Versions of the privacy document, newest first")
    def history(limit: Limit = 50, who: Principal = actor) -> Response:
        found = services.privacy.history(who, min(limit, LARGEST_PAGE))
        return json_response([_version_view(record) for record in found])

    @router.get("/privacy/history/{version}", summary="One version of the privacy document")
    def version(version: Version, who: Principal = actor) -> Response:
        return json_response(_document_view(services.privacy.version(who, version)))


def _add_removal_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.get("/privacy/retention", summary="From before when telemetry is removed for its age, by rule")
    def cuts(who: Principal = actor) -> Response:
        return json_response([_cut_view(cut) for cut in services.retention.cuts(who)])

    @router.post("/privacy/retention", summary="Remove now what is due for its age; say what each rule removed")
    def retain(who: Principal = actor) -> Response:
        return json_response([_step_view(step) for step in services.retention.run_now(who)])

    @router.post("/erasures", summary="Erase what belongs to an end user or a session; with dry_run only say what")
    def erase(body: ErasureBody, who: Principal = actor) -> Response:
        kind, subject_id = _subject(body)
        done = services.erasure.erase(who, kind, subject_id, dry_run=body.dry_run)
        return json_response(done, 200 if body.dry_run else 201)

    @router.get("/erasures", summary="What was erased, newest first; ids stand there as keyed hashes")
    def erasures(limit: Limit = 100, who: Principal = actor) -> Response:
        return json_response([_erasure_view(record) for record in services.erasure.list(who, limit)])


def _subject(body: ErasureBody) -> tuple[SubjectKind, str]:
    if bool(body.user) == bool(body.session):
        raise Invalid("name either a user or a session", path="user")
    return ("user", body.user) if body.user else ("session", body.session)


def _version_view(record: PrivacyRecord) -> Mapping[str, object]:
    return {
        "version": record.version,
        "digest": record.digest,
        "applied_ns": record.applied_ns,
        "applied_by": record.applied_by,
    }


def _document_view(record: PrivacyRecord) -> Mapping[str, object]:
    return {**_version_view(record), "toml": record.text, "config": msgspec.Raw(record.config.encode())}


def _cut_view(cut: Cut) -> Mapping[str, object]:
    return {"what": cut.kept, "environment": cut.environment, "before_ns": cut.before_ns}


def _step_view(step: RetentionStep) -> Mapping[str, object]:
    counts = {"spans": step.spans, "logs": step.logs, "points": step.points, "scores": step.scores}
    return {**_cut_view(step.cut), **counts}


def _erasure_view(record: ErasureRecord) -> Mapping[str, object]:
    return {
        "erasure_id": record.erasure_id,
        "kind": record.kind,
        "subject_hash": record.subject_hash,
        "places": msgspec.Raw(record.report.encode()),
        "erased_ns": record.erased_ns,
        "erased_by": record.erased_by,
    }
