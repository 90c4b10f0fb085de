"""``python -m zirkel.app.picture``: a picture of the console's first page, taken in Chromium."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from zirkel.app.config import read_variable
from zirkel.core import Invalid, NotFound, Unauthenticated, ZirkelError

CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTH_PX, HEIGHT_PX = 1280, 800


class NoBrowser(NotFound):
    """Chromium, or the package that drives it, is not installed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the picture; return the exit code."""
    parser = argparse.ArgumentParser(prog="zirkel.app.picture", description="Take a picture of the console.")
    parser.add_argument("--url", default="http://127.0.0.1:4040", help="the core's address")
    parser.add_argument("--key-variable", default="ZIRKEL_API_KEY", help="environment variable with an API key")
    parser.add_argument("--path", default="/", help="the page")
    parser.add_argument("--dark", action="store_true", help="in dark colours")
    parser.add_argument("--chromium", type=Path, default=CHROMIUM, help="the browser")
    parser.add_argument("--out", type=Path, required=True, help="PNG file to write")
    options = parser.parse_args(arguments)
    try:
        key = read_variable(options.key_variable)
        if not key:
            raise Invalid(f"the environment variable {options.key_variable} is not set; it must hold an API key")
        take_picture(options.url, key, options.out, path=options.path, is_dark=options.dark, chromium=options.chromium)
    except ZirkelError as error:
        sys.stderr.write(f"picture: {error}\n")
        return 1
    sys.stdout.write(f"{options.out}: {WIDTH_PX} x {HEIGHT_PX}\n")
    return 0


def take_picture(
    url: str, key: str, out: Path, *, path: str = "/", is_dark: bool = False, chromium: Path = CHROMIUM
) -> None:
    """Sign in with an API key and write what the first screen shows of a page, ``WIDTH_PX`` x ``HEIGHT_PX``, as PNG.

    Raises:
        NoBrowser: If the playwright package or Chromium is missing.
        NotFound: If the console does not answer.
        Unauthenticated: If the key is not known there.
    """
    try:
        from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 (a development dependency)
    except ImportError as error:
        raise NoBrowser("the package playwright is missing; install Zirkel with its extra 'dev'") from error
    if not chromium.exists():
        raise NoBrowser(
            f"there is no Chromium at {chromium}; install it (Debian: apt install chromium) or name another"
        )
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
            page = browser.new_page(
                viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, color_scheme="dark" if is_dark else "light"
            )
            page.goto(f"{url.rstrip('/')}/sign-in")
            page.get_by_label("API key").fill(key)
            with page.expect_navigation():
                page.get_by_role("button", name="Sign in").click()
            refusal = page.get_by_role("alert")
            if refusal.count():
                raise Unauthenticated(refusal.inner_text())
            page.goto(url.rstrip("/") + path)
            out.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=out)
            browser.close()
    except Error as error:
        raise NotFound(f"no picture of {url}: {error.message.splitlines()[0]}") from error


if __name__ == "__main__":
    sys.exit(main())
