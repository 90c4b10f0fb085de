"""The gateway's document and price tables."""

from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Invalid, Principal
from zirkel.core.gateway_check import convert_gateway_config
from zirkel.core.gateway_config import GatewayConfigRecord
from zirkel.core.gateway_text import write_gateway_config
from zirkel.observe import QuotedPrice

MAX_MODELS = 200
LARGEST_PAGE = 1000

Limit = Annotated[int, Query(ge=1, description="At most so many; 1000 are the most.")]
Version = Annotated[int, Path(ge=1, lt=2**31)]
Models = Annotated[list[str], Query(alias="model", description="UPSTREAM/MODEL; can be given several times.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DocumentBody(_Body):
    """A document, either as TOML or as plain JSON."""

    toml: str | None = None
    config: dict[str, object] | None = None


class ApplyBody(DocumentBody):
    """A document to apply."""

    credentials: dict[str, str] = {}
    version: int | None = Field(None, ge=0, lt=2**31)


class PriceTableBody(_Body):
    """A price table in LiteLLM's format."""

    name: str
    effective: str = ""
    table: dict[str, object]


def gateway_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes for the gateway's document and for price tables."""
    router = APIRouter(prefix="/api/v1", tags=["gateway"])
    actor = Depends(principal)
    _add_document_routes(router, services, actor)
    _add_price_routes(router, services, actor)
    return router


def _add_document_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.get("/gateway", summary="The gateway's document in force, and its version; version 0 if there is none")
    def current(who: Principal = actor) -> Response:
        record = services.gateway.current(who)
        return json_response(_document_view(record) if record else {"version": 0, "toml": "", "config": {}})

    @router.put("/gateway", summary="Replace the gateway's document as a whole")
    def apply(body: ApplyBody, who: Principal = actor) -> Response:
        done = services.gateway.apply(who, _text(body), credentials=body.credentials, based_on=body.version)
        return json_response({**_version_view(done.record), "is_new": done.is_new, "changes": done.changes})

    @router.post("/gateway/check", summary="Say what a document would change, or what is wrong with it")
    def check(body: DocumentBody, who: Principal = actor) -> Response:
        return json_response(services.gateway.check(who, _text(body)))

    @router.get("/gateway/history", summary="Versions of the gateway's document, newest first")
    def history(limit: Limit = 50, who: Principal = actor) -> Response:
        return json_response(
            [_version_view(found) for found in services.gateway.history(who, min(limit, LARGEST_PAGE))]
        )

    @router.get("/gateway/history/{version}", summary="One version of the gateway's document")
    def version(version: Version, who: Principal = actor) -> Response:
        return json_response(_document_view(services.gateway.version(who, version)))


def _add_price_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.get("/prices", summary="Loaded price tables, newest first day first")
    def tables(who: Principal = actor) -> Response:
        return json_response(services.prices.tables(who))

    @router.post("/prices", summary="Load a price table in LiteLLM's format")
    def load(body: PriceTableBody, who: Principal = actor) -> Response:
        done = services.prices.load(who, body.table, name=body.name, effective=body.effective)
        return json_response({**msgspec.to_builtins(done.record), "not_taken": done.not_taken}, 201)

    @router.get("/prices/models", summary="What models cost now and later, by which table")
    def quote(models: Models, who: Principal = actor) -> Response:
        if len(models) > MAX_MODELS:
            raise Invalid(f"model: at most {MAX_MODELS} at once", path="model")
        return json_response([_quote_view(found) for found in services.prices.quote(who, models)])


def _text(body: DocumentBody) -> str:
    if (body.toml is None) == (body.config is None):
        raise Invalid("send the document either as toml or as config", path="toml")
    return body.toml if body.toml is not None else write_gateway_config(convert_gateway_config(body.config))


def _version_view(record: GatewayConfigRecord) -> Mapping[str, object]:
    return {
        "version": record.version,
        "digest": record.digest,
        "applied_ns": record.applied_ns,
        "applied_by": record.applied_by,
    }


def _document_view(record: GatewayConfigRecord) -> Mapping[str, object]:
    return {**_version_view(record), "toml": record.text, "config": msgspec.Raw(record.config.encode())}


def _quote_view(found: QuotedPrice) -> Mapping[str, object]:
    prices = found.prices
    return {
        "model": found.model,
        "is_in_force": found.is_in_force,
        "effective_ns": prices.effective_ns,
        "source": prices.source,
        "digest": prices.table_digest,
        "max_output_tokens": prices.max_output_tokens,
        "usd_per_million": {
            bucket: [{"from_input_tokens": t.from_input_tokens, "usd": f"{t.usd_per_million:f}"} for t in tiers]
            for bucket, tiers in prices.buckets.items()
        },
    }
