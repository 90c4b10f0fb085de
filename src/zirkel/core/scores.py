"""Results of evaluators: scored, unscored with a reason, or errored; never a number standing in for "none"."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from zirkel.core.canonical import Json

_FREE = Decimal(0)
_MEASURED = frozenset({"state", "value", "label", "cost_usd"})


@dataclass(frozen=True, slots=True)
class Scored:
    """An output was judged."""

    value: float
    """In the evaluator's unit; pass or fail is 1 or 0."""
    label: str = ""
    """The category, where the evaluator has some."""
    reason: str = ""
    """Why, in the judge's words."""
    details: Mapping[str, Json] = field(default_factory=dict)
    """What the value was made from, e.g. each item of a rubric, each juror's vote."""
    cost_usd: Decimal | None = _FREE
    """What judging cost; ``None`` if a price is unknown."""


@dataclass(frozen=True, slots=True)
class Unscored:
    """There was nothing to judge by, e.g. the item has no expected output."""

    reason: str
    cost_usd: Decimal | None = _FREE


@dataclass(frozen=True, slots=True)
class Errored:
    """The evaluator itself failed."""

    error: str
    cost_usd: Decimal | None = _FREE
    """What was spent on attempts that came to nothing."""


Score = Scored | Unscored | Errored


def score_to_json(score: Score) -> dict[str, Json]:
    """Return the stored form of a score; what is at its default is left out."""
    if isinstance(score, Scored):
        stored: dict[str, Json] = {"state": "scored", "value": score.value}
        stored.update({name: value for name in ("label", "reason") if (value := getattr(score, name))})
        if score.details:
            stored["details"] = dict(score.details)
    elif isinstance(score, Unscored):
        stored = {"state": "unscored", "reason": score.reason}
    else:
        stored = {"state": "errored", "error": score.error}
    if score.cost_usd != _FREE:
        stored["cost_usd"] = None if score.cost_usd is None else str(score.cost_usd)
    return stored


def score_from_json(fields: Mapping[str, Json]) -> Score:
    """Return the score of a stored form.

    Raises:
        ValueError: If it is not one.
    """
    value, details = fields.get("value"), fields.get("details", {})
    cost_usd = _cost(fields.get("cost_usd", "0"))
    if fields.get("state") == "scored" and isinstance(value, int | float) and isinstance(details, dict):
        label, reason = str(fields.get("label", "")), str(fields.get("reason", ""))
        return Scored(float(value), label, reason, details, cost_usd)
    if fields.get("state") == "unscored":
        return Unscored(str(fields.get("reason")), cost_usd)
    if fields.get("state") == "errored":
        return Errored(str(fields.get("error")), cost_usd)
    raise ValueError(f"{dict(fields)!r} is not a stored score")


def without_texts(fields: Mapping[str, Json], instead: str) -> dict[str, Json]:
    """Return a stored form without what a judge wrote, who may quote what was judged; what is measured stays.

    Args:
        fields: As ``score_to_json`` returns it.
        instead: Stands for a reason or an error that a score cannot be without.
    """
    kept = {name: value for name, value in fields.items() if name in _MEASURED}
    needed = {"unscored": "reason", "errored": "error"}.get(str(fields.get("state")))
    return kept | {needed: instead} if needed else kept


def _cost(stored: Json) -> Decimal | None:
    return None if stored is None else Decimal(str(stored))
