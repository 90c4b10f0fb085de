"""Which answers people are asked about: a random sample, each answer with a probability that is known. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from random import Random

from zirkel.stats.label_chances import label_chances

Cell = tuple[str, int]
"""Item and trial."""

RULE = "label_chances"
"""How probabilities are chosen, as it is kept with a sample."""
RARE = 0.999999
"""A probability above this is 1."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answer that could be drawn, together with the baseline's if there is one."""

    item_id: str
    trial: int
    score: float
    """What the judge says; people do not see it."""
    other_score: float | None = None
    """What it says of the baseline's answer, if people are asked about that, too."""
    cluster: str = ""

    @property
    def stretch(self) -> tuple[float, float]:
        """Where it lies among the others: by what the gate looks at, the difference, then by the score."""
        return (self.score if self.other_score is None else self.score - self.other_score), self.score


def chances(
    candidates: Sequence[Candidate], labels: Sequence[float | None], earlier: Sequence[float], wanted: int
) -> list[float]:
    """Return with which probability each answer should be in a sample, so that the gate's interval narrows most.

    Where labels tell where the judge errs, such answers are more probable; with few labels all are alike, and ``draw``
    then makes a sample stratified by the judge's score. None falls below what it was.

    Args:
        candidates: All answers that could be drawn.
        labels: What people said of each so far, None for nothing; of pairs the difference.
        earlier: With which each is in the sample already drawn; 0 if it could not be.
        wanted: Size of the whole sample.

    Source: as ``stats.label_chances``.
    """
    if not candidates:
        return []
    others = [c.other_score for c in candidates if c.other_score is not None]
    # A label without a chance was chosen by somebody, and tells nothing of the sample.
    known = [label if chance > 0 else None for label, chance in zip(labels, earlier, strict=True)]
    found = label_chances(
        [c.score for c in candidates],
        known,
        min(wanted, len(candidates)),
        judged_baseline=others if len(others) == len(candidates) else None,
        inclusion=earlier if any(label is not None for label in known) else None,
    )
    pairs = zip(earlier, found, strict=True)
    return [1.0 if max(pair) > RARE else float(max(pair)) for pair in pairs]


def joined(known: Sequence[Mapping[Cell, float]], drawn: Sequence[Collection[Cell]]) -> dict[Cell, float]:
    """Return with which probability each answer is in any of several samples.

    Args:
        known: Each sample's probabilities.
        drawn: What is in each. Samples of the same answers are one draw, others are independent.
    """
    apart: list[Mapping[Cell, float]] = []
    seen: list[set[Cell]] = []
    for chances, cells in zip(known, drawn, strict=True):
        if cells and set(cells) not in seen:
            apart.append(chances)
            seen.append(set(cells))
    every = {cell for chances in apart for cell in chances}
    return {cell: 1 - prod(1 - chances.get(cell, 0.0) for chances in apart) for cell in every}


def draw(
    candidates: Sequence[Candidate],
    earlier: Sequence[float],
    total: Sequence[float],
    drawn: Sequence[bool],
    random: Random,
) -> list[int]:
    """Return the places of the answers that are drawn in addition, so that each is in the whole with its ``total``.

    Systematic sampling along the judge's score: as many answers come from each stretch of scores as the probabilities
    say, which is a stratification without strata to choose. Who was not drawn before, with probability ``1 - earlier``,
    is drawn now with ``(total - earlier) / (1 - earlier)``.

    Args:
        candidates: All answers that could be drawn.
        earlier: With which probability each could have been drawn before.
        total: With which each is to be in the whole sample, at least ``earlier``.
        drawn: Which are in the sample already.
        random: Seeded.

    Source: Madow (1949), Annals of Mathematical Statistics 20(3), 333-354 (systematic sampling with unequal
        probabilities); two phases: Särndal, Swensson and Wretman (1992),
        Model Assisted Survey Sampling.
    """
    waiting = [place for place, is_in in enumerate(drawn) if not is_in]
    # Equal scores in random order, so that nothing but the score decides who stands beside whom.
    random.shuffle(waiting)
    waiting.sort(key=lambda place: candidates[place].stretch)
    chances = [
        (total[place] - earlier[place]) / (1 - earlier[place]) if earlier[place] < 1 else 1.0 for place in waiting
    ]
    mark, reached, chosen = random.random(), 0.0, []
    for place, chance in zip(waiting, chances, strict=True):
        reached += chance
        # Floating sums fall a little short of whole numbers; a certain answer is drawn all the same.
        if reached > mark or chance > RARE:
            chosen.append(place)
            mark += 1
    return chosen
