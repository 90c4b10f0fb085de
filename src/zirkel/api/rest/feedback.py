"""Feedback from web pages: the one route of the API that a browser on another site may call.

A page sends it with ``fetch`` or ``navigator.sendBeacon``. A beacon cannot set headers, so the key may stand in the
query; and it is sent as ``text/plain``, which a browser does not ask about beforehand.

Source: Fetch Standard, section 3.3 (CORS protocol); Beacon, W3C Candidate Recommendation of 2022-08-03.
"""

import ipaddress
import math

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from zirkel.api.auth import FEEDBACK_PATH, read_bearer
from zirkel.api.errors import error_answer
from zirkel.api.rest.wire import json_response
from zirkel.api.services import Services
from zirkel.core import LimitReached, TooLarge, Unsupported, ZirkelError
from zirkel.observe.feedback import MAX_FEEDBACK_BYTES

PREFLIGHT_LASTS_S = 600
_MEDIA_TYPES = frozenset({"application/json", "text/plain", ""})


def feedback_router(services: Services) -> APIRouter:
    """Return the routes for feedback; they look at the key themselves, and nothing that is stored can be read there."""
    router = APIRouter(tags=["observe"])

    @router.post(FEEDBACK_PATH, summary="Feedback of an end user, with a feedback key as header or as `key`")
    async def give(request: Request) -> Response:
        origin, opened = request.headers.get("origin", ""), None
        try:
            services.feedback.admit(_address(request))
            opened = await run_in_threadpool(services.feedback.open, _key_text(request))
            body = await _read_body(request)
            taken = await run_in_threadpool(services.feedback.give, opened, origin, body)
        except ZirkelError as error:
            is_hidden = opened is not None and not opened.allows(origin)
            return _shown_to("" if is_hidden else origin, _refusal(error))
        return _shown_to(origin, json_response(taken, 202))

    @router.options(FEEDBACK_PATH, include_in_schema=False)
    async def preflight(request: Request) -> Response:
        origin, key_text = request.headers.get("origin", ""), request.query_params.get("key")
        try:
            services.feedback.admit(_address(request))
        except LimitReached as error:
            return _shown_to(origin, _refusal(error))
        # Without the key in the query, a browser does not yet say which key it is about to use.
        if key_text and not await run_in_threadpool(services.feedback.may_use, key_text, origin):
            return _shown_to("", Response(status_code=204))
        headers = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "authorization, content-type",
            "Access-Control-Max-Age": str(PREFLIGHT_LASTS_S),
        }
        return _shown_to(origin, Response(status_code=204, headers=headers))

    return router


def _shown_to(origin: str, answer: Response) -> Response:
    """Return an answer that a page of ``origin`` may see, no page if it is empty; cookies never matter."""
    answer.headers["Vary"] = "Origin"
    answer.headers["Cache-Control"] = "no-store"
    if origin:
        answer.headers["Access-Control-Allow-Origin"] = origin
    return answer


def _refusal(error: ZirkelError) -> Response:
    answer = error_answer(error)
    if isinstance(error, LimitReached):
        answer.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return answer


def _key_text(request: Request) -> str:
    """Return the key of the header, else of the query; raises ``Unauthenticated`` if there is none."""
    authorization = request.headers.get("authorization")
    return read_bearer(authorization) if authorization else request.query_params.get("key") or read_bearer(None)


async def _read_body(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise Unsupported(f"{media_type!r} is not taken; send JSON as application/json or text/plain")
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_FEEDBACK_BYTES:
            raise TooLarge(f"the body is larger than {MAX_FEEDBACK_BYTES // 1024} KiB")
    return bytes(chunks)


def _address(request: Request) -> str:
    """Return the client's address; what a proxy on a private network says of it counts, its last word only."""
    peer = request.client.host if request.client else ""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded if forwarded and _is_private(peer) else peer


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False
