"""Data sets: versions, items, files, differences, labels, health."""

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import Invalid, Principal, Unsupported
from zirkel.version.dataset_checkup import MOST_LIVE, CheckupWish
from zirkel.version.dataset_health import HealthLimits
from zirkel.version.dataset_items import DraftItem
from zirkel.version.dataset_ports import TraceWish
from zirkel.version.dataset_reading import LATEST
from zirkel.version.dataset_schema import DatasetSchema, decode_schema
from zirkel.version.dataset_selection import Selection
from zirkel.version.dataset_tables import MEDIA_TYPES, DatasetForm
from zirkel.version.dataset_writing import PushedDataset, PushOrder

Reference = Annotated[
    str, Query(alias="version", description="latest, a number, a label, or the start of a digest.", max_length=128)
]
LARGEST_PAGE = 10_000
_ITEMS_BODY = "application/json"
_FORMS: dict[str, DatasetForm] = {media_type: form for form, media_type in MEDIA_TYPES.items()}
_BODIES = {
    "requestBody": {
        "required": True,
        "description": (
            "A file of items; or as JSON the items themselves, as in a line of a JSONL file but with an optional id, "
            "beside append, schema and infer_schema, which a file gets as parameters of the address."
        ),
        "content": {
            _ITEMS_BODY: {
                "schema": {
                    "type": "object",
                    "required": ["items"],
                    "additionalProperties": False,
                    "properties": {
                        "items": {"type": "array", "items": {"type": "object", "required": ["input"]}},
                        "append": {"type": "boolean", "default": False},
                        "schema": {"type": "object", "required": ["variables"]},
                        "infer_schema": {"type": "boolean", "default": False},
                        "source": {"enum": ["items", "console"], "default": "items"},
                    },
                }
            },
            **{media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in _FORMS},
        },
    }
}


class _ItemsBody(msgspec.Struct, forbid_unknown_fields=True):
    items: list[DraftItem]
    append: bool = False
    schema: DatasetSchema | None = None
    infer_schema: bool = False
    source: Literal["items", "console"] = "items"


class CollectBody(BaseModel):
    """Which traces items are made of, and how many of them."""

    model_config = ConfigDict(extra="forbid")

    filter: str = ""
    since: str = ""
    until: str = ""
    limit: int = 1000
    variable: str = "input"
    sample: int | None = Field(None, ge=1)
    seed: int = 0
    dry_run: bool = False


class LabelBody(BaseModel):
    """Which version a label points to."""

    model_config = ConfigDict(extra="forbid")

    version: str = LATEST


def _selection(
    split: Annotated[str, Query(description="Only items of this split.")] = "",
    tag: Annotated[list[str], Query(description="Only items that carry all of these tags.")] = [],  # noqa: B006
) -> Selection:
    return Selection(split, tuple(tag))


def _order(
    append: Annotated[bool, Query(description="Put the file's items to the newest version's.")] = False,
    infer_schema: Annotated[bool, Query(description="Forget the schema, and take the one that the items fit.")] = False,
    schema: Annotated[str, Query(description="The schema from now on, as JSON.", max_length=100_000)] = "",
) -> PushOrder:
    return PushOrder(append=append, schema=decode_schema(schema) if schema else None, infer_schema=infer_schema)


def _checkup(
    service: Annotated[str, Query(description="Whose prompts, examples and traffic; else the data set's name.")] = "",
    since: Annotated[str, Query(description="From when live traffic is looked at: a time, or e.g. -7d.")] = "-7d",
    live: Annotated[int, Query(description="Traces at most, the newest; 0 for none.", ge=0, le=MOST_LIVE)] = 1000,
    near: Annotated[float, Query(description="Likeness from which inputs are nearly the same.")] = HealthLimits().near,
    leak: Annotated[
        float, Query(description="Share of an input in a prompt from which it leaks.")
    ] = HealthLimits().leak,
    far: Annotated[float | None, Query(description="Cosine below which a live input is far from any item.")] = None,
    label_age_days: Annotated[float, Query(description="Age from which a label is old.")] = 365,
) -> CheckupWish:
    limits = HealthLimits(near=near, leak=leak, far=far, label_age_days=label_age_days)
    return CheckupWish(service, since, live, limits)


Wanted = Annotated[Selection, Depends(_selection)]
Ordered = Annotated[PushOrder, Depends(_order)]
Wish = Annotated[CheckupWish, Depends(_checkup)]


def datasets_router(services: Services, principal: Callable[..., Principal]) -> APIRouter:
    """Return the routes under ``/api/v1/datasets``."""
    router = APIRouter(prefix="/api/v1", tags=["datasets"])
    actor = Depends(principal)
    _add_reading_routes(router, services, actor)
    _add_writing_routes(router, services, actor)
    _add_comparing_routes(router, services, actor)
    return router


