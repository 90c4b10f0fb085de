"""What the options of ``zirkel keys`` say, and how keys are shown. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import get_args

import msgspec

from zirkel.core import Budget, BudgetWindow, CaptureMode, Invalid, Json, KeyPolicy, Limits, ZirkelError, iso_utc

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LIFETIME = re.compile(r"([0-9]{1,9})([smhd])")
_WINDOWS: tuple[BudgetWindow, ...] = get_args(BudgetWindow)


class CaptureChoice(StrEnum):
    """What ``--capture`` takes."""

    ON = "on"
    MASKED = "masked"
    OFF = "off"
    PROJECT = "project"


_CAPTURE: dict[CaptureChoice, CaptureMode | None] = {
    CaptureChoice.ON: "on",
    CaptureChoice.MASKED: "masked",
    CaptureChoice.OFF: "off",
    CaptureChoice.PROJECT: None,
}


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """The options as given; ``None`` and empty were not given."""

    user: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    budgets: Sequence[str] = ()
    """``WINDOW=HARD``, ``WINDOW=SOFT:HARD``, ``WINDOW=SOFT:`` or ``WINDOW=none``."""
    models: Sequence[str] = ()
    capture: CaptureChoice | None = None
    origins: Sequence[str] = ()


class KeyRow(msgspec.Struct, frozen=True):
    """A key as the server answers it; times are UTC nanoseconds."""

    key_id: str
    label: str
    roles: list[str]
    hint: str
    created_ns: int
    expires_ns: int | None
    revoked_ns: int | None
    previous_expires_ns: int | None
    policy: KeyPolicy


def read_key(row: Json) -> KeyRow:
    """Return an answer of the server as a key.

    Raises:
        ZirkelError: If the server describes keys in another way.
    """
    try:
        return msgspec.convert(row, KeyRow)
    except msgspec.ValidationError as error:
        raise ZirkelError(f"the server is of another version and describes keys differently: {error}") from error


def merge_policy(current: KeyPolicy, options: PolicyOptions) -> KeyPolicy:
    """Return the policy with what was given in place of what was there; 0, ``none`` and an empty text take it away.

    Raises:
        Invalid: If a budget cannot be read. Whether the values make sense is for the server to say.
    """
    was = current.limits
    limits = Limits(
        requests_per_minute=was.requests_per_minute if options.rpm is None else options.rpm or None,
        tokens_per_minute=was.tokens_per_minute if options.tpm is None else options.tpm or None,
        concurrency=was.concurrency if options.concurrency is None else options.concurrency or None,
        budget=_merge_budgets(was.budget, options.budgets),
        models=was.models if not options.models else [pattern for pattern in options.models if pattern],
    )
    return KeyPolicy(
        user=current.user if options.user is None else options.user,
        limits=limits,
        capture=current.capture if options.capture is None else _CAPTURE[options.capture],
        origins=current.origins if not options.origins else [origin for origin in options.origins if origin],
    )


def _merge_budgets(current: Sequence[Budget], texts: Sequence[str]) -> list[Budget]:
    given: dict[BudgetWindow, Budget | None] = {}
    for text in texts:
        window, budget = _read_budget(text)
        if window in given:
            raise Invalid(f"--budget {window} is given twice; give soft and hard as: {window}=SOFT:HARD", path="budget")
        given[window] = budget
    merged = {budget.window: budget for budget in current} | given
    return [budget for window in _WINDOWS if (budget := merged.get(window)) is not None]


def _read_budget(text: str) -> tuple[BudgetWindow, Budget | None]:
    name, _, amounts = text.partition("=")
    window = next((window for window in _WINDOWS if window == name), None)
    if window is None or not amounts.strip(":"):
        raise Invalid(
            f"--budget {text!r} is not WINDOW=HARD or WINDOW=SOFT:HARD in USD, with a window of {', '.join(_WINDOWS)}",
            path="budget",
        )
    if amounts == "none":
        return window, None
    soft, colon, hard = amounts.partition(":")
    if not colon:
        soft, hard = "", amounts
    return window, Budget(window=window, soft_usd=soft or None, hard_usd=hard or None)


def read_lifetime(text: str, option: str) -> int:
    """Return how many seconds ``24h``, ``30m``, ``7d``, ``90s`` or ``0`` are.

    Raises:
        Invalid: If the text is none of these.
    """
    if text == "0":
        return 0
    found = _LIFETIME.fullmatch(text)
    if found is None:
        raise Invalid(f"--{option} {text!r} is not a lifetime such as 24h, 30m, 7d or 0", path=option)
    return int(found.group(1)) * _UNIT_S[found.group(2)]


def describe_state(key: KeyRow, now_ns: int) -> str:
    """Return ``revoked``, ``expired …``, or ``valid`` with when it or its earlier secret ends."""
    if key.revoked_ns is not None:
        return "revoked"
    if key.expires_ns is not None and key.expires_ns <= now_ns:
        return f"expired {_minute(key.expires_ns)}"
    parts = ["valid"]
    if key.expires_ns is not None:
        parts.append(f"expires {_minute(key.expires_ns)}")
    if key.previous_expires_ns is not None and key.previous_expires_ns > now_ns:
        parts.append(f"rotating until {_minute(key.previous_expires_ns)}")
    return ", ".join(parts)


def describe_budgets(limits: Limits) -> str:
    """Return the budgets as ``--budget`` takes them, ``-`` for none."""
    return " ".join(f"{budget.window}={_amounts(budget)}" for budget in limits.budget) or "-"


def describe_policy(policy: KeyPolicy) -> dict[str, str]:
    """Return a policy for people to read, by name; ``-`` is nothing."""
    limits = policy.limits
    return {
        "user": policy.user or "-",
        "requests per minute": str(limits.requests_per_minute or "-"),
        "tokens per minute": str(limits.tokens_per_minute or "-"),
        "concurrency": str(limits.concurrency or "-"),
        "budgets (USD)": describe_budgets(limits),
        "models": " ".join(limits.models) or "all",
        "capture": policy.capture or "as the project",
        **({"web origins": " ".join(policy.origins)} if policy.origins else {}),
    }


def _amounts(budget: Budget) -> str:
    return budget.hard_usd or "" if budget.soft_usd is None else f"{budget.soft_usd}:{budget.hard_usd or ''}"


def _minute(time_ns: int) -> str:
    return f"{iso_utc(time_ns)[:16]}Z"
