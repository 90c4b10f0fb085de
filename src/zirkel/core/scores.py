"""Results of evaluators: scored, unscored with a reason, or errored; never a number standing in for "none"."""

from collections.abc import Mapping
from dataclasses import dataclass

from zirkel.core.canonical import Json


@dataclass(frozen=True, slots=True)
class Scored:
    """An output was judged."""

    value: float
    """In the evaluator's unit; pass or fail is 1 or 0."""


@dataclass(frozen=True, slots=True)
class Unscored:
    """There was nothing to judge by, e.g. the item has no expected output."""

    reason: str


@dataclass(frozen=True, slots=True)
class Errored:
    """The evaluator itself failed."""

    error: str


Score = Scored | Unscored | Errored


def score_to_json(score: Score) -> dict[str, Json]:
    """Return the stored form of a score."""
    if isinstance(score, Scored):
        return {"state": "scored", "value": score.value}
    if isinstance(score, Unscored):
        return {"state": "unscored", "reason": score.reason}
    return {"state": "errored", "error": score.error}


def score_from_json(fields: Mapping[str, Json]) -> Score:
    """Return the score of a stored form.

    Raises:
        ValueError: If it is not one.
    """
    value = fields.get("value")
    if fields.get("state") == "scored" and isinstance(value, int | float):
        return Scored(float(value))
    if fields.get("state") == "unscored":
        return Unscored(str(fields.get("reason")))
    if fields.get("state") == "errored":
        return Errored(str(fields.get("error")))
    raise ValueError(f"{dict(fields)!r} is not a stored score")
