"""The style sheet keeps WCAG's contrast, in light and in dark."""

import re
from importlib.resources import files

import pytest

TEXT_PAIRS = [
    ("ink", "paper"),
    ("ink", "surface"),
    ("ink-soft", "paper"),
    ("ink-soft", "surface"),
    ("accent", "paper"),
    ("accent", "surface"),
    ("accent-ink", "accent"),
    ("plain-ink", "plain"),
    ("good-ink", "good"),
    ("warn-ink", "warn"),
    ("bad-ink", "bad"),
]
DRAWN_PAIRS = [("stable", "surface"), ("candidate", "surface"), ("line-strong", "surface"), ("line-strong", "paper")]


def tokens(scheme: str) -> dict[str, str]:
    text = files("zirkel.console").joinpath("static/console.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    return dict(re.findall(r"--([a-z-]+): #([0-9a-f]{6});", light if scheme == "light" else dark))


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, "relative luminance"."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Source: WCAG 2.2, "contrast ratio"."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_is_21() -> None:
    assert contrast("000000", "ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_a_contrast_of_at_least_4_5(scheme: str) -> None:
    colours = tokens(scheme)
    found = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in TEXT_PAIRS}
    assert {pair: ratio for pair, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_drawn_has_a_contrast_of_at_least_3(scheme: str) -> None:
    colours = tokens(scheme)
    found = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in DRAWN_PAIRS}
    assert {pair: ratio for pair, ratio in found.items() if ratio < 3} == {}


def test_both_schemes_name_the_same_colours() -> None:
    assert set(tokens("light")) == set(tokens("dark"))
