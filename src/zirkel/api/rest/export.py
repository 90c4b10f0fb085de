"""Telemetry for other tools, items for a dataset, and what was spent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import StreamingResponse

from zirkel.api.rest.search import By, Wanted
from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import MODEL_KINDS, Invalid, Principal
from zirkel.core.search import Aggregate, Series
from zirkel.observe.search import MAX_SERIES, Sought

# No other span has a cost.
_IS_MODEL = "kind in ({})".format(", ".join(f'"{kind}"' for kind in sorted(MODEL_KINDS)))
_TYPES = {"jsonl": "application/jsonl", "otlp": "application/jsonl", "parquet": "application/vnd.apache.parquet"}


class _ItemsWish(msgspec.Struct, forbid_unknown_fields=True):
    filter: str = ""
    since: str = ""
    until: str = ""
    limit: int = 100
    known: list[str] = []
    variable: str = "input"


def export_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes for exports."""
    router = APIRouter(prefix="/api/v1", tags=["observe"])
    actor = Depends(principal)
    exports = services.exports

    @router.get("/export/{form}", summary="Spans as JSON lines, OTLP lines or a Parquet file")
    async def export(
        sought: Wanted,
        form: Literal["jsonl", "otlp", "parquet"],
        who: Principal = actor,
    ) -> Response:
        if form == "parquet":
            content = await run_in_threadpool(exports.parquet, who, sought)
            return Response(content, media_type=_TYPES[form])
        lines = await run_in_threadpool(exports.lines, who, form, sought)
        return StreamingResponse(iterate_in_threadpool(lines), media_type=_TYPES[form])

    @router.post("/dataset-items", summary="Items for a dataset, made of traces; each input once")
    async def items(request: Request, who: Principal = actor) -> Response:
        try:
            wish = msgspec.json.decode(await request.body() or b"{}", type=_ItemsWish)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid(f"the body is not a wish for items: {error}") from None
        found = await run_in_threadpool(
            exports.items,
            who,
            Sought(wish.filter, wish.since, wish.until),
            limit=wish.limit,
            known=wish.known,
            variable=wish.variable,
        )
        return json_response(found)

    @router.get("/costs", summary="What was spent, by any fields of the filter language, the dearest first")
    def costs(
        sought: Wanted,
        by: By = ["service"],  # noqa: B006 (FastAPI copies it)
        limit: Annotated[int, Query(ge=1, le=MAX_SERIES, description="Lines; the rest is one line more.")] = 20,
        who: Principal = actor,
    ) -> Response:
        # A fault of the filter as it was given is told before the filter is put into another one.
        services.search.scope(who, sought)
        models = replace(sought, where=f"({sought.where}) and {_IS_MODEL}" if sought.where.strip() else _IS_MODEL)
        found = services.search.aggregate(who, models, measures=["sum(cost_usd)"], by=by, limit=MAX_SERIES)
        return json_response(_costs_view(found, limit))

    return router


@dataclass(frozen=True, slots=True)
class _Line:
    """What model calls with the same values cost."""

    values: Sequence[str]
    is_other: bool
    cost_usd: Decimal | None
    """``None`` if no cost is known."""
    unknown: int
    count: int
    """Model spans, those of unknown cost included, and those that repeat the cost of another one."""


def _costs_view(found: Aggregate, limit: int) -> dict[str, object]:
    lines = [_line(series) for series in found.series if series.buckets[0].count]
    lines.sort(key=lambda line: (line.is_other, -(line.cost_usd or 0), line.values))
    named = [line for line in lines if not line.is_other]
    shown, rest = named[:limit], [*named[limit:], *lines[len(named) :]]
    shown += [_together(rest)] if rest else []
    return {
        "by": found.by,
        "since_ns": found.since_ns,
        "until_ns": found.until_ns,
        "costs": [_line_view(line) for line in shown],
    }


def _line(series: Series) -> _Line:
    (cost,) = series.buckets[0].points
    usd = None if cost.value is None else Decimal(str(cost.value))
    return _Line(series.values, series.is_other, usd, cost.unknown, series.buckets[0].count)


def _together(lines: Sequence[_Line]) -> _Line:
    known = [line.cost_usd for line in lines if line.cost_usd is not None]
    return _Line(
        (),
        True,
        sum(known, Decimal(0)) if known else None,
        sum(line.unknown for line in lines),
        sum(line.count for line in lines),
    )


def _line_view(line: _Line) -> dict[str, object]:
    return {
        "name": "(others)" if line.is_other else " ".join(line.values),
        "values": line.values,
        "cost_usd": None if line.cost_usd is None else f"{line.cost_usd:f}",
        "unknown": line.unknown,
        "count": line.count,
    }
