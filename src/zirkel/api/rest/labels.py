"""Labels: the queue, what raters say, its way in and out, and what it says of judges."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Invalid, Principal, TooLarge
from zirkel.evaluate import Judgement, QueueOptions

MAX_IMPORT_BYTES = 64 * 1024 * 1024
MAX_LABEL_BYTES = 64 * 1024

Evaluator = Annotated[str, Query(max_length=256, description="Name of the evaluator.")]


class SampleBody(BaseModel):
    """What is drawn into the queue."""

    model_config = ConfigDict(extra="forbid")

    evaluator: str = ""
    release: str = "candidate"
    answers: int = 100
    second_share: float = 0.2


def labels_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes for labels and calibration."""
    router = APIRouter(prefix="/api/v1", tags=["labels"])
    actor = Depends(principal)
    _add_queue_routes(router, services, actor)
    _add_label_routes(router, services, actor)
    _add_transfer_routes(router, services, actor)
    return router


def _add_queue_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    labelling = services.labelling

    @router.post("/services/{service}/labels/sample", summary="Draw answers that people are asked about")
    def draw(service: str, body: SampleBody, who: Principal = actor) -> Response:
        options = QueueOptions(body.evaluator, body.release, body.answers, body.second_share)
        samples = labelling.queue.draw(who, service, options)
        # A rater must not learn which experiments, and so which releases, are in the queue.
        return json_response({"evaluator": samples[0].evaluator, "drawn": sum(sample.drawn for sample in samples)}, 201)

    @router.post("/services/{service}/labels/next", summary="The answer to label next; it is held for a while")
    def next_task(
        service: str,
        evaluator: Evaluator = "",
        disputed: Annotated[bool, Query(description="One that raters differ about, to be settled.")] = False,
        who: Principal = actor,
    ) -> Response:
        return json_response(labelling.queue.next(who, service, evaluator, disputed=disputed))

    @router.post("/label-tasks/{task_id}/skip", summary="Do not ask me about this answer")
    def skip(task_id: str, who: Principal = actor) -> Response:
        labelling.queue.skip(who, task_id)
        return json_response({"task_id": task_id, "outcome": "skipped"})


def _add_label_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    labelling = services.labelling

    @router.put("/label-tasks/{task_id}/label", summary="Label an answer, or correct one's own label")
    async def give(task_id: str, request: Request, who: Principal = actor) -> Response:
        given = _read_judgement(await _body(request, MAX_LABEL_BYTES))
        return json_response(await run_in_threadpool(labelling.labels.give, who, task_id, given))

    @router.delete("/label-tasks/{task_id}/label", summary="Take one's own label, or skip, back")
    def withdraw(task_id: str, who: Principal = actor) -> Response:
        return json_response(labelling.labels.withdraw(who, task_id))

    @router.put("/label-tasks/{task_id}/decision", summary="Settle what raters differ about")
    async def settle(task_id: str, request: Request, who: Principal = actor) -> Response:
        given = _read_judgement(await _body(request, MAX_LABEL_BYTES))
        return json_response(await run_in_threadpool(labelling.labels.settle, who, task_id, given))


def _add_transfer_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    labelling = services.labelling

    @router.get("/services/{service}/labels", summary="All labels with their versions, as JSON lines")
    def export(service: str, evaluator: Evaluator = "", who: Principal = actor) -> Response:
        lines = labelling.transfer.lines(who, service, evaluator)
        return StreamingResponse(lines, media_type="application/jsonl")

    @router.post("/services/{service}/labels", summary="Take labels from elsewhere, as JSON lines")
    async def import_lines(service: str, request: Request, who: Principal = actor) -> Response:
        data = await _body(request, MAX_IMPORT_BYTES)
        return json_response(await run_in_threadpool(labelling.transfer.import_lines, who, service, data))

    @router.get("/services/{service}/calibration", summary="How far a judge and people agree; means, corrected")
    def calibration(
        service: str, evaluator: Evaluator = "", release: str = "candidate", who: Principal = actor
    ) -> Response:
        return json_response(labelling.calibration.report(who, service, evaluator, release).to_dict())


async def _body(request: Request, most_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise TooLarge(f"the body is larger than {most_bytes // 1024} KiB")
    return bytes(body)


def _read_judgement(body: bytes) -> Judgement:
    try:
        return msgspec.json.decode(body, type=Judgement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the body is no label: {error}") from None
