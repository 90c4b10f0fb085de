"""The pages that search: traces, sessions, costs."""

from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.responses import Response

from zirkel.console.rendering import Pages
from zirkel.console.routing import page_route
from zirkel.console.services import ConsoleServices
from zirkel.console.session import Sessions
from zirkel.console.viewer import Viewer, require_viewer
from zirkel.core import Invalid
from zirkel.core.filter_values import parse_moment
from zirkel.core.search import GroupRow, Listing, TraceRow
from zirkel.observe.cost_changes import FACTORS
from zirkel.observe.costs import SEGMENTATIONS, ExplainedCost
from zirkel.observe.search import Sought

ROWS = 50
PERIODS = (("-1h", "last hour"), ("-24h", "last day"), ("-7d", "last 7 days"), ("-30d", "last 30 days"), ("", "all"))
_BAR = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form of a list holds."""

    where: str
    since: str
    order: str = "start"

    def address_of(self, page: str, where: str) -> str:
        """Return the address of the same list with another filter."""
        given = {"filter": where, "since": self.since, "order": self.order}
        return f"{page}?{urlencode({name: value for name, value in given.items() if value})}"

    def address(self, page: str, cursor: str) -> str:
        """Return the address of the list's next page."""
        given = {"filter": self.where, "since": self.since, "order": self.order, "cursor": cursor}
        return f"{page}?{urlencode({name: value for name, value in given.items() if value})}"


def search_router(services: ConsoleServices, sessions: Sessions, pages: Pages) -> APIRouter:
    """Return the routes of the searching pages."""
    router = APIRouter(route_class=page_route(pages), include_in_schema=False)
    viewed = Depends(require_viewer(services.access, sessions))

    @router.get("/traces")
    def traces(
        filter: str = "",  # noqa: A002 (the word of the address)
        since: str = "",
        order: str = "start",
        cursor: str = "",
        viewer: Viewer = viewed,
    ) -> Response:
        asked = Asked(filter, since, order)
        found: Listing[TraceRow] = Listing([], "")
        fault = ""
        try:
            found = services.search.traces(
                viewer.principal, Sought(filter, since), order=order, limit=ROWS, cursor=cursor
            )
        except Invalid as error:
            fault = str(error)
        context = {
            "viewer": viewer,
            "asked": asked,
            "periods": PERIODS,
            "found": found,
            "fault": fault,
            "is_first": not cursor,
            "services": [known.name for known in services.registry.services(viewer.principal)],
        }
        return pages.render("traces.html", context)

    @router.get("/sessions")
    def session_list(
        filter: str = "",  # noqa: A002 (as above)
        since: str = "",
        cursor: str = "",
        viewer: Viewer = viewed,
    ) -> Response:
        found: Listing[GroupRow] = Listing([], "")
        fault = ""
        try:
            found = services.search.sessions(viewer.principal, Sought(filter, since), limit=ROWS, cursor=cursor)
        except Invalid as error:
            fault = str(error)
        asked = Asked(filter, since, "")
        context = {"viewer": viewer, "asked": asked, "periods": PERIODS, "found": found, "fault": fault}
        return pages.render("sessions.html", context)

    @router.get("/sessions/{session_id:path}")
    def session(session_id: str, viewer: Viewer = viewed) -> Response:
        talk = services.search.session(viewer.principal, session_id)
        return pages.render("session.html", {"viewer": viewer, "talk": talk})

    @router.get("/costs")
    def costs(by: str = "service", since: str = "-7d", viewer: Viewer = viewed) -> Response:
        since, fault, change = since or "-7d", "", None
        try:
            since_ns = parse_moment(since, services.clock.now_ns())
            change = services.costs.explain(viewer.principal, by=by, since_ns=since_ns)
        except Invalid as error:
            fault = str(error)
        context = {
            "viewer": viewer,
            "by": by,
            "since": since,
            "segmentations": SEGMENTATIONS,
            "periods": PERIODS[:-1],
            "change": change,
            "parts": _bars(change) if change else (),
            "fault": fault,
        }
        return pages.render("costs.html", context)

    return router


@dataclass(frozen=True, slots=True)
class Bar:
    """One cause of a change, drawn to the left or right of the middle."""

    name: str
    meaning: str
    usd: Decimal
    start: str
    width: str


def _bars(change: ExplainedCost) -> tuple[Bar, ...]:
    widest = max((abs(usd) for usd in change.parts.values()), default=Decimal(0)) or Decimal(1)
    bars = []
    for name, usd in change.parts.items():
        share = float(abs(usd) / widest) * _BAR / 2
        start = _BAR / 2 - share if usd < 0 else _BAR / 2
        bars.append(Bar(name, FACTORS[name], usd, f"{start:.2f}%", f"{share:.2f}%"))
    return tuple(bars)
