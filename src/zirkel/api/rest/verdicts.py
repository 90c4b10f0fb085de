"""What gates said: the report, and the same for people, CI servers and auditors."""

import json
from collections.abc import Callable

from fastapi import APIRouter, Depends, Response

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Principal
from zirkel.evaluate import (
    GatePack,
    ReportView,
    encode_gate_pack,
    forest_plot,
    junit_xml,
    markdown_summary,
    read_report,
)


def verdicts_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes under ``/api/v1/verdicts``."""
    router = APIRouter(prefix="/api/v1", tags=["gates"])
    actor = Depends(principal)
    evaluation = services.evaluation

    def view(who: Principal, verdict_id: str) -> ReportView:
        return read_report(json.loads(evaluation.verdict(who, verdict_id).report))

    @router.get("/verdicts/{verdict_id}", summary="A verdict with its report")
    def verdict(verdict_id: str, who: Principal = actor) -> Response:
        return json_response(evaluation.verdict(who, verdict_id))

    @router.get("/verdicts/{verdict_id}/pack", summary="All that is needed to reach the verdict again, offline")
    def pack(verdict_id: str, who: Principal = actor) -> Response:
        found = evaluation.evidence(who, verdict_id)
        whole = GatePack(verdict_id, found.inputs, found.report, services.evidence.export(who))
        return Response(encode_gate_pack(whole), media_type="application/jsonl")

    @router.get("/verdicts/{verdict_id}/junit", summary="The verdict as JUnit XML")
    def junit(verdict_id: str, who: Principal = actor) -> Response:
        return Response(
            junit_xml(read_report(json.loads(evaluation.verdict(who, verdict_id).report))), media_type="application/xml"
        )

    @router.get("/verdicts/{verdict_id}/markdown", summary="The verdict as Markdown, for a pull request")
    def markdown(verdict_id: str, chart: str = "", who: Principal = actor) -> Response:
        return Response(markdown_summary(view(who, verdict_id), chart), media_type="text/markdown")

    @router.get("/verdicts/{verdict_id}/chart", summary="The verdict's plot as a Vega-Lite specification")
    def chart(verdict_id: str, who: Principal = actor) -> Response:
        return json_response(forest_plot(view(who, verdict_id)))

    return router
