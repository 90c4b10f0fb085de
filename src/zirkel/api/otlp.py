"""OTLP/HTTP: ``POST /v1/traces``, answered in the request's own encoding."""

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from zirkel.api.auth import read_bearer
from zirkel.api.errors import error_headers
from zirkel.core import Principal, TooLarge, Unsupported, ZirkelError
from zirkel.lib.otlp import Media, UnsupportedMedia, encode_status, encode_success, parse_media_type
from zirkel.observe import MAX_BODY_BYTES, Intake

CONTENT_TYPES: dict[Media, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}
# google.rpc.Code for each HTTP status that can be answered.
RPC_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 503: 14}


def otlp_router(intake: Intake, authenticate: Callable[[str], Principal]) -> APIRouter:
    """Return the OTLP routes.

    Source: OTLP specification 1.11, "OTLP/HTTP Response".
    """
    router = APIRouter(tags=["otlp"])

    @router.post("/v1/traces", summary="OTLP traces, protobuf or JSON")
    async def traces(request: Request) -> Response:
        media: Media = "protobuf"
        try:
            media = _media(request)
            who = await run_in_threadpool(authenticate, read_bearer(request.headers.get("authorization")))
            body = await _read_body(request)
            encoding = request.headers.get("content-encoding", "identity")
            accepted = await run_in_threadpool(intake.accept_traces, who, body, media, encoding)
        except ZirkelError as error:
            return _refusal(error, media)
        return Response(encode_success(media, accepted.rejected, accepted.message), media_type=CONTENT_TYPES[media])

    return router


def _media(request: Request) -> Media:
    try:
        return parse_media_type(request.headers.get("content-type", ""))
    except UnsupportedMedia as error:
        raise Unsupported(str(error)) from error


async def _read_body(request: Request) -> bytes:
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_BODY_BYTES:
            raise TooLarge(f"the body is larger than {MAX_BODY_BYTES // 2**20} MiB")
    return bytes(chunks)


def _refusal(error: ZirkelError, media: Media) -> Response:
    status = error.http_status
    body = encode_status(media, RPC_CODES.get(status, 2), str(error))
    return Response(body, status, media_type=CONTENT_TYPES[media], headers=error_headers(error))
