"""Numbers as people read them, and where they are drawn. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import msgspec

NO_BREAK = "\N{NO-BREAK SPACE}"
DIGEST_DIGITS = 12


class Interval(msgspec.Struct, frozen=True):
    """An estimate between its bounds."""

    estimate: float
    low: float
    high: float
    n: int
    n_clusters: int | None = None
    warnings: list[str] = []


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from ``low`` to ``high``, with ``low < high``."""

    low: float
    high: float

    def place(self, value: float) -> str:
        """Return where ``value`` lies on the axis, as an SVG percentage; what is outside lies at the end."""
        share = (value - self.low) / (self.high - self.low)
        return f"{min(max(share, 0.0), 1.0):.2%}"


def scale_of(intervals: Iterable[Interval]) -> Scale:
    """Return the axis for intervals that are compared.

    It is 0 to 1 where every estimate is inside (scores mostly are shares; a bound that overshoots is cut off in the
    drawing, not in the numbers), else as wide as they need.
    """
    found = list(intervals)
    if all(0 <= interval.estimate <= 1 for interval in found):
        return Scale(0, 1)
    low, high = min(interval.low for interval in found), max(interval.high for interval in found)
    return Scale(low, high) if low < high else Scale(low - 1, high + 1)


def format_score(value: float) -> str:
    """Return a score or its bound with three decimals, as the command line prints it."""
    return f"{value:.3f}"


def format_significant(value: float, digits: int = 3) -> str:
    """Return ``value`` with ``digits`` significant digits, without exponent, thousands set apart by commas."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    # Of the rounded value: 0.99999 has one decimal less than its own logarithm says.
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    return f"{value:,.{decimals}f}"


def format_usd(amount: Decimal) -> str:
    """Return an amount: two decimals from 1 USD on, below that three significant digits."""
    if abs(amount) >= Decimal("0.9995") or amount == 0:
        return f"{amount:,.2f}"
    decimals = 2 - Decimal(f"{amount:.2e}").adjusted()
    return f"{amount:.{decimals}f}"


def format_ms(milliseconds: float) -> str:
    """Return a duration in milliseconds, or in seconds from one second on."""
    if milliseconds >= 999.5:
        return f"{format_significant(milliseconds / 1000)}{NO_BREAK}s"
    return f"{format_significant(milliseconds)}{NO_BREAK}ms"


def format_share(share: float) -> str:
    """Return a share of 1 in percent, e.g. ``10 %`` or ``0.5 %``."""
    return f"{share * 100:.3g}{NO_BREAK}%"


def format_p(p_value: float) -> str:
    """Return a p-value with its relation, e.g. ``p = 0.02`` or ``p < 0.0001``."""
    return "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"


def short_digest(digest: str) -> str:
    """Return the start of a digest that people tell releases apart by."""
    return digest[:DIGEST_DIGITS]
