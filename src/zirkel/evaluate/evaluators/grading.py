"""Similarities as scores, and the threshold that turns one into pass or fail."""

from zirkel.core import Scored


def grade(similarity: float, threshold: float | None) -> Scored:
    """Return a similarity of 0 to 1 as a score: itself, or 1 and 0 for what reaches the threshold and what does not.

    What a library's rounding puts beside the bounds is put on them.
    """
    similarity = min(1.0, max(0.0, similarity))
    if threshold is None:
        return Scored(similarity)
    return Scored(float(similarity >= threshold), details={"similarity": similarity})


def threshold_problem(threshold: float | None) -> str:
    """Return what is wrong with a threshold; empty if nothing is."""
    return "" if threshold is None or 0 < threshold <= 1 else f"threshold {threshold} is not above 0 and up to 1"
