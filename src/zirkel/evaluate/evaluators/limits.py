"""Measures, and the limit that turns one into pass or fail."""

from zirkel.core import Scored


def measure(value: float, limit: float | None) -> Scored:
    """Return a measured value as a score: itself, or 1 if it is at most the limit and 0 if not."""
    if limit is None:
        return Scored(value)
    return Scored(float(value <= limit), details={"measured": value})


def limit_problem(limit: float | None) -> str:
    """Return what is wrong with a limit; empty if nothing is."""
    return "" if limit is None or 0 < limit < float("inf") else f"limit {limit} is not above 0"
