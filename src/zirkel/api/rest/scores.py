"""Scores: given, listed, corrected, withdrawn."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from zirkel.api.errors import error_answer
from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Invalid, Principal, ScoreOrigin, ScoreRecord, TooLarge, ZirkelError
from zirkel.observe.scores import ScoreFilter, Taken

MAX_SCORES_BYTES = 8 * 1024 * 1024

Limit = Annotated[int, Query(ge=1, description="At most so many; 1000 are the most.")]
Cursor = Annotated[str, Query(max_length=512, description="The page after: `next_cursor` of the one before.")]
Moment = Annotated[str, Query(max_length=64, description="ISO 8601 (UTC if it names no zone), or UTC nanoseconds.")]
Id = Annotated[str, Query(max_length=256)]


def scores_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes for scores."""
    router = APIRouter(prefix="/api/v1", tags=["observe"])
    actor = Depends(principal)
    _add_writing_routes(router, services, actor)
    _add_reading_routes(router, services, actor)
    return router


def _add_writing_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.post("/scores", summary="Give a score, or a list of up to 1000; each is answered for itself")
    async def add(request: Request, who: Principal = actor) -> Response:
        items, is_list = _items(await _read_body(request))
        answers = await run_in_threadpool(services.scores.add, who, items)
        if is_list:
            refused = sum(isinstance(answer, ZirkelError) for answer in answers)
            return json_response({"scores": [_answer_view(answer) for answer in answers], "refused": refused}, 202)
        (answer,) = answers
        return error_answer(answer) if isinstance(answer, ZirkelError) else json_response(answer, 202)

    @router.delete("/scores/{score_id}", summary="Withdraw a score; its history stays")
    def withdraw(score_id: str, who: Principal = actor) -> Response:
        return json_response(services.scores.withdraw(who, score_id))


def _add_reading_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.get("/scores", summary="Scores as they are now, those first given newest first")
    def list_scores(
        trace_id: Id = "",
        span_id: Id = "",
        session_id: Id = "",
        experiment_id: Id = "",
        name: Id = "",
        origin: ScoreOrigin | None = None,
        since: Moment = "",
        until: Moment = "",
        cursor: Cursor = "",
        limit: Limit = 100,
        who: Principal = actor,
    ) -> Response:
        wanted = ScoreFilter(
            trace_id=trace_id,
            span_id=span_id,
            session_id=session_id,
            experiment_id=experiment_id,
            name=name,
            origin=origin,
            since_ns=_moment_ns("since", since) if since else 0,
            until_ns=_moment_ns("until", until) if until else None,
        )
        page = services.scores.page(who, wanted, cursor, limit)
        return json_response(
            {"scores": [_score_view(score) for score in page.scores], "next_cursor": page.next_cursor or None}
        )

    @router.get("/scores/{score_id}/history", summary="All versions of a score: what, when, by whom")
    def history(score_id: str, who: Principal = actor) -> Response:
        return json_response([_score_view(version) for version in services.scores.history(who, score_id)])


async def _read_body(request: Request) -> bytes:
    if int(request.headers.get("content-length", "0")) > MAX_SCORES_BYTES:
        raise TooLarge(f"the body is larger than {MAX_SCORES_BYTES // 2**20} MiB; send fewer scores at once")
    return await request.body()


def _items(body: bytes) -> tuple[list[bytes], bool]:
    """Return the scores of a body, each as its own JSON text so that one that is faulty costs no other; and if listed.

    Raises:
        Invalid: If the body is not JSON.
    """
    if body.lstrip()[:1] != b"[":
        return [body], False
    try:
        return [bytes(item) for item in msgspec.json.decode(body, type=list[msgspec.Raw])], True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Half a surrogate pair, as in a text that was cut amid an emoji, must not cost the other scores either.
        return [json.dumps(item).encode() for item in _lenient_list(body)], True


def _lenient_list(body: bytes) -> list[object]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the body is not JSON in UTF-8: {error}") from error
    return found if isinstance(found, list) else [found]


def _answer_view(answer: Taken | ZirkelError) -> dict[str, object]:
    if isinstance(answer, ZirkelError):
        error = {"code": answer.code, "message": str(answer), "path": answer.path}
        return {"score_id": None, "outcome": "refused", "error": error}
    return {"score_id": answer.score_id, "outcome": answer.outcome}


def _score_view(score: ScoreRecord) -> dict[str, object]:
    """Return every field of a score, also those that hold their default, and metadata as it was sent."""
    metadata = {name: msgspec.Raw(value.encode()) for name, value in score.metadata.items()}
    return {**msgspec.structs.asdict(score), "metadata": metadata}


def _moment_ns(path: str, text: str) -> int:
    """Return a moment as UTC nanoseconds.

    Raises:
        Invalid: If it is neither ISO 8601 nor a number of nanoseconds.
    """
    try:
        moment_ns = int(text) if text.isdecimal() else _iso_ns(text)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{path}: {text!r} is not a moment such as 2026-03-01T12:00:00Z", path=path) from error
    if not 0 <= moment_ns < 2**63:
        raise Invalid(f"{path}: {text!r} is not between 1970 and 2262", path=path)
    return moment_ns


def _iso_ns(text: str) -> int:
    found = datetime.fromisoformat(text)
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    since_1970 = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_1970.days * 86_400 + since_1970.seconds) * 10**9 + since_1970.microseconds * 1000
