"""Plots as files: a Vega-Lite specification drawn as SVG or PNG, where the renderer is installed."""

import importlib.util
import json
from pathlib import Path

from zirkel.core import Invalid, Json

PNG_SCALE = 2


def can_draw() -> bool:
    """Return whether the renderer is installed."""
    return importlib.util.find_spec("vl_convert") is not None


def draw_chart(specification: dict[str, Json], path: Path) -> None:
    """Write a chart as ``.svg`` or ``.png``. Nothing is fetched from anywhere.

    Raises:
        Invalid: If the file's name ends otherwise, or the renderer is not installed.
    """
    if path.suffix not in (".svg", ".png"):
        raise Invalid(f"{path} ends neither in .svg nor in .png")
    if not can_draw():
        raise Invalid("drawing charts needs vl-convert-python: pip install 'zirkel[charts]'")
    import vl_convert  # noqa: PLC0415 (it starts a JavaScript engine, which few commands need)

    text = json.dumps(specification)
    if path.suffix == ".svg":
        path.write_text(vl_convert.vegalite_to_svg(text))
    else:
        path.write_bytes(vl_convert.vegalite_to_png(text, scale=PNG_SCALE))
