"""OTLP/HTTP: ``POST /v1/traces``, ``/v1/logs`` and ``/v1/metrics``, answered in the request's own encoding."""

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from zirkel.api.errors import error_headers
from zirkel.core import Overloaded, Principal, TooLarge, Unauthenticated, Unsupported, ZirkelError
from zirkel.lib.otlp import Media, Signal, UnsupportedMedia, encode_status, encode_success, parse_media_type
from zirkel.observe import MAX_BODY_BYTES, Accepted, Intake

CONTENT_TYPES: Mapping[Media, str] = {"protobuf": "application/x-protobuf", "json": "application/json"}
RPC_CODES: Mapping[int, int] = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 503: 14}
"""``google.rpc.Code`` for each HTTP status that can be answered."""
SIGNALS: tuple[Signal, ...] = ("traces", "logs", "metrics")
_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]
_KEY_HEADERS = ("x-zirkel-key", "api-key")
_AT_ONCE = 8
_MAX_WAITING = 128
"""Requests that are worked on or wait for it; more are refused at once."""

log = logging.getLogger(__name__)


def otlp_router(intake: Intake, authenticate: Callable[[str], Principal]) -> APIRouter:
    """Return the OTLP routes; whatever else is asked below ``/v1`` is told so as OTLP wants it.

    A trailing slash is the same address: exporters take a redirect for success, and the data would be gone.

    Source: OTLP specification 1.11, "OTLP/HTTP Response".
    """
    router = APIRouter(tags=["otlp"])
    turns = _Turns()
    for signal in SIGNALS:
        receive = _receiver(signal, intake, authenticate, turns)
        router.add_api_route(
            f"/v1/{signal}",
            receive,
            methods=["POST"],
            summary=f"OTLP {signal}, protobuf or JSON",
            name=f"otlp_{signal}",
        )
        router.add_api_route(f"/v1/{signal}/", receive, methods=["POST"], include_in_schema=False)
        for path in (f"/v1/{signal}", f"/v1/{signal}/"):
            router.add_api_route(path, _wrong_method, methods=_METHODS, include_in_schema=False)
    for path in ("/v1/{rest:path}", "/v1development/{rest:path}"):
        router.add_api_route(path, _unknown_path, methods=["POST", *_METHODS], include_in_schema=False)
    return router


def read_key(headers: Mapping[str, str]) -> str:
    """Return the API key among a request's headers, whose names are in lower case.

    Taken are ``Authorization: Bearer KEY``, ``Authorization: Basic …`` with the key as the password (Langfuse's
    exporters), and the headers ``x-zirkel-key`` and ``api-key``.

    Raises:
        Unauthenticated: If there is none.

    Source: RFC 6750, section 2.1; RFC 7617, section 2.
    """
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    key = credentials.strip()
    if scheme.lower() == "basic":
        key = _password(key)
    elif scheme.lower() != "bearer":
        key = next((value.strip() for name in _KEY_HEADERS if (value := headers.get(name))), "")
    if not key:
        raise Unauthenticated("send the API key as: Authorization: Bearer zk_…")
    return key


class _Turns:
    """Threads for what is taken in, apart from those of other requests: a disk that hangs must hold up nothing else."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, "otlp-http")
        self._waiting = 0

    async def take(self, work: Callable[[], Accepted]) -> Accepted:
        """Return what ``work`` gives, once it had its turn.

        Raises:
            Overloaded: If too many wait already.
        """
        if self._waiting >= _MAX_WAITING:
            raise Overloaded(f"{self._waiting} requests are waiting already; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _receiver(
    signal: Signal, intake: Intake, authenticate: Callable[[str], Principal], turns: _Turns
) -> Callable[[Request], object]:
    async def receive(request: Request) -> Response:
        media: Media = "protobuf"
        try:
            media = _media(request)
            who = await run_in_threadpool(authenticate, read_key(request.headers))
            encoding = request.headers.get("content-encoding", "identity")
            with intake.share() as share:
                body = await _read_body(request, share.grow)
                accepted = await turns.take(partial(intake.accept, who, signal, body, media, encoding, share))
        except ZirkelError as error:
            return _refusal(error, media)
        except Exception:
            # An exporter drops what a 500 refused, and sends again what a 503 did.
            log.exception("taking in OTLP %s failed", signal)
            return _refusal(
                Overloaded("internal error, nothing is lost if you send it again; see the core's log"), media
            )
        content = encode_success(media, accepted.rejected, accepted.message, signal)
        return Response(content, media_type=CONTENT_TYPES[media])

    return receive


async def _wrong_method(request: Request) -> Response:
    message = f"{request.method} is not supported at {request.url.path}; send POST"
    return _status(405, message, _media_or_protobuf(request), {"Allow": "POST"})


async def _unknown_path(request: Request) -> Response:
    paths = ", ".join(f"/v1/{signal}" for signal in SIGNALS)
    return _status(404, f"there is no {request.url.path}; OTLP is taken at {paths}", _media_or_protobuf(request), {})


def _media(request: Request) -> Media:
    try:
        return parse_media_type(request.headers.get("content-type", ""))
    except UnsupportedMedia as error:
        raise Unsupported(str(error)) from error


def _media_or_protobuf(request: Request) -> Media:
    try:
        return _media(request)
    except Unsupported:
        return "protobuf"


async def _read_body(request: Request, grow: Callable[[int], None]) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 19:
        _check_size(int(declared))
    chunks = bytearray()
    async for chunk in request.stream():
        _check_size(len(chunks) + len(chunk))
        grow(len(chunk))
        chunks += chunk
    return bytes(chunks)


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES // 2**20} MiB")


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2].strip()
    except (binascii.Error, ValueError):
        return ""


def _refusal(error: ZirkelError, media: Media) -> Response:
    if error.http_status >= 500:
        # Whatever is wrong here is no fault of what was sent: the sender shall keep it and send it again.
        error = Overloaded(str(error))
    return _status(error.http_status, str(error), media, error_headers(error))


def _status(status: int, message: str, media: Media, headers: Mapping[str, str]) -> Response:
    body = encode_status(media, RPC_CODES.get(status, 2), message)
    return Response(body, status, media_type=CONTENT_TYPES[media], headers=dict(headers))
