"""Numbers in words: an amount with its unit, and an estimate between its bounds. Pure."""

from typing import Protocol


class OneSided(Protocol):
    """An estimate between two bounds."""

    @property
    def estimate(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def say_amount(value: float, unit: str, *, is_signed: bool = False) -> str:
    """Return a value as people read it: shares with three digits, USD with three significant ones, whole ms."""
    sign = "+" if is_signed else ""
    match unit:
        case "share":
            return f"{value:{sign}.3f}"
        case "relative":
            return f"{value:{sign}.1%}"
        case "usd":
            return f"{value:{sign}.3g} USD"
        case "ms":
            return f"{value:{sign}.0f} ms"
        case _:
            return f"{value:{sign}.4g}"


def say_bounds(bounds: OneSided, unit: str, *, is_relative: bool = False) -> str:
    """Return a difference with its one-sided bounds."""
    shown = "relative" if is_relative else unit
    estimate, low, high = (
        say_amount(value, shown, is_signed=True) for value in (bounds.estimate, bounds.low, bounds.high)
    )
    return f"{estimate}, one-sided bounds {low} to {high}"
