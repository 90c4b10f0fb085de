"""Traces and evidence."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Principal, Span, encode_pack

Limit = Annotated[int, Query(ge=0, description="At most so many; 1000 are the most.")]
After = Annotated[int, Query(ge=0, lt=2**63, description="Entries behind this one.")]


def observe_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes for traces and the ledger."""
    router = APIRouter(prefix="/api/v1", tags=["observe"])
    actor = Depends(principal)

    @router.get("/traces/{trace_id}", summary="All spans of a trace")
    def trace(trace_id: str, who: Principal = actor) -> Response:
        return json_response([_span_view(span) for span in services.traces.trace(who, trace_id)])

    @router.get("/traces/{trace_id}/logs", summary="The log records of a trace by time")
    def trace_logs(trace_id: str, who: Principal = actor) -> Response:
        return json_response([msgspec.structs.asdict(record) for record in services.traces.logs(who, trace_id)])

    @router.get("/traces/{trace_id}/scores", summary="The current scores of a trace and of its spans")
    def trace_scores(trace_id: str, who: Principal = actor) -> Response:
        return json_response([msgspec.structs.asdict(score) for score in services.traces.scores(who, trace_id)])

    @router.get("/evidence", summary="Ledger entries in order")
    def entries(after: After = 0, limit: Limit = 100, who: Principal = actor) -> Response:
        return json_response(services.evidence.entries(who, after, min(limit, 1000)))

    @router.get("/evidence/pack", summary="The whole ledger as a pack that is checked offline")
    def pack(who: Principal = actor) -> Response:
        return Response(encode_pack(services.evidence.export(who)), media_type="application/jsonl")

    @router.get("/health", summary="The core's own state and its alarms")
    def health(who: Principal = actor) -> Response:  # noqa: ARG001 (only known callers may look)
        return json_response(services.health.report())

    return router


def _span_view(span: Span) -> dict[str, object]:
    """Return every field of a span, also those that hold their default."""
    return {**msgspec.structs.asdict(span), "usage": msgspec.structs.asdict(span.usage)}
