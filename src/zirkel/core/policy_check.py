"""Limits, key policies and resilience settings that make sense; each fault is told with its field's path."""

import math
import re
from decimal import Decimal

import msgspec

from zirkel.core.errors import Invalid
from zirkel.core.policy import Budget, Hedge, KeyPolicy, Limits, Resilience

LARGEST_LIMIT = 10**12
LONGEST_USER = 256
LONGEST_PAUSE_S = 86_400.0
MOST_ORIGINS = 100
_ORIGIN = re.compile(r"https?://([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?")
_DEFAULT_PORTS = re.compile(r"https://.*:443|http://.*:80")
_USD = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_FAULT = re.compile(r"(?P<said>.*?)(?: - at `\$(?P<at>[^`]*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")


def parse_key_policy(value: object, path: str = "") -> KeyPolicy:
    """Return plain JSON values as a policy, checked.

    Args:
        value: An object with the fields of ``KeyPolicy``.
        path: Where the value stands in what the caller sent; empty if it is the whole.

    Raises:
        Invalid: With the path of the faulty field, e.g. ``policy.limits.budget[0].hard_usd``.
    """
    try:
        policy = msgspec.convert(value, KeyPolicy)
    except msgspec.ValidationError as error:
        raise _conversion_fault(str(error), path) from error
    check_key_policy(policy, path)
    return policy


def check_key_policy(policy: KeyPolicy, path: str = "") -> None:
    """Return if a policy makes sense.

    Raises:
        Invalid: With the path of the faulty field.
    """
    if policy.user == "*":
        raise _invalid(path, "user", "'*' stands for each user; name one, or leave it empty")
    if len(policy.user) > LONGEST_USER or policy.user != policy.user.strip():
        raise _invalid(path, "user", f"at most {LONGEST_USER} characters, and no space at either end")
    check_limits(policy.limits, _join(path, "limits"))
    if len(policy.origins) > MOST_ORIGINS:
        raise _invalid(path, "origins", f"{len(policy.origins)} are too many; at most {MOST_ORIGINS}")
    for index, origin in enumerate(policy.origins):
        _check_origin(origin, path, f"origins[{index}]")


def _check_origin(origin: str, path: str, name: str) -> None:
    """Check that a browser could send ``origin`` like this: nothing else would ever match.

    Source: WHATWG HTML Standard, "serialization of an origin".
    """
    if origin == "*":
        return
    if not _ORIGIN.fullmatch(origin):
        raise _invalid(path, name, f"{origin!r} is not an origin such as https://shop.example; no path, lower case")
    if _DEFAULT_PORTS.fullmatch(origin):
        raise _invalid(path, name, f"{origin!r} names the scheme's own port, which browsers leave out")


def check_limits(limits: Limits, path: str) -> None:
    """Return if limits make sense: numbers from 1, budgets in order and one for each window, patterns not empty.

    Raises:
        Invalid: With the path of the faulty field, ``path`` (e.g. ``limits``) being where the limits stand.
    """
    for name in ("requests_per_minute", "tokens_per_minute", "concurrency"):
        value: int | None = getattr(limits, name)
        if value is not None and not 1 <= value <= LARGEST_LIMIT:
            raise _invalid(path, name, f"{value} is not from 1 to {LARGEST_LIMIT}; leave it out for no limit")
    seen: set[str] = set()
    for index, budget in enumerate(limits.budget):
        place = _join(path, f"budget[{index}]")
        if budget.window in seen:
            raise _invalid(place, "window", f"there is a budget for the {budget.window} already; one is enough")
        seen.add(budget.window)
        _check_budget(budget, place)
    for index, pattern in enumerate(limits.models):
        if not pattern.strip():
            raise _invalid(path, f"models[{index}]", "the pattern is empty; leave `models` out to allow every model")


def _check_budget(budget: Budget, path: str) -> None:
    soft, hard = _usd(budget.soft_usd, path, "soft_usd"), _usd(budget.hard_usd, path, "hard_usd")
    if soft is None and hard is None:
        raise _invalid(path, "hard_usd", "a budget needs soft_usd, hard_usd, or both")
    if soft is not None and hard is not None and soft > hard:
        raise _invalid(path, "soft_usd", f"{budget.soft_usd} is more than hard_usd {budget.hard_usd}")


def _usd(text: str | None, path: str, name: str) -> Decimal | None:
    if text is None:
        return None
    if not _USD.fullmatch(text):
        raise _invalid(path, name, f'{text!r} is not an amount in USD; write a decimal of at least 0, e.g. "20.50"')
    return Decimal(text)


def check_resilience(resilience: Resilience, path: str) -> None:
    """Return if resilience settings make sense: counts and times in their bounds, shares from 0 to 1.

    Raises:
        Invalid: With the path of the faulty field, ``path`` (e.g. ``resilience``) being where the settings stand.
    """
    _check_range(resilience.retries, 0, 100, path, "retries")
    _check_range(resilience.retry_share, 0, 1, path, "retry_share")
    _check_range(resilience.failures, 0, 1_000_000, path, "failures")
    for name in ("backoff_s", "longest_backoff_s"):
        _check_range(getattr(resilience, name), 0, LONGEST_PAUSE_S, path, name)
    if resilience.longest_backoff_s < resilience.backoff_s:
        raise _invalid(path, "longest_backoff_s", f"it is shorter than backoff_s {resilience.backoff_s}")
    for name in ("connect_s", "first_token_s", "between_tokens_s", "total_s", "rest_s"):
        value: float | None = getattr(resilience, name)
        if value is not None:
            _check_positive(value, LONGEST_PAUSE_S, path, name)
    if resilience.hedge is not None:
        _check_hedge(resilience.hedge, _join(path, "hedge"))


def _check_hedge(hedge: Hedge, path: str) -> None:
    if not 0 < hedge.percentile < 1:
        raise _invalid(path, "percentile", f"{hedge.percentile} is not above 0 and below 1")
    _check_positive(hedge.at_most, 1, path, "at_most")
    _check_range(hedge.minimum_s, 0, LONGEST_PAUSE_S, path, "minimum_s")


def _check_range(value: float, least: float, most: float, path: str, name: str) -> None:
    # Written so that NaN fails too.
    if not least <= value <= most:
        raise _invalid(path, name, f"{value} is not from {least:g} to {most:g}")


def _check_positive(value: float, most: float, path: str, name: str) -> None:
    if not (math.isfinite(value) and 0 < value <= most):
        raise _invalid(path, name, f"{value} is not above 0 and at most {most:g}")


def _conversion_fault(text: str, path: str) -> Invalid:
    found = _FAULT.fullmatch(text)
    said, at = (found["said"], (found["at"] or "").lstrip(".")) if found else (text, "")
    unknown = _UNKNOWN.search(said)
    place = _join(_join(path, at), unknown.group(1) if unknown else "")
    return Invalid(f"{place or 'policy'}: {said}", path=place or None)


def _invalid(path: str, name: str, said: str) -> Invalid:
    place = _join(path, name)
    return Invalid(f"{place}: {said}", path=place)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
