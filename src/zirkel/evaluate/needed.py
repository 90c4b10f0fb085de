"""How many more items would decide, and what they would cost. Pure."""

import math
from decimal import Decimal

from scipy import special

from zirkel.evaluate.bounds import RULE_OF_THREE
from zirkel.evaluate.gate_inputs import GateInputs
from zirkel.evaluate.measure import Measured
from zirkel.stats import Direction, Interval

POWER = 0.8
"""Wanted probability that a release which is as good as it looks passes the whole gate."""
MOST_ITEMS = 10**9
"""More items than this are no answer."""


def power_per_metric(metrics: int, power: float = POWER) -> float:
    """Return the power that each of several metrics needs so that all pass together with ``power``: 1 - beta / k.

    Source: Bonferroni's inequality on the metrics that fail.
    """
    return 1 - (1 - power) / metrics


def items_needed(bounds: Interval, gap: float, direction: Direction, power: float) -> int | None:
    """Return the items at which the bound would probably clear what it is held against, if the estimate stays.

    Args:
        bounds: As found, with ``bounds.n`` items.
        gap: How far the estimate lies on the good side of the margin or floor, in the same unit.
        direction: Which bound has to clear it.
        power: Wanted probability, as a fraction.

    Returns:
        Items in all, more than there are; None if the estimate is on the wrong side, or it would be over a billion.
    """
    half = bounds.estimate - bounds.low if direction == "higher" else bounds.high - bounds.estimate
    if gap <= 0:
        return None
    if bounds.method == RULE_OF_THREE:
        needed = bounds.n * half / gap
    else:
        quantile = float(special.ndtri((1 + bounds.confidence) / 2))
        needed = bounds.n * (half / gap * (quantile + float(special.ndtri(power))) / quantile) ** 2
    return None if needed > MOST_ITEMS else max(math.ceil(needed), bounds.n + 1)


def price_of_items(inputs: GateInputs, items: int) -> Decimal | None:
    """Return what further items would cost, both releases and their judges, at what the items so far cost.

    None if a price is unknown.
    """
    each = [_price_per_item(found) for found in (inputs.candidate, inputs.baseline) if found]
    known = [price for price in each if price is not None]
    return sum(known, Decimal(0)) * items if len(known) == len(each) else None


def _price_per_item(measured: Measured) -> Decimal | None:
    if measured.cost_usd is None or measured.judging_usd is None or not measured.answered:
        return None
    per_answer = (measured.cost_usd + measured.judging_usd) / measured.answered
    return per_answer * measured.experiment.trials
