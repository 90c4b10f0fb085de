"""Experiments: started, followed, and what they cost."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import ExperimentOptions, Invalid, Principal
from zirkel.evaluate import UploadedAnswer, UploadPlan


class ExperimentBody(BaseModel):
    """Which release to run, how often per item, and how."""

    model_config = ConfigDict(extra="forbid")

    release: str = "candidate"
    trials: int = 2
    concurrency: int | None = Field(None, description="Calls at once; the server's setting by default.")
    requests_per_s: float | None = Field(None, description="Calls a second at most.")
    tokens_per_min: int | None = Field(None, description="Input and output tokens a minute at most.")
    early_stop: bool = Field(False, description="Stop as soon as the gate is decided.")
    seed: int = Field(0, description="Of the items' order, if it may stop early.")
    fresh: bool = Field(False, description="Ask again what other experiments have answers to.")

    def options(self) -> ExperimentOptions:
        """Return how to run it."""
        return ExperimentOptions(
            concurrency=self.concurrency,
            requests_per_s=self.requests_per_s,
            tokens_per_min=self.tokens_per_min,
            early_stop=self.early_stop,
            seed=self.seed,
            is_fresh=self.fresh,
        )


def _body(schema: str) -> dict[str, object]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": schema}}}}}


_PLAN = _body("object")
_ANSWERS = _body("array")
_Body = TypeVar("_Body")


def _decode(body: bytes, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise Invalid(f"the body will not do: {error}") from error


def experiments_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes of experiments."""
    router = APIRouter(prefix="/api/v1", tags=["experiments"])
    actor = Depends(principal)

    @router.post("/services/{service}/experiments", summary="Run candidate and baseline over the data set")
    def start_experiments(service: str, body: ExperimentBody, who: Principal = actor) -> Response:
        started = services.experiments.start(who, service, body.release, body.trials, body.options())
        return json_response(started, 202)

    @router.get("/services/{service}/estimate", summary="What running candidate and baseline would cost")
    def estimate(service: str, release: str = "candidate", trials: int = 2, who: Principal = actor) -> Response:
        return json_response(services.estimates.estimate(who, service, release, trials))

    @router.get("/experiments", summary="Experiments, newest first")
    def list_experiments(service: str = "", who: Principal = actor) -> Response:
        return json_response(list(services.experiments.list(who, service or None)))

    @router.post("/experiments", summary="Begin to upload an experiment that was run elsewhere", openapi_extra=_PLAN)
    async def begin_upload(request: Request, who: Principal = actor) -> Response:
        plan = _decode(await request.body(), UploadPlan)
        return json_response(await run_in_threadpool(services.uploads.begin, who, plan), 201)

    @router.post("/experiments/{experiment_id}/answers", summary="Upload answers with scores", openapi_extra=_ANSWERS)
    async def upload_answers(experiment_id: str, request: Request, who: Principal = actor) -> Response:
        answers = _decode(await request.body(), list[UploadedAnswer])
        return json_response(await run_in_threadpool(services.uploads.add, who, experiment_id, answers))

    @router.get("/experiments/{experiment_id}", summary="How far an experiment is")
    def experiment(experiment_id: str, who: Principal = actor) -> Response:
        return json_response(services.experiments.progress(who, experiment_id))

    @router.get("/experiments/{experiment_id}/spending", summary="What an experiment has cost, its judges apart")
    def spending(experiment_id: str, who: Principal = actor) -> Response:
        return json_response(services.experiments.spending(who, experiment_id))

    return router
