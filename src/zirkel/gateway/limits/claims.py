"""The words of limits: who a call counts against, what it may use, what it did use."""

from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from zirkel.core import BudgetWindow, Invalid, Limits

SubjectKind = Literal["key", "user", "project", "service"]
_PICO_PER_USD = 10**12
_EXACT = Context(prec=1000)


@dataclass(frozen=True, slots=True)
class Scope:
    """One subject that a call counts against."""

    kind: SubjectKind
    subject_id: str
    """Unique in the installation, e.g. ``default/key/KEYID``."""
    label: str
    """For messages."""
    limits: Limits

    @property
    def is_counted(self) -> bool:
        """Whether there is anything to count for; an allow-list of models alone is not."""
        limits = self.limits
        return (
            bool(limits.budget)
            or limits.requests_per_minute is not None
            or limits.tokens_per_minute is not None
            or limits.concurrency is not None
        )


class Claim(msgspec.Struct, frozen=True):
    """What one attempt may use at most."""

    tokens: int
    """Input and output together, at least 0."""
    usd: Decimal | None
    """``None`` is an unknown price."""
    note: bytes = b""
    """What the attempt's record is written from if this worker is killed; opaque here."""
    model: str = ""
    """For messages."""

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: If a number is negative, or no number.
        """
        if self.tokens < 0 or (self.usd is not None and not (self.usd.is_finite() and self.usd >= 0)):
            raise ValueError(f"a claim is at least 0, not {self.tokens} tokens and {self.usd} USD")


class Settlement(msgspec.Struct, frozen=True):
    """What an attempt used."""

    tokens: int
    usd: Decimal | None
    """``None`` is unknown: what was reserved stays spent. So is an amount that is negative or no number."""


class HeldAttempt(msgspec.Struct, frozen=True, array_like=True):
    """An attempt in the row of its call. ``tokens`` and ``pico_usd`` are reserved while it is open, then used."""

    attempt_id: str
    reserved_ns: int
    tokens: int
    pico_usd: int | None
    note: bytes
    is_open: bool = True


class Ticket(msgspec.Struct, eq=False):
    """A call that was admitted and must be ended. Opaque but for ``soft_passed``."""

    row_key: bytes
    subjects: tuple[tuple[bytes, Scope], ...]
    attempts: list[HeldAttempt]
    soft_passed: list["SoftPassed"] = []
    """All soft levels that this call was the first to pass, in order."""
    is_ended: bool = False


@dataclass(frozen=True, slots=True)
class SoftPassed:
    """A budget whose soft level was passed for the first time in its window, by spent and reserved money together."""

    scope: Scope
    window: BudgetWindow
    soft_usd: str
    """The level, as configured."""
    total_usd: Decimal
    """Spent and reserved now."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """An attempt of a worker that died before it could end the call."""

    row_key: bytes
    """Names the call; see ``Limiter.forget``."""
    attempt_id: str
    note: bytes
    """Of its claim."""
    reserved_ns: int
    """When it began, UTC nanoseconds since 1970."""
    tokens: int
    usd: Decimal | None
    """What was counted: the reservation, or what it was settled at. ``None`` is unknown."""
    is_settled: bool
    """Whether it had ended before the worker died."""


def to_pico_usd(usd: Decimal) -> int:
    """Return an amount as a whole number of 10^-12 USD, rounded up."""
    numerator, denominator = usd.as_integer_ratio()
    return -(-numerator * _PICO_PER_USD // denominator)


def from_pico_usd(pico_usd: int) -> Decimal:
    """Return an amount in USD, exact."""
    return _EXACT.scaleb(Decimal(pico_usd), -12)


def usd_text(pico_usd: int) -> str:
    """Return an amount as a plain decimal, e.g. ``0.00015``."""
    return f"{_EXACT.normalize(from_pico_usd(pico_usd)):f}"


@lru_cache(maxsize=4096)
def level_pico_usd(usd: str) -> int:
    """Return a budget's level as a whole number of 10^-12 USD, rounded down.

    Raises:
        Invalid: If it is not a decimal of at least 0.
    """
    try:
        numerator, denominator = Decimal(usd).as_integer_ratio()
    except (ArithmeticError, ValueError):
        numerator, denominator = -1, 1
    if numerator < 0:
        raise Invalid(f"a budget is a decimal of at least 0 in USD, not {usd!r}")
    return numerator * _PICO_PER_USD // denominator
