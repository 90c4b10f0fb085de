"""Routes whose errors are pages."""

from collections.abc import Callable, Coroutine
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

from zirkel.console.rendering import SECURITY_HEADERS, Pages
from zirkel.console.session import SESSION_COOKIE
from zirkel.core import Invalid, Unauthenticated, ZirkelError

TITLES = {400: "That does not read well", 403: "Not with this sign-in", 404: "Nothing here", 413: "Too large"}


def page_route(pages: Pages) -> type[APIRoute]:
    """Return a route class that answers errors as pages, and leads those who did not sign in to the form."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
            handle = super().get_route_handler()

            async def handle_or_explain(request: Request) -> Response:
                try:
                    return await handle(request)
                except Unauthenticated:
                    return _lead_to_sign_in(request)
                except RequestValidationError as error:
                    first = error.errors()[0]
                    where = ".".join(str(part) for part in first["loc"][1:])
                    return _explain(pages, request, Invalid(f"{where}: {first['msg']}"))
                except ZirkelError as error:
                    return _explain(pages, request, error)

            return handle_or_explain

    return PageRoute


def redirect(path: str) -> Response:
    """Return an answer that sends the browser to ``path`` with a GET."""
    return RedirectResponse(path, 303, headers={**SECURITY_HEADERS, "Cache-Control": "no-store"})


def _lead_to_sign_in(request: Request) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    wanted = request.url.path + query if request.method == "GET" else "/"
    answer = redirect("/sign-in" if wanted == "/" else f"/sign-in?next={quote(wanted, safe='/')}")
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return answer


def _explain(pages: Pages, request: Request, error: ZirkelError) -> Response:
    context = {
        "viewer": getattr(request.state, "viewer", None),
        "title": TITLES.get(error.http_status, "That did not work"),
        "message": str(error),
    }
    return pages.render("error.html", context, error.http_status)
