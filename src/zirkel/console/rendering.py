"""Templates to answers, with the headers that every page has."""

from collections.abc import Callable, Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from zirkel import __version__
from zirkel.console.assets import Asset, Assets
from zirkel.console.figures import (
    format_ms,
    format_p,
    format_score,
    format_share,
    format_significant,
    format_usd,
    short_digest,
)
from zirkel.core import Alarm, iso_utc

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
YEAR_S = 365 * 86_400


class Pages:
    """The templates of ``console/templates``. What they are given is text and is escaped, always."""

    def __init__(self, assets: Assets, alarms: Callable[[], Sequence[Alarm]]) -> None:
        """Read the templates; ``alarms`` is asked for each page of somebody who signed in."""
        self.assets = assets
        self._environment = Environment(
            loader=PackageLoader("zirkel.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {"alarms": alarms, "asset": assets.url, "zirkel_version": __version__}
        self._environment.filters |= {
            "iso": iso_utc,
            "ms": format_ms,
            "p": format_p,
            "score": format_score,
            "share": format_share,
            "short": short_digest,
            "significant": format_significant,
            "usd": format_usd,
        }

    def render(self, template: str, context: Mapping[str, object], status: int = 200) -> Response:
        """Return a page.

        Raises:
            jinja2.UndefinedError: If the template names what ``context`` lacks.
        """
        html = self._environment.get_template(template).render(context)
        # Recorded text may hold lone surrogates, which UTF-8 cannot.
        content = html.encode(errors="replace")
        headers = {**SECURITY_HEADERS, "Cache-Control": "no-store"}
        return Response(content, status, headers=headers, media_type="text/html; charset=utf-8")


def serve_asset(asset: Asset) -> Response:
    """Return a static file; its address changes with its content, so browsers keep it."""
    headers = {**SECURITY_HEADERS, "Cache-Control": f"public, max-age={YEAR_S}, immutable"}
    return Response(asset.content, headers=headers, media_type=asset.media_type)
