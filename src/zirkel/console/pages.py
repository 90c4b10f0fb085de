"""The console's pages: parse, call a service, render."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from zirkel.console.card import Card, make_card
from zirkel.console.gateway import gateway_router
from zirkel.console.labels import labels_router
from zirkel.console.ledger import read_page
from zirkel.console.rendering import Pages, serve_asset
from zirkel.console.routing import page_route, redirect
from zirkel.console.search import search_router
from zirkel.console.services import ConsoleServices
from zirkel.console.session import Sessions
from zirkel.console.sign_in import sign_in_router
from zirkel.console.tree import grow_tree
from zirkel.console.viewer import Viewer, require_viewer
from zirkel.core import Principal, Role
from zirkel.observe.search import Sought

TRACES_ON_SERVICE = 20


def console_router(services: ConsoleServices, sessions: Sessions, pages: Pages) -> APIRouter:
    """Return the routes of the console."""
    router = APIRouter(route_class=page_route(pages), include_in_schema=False)
    viewed = Depends(require_viewer(services.access, sessions))

    @router.get("/")
    def home(viewer: Viewer = viewed) -> Response:
        if viewer.principal.roles == {Role.LABEL}:
            # Those who only label may see nothing else.
            return redirect("/label")
        names = [service.name for service in services.registry.services(viewer.principal)]
        cards = [_card(services, viewer.principal, name) for name in names]
        return pages.render("home.html", {"viewer": viewer, "cards": cards})

    @router.get("/services/{name}")
    def service(name: str, viewer: Viewer = viewed) -> Response:
        card = _card(services, viewer.principal, name)
        traces = services.search.traces(viewer.principal, Sought(f'service = "{name}"'), limit=TRACES_ON_SERVICE)
        context = {
            "viewer": viewer,
            "card": card,
            "pushed": services.registry.service(viewer.principal.project_id, name),
            "releases": services.registry.releases(viewer.principal, name),
            "traces": traces.items,
        }
        return pages.render("service.html", context)

    @router.get("/traces/{trace_id}")
    def trace(trace_id: str, viewer: Viewer = viewed) -> Response:
        tree = grow_tree(services.traces.trace(viewer.principal, trace_id))
        scores = services.traces.scores(viewer.principal, trace_id)
        context = {"viewer": viewer, "trace_id": trace_id.lower(), "tree": tree, "scores": scores}
        return pages.render("trace.html", context)

    @router.get("/evidence")
    def evidence(after: int | None = None, viewer: Viewer = viewed) -> Response:
        evidence, who = services.evidence, viewer.principal
        page = read_page(lambda start, limit: evidence.entries(who, start, limit), evidence.last_sequence(who), after)
        return pages.render("evidence.html", {"viewer": viewer, "page": page})

    @router.get("/static/{served_name}")
    def static(served_name: str) -> Response:
        return serve_asset(pages.assets.get(served_name))

    router.include_router(search_router(services, sessions, pages))
    router.include_router(gateway_router(services, sessions, pages))
    router.include_router(labels_router(services, sessions, pages))
    router.include_router(sign_in_router(services.access, sessions, pages))
    return router


def _card(services: ConsoleServices, actor: Principal, name: str) -> Card:
    return make_card(services.status.status(actor, name), services.registry.releases(actor, name))
