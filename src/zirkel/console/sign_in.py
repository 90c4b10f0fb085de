"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from zirkel.console.forms import read_form
from zirkel.console.rendering import Pages
from zirkel.console.routing import page_route, redirect
from zirkel.console.session import FORM_COOKIE, SESSION_COOKIE, SESSION_S, Sessions, local_path, new_form_cookie
from zirkel.core import Forbidden, Principal, Unauthenticated
from zirkel.govern import Access

Form = Annotated[dict[str, str], Depends(read_form)]


def sign_in_router(access: Access, sessions: Sessions, pages: Pages) -> APIRouter:
    """Return the routes that begin and end a session."""
    router = APIRouter(route_class=page_route(pages), include_in_schema=False)

    def show(request: Request, wanted: str, email: str = "", refusal: str = "") -> Response:
        cookie = request.cookies.get(FORM_COOKIE) or new_form_cookie()
        context = {
            "viewer": None,
            "form_token": sessions.form_token(cookie),
            "wanted": local_path(wanted),
            "email": email,
            "refusal": refusal,
        }
        answer = pages.render("sign_in.html", context, 401 if refusal else 200)
        _keep(answer, request, FORM_COOKIE, cookie)
        return answer

    @router.get("/sign-in")
    def form(request: Request, next: str = "/") -> Response:  # noqa: A002 (the query parameter's name)
        return show(request, next)

    @router.post("/sign-in")
    def sign_in(request: Request, form: Form) -> Response:
        wanted, email = form.get("next", "/"), form.get("email", "").strip()
        if not sessions.accepts_form(request.cookies.get(FORM_COOKIE, ""), form.get("form_token", "")):
            return show(request, wanted, email, "this form was open for too long, or cookies are off; please try again")
        try:
            principal = _authenticate(access, email, form.get("password", ""), form.get("key", "").strip())
        except Unauthenticated as error:
            return show(request, wanted, email, str(error))
        answer = redirect(local_path(wanted))
        _keep(answer, request, SESSION_COOKIE, sessions.issue(principal), SESSION_S)
        answer.delete_cookie(FORM_COOKIE, httponly=True, samesite="strict")
        return answer

    @router.post("/sign-out")
    def sign_out(request: Request, form: Form) -> Response:
        if not sessions.accepts_form(request.cookies.get(SESSION_COOKIE, ""), form.get("form_token", "")):
            raise Forbidden("this form was not made for this session; load the page again and sign out there")
        answer = redirect("/sign-in")
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return answer

    return router


def _authenticate(access: Access, email: str, password: str, key: str) -> Principal:
    if key:
        return access.authenticate(key)
    if not email or not password:
        raise Unauthenticated("give an e-mail address and its password, or an API key")
    return access.sign_in(email, password)


def _keep(answer: Response, request: Request, name: str, value: str, seconds: int | None = None) -> None:
    # Behind a proxy that ends TLS the scheme is its header's. Who forges that only loses their own cookie.
    schemes = (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
    answer.set_cookie(name, value, max_age=seconds, secure="https" in schemes, httponly=True, samesite="strict")