def _add_reading_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.get("/datasets", summary="List data sets, each with its newest version")
    def list_datasets(who: Principal = actor) -> Response:
        return json_response(services.datasets.list(who))

    @router.get("/datasets/{name}", summary="One version of a data set: schema, splits, tags, how many items")
    def show(name: str, reference: Reference = LATEST, who: Principal = actor) -> Response:
        return json_response(services.datasets.show(who, name, reference))

    @router.get("/datasets/{name}/versions", summary="List a data set's versions, newest first")
    def versions(name: str, who: Principal = actor) -> Response:
        return json_response(services.datasets.versions(who, name))

    @router.get("/datasets/{name}/items", summary="Items of a version")
    def items(
        name: str,
        selection: Wanted,
        reference: Reference = LATEST,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
        who: Principal = actor,
    ) -> Response:
        found = services.datasets.items(who, name, reference, selection)
        return json_response({"items": found[offset : offset + limit], "total": len(found)})

    @router.get("/datasets/{name}/export/{form}", summary="Items of a version as JSON lines, CSV or Parquet")
    def export(
        name: str, form: DatasetForm, selection: Wanted, reference: Reference = LATEST, who: Principal = actor
    ) -> Response:
        data = services.datasets.export(who, name, form, reference, selection)
        return Response(data, media_type=MEDIA_TYPES[form])


def _add_writing_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.post(
        "/datasets/{name}/versions", summary="Make a version of items or of a file of them", openapi_extra=_BODIES
    )
    async def push(name: str, request: Request, order: Ordered, who: Principal = actor) -> Response:
        body = await request.body()
        media_type = request.headers.get("content-type", _ITEMS_BODY).partition(";")[0].strip().lower()
        pushed = await run_in_threadpool(_push, services, who, name, media_type, body, order)
        return json_response(pushed, 201 if pushed.is_new else 200)

    @router.post("/datasets/{name}/collect", summary="Put items made of traces to a data set, or say which it would be")
    def collect(name: str, body: CollectBody, who: Principal = actor) -> Response:
        wish = TraceWish(body.filter, body.since, body.until, body.limit, body.variable)
        found = services.datasets.collect(who, name, wish, sample=body.sample, seed=body.seed, dry_run=body.dry_run)
        return json_response(found)

    @router.put("/datasets/{name}/labels/{label}", summary="Have a label point to a version")
    def set_label(name: str, label: str, body: LabelBody, who: Principal = actor) -> Response:
        return json_response(services.datasets.set_label(who, name, label, body.version))

    @router.delete("/datasets/{name}/labels/{label}", summary="Remove a label", status_code=204)
    def remove_label(name: str, label: str, who: Principal = actor) -> Response:
        services.datasets.remove_label(who, name, label)
        return Response(status_code=204)


def _add_comparing_routes(router: APIRouter, services: Services, actor: Principal) -> None:
    @router.get("/datasets/{name}/diff", summary="What differs between two versions, item by item")
    def diff(
        name: str,
        before: Annotated[str, Query(description="A version.", max_length=128)],
        after: Annotated[str, Query(description="Another one.", max_length=128)] = LATEST,
        who: Principal = actor,
    ) -> Response:
        return json_response(services.datasets.diff(who, name, before, after))

    @router.get("/datasets/{name}/history", summary="What each version did to the items of the one before")
    def history(name: str, who: Principal = actor) -> Response:
        return json_response(services.datasets.history(who, name))

    @router.get("/datasets/{name}/history/{item_id:path}", summary="Which versions added, changed or removed an item")
    def item_history(name: str, item_id: Annotated[str, Path(max_length=256)], who: Principal = actor) -> Response:
        return json_response(services.datasets.item_history(who, name, item_id))

    @router.get("/datasets/{name}/health", summary="What is wrong with a version's items, and what to do about it")
    def health(name: str, wish: Wish, reference: Reference = LATEST, who: Principal = actor) -> Response:
        return json_response(services.dataset_health.check(who, name, reference, wish))


def _push(
    services: Services, who: Principal, name: str, media_type: str, body: bytes, order: PushOrder
) -> PushedDataset:
    if media_type in _FORMS:
        return services.datasets.push_file(who, name, _FORMS[media_type], body, order)
    if media_type != _ITEMS_BODY:
        raise Unsupported(f"{media_type!r} is not taken; send {', '.join([_ITEMS_BODY, *_FORMS])}")
    try:
        found = msgspec.json.decode(body, type=_ItemsBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f'the body is not {{"items": [{{"input": {{…}}}}]}}: {error}', path="items") from None
    wanted = PushOrder(append=found.append, schema=found.schema, infer_schema=found.infer_schema, source=found.source)
    return services.datasets.push_items(who, name, found.items, wanted)
