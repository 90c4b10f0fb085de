"""Errors of the rooms as HTTP answers: one table, used once."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from zirkel.core import Overloaded, Unauthenticated, ZirkelError

RETRY_AFTER_S = 2


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` answer as ``{"error": {"code", "message", "path"}}``."""
    app.add_exception_handler(ZirkelError, _zirkel_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(UnicodeEncodeError, _text_error)
    app.add_exception_handler(Exception, _unexpected_error)


def error_headers(error: ZirkelError) -> dict[str, str]:
    """Return the headers that belong to an error's status.

    Source: RFC 9110, sections 10.2.3 (Retry-After) and 11.6.1 (WWW-Authenticate).
    """
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(RETRY_AFTER_S)} if isinstance(error, Overloaded) else {}


def error_answer(error: ZirkelError) -> JSONResponse:
    """Return the answer to a request that failed with ``error``."""
    return _answer(error.http_status, error.code, str(error), error.path, error_headers(error))


async def _zirkel_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ZirkelError)
    return error_answer(error)


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    # Of a body that is not JSON, the place is a number of characters and no field.
    place = () if first["type"] == "json_invalid" else first["loc"][1:]
    path = ".".join(str(part) for part in place)
    return _answer(400, "invalid", f"{path or 'body'}: {first['msg']}", path or None, {})


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = "not_found" if error.status_code == 404 else "invalid"
    return _answer(error.status_code, code, str(error.detail), None, dict(error.headers or {}))


async def _text_error(_request: Request, _error: Exception) -> JSONResponse:
    # JSON can escape half a surrogate pair, which no store can take.
    return _answer(400, "invalid", "a text has half of a surrogate pair, which is not Unicode", None, {})


async def _unexpected_error(_request: Request, _error: Exception) -> JSONResponse:
    # The server logs the error itself after this answer.
    return _answer(500, "internal", "internal error; the core's log tells more", None, {})


def _answer(status: int, code: str, message: str, path: str | None, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, "path": path}}, status, headers)
