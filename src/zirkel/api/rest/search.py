"""Searching telemetry: lists, statistics, conversations, completion, SQL."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Invalid, Principal
from zirkel.core.search import Item, Listing
from zirkel.observe.search import Sought

Order = Annotated[str, Query(description="start, cost or latency; the largest first.")]
Limit = Annotated[int, Query(description="At most so many, 1 to 1000.")]
Cursor = Annotated[str, Query(description="Where the page before ended.", max_length=2000)]
Measures = Annotated[list[str], Query(description="count, p95(latency), sum(cost_usd), distinct(user), …; 1 to 10.")]
By = Annotated[list[str], Query(description="Fields that spans are split by; up to 4.")]
LONGEST_SQL_BYTES = 100_000


def _sought(
    where: Annotated[
        str, Query(alias="filter", description='A line of the filter language: service = "x" and cost_usd > 0.01')
    ] = "",
    since: Annotated[str, Query(description="The earliest start: a time in ISO 8601, or e.g. -24h.")] = "",
    until: Annotated[str, Query(description="The time before which it starts; as since.")] = "",
) -> Sought:
    return Sought(where, since, until)


Wanted = Annotated[Sought, Depends(_sought)]


class _Sql(msgspec.Struct, forbid_unknown_fields=True):
    sql: str
    limit: int = 1000


def search_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes for searching."""
    router = APIRouter(prefix="/api/v1", tags=["observe"])
    actor = Depends(principal)
    search = services.search

    @router.get("/traces", summary="Traces that have a span which satisfies a filter, newest first")
    def traces(
        sought: Wanted,
        order: Order = "start",
        limit: Limit = 50,
        cursor: Cursor = "",
        total: Annotated[bool, Query(description="Also count all traces of the project.")] = False,
        who: Principal = actor,
    ) -> Response:
        found = search.traces(who, sought, order=order, limit=limit, cursor=cursor)
        count = {"total": services.traces.count(who)} if total else {}
        return json_response({**_page("traces", found), **count})

    @router.get("/spans", summary="Spans that satisfy a filter, newest first")
    def spans(
        sought: Wanted,
        order: Order = "start",
        limit: Limit = 50,
        cursor: Cursor = "",
        who: Principal = actor,
    ) -> Response:
        found = search.spans(who, sought, order=order, limit=limit, cursor=cursor)
        return json_response(_page("spans", found))

    @router.get("/sessions", summary="Sessions, those active last first")
    def sessions(
        sought: Wanted,
        limit: Limit = 50,
        cursor: Cursor = "",
        who: Principal = actor,
    ) -> Response:
        found = search.sessions(who, sought, limit=limit, cursor=cursor)
        return json_response(_page("sessions", found))

    @router.get("/sessions/{session_id:path}", summary="A session as a conversation")
    def session(session_id: str, who: Principal = actor) -> Response:
        return json_response(search.session(who, session_id))

    @router.get("/users", summary="End users, those active last first")
    def users(
        sought: Wanted,
        limit: Limit = 50,
        cursor: Cursor = "",
        who: Principal = actor,
    ) -> Response:
        found = search.users(who, sought, limit=limit, cursor=cursor)
        return json_response(_page("users", found))

    router.include_router(_statistics_router(services, principal))
    return router


def _statistics_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    router = APIRouter()
    actor = Depends(principal)
    search = services.search

    @router.get("/aggregates", summary="Statistics of spans, by any fields and over time")
    def aggregates(
        sought: Wanted,
        measure: Measures,
        by: By = [],  # noqa: B006 (FastAPI copies it)
        over: Annotated[str, Query(description="Length of the stretches that time is cut into, e.g. 1h.")] = "",
        limit: Annotated[int, Query(description="Most series, 1 to 200.")] = 20,
        who: Principal = actor,
    ) -> Response:
        found = search.aggregate(who, sought, measures=measure, by=by, over=over, limit=limit)
        return json_response(found)

    @router.get("/histogram", summary="How many spans there were over time, and how many in error")
    def histogram(
        sought: Wanted,
        buckets: Annotated[int, Query(description="At most so many stretches, 1 to 500.")] = 60,
        who: Principal = actor,
    ) -> Response:
        return json_response(search.histogram(who, sought, buckets=buckets))

    @router.get("/facets", summary="The most frequent values of a field")
    def facets(
        sought: Wanted,
        field: Annotated[str, Query(description="A field of the filter language.")],
        prefix: Annotated[str, Query(description="What the values begin with.", max_length=200)] = "",
        limit: Annotated[int, Query(description="At most so many, 1 to 200.")] = 20,
        who: Principal = actor,
    ) -> Response:
        found = search.facets(who, field, sought, prefix=prefix, limit=limit)
        return json_response({"field": field, "values": found})

    @router.get("/fields", summary="The fields of the filter language")
    def fields(who: Principal = actor) -> Response:  # noqa: ARG001 (known callers only)
        return json_response({"fields": search.fields()})

    @router.post("/sql", summary="One SELECT over spans, logs, points and scores of the project, read-only")
    async def sql(request: Request, who: Principal = actor) -> Response:
        return await _run_sql(services, request, who)

    return router


async def _run_sql(services: Services, request: Request, who: Principal) -> Response:
    body = await request.body()
    if len(body) > LONGEST_SQL_BYTES:
        raise Invalid(f"the body is longer than {LONGEST_SQL_BYTES} bytes", path="sql")
    try:
        asked = msgspec.json.decode(body, type=_Sql)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f'the body is not {{"sql": "SELECT …", "limit": 1000}}: {error}', path="sql") from None
    return json_response(await run_in_threadpool(services.search.run_sql, who, asked.sql, limit=asked.limit))


def _page(name: str, found: Listing[Item]) -> dict[str, object]:
    return {name: found.items, "cursor": found.cursor}
