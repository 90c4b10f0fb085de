"""What the functions of this room return: frozen records of finite numbers, ready for the evidence ledger."""

import math
from dataclasses import dataclass, fields

PlainValue = bool | int | float | str | list[str] | list[float] | list[bool] | None
"""What a field of a result is in JSON."""
FieldValue = bool | int | float | str | tuple[str, ...] | tuple[float, ...] | tuple[bool, ...] | None
"""What a field of a result is in Python."""

INDEPENDENT_ITEMS = ("items are independent",)
INDEPENDENT_CLUSTERS = ("clusters are independent; items of one cluster need not be",)


@dataclass(frozen=True, slots=True)
class Result:
    """Base of every result: a frozen dataclass whose numbers are finite."""

    def __post_init__(self) -> None:
        for name, value in self._items():
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float) and not math.isfinite(number):
                    raise ValueError(f"{type(self).__name__}.{name} is {value}: the input cannot be computed with")

    def to_dict(self) -> dict[str, PlainValue]:
        """Return the fields as plain JSON values, without NaN or infinity; tuples become lists."""
        return {name: _plain(value) for name, value in self._items()}

    def _items(self) -> list[tuple[str, FieldValue]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


def _plain(value: FieldValue) -> PlainValue:
    # mypy does not see that the list holds what the tuple did.
    return list(value) if isinstance(value, tuple) else value  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Interval(Result):
    """An estimate between two bounds, two-sided."""

    estimate: float
    low: float
    high: float
    confidence: float
    """Coverage as a fraction, e.g. 0.95."""
    method: str
    """How it was computed, e.g. ``wilson``; the function that returns it says which."""
    n: int
    """Number of items."""
    n_clusters: int | None = None
    """Number of clusters the items came in; None if they were taken as independent."""
    warnings: tuple[str, ...] = ()
    """Why the interval deserves less trust than its confidence says, in plain words."""
    assumptions: tuple[str, ...] = ()
    """What must hold for the interval to cover as often as it says."""


@dataclass(frozen=True, slots=True)
class LowerBound(Result):
    """A one-sided bound: the true value is at least ``low``, wrong with probability at most ``alpha``."""

    estimate: float
    low: float
    alpha: float
    method: str
    n: int
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeanInterval(Result):
    """A mean, or a mean of paired differences, with its two-sided interval and what it was made from."""

    estimate: float
    low: float
    high: float
    confidence: float
    """Coverage as a fraction, e.g. 0.95."""
    method: str
    """``t`` (independent items) or ``cr1_t`` (cluster-robust)."""
    n: int
    """Number of items."""
    n_clusters: int | None
    """Number of clusters the items came in; None if they were taken as independent."""
    standard_error: float
    """The one the interval uses; exactly 0 if the data do not vary beyond rounding."""
    naive_standard_error: float
    """The one that independent items would have."""
    degrees_of_freedom: int
    """Of the t distribution: clusters (or items) minus 1."""
    warnings: tuple[str, ...] = ()
    """Why the interval deserves less trust than its confidence says, in plain words."""
    icc: float | None = None
    """Intraclass correlation: how alike items of one cluster are, 0 to 1. None without clusters, or if unknown."""
    assumptions: tuple[str, ...] = ()
    """What must hold for the interval to cover as often as it says."""
