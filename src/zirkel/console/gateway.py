"""The gateway's page: where models are called, by which names, how much, at which price; and the document itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from zirkel.console.forms import read_document_form
from zirkel.console.limits import limit_table
from zirkel.console.rendering import Pages
from zirkel.console.routing import page_route, redirect
from zirkel.console.services import ConsoleServices
from zirkel.console.session import SESSION_COOKIE, Sessions
from zirkel.console.viewer import Viewer, require_viewer
from zirkel.core import Forbidden, GatewayConfig, Invalid, Limits, Principal, Role, TargetSpec, ZirkelError
from zirkel.core.gateway_config import GatewayConfigRecord
from zirkel.observe import QuotedPrice, Tier

PRICED_MODELS = 200
"""How many models' prices the page shows."""

Form = Annotated[dict[str, str], Depends(read_document_form)]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a document that was sent."""

    text: str
    tone: str
    """``good``, ``plain`` or ``bad``."""
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceRow:
    """What a model costs from a moment on."""

    quote: QuotedPrice
    input_usd: str
    output_usd: str
    others: str
    """The other kinds of token."""


def gateway_router(services: ConsoleServices, sessions: Sessions, pages: Pages) -> APIRouter:
    """Return the routes of the gateway's page."""
    router = APIRouter(route_class=page_route(pages), include_in_schema=False)
    viewed = Depends(require_viewer(services.access, sessions))

    def show(viewer: Viewer, told: Told | None = None, draft: str | None = None, status: int = 200) -> Response:
        return pages.render("gateway.html", _context(services, viewer, told, draft), status)

    @router.get("/gateway")
    def gateway(viewer: Viewer = viewed) -> Response:
        return show(viewer)

    @router.post("/gateway")
    def change(request: Request, *, viewer: Viewer = viewed, form: Form) -> Response:
        # The viewer stands before the form, and so is known before a stranger's form is read.
        if not sessions.accepts_form(request.cookies.get(SESSION_COOKIE, ""), form.get("form_token", "")):
            raise Forbidden("this form was not made for this session; load the page again and retry there")
        # Browsers send line ends as CR LF, whatever the document had.
        text = form.get("toml", "").replace("\r\n", "\n")
        try:
            if form.get("action") == "apply":
                services.gateway.apply(viewer.principal, text, based_on=_version(form))
                return redirect("/gateway")
            told = _checked(services, viewer.principal, text)
        except Forbidden:
            raise
        except ZirkelError as error:
            return show(viewer, Told(str(error), "bad"), text, error.http_status)
        return show(viewer, told, text)

    return router


def _checked(services: ConsoleServices, actor: Principal, text: str) -> Told:
    found = services.gateway.check(actor, text)
    if not found.changes:
        return Told("The document is good, and says what is in force.", "plain")
    return Told("The document is good. Applying it changes:", "good", found.changes)


def _version(form: Mapping[str, str]) -> int:
    text = form.get("version", "")
    if not text.isdecimal() or len(text) > 9:
        raise Invalid("the form names no version; load the page again and retry", path="version")
    return int(text)


def _context(services: ConsoleServices, viewer: Viewer, told: Told | None, draft: str | None) -> Mapping[str, object]:
    who = viewer.principal
    record = services.gateway.current(who)
    config = msgspec.json.decode(record.config, type=GatewayConfig) if record else GatewayConfig()
    quotes = services.prices.quote(who, _priced_models(config))
    return {
        "viewer": viewer,
        "record": record,
        "config": config,
        "upstreams": services.access.list_upstreams(who),
        "named": {spec.name for spec in config.upstream},
        "limits": _limit_rows(config),
        "use": limit_table(services.limits, who),
        "prices": [_price_row(found) for found in quotes],
        "tables": services.prices.tables(who),
        "told": told,
        "draft": _draft(record) if draft is None else draft,
        "may_change": Role.ADMIN in who.roles and not services.gateway.owner_file,
        "owner_file": services.gateway.owner_file,
    }


def _draft(record: GatewayConfigRecord | None) -> str:
    return record.text if record else ""


def _priced_models(config: GatewayConfig) -> Sequence[str]:
    names = [name for alias in config.model for target in alias.target for name in _places(target)]
    return list(dict.fromkeys([*names, *(price.model for price in config.price)]))[:PRICED_MODELS]


def _places(target: TargetSpec) -> Sequence[str]:
    return [target.name, *(member.name for member in target.pool)]


def _limit_rows(config: GatewayConfig) -> Sequence[tuple[str, Sequence[str]]]:
    rows = [("the project", config.limits)]
    rows += [(f"user {s.user}" if s.user else f"service {s.service}", s.limits) for s in config.limit]
    return [(subject, said) for subject, limits in rows if (said := _say_limits(limits))]


def _say_limits(limits: Limits) -> Sequence[str]:
    numbers = {
        "requests a minute": limits.requests_per_minute,
        "tokens a minute": limits.tokens_per_minute,
        "calls at once": limits.concurrency,
    }
    said = [f"{number:,} {what}" for what, number in numbers.items() if number is not None]
    for budget in limits.budget:
        parts = [f"alert at {budget.soft_usd} USD"] if budget.soft_usd else []
        parts += [f"at most {budget.hard_usd} USD"] if budget.hard_usd else []
        said.append(f"{', '.join(parts)} a {budget.window}")
    return [*said, f"only {', '.join(limits.models)}"] if limits.models else said


def _price_row(quote: QuotedPrice) -> PriceRow:
    buckets = quote.prices.buckets
    others = [f"{name.replace('_', ' ')} {_usd(tiers)}" for name, tiers in buckets.items() if name not in _MAIN]
    return PriceRow(quote, _usd(buckets.get("input", ())), _usd(buckets.get("output", ())), ", ".join(others))


_MAIN = ("input", "output")


def _usd(tiers: Sequence[Tier]) -> str:
    if not tiers:
        return "unknown"
    first, *others = tiers
    further = "".join(f", {_plain(t.usd_per_million)} from {t.from_input_tokens:,} tokens" for t in others)
    return f"{_plain(first.usd_per_million)}{further}"


def _plain(usd: Decimal) -> str:
    return f"{usd.normalize():f}" if usd else "0"
